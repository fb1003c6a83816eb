"""`python -m shd_genn.bench recipes`: what whole recipes cost, not only plain networks.

Each preset, and each training method with the default network, trains on noise of SHD's density,
in a process of its own: with its delay line, what it learns besides weights, its neurons, its time
step, and its augmentation, for which a second thread makes the next batch, as in training. Input
weights are scaled so that hidden neurons spike 9 times a trial.
"""

from __future__ import annotations

import multiprocessing
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated

import numpy as np
import tyro

from shd_genn.backends.choice import BackendOption, choose
from shd_genn.backends.protocols import Learner
from shd_genn.bench import measurements
from shd_genn.bench.activity import activate
from shd_genn.config import Config
from shd_genn.config.presets import PRESETS
from shd_genn.config.presets.preset import SHD_SAMPLES
from shd_genn.datasets.noise import N_CHANNELS, N_CLASSES, synthetic_batch
from shd_genn.learning.methods import EProp, Surrogate
from shd_genn.present.batches import batches, one_ahead
from shd_genn.spikes.dataset import SpikeDataset
from shd_genn.support.cli import parse, print_table
from shd_genn.support.errors import refuse_unless, require
from shd_genn.support.machine import available_cores, peak_memory
from shd_genn.support.progress import progress
from shd_genn.train.compile import compile_learner

METHODS = {
    "surrogate": replace(Config(), train=replace(Config().train, method=Surrogate())),
    "eprop": replace(Config(), train=replace(Config().train, method=EProp())),
}
"""Training methods with the default network."""

RECIPES: dict[str, Config] = {name: preset.config for name, preset in PRESETS.items()} | METHODS
"""Name → settings."""


@dataclass(frozen=True)
class Options:
    """Measure what whole recipes cost in training; leave the machine alone meanwhile."""

    recipes: tuple[str, ...] = tuple(RECIPES)
    """Presets and methods; by default all."""
    samples: int = 128
    """Samples of noise of an epoch."""
    repetitions: int = 3
    """Epochs that are timed; the fastest counts."""
    threads: int = available_cores()
    """Threads to compute with."""
    backend: BackendOption = "native"
    """What computes."""
    output: Annotated[Path | None, tyro.conf.arg(aliases=["-o"])] = None
    """A CSV file for the table."""

    def __post_init__(self) -> None:
        unknown = [name for name in self.recipes if name not in RECIPES]
        refuse_unless(
            bool(self.recipes) and not unknown,
            f"--recipes must be some of {', '.join(RECIPES)}, but got "
            f"{', '.join(unknown) or 'nothing'}",
            "choose some of them, or leave the option out",
        )
        require(1 <= self.samples, "1 <= samples", self.samples, "128 are four usual batches")
        measurements.require_measurable(self.repetitions, self.threads)


@dataclass(frozen=True)
class Case:
    """What is measured at a time."""

    recipe: str
    samples: int
    repetitions: int
    threads: int
    backend: BackendOption = "auto"


@dataclass(frozen=True)
class Measurement:
    """A row of the table.

    Attributes:
        recipe: Name of a preset or a method.
        hidden: Hidden neurons of all layers.
        steps: Time steps of a trial.
        threads: Threads.
        input_spikes: Input spikes of a sample, delay line and augmentation included.
        spikes_per_neuron: Spikes of a hidden neuron of the first layer and sample.
        train_ms: Time of a training sample in ms, presentation and augmentation included.
        cpu_ms: Processor time of a training sample in ms, of all threads together.
        shd_epoch_s: Time of an epoch with as many samples as SHD has, and blends, in s.
        memory_growth_mb: What training adds to the memory of the process, in MB.
    """

    recipe: str
    hidden: int
    steps: int
    threads: int
    input_spikes: float
    spikes_per_neuron: float
    train_ms: float
    cpu_ms: float
    shd_epoch_s: float
    memory_growth_mb: float


def main(arguments: list[str]) -> None:
    """Measure as the command line says."""
    options = parse(Options, arguments, prog="python -m shd_genn.bench recipes")
    sizes = (options.samples, options.repetitions, options.threads, choose(options.backend).name)
    cases = [Case(name, *sizes) for name in dict.fromkeys(options.recipes)]
    rows: list[Measurement] = []
    spawn = multiprocessing.get_context("spawn")
    with (
        progress("Measuring", len(cases), "recipes") as advance,
        ProcessPoolExecutor(1, spawn, max_tasks_per_child=1) as pool,
    ):
        for row in pool.map(measure, cases):
            rows.append(row)
            advance()
    _print(rows)
    measurements.write(options.output, rows)


def measure(case: Case) -> Measurement:
    """Measure one recipe, in the process that this is called in."""
    recipe = RECIPES[case.recipe]
    presentation = recipe.presentation(N_CHANNELS)
    model = replace(recipe.model, n_inputs=presentation.n_inputs, n_classes=N_CLASSES)
    batch_size = min(recipe.train.batch_size, case.samples)
    config = replace(
        recipe,
        model=model,
        train=replace(recipe.train, batch_size=batch_size),
        n_threads=case.threads,
        backend=case.backend,
    )
    dataset = replace(_noise(case.samples), presentation=presentation)
    with compile_learner(config) as learner:
        spikes = activate(learner, dataset.presented(np.arange(min(4, case.samples))))
        before = peak_memory()
        trained, input_spikes = _epoch(learner, config, dataset)  # to warm up
        timed = [_timed(lambda: _epoch(learner, config, dataset)) for _ in range(case.repetitions)]
        growth = peak_memory() - before
    wall_s, cpu_s = (min(times) for times in zip(*timed, strict=True))
    return Measurement(
        recipe=case.recipe,
        hidden=sum(config.model.hidden_sizes),
        steps=config.n_steps,
        threads=case.threads,
        input_spikes=input_spikes,
        spikes_per_neuron=spikes,
        train_ms=1000 * wall_s / trained,
        cpu_ms=1000 * cpu_s / trained,
        shd_epoch_s=wall_s / case.samples * SHD_SAMPLES,
        memory_growth_mb=growth / 2**20,
    )


def _noise(n_samples: int) -> SpikeDataset:
    """A dataset of noise of SHD's density."""
    events, labels = synthetic_batch(n_samples)
    return SpikeDataset(
        name="noise",
        events=events,
        labels=labels,
        speakers=np.full(n_samples, -1, np.int32),
        n_channels=N_CHANNELS,
        class_names=tuple(f"noise{i}" for i in range(N_CLASSES)),
    )


def _epoch(learner: Learner, config: Config, dataset: SpikeDataset) -> tuple[int, float]:
    """Train an epoch that changes nothing; its samples, blends included, and their input spikes."""
    n_samples = n_spikes = 0
    for events, labels in one_ahead(batches(config.batching, dataset, 0)):
        result = learner.train_batch(events, labels, 0.0)
        n_samples += len(labels)
        n_spikes += int(result.input_spikes.sum())
    return n_samples, n_spikes / n_samples


def _timed(work: Callable[[], object]) -> tuple[float, float]:
    """Seconds of the clock, and of the processor, that work takes."""
    wall, cpu = time.perf_counter(), time.process_time()
    work()
    return time.perf_counter() - wall, time.process_time() - cpu


def _print(rows: list[Measurement]) -> None:
    table = measurements.titled()
    table.add_column("recipe")
    for column in (
        "hidden",
        "steps",
        "input\nspikes",
        "spikes per\nneuron",
        "train\nms/sample",
        "CPU\nms/sample",
        "SHD epoch\ns",
        "memory\n+MB",
    ):
        table.add_column(column, justify="right")
    for r in rows:
        table.add_row(
            r.recipe,
            *(f"{number:.0f}" for number in (r.hidden, r.steps, r.input_spikes)),
            f"{r.spikes_per_neuron:.1f}",
            *(f"{number:.3f}" for number in (r.train_ms, r.cpu_ms)),
            f"{r.shd_epoch_s:.1f}",
            f"{r.memory_growth_mb:.0f}",
        )
    print_table(table)
