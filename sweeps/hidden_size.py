"""Number of hidden neurons, with and without recurrence; meant for --sampler grid."""

from collections.abc import Mapping
from typing import Any

from optuna.trial import BaseTrial


def space(trial: BaseTrial) -> Mapping[str, Any]:
    """Settings of a trial; names are those of the options of python -m shd_genn.run."""
    return {
        "model": trial.suggest_categorical("model", ["feedforward", "recurrent"]),
        "hidden_sizes": [trial.suggest_categorical("hidden_size", [64, 128, 256, 512, 1024])],
    }
