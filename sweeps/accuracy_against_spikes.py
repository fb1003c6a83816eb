"""Two objectives: as many words right as possible, with as few spikes as possible."""

from collections.abc import Mapping
from typing import Any

from optuna.trial import BaseTrial

OBJECTIVES = ("accuracy", "hidden_spikes")
"""Of shd_genn.sweep.space.OBJECTIVES; a study then has a Pareto front instead of a best trial."""


def space(trial: BaseTrial) -> Mapping[str, Any]:
    """Settings of a trial; names are those of the options of python -m shd_genn.run."""
    return {
        "hidden_sizes": [trial.suggest_int("hidden_size", 32, 256, log=True)],
        "learning_rate": trial.suggest_float("learning_rate", 5e-4, 5e-3, log=True),
        "reg_lambda": trial.suggest_float("reg_lambda", 1e-11, 1e-8, log=True),
        "reg_nu": trial.suggest_float("reg_nu", 1.0, 20.0, log=True),
        # a silent network costs nothing and says nothing: let its neurons come back
        "revive_silent": 0.002,
    }
