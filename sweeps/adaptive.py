"""Neurons with adaptation: adLIF and ALIF, their constants, and which of them are learned.

Ranges are those of Bittar & Garner (2022) and Baronig et al. (2025) for adLIF, and of Bellec et al.
(2018, 2020) for ALIF.
"""

from collections.abc import Mapping
from typing import Any

from optuna.trial import BaseTrial


def space(trial: BaseTrial) -> Mapping[str, Any]:
    """Settings of a trial; names are those of the options of python -m shd_genn.run."""
    neuron = trial.suggest_categorical("neuron", ["adlif", "alif"])
    learned = trial.suggest_categorical("learned", [False, True])
    settings: dict[str, Any] = {
        "neuron": neuron,
        "train_tau": learned,
        "tau_mem_ms": trial.suggest_float("tau_mem_ms", 5.0, 40.0, log=True),
        "tau_distribution": trial.suggest_categorical("tau_distribution", ["same", "gamma"]),
        "learning_rate": trial.suggest_float("learning_rate", 3e-4, 1e-2, log=True),
        "reg_lambda": trial.suggest_float("reg_lambda", 1e-11, 1e-8, log=True),
    }
    if neuron == "adlif":
        settings["tau_w_ms"] = trial.suggest_float("tau_w_ms", 30.0, 300.0, log=True)
        settings["adapt_a"] = trial.suggest_float("adapt_a", -0.5, 1.0)
        settings["adapt_b"] = trial.suggest_float("adapt_b", 0.0, 2.0)
        settings["train_neuron"] = ["tau_w", "a", "b"] if learned else []
    else:
        settings["tau_adapt_ms"] = trial.suggest_float("tau_adapt_ms", 100.0, 2000.0, log=True)
        settings["threshold_jump"] = trial.suggest_float("threshold_jump", 0.005, 0.5, log=True)
        settings["train_neuron"] = ["tau_adapt", "beta"] if learned else []
    return settings
