"""Learning rate and drop-out of a network to convert: as many trials as with sweeps/methods.py.

Give the method on the command line: --method conversion --model feedforward --backend reference.
"""

from collections.abc import Mapping
from typing import Any

from optuna.trial import BaseTrial


def space(trial: BaseTrial) -> Mapping[str, Any]:
    """Settings of a trial; names are those of the options of python -m shd_genn.run."""
    return {
        "learning_rate": trial.suggest_float("learning_rate", 1e-4, 3e-2, log=True),
        "rate_dropout": trial.suggest_float("rate_dropout", 0.0, 0.6),
    }
