"""Unseen voices: what works against learning the training speakers by heart.

Use it with --folds, so that left-out training speakers are the validation set, and with --no-test
(the default of sweeps), for example:
python -m shd_genn.sweep unseen_voices --folds 6 --trials 60 --epochs 60
"""

from collections.abc import Mapping
from typing import Any

from optuna.trial import BaseTrial

LAYERS = {"256": (256,), "512": (512,), "256-256": (256, 256)}


def space(trial: BaseTrial) -> Mapping[str, Any]:
    """Settings of a trial; variants need a dataset that was encoded with --variants 3."""
    return {
        "hidden_sizes": LAYERS[trial.suggest_categorical("layers", list(LAYERS))],
        "variants": trial.suggest_categorical("variants", [0, 3]),
        "hidden_dropout": trial.suggest_float("hidden_dropout", 0.0, 0.4),
        "dropout": trial.suggest_float("dropout", 0.0, 0.3),
        "label_smoothing": trial.suggest_float("label_smoothing", 0.0, 0.2),
        "weight_decay": trial.suggest_float("weight_decay", 1e-4, 1e-1, log=True),
        "average_decay": trial.suggest_categorical("average_decay", [0.0, 0.8, 0.9]),
        "shift_channels": trial.suggest_float("shift_channels", 10.0, 60.0),
        "dilation": trial.suggest_float("dilation", 1.0, 1.3),
        "readout": trial.suggest_categorical("readout", ["avg_var_exp_weight", "learned_weight"]),
        "softmax_temperature": trial.suggest_float("softmax_temperature", 0.05, 1.0, log=True),
        "learning_rate": trial.suggest_float("learning_rate", 5e-4, 5e-3, log=True),
    }
