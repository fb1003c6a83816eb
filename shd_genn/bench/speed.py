"""`python -m shd_genn.bench speed`: how fast this machine trains, and how far from its limit.

Each row of the table is measured in a process of its own, on synthetic input of SHD's density:
700 channels, 8000 spikes in 1000 steps of 1 ms, 20 classes, batches of 32, input weights scaled so
that hidden neurons spike 9 times a trial. With ``--train-on`` each network then learns a dataset.
"""

from __future__ import annotations

import math
import multiprocessing
import subprocess
import tempfile
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Literal, cast

import numpy as np
import tyro

from shd_genn.backends.choice import BackendName, get
from shd_genn.backends.protocols import CompileConfig, require_learner
from shd_genn.bench import measurements
from shd_genn.bench.activity import Topology, activate, synthetic_model
from shd_genn.bench.machine import read_limit, seconds
from shd_genn.bench.roofline import work
from shd_genn.config import Config
from shd_genn.datasets.noise import BATCH, N_CHANNELS, TRIAL_MS, synthetic_batch
from shd_genn.datasets.settings import DataConfig
from shd_genn.learning.methods import EventProp
from shd_genn.learning.settings import TrainConfig
from shd_genn.network.model_files import build_network
from shd_genn.network.settings import GammaTau, ModelConfig
from shd_genn.support.cli import parse, print_table
from shd_genn.support.energy import Meter
from shd_genn.support.errors import refuse_unless, require
from shd_genn.support.machine import available_cores, peak_memory
from shd_genn.support.progress import progress
from shd_genn.train import loop

N_STEPS = TRIAL_MS  # of 1 ms
SHD_SAMPLES = 8156
Feature = Literal[
    "plain",
    "tau",
    "threshold",
    "delay",
    "axonal-delay",
    "dendritic-delay",
    "recurrent-delay",
    "recurrent-axonal-delay",
    "recurrent-dendritic-delay",
]
FEATURES: dict[Feature, ModelConfig] = {
    "plain": ModelConfig(),
    "tau": ModelConfig(tau_distribution=GammaTau(), train_tau=True),
    "threshold": ModelConfig(train_v_thresh=True),
    "delay": (from_input := ModelConfig(delay_in_ms=150.0, train_delays=("input",))),
    "axonal-delay": replace(from_input, delay_kind="axonal"),
    "dendritic-delay": replace(from_input, delay_kind="dendritic"),
    "recurrent-delay": (inside := ModelConfig(delay_rec_ms=20.0, train_delays=("recurrent",))),
    "recurrent-axonal-delay": replace(inside, delay_kind="axonal"),
    "recurrent-dendritic-delay": replace(inside, delay_kind="dendritic"),
}
"""What is learned besides weights: time constants of hidden neurons, their thresholds, delays."""


@dataclass(frozen=True)
class Options:
    """Measure training and inference on this machine; leave it alone meanwhile."""

    hidden_sizes: tuple[int, ...] = (64, 128, 256, 512, 1024)
    """Hidden neurons."""
    topologies: tuple[Topology, ...] = ("recurrent", "feedforward")
    """Model files."""
    features: tuple[Feature, ...] = ("plain",)
    """What is learned besides weights; recurrent-… need the recurrent topology."""
    backend: tuple[BackendName, ...] = ("native",)
    """What computes; genn needs GeNN, and takes its GPU or else one core and batches of one sample;
    reference has one thread and is hundreds of times slower."""
    threads: tuple[int, ...] = (1, available_cores())
    """Numbers of threads."""
    batch_sizes: tuple[int, ...] = ()
    """Samples of a batch; by default 32, or 1 where the backend takes no more."""
    repetitions: int = 10
    """Batches that are timed, after one to warm up; the fastest counts."""
    train_on: str | None = None
    """A dataset to learn too, e.g. shd, for the accuracy and the time of real epochs."""
    epochs: int = 50
    """Epochs of --train-on."""
    output: Annotated[Path | None, tyro.conf.arg(aliases=["-o"])] = None
    """A CSV file for the table."""

    def __post_init__(self) -> None:
        for n in (*self.hidden_sizes, *self.threads, *self.batch_sizes):
            require(1 <= n, "1 <= hidden_sizes, threads and batch_sizes", n, "give larger numbers")
        measurements.require_measurable(self.repetitions)
        require(1 <= self.epochs, "1 <= epochs", self.epochs, "50 are usual")
        for name in ("hidden_sizes", "topologies", "features", "backend", "threads"):
            refuse_unless(
                len(getattr(self, name)) > 0,
                f"--{name.replace('_', '-')} names nothing to measure",
                "name at least one value, or leave the option out",
            )
        refuse_unless(
            self.topologies != ("feedforward",) or not all(map(needs_recurrence, self.features)),
            f"--features {' '.join(self.features)} needs the recurrent topology, but --topologies "
            "has only feedforward",
            "add recurrent to --topologies",
        )


@dataclass(frozen=True)
class Case:
    """What is measured at a time."""

    backend: str
    topology: str
    feature: Feature
    hidden: int
    threads: int
    repetitions: int
    train_on: str | None = None
    epochs: int = 50
    batch: int | None = None


@dataclass(frozen=True)
class Measurement:
    """A row of the table: times in ms and energy in mJ per sample, memory in MB, bandwidth in GB/s.

    Energy is the mean over the training batches, of all that the machine did meanwhile.

    What was not measured is nan: memory and bandwidth of what runs elsewhere, and accuracy and time
    per epoch of the dataset, unless one was to be learned.
    """

    backend: str
    device: str
    batch: int
    topology: str
    feature: str
    hidden: int
    threads: int
    train_ms: float
    train_median_ms: float
    inference_ms: float
    shd_epoch_s: float
    spikes_per_neuron: float
    memory_growth_mb: float
    gpu_memory_mb: float
    bandwidth_gb_s: float
    limit_gb_s: float
    accuracy: float
    epoch_s: float
    cpu_mj: float = math.nan
    dram_mj: float = math.nan
    gpu_mj: float = math.nan


def needs_recurrence(feature: Feature) -> bool:
    """Whether only recurrent networks have what is learned."""
    return feature.startswith("recurrent-")


def main(arguments: list[str]) -> None:
    """Measure as the command line says."""
    options = parse(Options, arguments, prog="python -m shd_genn.bench speed")
    cases = [
        Case(
            backend,
            topology,
            feature,
            hidden,
            threads,
            options.repetitions,
            options.train_on,
            options.epochs,
            batch,
        )
        for backend in options.backend
        for topology in options.topologies
        for feature in options.features
        if topology == "recurrent" or not needs_recurrence(feature)
        for hidden in options.hidden_sizes
        for batch in options.batch_sizes or (None,)
        for threads in (
            dict.fromkeys(options.threads) if get(backend).CAPABILITIES.threads else (1,)
        )
    ]
    for backend in options.backend:
        get(backend)  # one that is not installed is refused before anything is measured
    rows: list[Measurement] = []
    spawn = multiprocessing.get_context("spawn")
    with (
        progress("Measuring", len(cases), "cases") as advance,
        ProcessPoolExecutor(1, spawn, max_tasks_per_child=1) as pool,
    ):
        for row in pool.map(measure, cases):
            rows.append(row)
            advance()
    _print(rows)
    if all(math.isnan(row.cpu_mj) and math.isnan(row.gpu_mj) for row in rows):
        print(f"energy              {Meter().sources()}")
    measurements.write(options.output, rows)


def measure(case: Case) -> Measurement:
    """Measure one case, in the process that this is called in."""
    model = synthetic_model(case.topology, case.hidden, FEATURES[case.feature])
    backend = get(case.backend)
    status = backend.status()
    gpu = status.accelerator
    largest = status.largest_batch or (BATCH if backend.CAPABILITIES.batched else 1)
    batch = case.batch or largest
    require(
        status.largest_batch is None or batch <= status.largest_batch,
        f"batch_sizes <= {status.largest_batch} of {case.backend} on this machine",
        batch,
        "leave larger ones out",
    )
    config = CompileConfig(n_steps=N_STEPS, n_threads=case.threads, batch_size=batch)
    events, labels = synthetic_batch(batch)
    gpu_before = gpu_memory_mb() if gpu else math.nan
    network = build_network(Config(model=model))
    with require_learner(backend.compile(network, EventProp(), config)) as compiled:
        spikes = activate(compiled, events)
        before = peak_memory() // 1024
        meter = Meter()
        training = seconds(lambda: compiled.train_batch(events, labels, 0.0), case.repetitions)
        used = meter.poll()
        after = peak_memory() // 1024
        gpu_growth = (gpu_memory_mb() if gpu else math.nan) - gpu_before
        inference = seconds(lambda: compiled.evaluate(events), case.repetitions)
    fastest = min(training) / batch
    read = sum(w.read_bytes for w in work(case.topology, case.hidden, spikes).values())
    accuracy, epoch_s = learned(case, batch) if case.train_on else (math.nan, math.nan)
    return Measurement(
        backend=case.backend,
        device=gpu or "CPU",
        batch=batch,
        topology=case.topology,
        feature=case.feature,
        hidden=case.hidden,
        threads=case.threads,
        train_ms=1000 * fastest,
        train_median_ms=1000 * float(np.median(training)) / batch,
        inference_ms=1000 * min(inference) / batch,
        shd_epoch_s=fastest * SHD_SAMPLES,
        spikes_per_neuron=spikes,
        memory_growth_mb=(after - before) / 1024,
        gpu_memory_mb=gpu_growth,
        # what is counted is what weights take
        bandwidth_gb_s=math.nan if gpu or case.feature != "plain" else read / fastest / 1e9,
        limit_gb_s=math.nan if gpu else read_limit(N_CHANNELS, case.hidden, case.threads),
        accuracy=accuracy,
        epoch_s=epoch_s,
        cpu_mj=_per_sample(used.cpu, case, batch),
        dram_mj=_per_sample(used.dram, case, batch),
        gpu_mj=_per_sample(used.gpu, case, batch),
    )


def _per_sample(joules: float | None, case: Case, batch: int) -> float:
    """Millijoules a sample of all batches, the one to warm up included."""
    return math.nan if joules is None else 1000 * joules / ((case.repetitions + 1) * batch)


def learned(case: Case, batch: int) -> tuple[float, float]:
    """Test accuracy after learning the case's dataset, and seconds per epoch."""
    config = Config(
        data=DataConfig(dataset=str(case.train_on)),
        model=ModelConfig(model=case.topology, hidden_sizes=(case.hidden,)),
        train=TrainConfig(epochs=case.epochs, batch_size=batch),
        backend=cast(BackendName, case.backend),
        n_threads=case.threads,
    )
    with tempfile.TemporaryDirectory() as runs:
        result = loop.start(config, Path(runs)).result
    assert result.test is not None
    return result.test.accuracy, result.seconds_per_epoch


def gpu_memory_mb() -> float:
    """Memory in use on the first GPU; nan if nvidia-smi cannot be asked.

    GeNN allocates all it needs when a network is loaded, so that this is its peak.
    """
    command = ["nvidia-smi", "-i", "0", "--query-gpu=memory.used", "--format=csv,noheader,nounits"]
    try:
        output = subprocess.run(command, capture_output=True, text=True, check=True).stdout
        return float(output)
    except (OSError, subprocess.CalledProcessError, ValueError):
        return math.nan


def _print(rows: list[Measurement]) -> None:
    table = measurements.titled()
    columns: dict[str, Callable[[Measurement], str]] = {
        "backend": lambda r: r.backend,
        "device": lambda r: r.device,
        "topology": lambda r: r.topology,
        "learned": lambda r: r.feature,
        "hidden": lambda r: str(r.hidden),
        "batch": lambda r: str(r.batch),
        "threads": lambda r: str(r.threads),
        "train\nms/sample": lambda r: f"{r.train_ms:.3f}",
        "inference\nms/sample": lambda r: f"{r.inference_ms:.3f}",
        "SHD epoch\ns": lambda r: f"{r.shd_epoch_s:.1f}",
        "spikes per\nneuron": lambda r: f"{r.spikes_per_neuron:.1f}",
        "memory\n+MB": lambda r: f"{r.memory_growth_mb:.0f}",
        "GPU\nMB": lambda r: f"{r.gpu_memory_mb:.0f}",
        "read\nGB/s": lambda r: f"{r.bandwidth_gb_s:.0f}",
        "limit\nGB/s": lambda r: f"{r.limit_gb_s:.0f}",
        "accuracy\n%": lambda r: f"{100 * r.accuracy:.1f}",
        "real\nepoch s": lambda r: f"{r.epoch_s:.1f}",
        "CPU\nmJ/sample": lambda r: f"{r.cpu_mj:.1f}",
        "DRAM\nmJ/sample": lambda r: f"{r.dram_mj:.1f}",
        "GPU\nmJ/sample": lambda r: f"{r.gpu_mj:.1f}",
    }
    cells = {column: [show(row) for row in rows] for column, show in columns.items()}
    measured = {column: texts for column, texts in cells.items() if set(texts) != {"nan"}}
    for column in measured:
        words = column in ("backend", "device", "topology", "learned")
        table.add_column(column, justify="left" if words else "right")
    for texts in zip(*measured.values(), strict=True):
        table.add_row(*("" if cell == "nan" else cell for cell in texts))
    print_table(table)
