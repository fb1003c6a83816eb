"""The whole space of EventProp training: what the papers tuned by hand, and their augmentations.

Ranges span the published values (Nowotny, Turner & Knight 2025) by about a factor of ten.
"""

from collections.abc import Mapping
from typing import Any

from optuna.trial import BaseTrial


def space(trial: BaseTrial) -> Mapping[str, Any]:
    """Settings of a trial; names are those of the options of python -m shd_genn.run."""
    delay_copies = trial.suggest_int("delay_copies", 0, 10, step=2)
    w_in = trial.suggest_float("w_in_mean", 0.005, 0.06, log=True)
    return {
        # optimiser
        "learning_rate": trial.suggest_float("learning_rate", 2e-4, 2e-2, log=True),
        "batch_size": trial.suggest_categorical("batch_size", [16, 32, 64, 128]),
        "ease_in": trial.suggest_categorical("ease_in", [0.001, 1.0]),
        "schedule": trial.suggest_categorical("schedule", ["constant", "cosine"]),
        # how many spikes a neuron should emit, and how strongly it is pulled there
        "reg_lambda": trial.suggest_float("reg_lambda", 1e-11, 1e-8, log=True),
        "reg_nu": trial.suggest_float("reg_nu", 4.0, 28.0),
        "revive_silent": trial.suggest_categorical("revive_silent", [0.0, 0.002]),
        # time constants
        "tau_mem_ms": trial.suggest_float("tau_mem_ms", 12.0, 60.0, log=True),
        "tau_syn_ms": trial.suggest_float("tau_syn_ms", 2.0, 11.0, log=True),
        "tau_mem_out_ms": trial.suggest_float("tau_mem_out_ms", 12.0, 60.0, log=True),
        # initial weights; as many times more inputs, as many times weaker, as in the papers
        "w_in_mean": w_in / (1 + delay_copies),
        "w_in_sd": w_in / (1 + delay_copies) * trial.suggest_float("w_in_cv", 0.1, 1.0, log=True),
        "w_rec_sd": trial.suggest_float("w_rec_sd", 0.005, 0.06, log=True),
        "w_out_sd": trial.suggest_float("w_out_sd", 0.01, 0.1, log=True),
        # delay line
        "delay_copies": delay_copies,
        "delay_step_ms": trial.suggest_float("delay_step_ms", 5.0, 60.0, log=True),
        # augmentation
        "shift_channels": trial.suggest_float("shift_channels", 0.0, 60.0),
        "blend": trial.suggest_categorical("blend", [0.0, 1.0]),
        "dilation": trial.suggest_float("dilation", 1.0, 1.3),
        "jitter_channels": trial.suggest_float("jitter_channels", 0.0, 10.0),
        "dropout": trial.suggest_float("dropout", 0.0, 0.3),
    }
