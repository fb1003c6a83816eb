"""`python -m shd_genn.bench scaling`: how training time grows, beside the expected law.

The network is recurrent with 256 hidden neurons; its input is that of `bench speed`. One quantity
changes at a time. Each law has one to three constants, which are fitted to more measurements than
that. So a difference between measurement and fit is something that the law does not explain.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import numpy as np
import tyro
from numpy.typing import NDArray

from shd_genn.backends.native.engine import NativeEngine
from shd_genn.backends.protocols import CompileConfig
from shd_genn.bench import measurements
from shd_genn.bench.activity import SPIKES_PER_NEURON, Topology, activate, synthetic_model
from shd_genn.bench.machine import seconds
from shd_genn.config import Config
from shd_genn.datasets.noise import BATCH, N_SPIKES, TRIAL_MS, synthetic_batch
from shd_genn.network.model_files import build_network
from shd_genn.support.cli import parse, print_table
from shd_genn.support.errors import refuse_unless
from shd_genn.support.machine import available_cores
from shd_genn.support.progress import Advance, progress

FloatArray = NDArray[np.float64]


@dataclass(frozen=True)
class Setting:
    """The network and the batch that are timed."""

    samples: int = BATCH
    threads: int = 1
    hidden: int = 256
    topology: Topology = "recurrent"
    input_spikes: int = N_SPIKES
    spikes_per_neuron: float = SPIKES_PER_NEURON
    steps: int = TRIAL_MS


@dataclass(frozen=True)
class Law:
    """Time as a sum of terms, each multiplied by a constant that is not negative.

    Attributes:
        text: The law as a formula.
        terms: From the values of the quantity to the terms without their constants.
    """

    text: str
    terms: Callable[[FloatArray], tuple[FloatArray, ...]]

    def fit(self, values: FloatArray, times: FloatArray) -> FloatArray:
        """The law's times in s, with the constants that minimise the squared relative errors."""
        from scipy.optimize import nnls  # imported here because it takes half a second

        terms = np.stack(self.terms(values), axis=1)
        constants, _ = nnls(terms / times[:, np.newaxis], np.ones(len(times)))
        fitted: FloatArray = terms @ constants
        return fitted


AFFINE = Law("a + b x", lambda x: (np.ones_like(x), x))
LAWS: Mapping[str, Law] = {
    "samples": AFFINE,
    "threads": Law("a / x", lambda x: (1 / x,)),
    "hidden": Law("a + b x + c x²", lambda x: (np.ones_like(x), x, x**2)),
    "hidden, feed-forward": AFFINE,
    "input_spikes": AFFINE,
    "spikes_per_neuron": AFFINE,
    "steps": AFFINE,
}
"""Quantity → its law. In a recurrent network the number of hidden spikes and the number of targets
of each spike grow with the number of hidden neurons. Hence the term x²."""


def values_of(quantity: str) -> tuple[float, ...]:
    """The values that a quantity takes."""
    threads = available_cores()
    return {
        "samples": (1, 2, 4, 8, 16, 32, 64, 128, 256),
        "threads": tuple(sorted({*(2**i for i in range(threads.bit_length())), threads})),
        "hidden": (64, 128, 256, 512, 1024),
        "hidden, feed-forward": (64, 128, 256, 512, 1024, 2048),
        "input_spikes": (500, 1000, 2000, 4000, 8000, 16000, 32000),
        "spikes_per_neuron": (1, 2, 4, 8, 16, 32, 64),
        "steps": (100, 200, 500, 1000, 2000, 4000),
    }[quantity]


@dataclass(frozen=True)
class Options:
    """Measure how training time scales. Let nothing else run on the machine meanwhile."""

    quantities: tuple[str, ...] = tuple(LAWS)
    """Quantities to change, one at a time."""
    repetitions: int = 5
    """Number of batches that are timed, after one to warm up; the fastest counts."""
    output: Annotated[Path | None, tyro.conf.arg(aliases=["-o"])] = None
    """A CSV file for the table, which analysis/scaling.py draws."""

    def __post_init__(self) -> None:
        measurements.require_measurable(self.repetitions)
        wrong = [quantity for quantity in self.quantities if quantity not in LAWS]
        refuse_unless(
            bool(self.quantities) and not wrong,
            f"--quantities must name some of {', '.join(LAWS)}, "
            f"but got {', '.join(wrong) or 'none'}",
            "choose from these",
        )


@dataclass(frozen=True)
class Point:
    """A row of the table: the measured time of a batch, and the law's."""

    quantity: str
    value: float
    batch_ms: float
    law_ms: float
    law: str
    spikes_per_neuron: float


def main(arguments: list[str]) -> None:
    """Run the command."""
    options = parse(Options, arguments, prog="python -m shd_genn.bench scaling")
    points: list[Point] = []
    total = sum(len(values_of(quantity)) for quantity in options.quantities)
    with progress("Measuring", total, "settings") as advance:
        for quantity in options.quantities:
            points += measure(quantity, options.repetitions, advance)
    _print(points)
    measurements.write(options.output, points)


def measure(quantity: str, repetitions: int, advance: Advance) -> list[Point]:
    """Times for all values of one quantity, and its law."""
    values, measured = values_of(quantity), []
    for value in values:
        measured.append(batch_time(setting_of(quantity, value), repetitions))
        advance()
    times, spikes = np.array(measured).T
    law = LAWS[quantity]
    # the activity that was reached differs a little from its target
    x = spikes if quantity == "spikes_per_neuron" else np.array(values, float)
    expected = law.fit(x, times)
    return [
        Point(quantity, float(x[i]), 1e3 * times[i], 1e3 * expected[i], law.text, spikes[i])
        for i in range(len(values))
    ]


def setting_of(quantity: str, value: float) -> Setting:
    """The setting in which one quantity has a value."""
    if quantity == "hidden, feed-forward":
        return Setting(hidden=int(value), topology="feedforward")
    if quantity == "spikes_per_neuron":
        return Setting(spikes_per_neuron=value)
    return Setting(**{quantity: int(value)})  # type: ignore[arg-type]  # all others are whole


def batch_time(setting: Setting, repetitions: int) -> tuple[float, float]:
    """Seconds to train on a batch, and spikes per hidden neuron and sample."""
    model = synthetic_model(setting.topology, setting.hidden)
    config = CompileConfig(
        n_steps=setting.steps, dt_ms=TRIAL_MS / setting.steps, n_threads=setting.threads
    )
    events, labels = synthetic_batch(setting.samples, setting.input_spikes)
    with NativeEngine(build_network(Config(model=model)), config) as engine:
        spikes = activate(engine, events, setting.spikes_per_neuron)
        fastest = min(seconds(lambda: engine.train_batch(events, labels, 0.0), repetitions))
    return fastest, spikes


def _print(points: list[Point]) -> None:
    table = measurements.titled()
    table.add_column("quantity x")
    for name in ("x", "ms per batch", "law, ms", "off by"):
        table.add_column(name, justify="right")
    table.add_column("law")
    for p in points:
        off = f"{100 * (p.batch_ms / p.law_ms - 1):+.0f} %"
        numbers = (f"{p.value:g}", f"{p.batch_ms:.2f}", f"{p.law_ms:.2f}", off)
        table.add_row(p.quantity, *numbers, p.law)
    print_table(table)
