"""Learning rate and regularisation of one training method: for the same number of trials each.

Give the method on the command line: --method surrogate. docs/methods.md has the whole comparison.
"""

from collections.abc import Mapping
from typing import Any

from optuna.trial import BaseTrial


def space(trial: BaseTrial) -> Mapping[str, Any]:
    """Settings of a trial; names are those of the options of python -m shd_genn.run."""
    return {
        "learning_rate": trial.suggest_float("learning_rate", 1e-4, 3e-2, log=True),
        "reg_lambda": trial.suggest_float("reg_lambda", 1e-11, 1e-7, log=True),
    }
