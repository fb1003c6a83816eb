"""Runs of the tiny dataset, through the command and without it."""

import csv
import sys
import time

import numpy as np

from helpers.calling import call
from shd_genn.config import Config
from shd_genn.datasets.settings import DataConfig
from shd_genn.learning.settings import TrainConfig
from shd_genn.network.settings import ModelConfig
from shd_genn.present.settings import AugmentConfig


def settings(data, **train_settings):
    return Config(
        data=DataConfig(dataset=str(data), trial_ms=120.0),
        augment=AugmentConfig(shift_channels=2.0),
        model=ModelConfig(hidden_sizes=(20,), w_in_mean=0.2, w_in_sd=0.1),
        train=TrainConfig(
            **({"epochs": 4, "batch_size": 16, "learning_rate": 0.01} | train_settings)
        ),
    )


EVERYTHING = ["--shift-channels", "2", "--blend", "0.5", "--jitter-channels", "1", "--dropout"]
EVERYTHING += ["0.1", "--dilation", "1.1", "--delay-copies", "1", "--delay-step-ms", "10"]
EVERYTHING += ["--ease-in", "0.01", "--schedule", "plateau", "--decay-epochs", "10"]
EVERYTHING += ["--w-in-mean", "-0.05", "--revive-silent", "0.02", "--binarise"]
EVERYTHING += ["--train-tau", "--tau-distribution", "gamma", "--train-v-thresh"]
EVERYTHING += ["--train-delays", "input", "--delay-in-ms", "20"]
EVERYTHING += ["--hidden-dropout", "0.2", "--weight-decay", "0.1", "--clip-gradient", "0.1"]
EVERYTHING += ["--label-smoothing", "0.1", "--average-decay", "0.6"]
EVERYTHING += ["--trial-ms", "15"]  # so short that accuracies vary, and the plateau rule acts
"""Options of every augmentation and regularisation, a schedule, reviving, and everything that is
learned."""


def command(*arguments):
    return [sys.executable, "-m", "shd_genn.run", *map(str, arguments)]


def run(*arguments):
    return call("run", *arguments)


def rows(folder, name):
    with (folder / f"{name}.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def same_weights(one, other, name="last"):
    with np.load(one / f"{name}.npz") as a, np.load(other / f"{name}.npz") as b:
        assert set(a) == set(b)
        return all(np.array_equal(a[key], b[key]) for key in a)


def progress_of(runs):
    """The epochs that a run has saved."""
    for folder in runs.glob("*") if runs.exists() else ():
        try:
            with np.load(folder / "last.npz") as checkpoint:
                return int(checkpoint["epoch"])
        except OSError:
            return 0
    return 0


def wait_until(true, process, seconds=60):
    end = time.monotonic() + seconds
    while not true():
        assert process.poll() is None, "it ended before it could be killed"
        assert time.monotonic() < end
        time.sleep(0.01)
