"""What is done on a GPU, one stage after the other; every stage yields rows of one table."""

from __future__ import annotations

import importlib.util
import math
import platform
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from shd_genn.backends.cuda import build, device
from shd_genn.backends.cuda.engine import CudaEngine
from shd_genn.backends.cuda.lower import lower
from shd_genn.backends.cuda.render import render
from shd_genn.backends.protocols import CompileConfig
from shd_genn.bench.activity import Topology, activate, synthetic_model
from shd_genn.bench.gpu import beside, cases, code
from shd_genn.bench.neurons import NEURONS, network_of
from shd_genn.config import Config
from shd_genn.datasets.noise import BATCH, N_CLASSES, TRIAL_MS, synthetic_batch
from shd_genn.network import Network
from shd_genn.network.model_files import build_network
from shd_genn.present.batches import batches, count_batches, one_ahead
from shd_genn.record import environment
from shd_genn.spikes.dataset import SpikeDataset
from shd_genn.spikes.events import Events
from shd_genn.support.machine import available_cores

ROOT = Path(__file__).parents[3]
SUITES = ("test_conformance",), ("test_golden",)
"""Tests that the cuda backend is a parameter of, in tests/backends and tests/gradient_chain."""

SUITE_SECONDS = 150
"""How long they may take."""

Row = dict[str, Any]
Compile = Callable[[Network, CompileConfig], CudaEngine]


@dataclass(frozen=True)
class Lab:
    """What is measured with.

    Attributes:
        compile: Makes a network ready to run.
        toolchain: What it compiles with; None if nothing is to be compiled beforehand.
        hidden: Hidden neurons.
        batch_sizes: Samples of a batch.
        repetitions: Batches that are timed, after two to warm up.
        n_steps: Steps of a trial, of 1 ms.
        epoch_samples: Samples of an epoch; SHD has 8156.
        learned_samples: Samples of an epoch of what is learned beside other backends.
        neurons: Those whose speed is measured, of `NEURONS`.
        cases: Those whose digests are compared.
        capabilities: Compute capabilities that kernels are compiled for, 10 major + minor.
    """

    compile: Compile = CudaEngine
    toolchain: build.Toolchain | None = None
    hidden: tuple[int, ...] = (64, 256, 1024)
    batch_sizes: tuple[int, ...] = (32, 128, 512)
    repetitions: int = 20
    n_steps: int = TRIAL_MS
    epoch_samples: int = 8156
    learned_samples: int = 512
    neurons: tuple[str, ...] = ("alif", "adlif", "qif", "izhikevich", "hodgkin_huxley")
    cases: dict[str, cases.Case] = field(default_factory=lambda: dict(cases.CASES))
    capabilities: tuple[int, ...] = code.CAPABILITIES

    @cached_property
    def samples(self) -> tuple[Events, np.ndarray]:
        """Random spikes of SHD's density, as many samples as the largest batch."""
        return synthetic_batch(max(self.batch_sizes), 8 * self.n_steps)

    def network(self, hidden: int, topology: Topology = "recurrent") -> Network:
        """A network of one hidden layer."""
        return build_network(Config(model=synthetic_model(topology, hidden)))

    def config(self, **options: Any) -> CompileConfig:
        """How it is compiled."""
        return CompileConfig(self.n_steps, **options)


def where(lab: Lab) -> Iterator[Row]:
    """The machine, the driver and the compiler."""
    row: Row = {
        "commit": environment.commit(),
        "python": platform.python_version(),
        "numpy": np.__version__,
        "cores": available_cores(),
        "cpu": environment.cpu_name(),
    }
    query = "name,driver_version,memory.total,clocks.sm,clocks.max.sm"
    if shutil.which("nvidia-smi"):
        command = ["nvidia-smi", f"--query-gpu={query}", "--format=csv,noheader"]
        answer = subprocess.run(command, capture_output=True, text=True, check=False).stdout
        row |= dict(zip(query.split(","), answer.strip().split(", "), strict=False))
    if lab.toolchain is not None:
        row |= {"nvcc": lab.toolchain.version, "flags": " ".join(lab.toolchain.command[1:])}
    yield row


def built(lab: Lab) -> Iterator[Row]:
    """Everything that later stages run, compiled on all cores."""
    if lab.toolchain is None:
        return
    toolchain = lab.toolchain
    sources = {
        render(lower(cases.network_of(case), cases.config_of(case)), "input")
        for case in lab.cases.values()
    }
    for hidden in lab.hidden:
        for topology in ("recurrent", "feedforward"):
            sources.add(render(lower(lab.network(hidden, topology), lab.config()), "input"))
    begin = time.perf_counter()
    with ThreadPoolExecutor(available_cores()) as pool:
        list(pool.map(lambda source: build.build_library(source, toolchain), sources))
    yield {"libraries": len(sources), "seconds": time.perf_counter() - begin}


def digests(lab: Lab) -> Iterator[Row]:
    """Whether the GPU's bits are those of the emulation, and the same when all is run again."""
    recorded = cases.recorded()
    for name, case in lab.cases.items():
        found = []
        for _ in range(2):
            with lab.compile(cases.network_of(case), cases.config_of(case)) as engine:
                found.append(cases.digests_of(cases.arrays_of(case, engine)))
        wrong = [array for array, digest in recorded[name].items() if found[0][array] != digest]
        yield {
            "case": name,
            "arrays": len(recorded[name]),
            "as emulated": not wrong,
            "first that differs": wrong[0] if wrong else "",
            "repeats": found[0] == found[1],
        }


def conformance(lab: Lab) -> Iterator[Row]:
    """The test suites of all backends, on this GPU."""
    folders = ("backends", "gradient_chain")
    files = [
        ROOT / "tests" / folder / f"{suite}.py"
        for folder, suites in zip(folders, SUITES, strict=True)
        for suite in suites
    ]
    if not all(file.exists() for file in files):
        yield {"result": "left out: no checkout with tests"}
        return
    command = [sys.executable, "-m", "pytest", "-k", "cuda", "-p", "no:cacheprovider"]
    command += ["-W", "default"]  # another NumPy may warn of what this one does not
    yield beside.tests_passed([*command, *_workers(), *map(str, files)], ROOT, SUITE_SECONDS)


def _workers() -> tuple[str, ...]:
    return ("-n", "8") if importlib.util.find_spec("xdist") else ()


def sanitized(lab: Lab) -> Iterator[Row]:
    """NVIDIA's own checks of memory and races, on one small network."""
    program = shutil.which("compute-sanitizer")
    if program is None:
        yield {"tool": "compute-sanitizer", "result": "left out: not installed"}
        return
    script = (
        "from shd_genn.bench.gpu import cases\n"
        "from shd_genn.backends.cuda.engine import CudaEngine\n"
        "case = cases.CASES['all that is learned']\n"
        "engine = CudaEngine(cases.network_of(case), cases.config_of(case))\n"
        "cases.arrays_of(case, engine)"
    )
    for tool in ("memcheck", "racecheck", "initcheck"):
        command = [program, "--tool", tool, sys.executable, "-c", script]
        try:
            result = subprocess.run(
                command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=60
            )
        except subprocess.TimeoutExpired:
            yield {"tool": tool, "result": "left out: took more than a minute"}
            continue
        text = (result.stdout + result.stderr).splitlines()
        lines = [line for line in text if "SUMMARY" in line or "rror" in line]
        yield {"tool": tool, "result": lines[-1].strip("= ") if lines else result.stderr[-300:]}


def speed(lab: Lab) -> Iterator[Row]:
    """Milliseconds of a training batch and its kernels, and of a forward pass."""
    for topology in ("recurrent", "feedforward"):
        for hidden in lab.hidden:
            for batch in lab.batch_sizes:
                if topology == "recurrent" or batch == lab.batch_sizes[0]:
                    yield _speed_of(lab, lab.network(hidden, topology), hidden, topology, batch)


def neurons(lab: Lab) -> Iterator[Row]:
    """The same of neurons that are described by equations, with the second size of `hidden`."""
    hidden = lab.hidden[min(1, len(lab.hidden) - 1)]
    for name in lab.neurons:
        yield _speed_of(lab, network_of(NEURONS[name], hidden), hidden, name, lab.batch_sizes[0])


def _speed_of(lab: Lab, network: Network, hidden: int, kind: str, batch: int) -> Row:
    shown = list(_batches(lab, batch))
    with lab.compile(network, lab.config()) as engine:
        spikes = activate(engine, shown[0][0])
        weights = engine.parameters()
        times = _seconds_of_batches(engine, shown, lab.repetitions)
        inference = _seconds(lambda i: engine.evaluate(shown[i % len(shown)][0]), lab.repetitions)
        taken = engine.peak_gpu_memory()
    with lab.compile(network, lab.config(kernel_times=True)) as engine:
        engine.set_parameters(weights)
        for events, labels in shown[:1] * 2:
            engine.train_batch(events, labels, 0.0)
        before = engine.kernel_times()
        for i in range(lab.repetitions):
            engine.train_batch(*shown[i % len(shown)], 0.0)
        kernels = {
            f"{stage} ms": 1e3 * (after - before[stage]) / lab.repetitions
            for stage, after in engine.kernel_times().items()
        }
    train_ms = 1e3 * float(np.median(times))
    return {
        "network": kind,
        "hidden": hidden,
        "batch": batch,
        "spikes per neuron": spikes,
        "train ms": train_ms,
        "kernels ms": sum(kernels.values()),
        **kernels,
        "inference ms": 1e3 * float(np.median(inference)),
        "SHD epoch s": train_ms / 1e3 * math.ceil(8156 / batch),
        "memory MB": taken / 1e6,
    }


def _batches(lab: Lab, batch: int) -> Iterator[tuple[Events, np.ndarray]]:
    """Different batches, so that no cache holds all spikes of the input."""
    events, labels = lab.samples
    for begin in range(0, len(labels) - batch + 1, batch):
        mine = np.arange(begin, begin + batch)
        yield events.take(mine), labels[mine]


def _seconds_of_batches(
    engine: CudaEngine, shown: list[tuple[Events, np.ndarray]], repetitions: int
) -> list[float]:
    """Seconds of one batch of five groups: training goes on while the GPU still updates."""
    per_group = max(1, repetitions // 5)

    def group(i: int) -> None:
        for k in range(per_group):
            engine.train_batch(*shown[(i * per_group + k) % len(shown)], 0.0)
        engine.device.pull(device.GRADIENT, 1)  # waits for all that was begun

    return [seconds / per_group for seconds in _seconds(group, 5)]


def _seconds(work: Callable[[int], object], repetitions: int) -> list[float]:
    """Seconds that each repetition takes, after two to warm up."""
    times = []
    for i in range(repetitions + 2):
        begin = time.perf_counter()
        work(i)
        times.append(time.perf_counter() - begin)
    return times[2:]


def epochs(lab: Lab) -> Iterator[Row]:
    """Whole epochs as large as SHD's, augmented as in training, and the host's part in them."""
    dataset = _dataset(lab)
    for hidden in lab.hidden:
        model = synthetic_model("recurrent", hidden)
        config = Config(model=model)
        batching = replace(config.batching, batch_size=lab.batch_sizes[0])
        n_batches = count_batches(batching, dataset)
        with lab.compile(lab.network(hidden), lab.config()) as engine:
            activate(engine, next(batches(batching, dataset, 0))[0])
            times = []
            for epoch in range(3):
                begin = time.perf_counter()
                for events, labels in one_ahead(batches(batching, dataset, epoch)):
                    engine.train_batch(events, labels, 0.0)
                engine.device.pull(device.GRADIENT, 1)
                times.append(time.perf_counter() - begin)
        begin, made = time.perf_counter(), 0
        for made, _ in enumerate(batches(batching, dataset, 3), 1):
            if made == 64:
                break
        host = (time.perf_counter() - begin) / made * n_batches
        yield {
            "hidden": hidden,
            "batch": batching.batch_size,
            "samples": len(dataset),
            "epoch s": min(times),
            "of which making batches takes, in its own thread, s": host,
        }


def _dataset(lab: Lab) -> SpikeDataset:
    """As many samples as SHD has: the same random ones again and again."""
    events, labels = lab.samples
    chosen = np.arange(lab.epoch_samples) % len(labels)
    return SpikeDataset(
        name="noise",
        events=events.take(chosen),
        labels=labels[chosen],
        speakers=np.full(len(chosen), -1, np.int32),
        n_channels=lab.network(lab.hidden[0]).input.size,
        class_names=tuple(f"noise{i}" for i in range(N_CLASSES)),
    )


def genn_speed(lab: Lab) -> Iterator[Row]:
    """The genn backend, which runs mlGeNN's code, where that is installed."""
    yield from beside.genn_speed(lab.hidden)


def genn_tests(lab: Lab) -> Iterator[Row]:
    """Its conformance suite on this GPU."""
    yield from beside.genn_tests(ROOT, _workers(), SUITE_SECONDS)


def trained(lab: Lab) -> Iterator[Row]:
    """Training with the cuda backend, native and genn, side by side."""
    network, config = lab.network(lab.hidden[0]), lab.config(batch_size=BATCH)
    with lab.compile(network, config) as engine:
        yield from beside.trained(engine, network, config, lab.learned_samples)


def kernels(lab: Lab) -> Iterator[Row]:
    """What nvcc makes of the kernels that walk through steps, for four compute capabilities."""
    networks = {f"leaky, {hidden}": lab.network(hidden) for hidden in lab.hidden}
    hidden = lab.hidden[min(1, len(lab.hidden) - 1)]
    networks |= {f"{n}, {hidden}": network_of(NEURONS[n], hidden) for n in lab.neurons}
    for name, network in networks.items():
        source = render(lower(network, lab.config()), network.input.name)
        with tempfile.TemporaryDirectory() as folder:
            try:
                found = code.code_of(source, Path(folder), lab.capabilities)
            except build.Unusable as error:
                yield {"result": f"left out: {error.why}"}
                return
        for kernel in code.STEP_KERNELS:
            mine = sorted((c for c in found if c.kernel == kernel), key=lambda c: c.capability)
            yield {
                "network": name,
                "kernel": kernel,
                "compute capability": [c.capability for c in mine],
                "registers": [c.registers for c in mine],
                "own memory, bytes": [c.stack for c in mine],
                "spilled": sum(c.spilled for c in found),
                "instructions of the loop": [sum(c.loop.values()) for c in mine],
                "barriers in it": [c.loop.get("BAR", 0) for c in mine],
            }


STAGES: dict[str, Callable[[Lab], Iterator[Row]]] = {
    "where": where,
    "built": built,
    "digests": digests,
    "conformance": conformance,
    "speed": speed,
    "neurons": neurons,
    "epochs": epochs,
    "sanitized": sanitized,
    "genn_speed": genn_speed,
    "trained": trained,
    "genn_tests": genn_tests,
    "kernels": kernels,
}
"""Name → stage, in the order in which they are done."""
WITHOUT_GPU = {"where", "kernels"}
"""Those that need no GPU."""


def cleaned(text: str) -> str:
    """A line for a table's cell."""
    return re.sub(r"\s+", " ", text).replace("|", "/")
