"""Six settings that decide how well a network learns: a space for a first study."""

from collections.abc import Mapping
from typing import Any

from optuna.trial import BaseTrial


def space(trial: BaseTrial) -> Mapping[str, Any]:
    """Settings of a trial; names are those of the options of python -m shd_genn.run."""
    return {
        "learning_rate": trial.suggest_float("learning_rate", 1e-4, 3e-2, log=True),
        "reg_lambda": trial.suggest_float("reg_lambda", 1e-11, 1e-7, log=True),
        "tau_mem_ms": trial.suggest_float("tau_mem_ms", 8.0, 80.0, log=True),
        "w_in_mean": trial.suggest_float("w_in_mean", 0.003, 0.1, log=True),
        "w_rec_sd": trial.suggest_float("w_rec_sd", 0.003, 0.1, log=True),
        "w_out_sd": trial.suggest_float("w_out_sd", 0.003, 0.3, log=True),
    }
