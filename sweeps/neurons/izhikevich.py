"""Izhikevich's neurons."""

from collections.abc import Mapping
from typing import Any

from optuna.trial import BaseTrial


def space(trial: BaseTrial) -> Mapping[str, Any]:
    """Settings of a trial; names are those of the options of python -m shd_genn.run."""
    return {
        "neuron": "izhikevich",
        "learning_rate": trial.suggest_float("learning_rate", 5e-4, 5e-3, log=True),
        "reg_lambda": trial.suggest_float("reg_lambda", 1e-11, 1e-8, log=True),
        "cell": trial.suggest_categorical("cell", ["RS", "FS", "CH", "IB", "LTS"]),
        "current_gain": trial.suggest_float("current_gain", 1.5, 10.0, log=True),
    }
