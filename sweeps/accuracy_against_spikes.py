"""Two objectives: a high accuracy, and few spikes."""

from collections.abc import Mapping
from typing import Any

from optuna.trial import BaseTrial

OBJECTIVES = ("accuracy", "hidden_spikes")
"""Names of shd_genn.sweep.space.OBJECTIVES; the study has a Pareto front, not one best trial."""


def space(trial: BaseTrial) -> Mapping[str, Any]:
    """Settings of a trial; names are those of the options of python -m shd_genn.run."""
    return {
        "hidden_sizes": [trial.suggest_int("hidden_size", 32, 256, log=True)],
        "learning_rate": trial.suggest_float("learning_rate", 5e-4, 5e-3, log=True),
        "reg_lambda": trial.suggest_float("reg_lambda", 1e-11, 1e-8, log=True),
        "reg_nu": trial.suggest_float("reg_nu", 1.0, 20.0, log=True),
        # few spikes are easiest to reach by silent neurons, which cannot learn: revive them
        "revive_silent": 0.002,
    }
