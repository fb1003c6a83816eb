"""Neurons with an adaptive threshold; the ranges are those of Bellec et al. (2018, 2020)."""

from collections.abc import Mapping
from typing import Any

from optuna.trial import BaseTrial


def space(trial: BaseTrial) -> Mapping[str, Any]:
    """Settings of a trial; names are those of the options of python -m shd_genn.run."""
    return {
        "neuron": "alif",
        # without a limit its gradients, through slow thresholds, undo what has been learned
        "clip_gradient": 0.003,
        "learning_rate": trial.suggest_float("learning_rate", 5e-4, 5e-3, log=True),
        "reg_lambda": trial.suggest_float("reg_lambda", 1e-11, 1e-8, log=True),
        "tau_mem_ms": trial.suggest_float("tau_mem_ms", 8.0, 40.0, log=True),
        "tau_adapt_ms": trial.suggest_float("tau_adapt_ms", 100.0, 2000.0, log=True),
        "threshold_jump": trial.suggest_float("threshold_jump", 0.005, 0.5, log=True),
    }
