"""Izhikevich's neurons.

Gradients are clipped. On English digits the training accuracy after four epochs was 36 % with that,
a fast learning rate and a current gain of 2, and 20 % without any of them. In steps of 2 ms, V
grows without bound where the input is strong: a neuron emits one spike in a step, and V is reset
once.
"""

from collections.abc import Mapping
from typing import Any

from optuna.trial import BaseTrial


def space(trial: BaseTrial) -> Mapping[str, Any]:
    """Settings of a trial; names are those of the options of python -m shd_genn.run."""
    return {
        "neuron": "izhikevich",
        "dt_ms": 1.0,
        "clip_gradient": trial.suggest_float("clip_gradient", 5e-4, 2e-2, log=True),
        "learning_rate": trial.suggest_float("learning_rate", 2e-3, 1e-2, log=True),
        "reg_lambda": trial.suggest_float("reg_lambda", 1e-11, 1e-8, log=True),
        "cell": trial.suggest_categorical("cell", ["RS", "FS", "CH", "IB", "LTS"]),
        "current_gain": trial.suggest_float("current_gain", 1.0, 4.0, log=True),
    }
