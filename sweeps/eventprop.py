"""All settings of EventProp training that the papers tuned or learned.

Each range covers about a factor of ten around the published values (Nowotny, Turner & Knight 2025;
delays: Mészáros, Knight & Nowotny 2025). Some parameters depend on others: only a delay line has a
number of copies, only learned delays have a learning rate.
"""

from collections.abc import Mapping
from typing import Any

from optuna.trial import BaseTrial


def space(trial: BaseTrial) -> Mapping[str, Any]:
    """Settings of a trial; names are those of the options of python -m shd_genn.run."""
    return {
        # optimiser
        "learning_rate": trial.suggest_float("learning_rate", 2e-4, 2e-2, log=True),
        "batch_size": trial.suggest_categorical("batch_size", [16, 32, 64, 128]),
        "ease_in": trial.suggest_categorical("ease_in", [0.001, 1.0]),
        "schedule": trial.suggest_categorical("schedule", ["constant", "cosine"]),
        "softmax_temperature": trial.suggest_float("softmax_temperature", 0.02, 1.0, log=True),
        # regularisation towards a number of spikes per neuron and trial
        "reg_lambda": trial.suggest_float("reg_lambda", 1e-11, 1e-8, log=True),
        "reg_nu": trial.suggest_float("reg_nu", 4.0, 28.0),
        "revive_silent": trial.suggest_categorical("revive_silent", [0.0, 0.002]),
        # augmentation
        "shift_channels": trial.suggest_float("shift_channels", 0.0, 60.0),
        "blend": trial.suggest_categorical("blend", [0.0, 1.0]),
        "dilation": trial.suggest_float("dilation", 1.0, 1.3),
        "jitter_channels": trial.suggest_float("jitter_channels", 0.0, 10.0),
        "dropout": trial.suggest_float("dropout", 0.0, 0.3),
        **time_constants(trial),
        **weights_and_delays(trial),
    }


def time_constants(trial: BaseTrial) -> dict[str, Any]:
    """Initial time constants, and whether they are learned."""
    learned = trial.suggest_categorical("train_tau", [False, True])
    return {
        "tau_mem_ms": trial.suggest_float("tau_mem_ms", 12.0, 60.0, log=True),
        "tau_syn_ms": trial.suggest_float("tau_syn_ms", 2.0, 11.0, log=True),
        "tau_mem_out_ms": trial.suggest_float("tau_mem_out_ms", 12.0, 60.0, log=True),
        "tau_distribution": trial.suggest_categorical("tau_distribution", ["same", "gamma"]),
        "train_tau": learned,
        "tau_learning_rate": trial.suggest_float("tau_learning_rate", 1e-4, 1e-1, log=True)
        if learned
        else None,
    }


def weights_and_delays(trial: BaseTrial) -> dict[str, Any]:
    """Initial weights, and delays: none, a delay line of the input, or learned ones."""
    delays = trial.suggest_categorical("delays", ["none", "line", "learned"])
    w_in = trial.suggest_float("w_in_mean", 0.005, 0.06, log=True)
    w_in_cv = trial.suggest_float("w_in_cv", 0.1, 1.0, log=True)
    settings: dict[str, Any] = {
        "w_rec_sd": trial.suggest_float("w_rec_sd", 0.005, 0.06, log=True),
        "w_out_sd": trial.suggest_float("w_out_sd", 0.01, 0.1, log=True),
    }
    if delays == "line":
        copies = trial.suggest_int("delay_copies", 2, 10, step=2)
        settings["delay_copies"] = copies
        settings["delay_step_ms"] = trial.suggest_float("delay_step_ms", 5.0, 60.0, log=True)
        w_in /= 1 + copies  # weights are weaker as there are more inputs, as in the papers
    elif delays == "learned":
        settings["train_delays"] = ["input", "recurrent"]
        settings["delay_in_ms"] = trial.suggest_float("delay_in_ms", 0.0, 300.0)
        settings["delay_rec_ms"] = trial.suggest_float("delay_rec_ms", 0.0, 300.0)
        settings["delay_learning_rate"] = trial.suggest_float("delay_lr", 1e-2, 1.0, log=True)
    return settings | {"w_in_mean": w_in, "w_in_sd": w_in * w_in_cv}
