"""`python -m shd_genn.bench roofline`: how close each kernel comes to the limits of this machine.

Training on a sample has stages. For each stage this command computes, from sizes and spike counts,
the bytes that it must move and the operations that it must do. It measures the stage's time, and
compares both rates with the machine's limits: the measured bandwidth of the cache that holds the
data, and the measured peak of the vector units. Writes count like reads. The input is that of
`bench speed`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro

from shd_genn.backends.native.engine import NativeEngine
from shd_genn.backends.protocols import CompileConfig
from shd_genn.bench import measurements
from shd_genn.bench.activity import Topology, activate, synthetic_model
from shd_genn.bench.machine import read_limit, vector_peak
from shd_genn.config import Config
from shd_genn.datasets.noise import (
    BATCH,
    N_CHANNELS,
    N_CLASSES,
    N_SPIKES,
    TRIAL_MS,
    synthetic_batch,
)
from shd_genn.network.model_files import build_network
from shd_genn.support.cli import parse, print_table
from shd_genn.support.errors import require
from shd_genn.support.machine import available_cores
from shd_genn.support.progress import progress

STREAM = 4096
"""Contiguous numbers that are read at full bandwidth, wherever the next ones are."""


@dataclass(frozen=True)
class Options:
    """Measure each kernel of the native backend. Let nothing else run on the machine meanwhile."""

    hidden_sizes: tuple[int, ...] = (64, 256, 1024)
    """Numbers of hidden neurons."""
    topologies: tuple[Topology, ...] = ("recurrent", "feedforward")
    """Whether hidden neurons feed each other."""
    threads: int = available_cores()
    """Number of threads, for the engine and for measuring the machine's limits."""
    repetitions: int = 20
    """Number of batches that are timed; the fastest time of each kernel counts."""
    output: Annotated[Path | None, tyro.conf.arg(aliases=["-o"])] = None
    """A CSV file for the table, which analysis/roofline.py draws."""

    def __post_init__(self) -> None:
        for n in self.hidden_sizes:
            require(1 <= n, "1 <= hidden_sizes", n, "give the network a neuron")
        measurements.require_measurable(self.repetitions, self.threads)


@dataclass(frozen=True)
class Work:
    """The work of a stage for one sample.

    Attributes:
        read_bytes: Bytes of weights or adjoint history that are read row by row; spikes decide
            which rows.
        stream_bytes: Bytes that are read or written in the order of memory.
        flops: Additions and multiplications of float32.
        rows, width: Shape of the matrix that is read; its size decides which cache holds it.
    """

    read_bytes: float
    stream_bytes: float
    flops: float
    rows: int
    width: int

    @property
    def bytes(self) -> float:
        """All bytes between the core and its caches."""
        return self.read_bytes + self.stream_bytes


@dataclass(frozen=True)
class Kernel:
    """A row of the table: one stage, per sample and with all threads.

    Attributes:
        ms: Time per sample in ms.
        gb_s, limit_gb_s: Rate of bytes, and its measured limit, in GB/s.
        gflop_s, peak_gflop_s: Rate of operations, and its measured limit, in Gflop/s.
        share: The least time that the limits allow, divided by the measured time.

    For stages that move little data and wait for each other, all but the time is nan.
    """

    topology: str
    hidden: int
    threads: int
    stage: str
    ms: float
    mb: float
    mflop: float
    gb_s: float
    limit_gb_s: float
    gflop_s: float
    peak_gflop_s: float
    share: float


def work(
    topology: str, hidden: int, spikes_per_neuron: float, batch: int = BATCH
) -> dict[str, Work]:
    """The work of each stage for one sample of synthetic input.

    Forward: each spike adds a row of weights, and each hidden neuron does 5 operations in a step.
    Adjoint: each hidden spike needs a dot product with a row; each step needs 5 operations and
    writes one number of history. Gradient: each spike adds a row of history. Each row of gradients
    is written once; it is also read, except in the first trial of a batch. Outputs are not stepped:
    each of their weights is used once in each pass. Optimiser: once a batch, it reads four numbers
    of each weight and writes three, with 12 operations.

    Args:
        topology: recurrent or feedforward.
        hidden: Number of hidden neurons.
        spikes_per_neuron: Spikes of a hidden neuron in a trial.
        batch: Samples per update.
    """
    hidden_spikes = spikes_per_neuron * hidden
    recurrent = hidden if topology == "recurrent" else 0
    to_hidden = hidden * (N_SPIKES + (hidden_spikes if recurrent else 0))
    to_output = hidden * N_CLASSES
    from_hidden = hidden_spikes * recurrent + to_output
    neuron_steps = TRIAL_MS * hidden
    weights = hidden * (N_CHANNELS + recurrent + N_CLASSES)
    added = to_hidden + to_output
    rewritten = (8 - 4 / batch) * weights
    return {
        "forward": Work(4 * added, 0, added + 5 * neuron_steps, N_CHANNELS + recurrent, hidden),
        "adjoint": Work(
            4 * from_hidden,
            4 * neuron_steps,
            2 * from_hidden + 5 * neuron_steps,
            hidden,
            recurrent or N_CLASSES,
        ),
        "gradient": Work(4 * to_hidden, rewritten, added, TRIAL_MS, 64),
        "optimiser": Work(
            0, 7 * 4 * weights / batch, 12 * weights / batch, -(-4 * weights // STREAM), STREAM
        ),
    }


UNCOUNTED = Work(math.nan, math.nan, math.nan, 0, 0)


def main(arguments: list[str]) -> None:
    """Run the command."""
    options = parse(Options, arguments, prog="python -m shd_genn.bench roofline")
    cases = [(t, h) for t in options.topologies for h in options.hidden_sizes]
    kernels: list[Kernel] = []
    with progress("Measuring", len(cases), "networks") as advance:
        for topology, hidden in cases:
            kernels += measure(topology, hidden, options.threads, options.repetitions)
            advance()
    _print(kernels)
    measurements.write(options.output, kernels)


def measure(topology: Topology, hidden: int, threads: int, repetitions: int) -> list[Kernel]:
    """Measure each stage of one network."""
    model = synthetic_model(topology, hidden)
    events, labels = synthetic_batch(BATCH)
    config = CompileConfig(n_steps=TRIAL_MS, n_threads=threads)
    with NativeEngine(build_network(Config(model=model)), config) as engine:
        spikes = activate(engine, events)
        runs = []
        for _ in range(repetitions + 1):
            before = engine.kernel_times()
            engine.train_batch(events, labels, 0.0)
            runs.append({k: t - before[k] for k, t in engine.kernel_times().items()})
    fastest = {stage: min(run[stage] for run in runs[1:]) / BATCH / threads for stage in runs[0]}
    return _kernels(topology, hidden, threads, fastest, work(topology, hidden, spikes))


def _kernels(
    topology: str, hidden: int, threads: int, times: Mapping[str, float], todo: Mapping[str, Work]
) -> list[Kernel]:
    peak = vector_peak(threads)
    kernels = []
    for stage, taken in times.items():
        each = todo.get(stage, UNCOUNTED)
        limit = read_limit(each.rows, each.width, threads) if stage in todo else math.nan
        kernels.append(
            Kernel(
                topology=topology,
                hidden=hidden,
                threads=threads,
                stage=stage,
                ms=1e3 * taken,
                mb=each.bytes / 1e6,
                mflop=each.flops / 1e6,
                gb_s=each.bytes / taken / 1e9,
                limit_gb_s=limit,
                gflop_s=each.flops / taken / 1e9,
                peak_gflop_s=peak if stage in todo else math.nan,
                share=max(each.bytes / limit, each.flops / peak) / 1e9 / taken,
            )
        )
    return kernels


def _print(kernels: list[Kernel]) -> None:
    table = measurements.titled()
    table.add_column("topology")
    table.add_column("hidden", justify="right")
    table.add_column("kernel")
    for name in ("ms/sample", "MB", "Mflop", "GB/s", "limit", "Gflop/s", "peak", "share"):
        table.add_column(name, justify="right")
    for k in kernels:
        numbers = f"{k.ms:.4f}"
        if not math.isnan(k.share):
            numbers += f" {k.mb:.1f} {k.mflop:.1f} {k.gb_s:.0f} {k.limit_gb_s:.0f} "
            numbers += f"{k.gflop_s:.0f} {k.peak_gflop_s:.0f} {100 * k.share:.0f}%"
        table.add_row(k.topology, str(k.hidden), k.stage, *numbers.split())
    print_table(table)
