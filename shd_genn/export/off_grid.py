"""Does a network survive the move? Its accuracy with other steps, without any, or other delays."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from shd_genn import backends
from shd_genn.backends.protocols import CompileConfig
from shd_genn.export.event_exact import EventExact
from shd_genn.export.trained import TrainedNetwork
from shd_genn.learning.methods import EventProp
from shd_genn.spikes.dataset import SpikeDataset
from shd_genn.support.errors import refuse_unless, require
from shd_genn.support.progress import progress

Step = float | Literal["exact"]
"""Length of a step in ms, or no steps at all."""
AT_A_TIME = 256
MOST_STEPS = 100_000
"""Steps that a trial may have."""


@dataclass(frozen=True)
class Accuracy:
    """What became of a network.

    Attributes:
        step: Length of a step in ms, or ``exact``.
        delay_ms: Time in ms that every spike takes to arrive.
        accuracy: Part of the samples whose word was recognised.
        same: Part of the samples with the same answer as on the grid that it was trained on.
        samples: How many.
        tuned: Whether the network was fine-tuned.
    """

    step: Step
    delay_ms: float
    accuracy: float
    same: float
    samples: int
    tuned: bool = False


def off_grid(
    trained: TrainedNetwork,
    dataset: SpikeDataset,
    steps: Sequence[Step],
    delays_ms: Sequence[float] = (),
    backend: str = "auto",
) -> list[Accuracy]:
    """Accuracy on the grid that a network was trained on, and off it.

    Args:
        trained: The network.
        dataset: Samples as they are presented to it.
        steps: Lengths of steps in ms, or ``exact``.
        delays_ms: Times that every spike takes to arrive; none: one step, or the step that the
            network was trained with where there are no steps.
        backend: What simulates steps.

    Raises:
        ConfigError: if a step or a delay cannot be simulated.
    """
    events = dataset.presented(np.arange(len(dataset)))
    cases = [(s, d) for s in steps for d in (delays_ms or (_usual(trained, s),))]
    for step, delay_ms in cases:  # before anything is computed
        _check(trained, step, delay_ms)
    own = (trained.dt_ms, trained.dt_ms)
    rows, answers = [], None
    for step, delay_ms in [own, *(case for case in cases if case != own)]:
        if step == "exact":
            predicted = _exact(trained, dataset, delay_ms)
        else:
            predicted = predict(on_grid(trained, float(step), delay_ms), dataset, backend)
        answers = predicted if answers is None else answers
        accuracy = float(np.mean(predicted == dataset.labels))
        same = float(np.mean(predicted == answers))
        rows.append(Accuracy(step, delay_ms, accuracy, same, len(events)))
    return rows


def _usual(trained: TrainedNetwork, step: Step) -> float:
    return trained.dt_ms if step == "exact" else float(step)


def _check(trained: TrainedNetwork, step: Step, delay_ms: float) -> None:
    if step == "exact":
        EventExact(trained, delay_ms)
        return
    trial_ms = trained.n_steps * trained.dt_ms
    require(
        trial_ms / MOST_STEPS <= float(step) <= trial_ms,
        f"{trial_ms / MOST_STEPS:g} <= dt_ms <= {trial_ms:g}",
        step,
        "the network was trained with " + f"{trained.dt_ms:g} ms; choose about that",
    )
    extra = delay_ms / float(step) - 1
    refuse_unless(
        extra > -1e-6 and abs(extra - round(extra)) < 1e-6,
        f"a delay of {delay_ms:g} ms is no whole number of steps of {step:g} ms",
        "give a multiple of the step, or --dt-ms exact",
    )


def on_grid(trained: TrainedNetwork, dt_ms: float, delay_ms: float) -> TrainedNetwork:
    """The network with other steps; delays keep their time in ms."""
    extra = round(delay_ms / dt_ms) - 1
    parameters = dict(trained.parameters)
    changed = []
    for c in trained.network.connections:
        key, ratio = f"{c.name}.delay", trained.dt_ms / dt_ms
        if key in parameters:
            parameters[key] = (parameters[key] * np.float32(ratio) + extra).astype(np.float32)
            top = int(np.ceil(c.max_delay_steps * ratio)) + extra
            changed.append(replace(c, max_delay_steps=top))
        else:
            assert isinstance(c.delay, float | int)
            delay = c.delay * ratio + extra
            changed.append(replace(c, delay=delay, max_delay_steps=int(np.ceil(delay))))
    network = replace(trained.network, connections=tuple(changed))
    n_steps = round(trained.n_steps * trained.dt_ms / dt_ms)
    return replace(trained, network=network, parameters=parameters, dt_ms=dt_ms, n_steps=n_steps)


def predict(
    trained: TrainedNetwork, dataset: SpikeDataset, backend: str = "auto"
) -> NDArray[np.int64]:
    """The class that a network answers for every sample, (samples,)."""
    config = CompileConfig(n_steps=trained.n_steps, dt_ms=trained.dt_ms)
    chosen = backends.get(backends.choose(backend).name)
    parts = []
    with chosen.compile(trained.network, EventProp(), config) as simulator:
        simulator.set_parameters(trained.parameters)
        for begin in range(0, len(dataset), AT_A_TIME):
            samples = np.arange(begin, min(begin + AT_A_TIME, len(dataset)))
            parts.append(simulator.evaluate(dataset.presented(samples)).predictions)
    return np.concatenate(parts)


def _exact(trained: TrainedNetwork, dataset: SpikeDataset, delay_ms: float) -> NDArray[np.int64]:
    network = EventExact(trained, delay_ms)
    events, answers = dataset.presented(np.arange(len(dataset))), []
    with progress("Simulating without steps", len(dataset), "samples") as advance:
        for i in range(len(dataset)):
            answers.append(int(network.readout(*events.sample(i)).argmax()))
            advance()
    return np.array(answers, np.int64)
