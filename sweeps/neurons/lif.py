"""LIF neurons."""

from collections.abc import Mapping
from typing import Any

from optuna.trial import BaseTrial


def space(trial: BaseTrial) -> Mapping[str, Any]:
    """Settings of a trial; names are those of the options of python -m shd_genn.run."""
    return {
        "neuron": "lif",
        "learning_rate": trial.suggest_float("learning_rate", 5e-4, 5e-3, log=True),
        "reg_lambda": trial.suggest_float("reg_lambda", 1e-11, 1e-8, log=True),
        "tau_mem_ms": trial.suggest_float("tau_mem_ms", 8.0, 40.0, log=True),
    }
