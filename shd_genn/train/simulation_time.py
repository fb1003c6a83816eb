"""Accuracy of a converted run against the time that its spiking network is simulated for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from shd_genn.backends.choice import BackendOption
from shd_genn.backends.reference.conversion import ConvertedNetwork
from shd_genn.record.run_folder import RunFolder
from shd_genn.spikes.dataset import SpikeDataset
from shd_genn.support.errors import refuse_unless, require
from shd_genn.train.evaluation import SAMPLES_AT_ONCE
from shd_genn.train.inference import opened


@dataclass(frozen=True)
class TimeRow:
    """What a spiking network reaches after a number of steps.

    Attributes:
        steps: The steps; None: the network of rates that it was converted from.
        accuracy: Part of the samples whose word was recognised, 0 to 1.
        hidden_spikes: Spikes of all hidden neurons, per sample.
    """

    steps: int | None
    accuracy: float
    hidden_spikes: float


def simulation_times(
    folder: RunFolder,
    samples: SpikeDataset,
    n_steps: Sequence[int],
    *,
    backend: BackendOption | None = None,
    trust_model: bool = False,
) -> list[TimeRow]:
    """Evaluate a converted run after several numbers of steps, and its network of rates.

    Args:
        folder: The run.
        samples: What it is evaluated on, presented as to the run.
        n_steps: Numbers of steps of the spiking network.
        backend: What computes; None: the backend that trained the run.
        trust_model: The user consents to execute the folder's model file.

    Raises:
        ConfigError: if the run was trained by another method.
    """
    for n in n_steps:
        require(1 <= n <= 10_000, "1 <= simulation_steps <= 10000", n, "64 is usual")
    with opened(folder, backend, trust_model) as (simulator, _):
        refuse_unless(
            isinstance(simulator, ConvertedNetwork),
            f"simulation_steps belongs to runs of method conversion, but {folder.path} was trained "
            f"by {folder.config.train.method.kind}",
            "leave simulation_steps out",
        )
        assert isinstance(simulator, ConvertedNetwork)
        right, spikes, of_rates = dict.fromkeys(n_steps, 0), dict.fromkeys(n_steps, 0), 0
        for first in range(0, len(samples), SAMPLES_AT_ONCE):
            chosen = np.arange(first, min(first + SAMPLES_AT_ONCE, len(samples)))
            events, labels = samples.presented(chosen), samples.labels[chosen]
            answers = simulator.answers_of_rates(events)
            of_rates += int((answers.argmax(axis=1) == labels).sum())
            for n, (correct, emitted) in simulator.judged_after(events, labels, n_steps).items():
                right[n] += correct
                spikes[n] += emitted
    size = len(samples)
    rows = [TimeRow(n, right[n] / size, spikes[n] / size) for n in n_steps]
    return [*rows, TimeRow(None, of_rates / size, 0.0)]
