"""When to listen: the four numbers of a weight that rises and falls, and what depends on them."""

from collections.abc import Mapping
from typing import Any

from optuna.trial import BaseTrial


def space(trial: BaseTrial) -> Mapping[str, Any]:
    """Settings of a trial; the first trial to try is o 0.3, d 2.3, m 0, c 0.37."""
    return {
        "readout": "weighted",
        "readout_weight": "o + d*(s-m)*exp(-(s-m)**2/(2*c**2))",
        "weight_o": trial.suggest_float("weight_o", 0.05, 1.0),
        "weight_d": trial.suggest_float("weight_d", 0.0, 5.0),
        "weight_m": trial.suggest_float("weight_m", -0.2, 0.3),
        "weight_c": trial.suggest_float("weight_c", 0.1, 0.8),
        "learning_rate": trial.suggest_float("learning_rate", 5e-4, 1e-2, log=True),
        "reg_lambda": trial.suggest_float("reg_lambda", 1e-11, 1e-8, log=True),
    }
