"""Neurons with an adaptation current, all of whose constants are learned.

The ranges are those of Bittar & Garner (2022).
"""

from collections.abc import Mapping
from typing import Any

from optuna.trial import BaseTrial


def space(trial: BaseTrial) -> Mapping[str, Any]:
    """Settings of a trial; names are those of the options of python -m shd_genn.run."""
    return {
        "neuron": "adlif",
        "learning_rate": trial.suggest_float("learning_rate", 5e-4, 5e-3, log=True),
        "reg_lambda": trial.suggest_float("reg_lambda", 1e-11, 1e-8, log=True),
        "tau_mem_ms": trial.suggest_float("tau_mem_ms", 8.0, 40.0, log=True),
        "tau_distribution": "gamma",
        "train_tau": True,
        "tau_learning_rate": trial.suggest_float("tau_learning_rate", 2e-3, 5e-2, log=True),
        "tau_w_ms": trial.suggest_float("tau_w_ms", 30.0, 300.0, log=True),
        "adapt_a": trial.suggest_float("adapt_a", -0.5, 1.0),
        "adapt_b": trial.suggest_float("adapt_b", 0.0, 2.0),
        "train_neuron": ["tau_w", "a", "b"],
    }
