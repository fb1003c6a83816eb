"""`python -m shd_genn.bench neurons`: what each neuron costs, in relation to the leaky one.

One recurrent network for each neuron, on synthetic input of SHD's density: 700 channels, 8000
spikes in 1000 steps of 1 ms, 20 classes, batches of 32. Input weights are scaled so that hidden
neurons spike 9 times a trial. All networks take turns, batch by batch, on one core, so that all
have the same machine. The time is the processor time of this process: it counts no other program,
but others still take their part of caches and memory.
"""

from __future__ import annotations

import time
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import numpy as np
import tyro

from shd_genn.backends.native.engine import NativeEngine
from shd_genn.backends.protocols import CompileConfig
from shd_genn.bench import measurements
from shd_genn.bench.activity import activate
from shd_genn.datasets.noise import BATCH, N_CHANNELS, N_CLASSES, TRIAL_MS, synthetic_batch
from shd_genn.network import (
    AdaptiveLeakyIntegrateFire,
    AdLIF,
    Connection,
    Dense,
    Exponential,
    HodgkinHuxley,
    Izhikevich,
    LeakyIntegrateFire,
    Network,
    NeuronModel,
    Normal,
    Population,
    QuadraticIntegrateFire,
    SpikeInput,
    output_neuron,
)
from shd_genn.support.cli import parse, print_table
from shd_genn.support.errors import refuse_unless, require
from shd_genn.support.progress import progress

NEURONS: dict[str, NeuronModel] = {
    "lif": LeakyIntegrateFire(),
    "lif_subtract": LeakyIntegrateFire(reset="subtract"),
    "lif_refractory": LeakyIntegrateFire(tau_refrac=3.0),
    "alif": AdaptiveLeakyIntegrateFire(),
    "adlif": AdLIF(),
    "qif": QuadraticIntegrateFire(),
    "izhikevich": Izhikevich(),
    "hodgkin_huxley": HodgkinHuxley(),
}
"""What is measured: the first is what the others are compared with."""


@dataclass(frozen=True)
class Options:
    """Measure what each neuron costs in training; leave the machine alone meanwhile."""

    neurons: tuple[str, ...] = tuple(NEURONS)
    """What is measured beside lif, which all are compared with."""
    hidden: int = 256
    """Hidden neurons, recurrent."""
    repetitions: int = 10
    """Batches of each neuron that are timed; the fastest counts."""
    output: Annotated[Path | None, tyro.conf.arg(aliases=["-o"])] = None
    """A CSV file for the table."""

    def __post_init__(self) -> None:
        unknown = [name for name in self.neurons if name not in NEURONS]
        refuse_unless(
            not unknown,
            f"--neurons must be some of {', '.join(NEURONS)}, but got {', '.join(unknown)}",
            "choose some of them, or leave the option out",
        )
        require(1 <= self.hidden, "1 <= hidden", self.hidden, "give at least one neuron")
        measurements.require_measurable(self.repetitions)


@dataclass(frozen=True)
class Measurement:
    """A row of the table: ms of one core per sample, and in relation to the first neuron."""

    neuron: str
    hidden: int
    compile_s: float
    spikes_per_neuron: float
    train_ms: float
    train_median_ms: float
    ratio: float
    median_ratio: float


def network_of(neuron: NeuronModel, hidden: int) -> Network:
    """One recurrent layer between SHD's channels and classes."""
    source = Population("input", SpikeInput(), N_CHANNELS)
    layer = Population("hidden0", neuron, hidden)
    output = Population("output", output_neuron("avg_var_exp_weight"), N_CLASSES)
    synapse = Exponential(5.0)
    return Network(
        (source, layer, output),
        (
            Connection(source, layer, Dense(Normal(0.03, 0.01)), synapse),
            Connection(layer, layer, Dense(Normal(0.0, 0.02)), synapse),
            Connection(layer, output, Dense(Normal(0.0, 0.03)), synapse),
        ),
    )


def main(arguments: list[str]) -> None:
    """Measure as the command line says."""
    options = parse(Options, arguments, prog="python -m shd_genn.bench neurons")
    rows = measure(options.neurons, options.hidden, options.repetitions)
    table = measurements.titled()
    table.add_column("neuron")
    for column in ("compile s", "spikes per\nneuron", "train\nms/sample", "ratio", "median ratio"):
        table.add_column(column, justify="right")
    for r in rows:
        numbers = (r.compile_s, r.spikes_per_neuron, r.train_ms, r.ratio, r.median_ratio)
        table.add_row(r.neuron, *(f"{number:.2f}" for number in numbers))
    print_table(table)
    measurements.write(options.output, rows)


def measure(neurons: tuple[str, ...], hidden: int, repetitions: int) -> list[Measurement]:
    """Train a network of each neuron, and of lif, one batch after the other in turns."""
    first = next(iter(NEURONS))
    names = tuple(dict.fromkeys((first, *neurons)))
    config = CompileConfig(n_steps=TRIAL_MS, n_threads=1, batch_size=BATCH)
    events, labels = synthetic_batch(BATCH)
    compile_s, spikes, times = {}, {}, {name: np.zeros(repetitions) for name in names}
    with (
        ExitStack() as stack,
        progress("Measuring", len(names) * (1 + repetitions), "batches") as advance,
    ):
        engines = {}
        for name in names:
            start = time.perf_counter()
            engine = stack.enter_context(NativeEngine(network_of(NEURONS[name], hidden), config))
            compile_s[name] = time.perf_counter() - start
            spikes[name] = activate(engine, events.take(np.arange(4)))
            engine.train_batch(events, labels, 0.0)
            engines[name] = engine
            advance()
        for i in range(repetitions):
            for name, engine in engines.items():
                start = time.process_time()
                engine.train_batch(events, labels, 0.0)
                times[name][i] = 1000 * (time.process_time() - start) / BATCH
                advance()
    return [
        Measurement(
            neuron=name,
            hidden=hidden,
            compile_s=compile_s[name],
            spikes_per_neuron=spikes[name],
            train_ms=float(t.min()),
            train_median_ms=float(np.median(t)),
            ratio=float(t.min() / times[first].min()),
            median_ratio=float(np.median(t / times[first])),
        )
        for name, t in times.items()
    ]
