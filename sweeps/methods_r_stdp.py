"""Learning rate and punishment of R-STDP: take as many trials as with sweeps/methods.py.

Give the method on the command line: --method r-stdp --model feedforward.
"""

from collections.abc import Mapping
from typing import Any

from optuna.trial import BaseTrial


def space(trial: BaseTrial) -> Mapping[str, Any]:
    """Settings of a trial; names are those of the options of python -m shd_genn.run."""
    return {
        "learning_rate": trial.suggest_float("learning_rate", 1e-4, 3e-2, log=True),
        "punishment": trial.suggest_float("punishment", 0.0, 1.0),
    }
