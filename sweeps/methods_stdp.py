"""Learning rate and ridge of STDP: take as many trials as with sweeps/methods.py.

Give the method on the command line: --method stdp --model feedforward.
"""

from collections.abc import Mapping
from typing import Any

from optuna.trial import BaseTrial


def space(trial: BaseTrial) -> Mapping[str, Any]:
    """Settings of a trial; names are those of the options of python -m shd_genn.run."""
    return {
        "learning_rate": trial.suggest_float("learning_rate", 1e-4, 3e-2, log=True),
        "ridge": trial.suggest_float("ridge", 1e-3, 10.0, log=True),
    }
