"""What is done beside other backends: the speed of genn, its tests, and training side by side."""

from __future__ import annotations

import re
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from shd_genn.backends import genn, native
from shd_genn.backends.protocols import Backend, CompileConfig, Learner, require_learner
from shd_genn.bench.activity import activate
from shd_genn.datasets.noise import BATCH, N_CHANNELS, N_CLASSES
from shd_genn.learning.methods import EventProp
from shd_genn.network import Network
from shd_genn.spikes.events import Events

Row = dict[str, Any]
N_SPIKES, JITTER_MS, EPOCHS = 400, 10.0, 8
"""Of the patterns that are learned: spikes of a sample, how far each is moved, and epochs."""


def tests_passed(command: Sequence[str], folder: Path, seconds: float) -> Row:
    """Run pytest, and count what passed, also if the time was over before it came to its end.

    Args:
        command: pytest and its arguments.
        folder: Where it runs.
        seconds: How long it may take.
    """
    try:
        result = subprocess.run(
            [*command, "-v"],
            cwd=folder,
            capture_output=True,
            text=True,
            check=False,
            timeout=seconds,
        )
        text, ended = result.stdout + result.stderr, True
    except subprocess.TimeoutExpired as error:
        output = error.stdout or b""
        text, ended = output.decode() if isinstance(output, bytes) else output, False
    counts = {
        name.lower(): len(re.findall(rf"^(?=.*%\]).*\b{name}\b", text, re.MULTILINE))
        for name in ("PASSED", "FAILED", "SKIPPED", "ERROR")
    }
    lines = text.strip().splitlines()
    last = lines[-1].strip("= ") if lines else "no output"
    return {
        **counts,
        "result": last if ended else f"left out: the rest, after {seconds:.0f} s",
        "failures": [line for line in lines if line.startswith(("FAILED ", "E  "))][:40],
    }


def genn_tests(root: Path, workers: Sequence[str], seconds: float) -> Iterator[Row]:
    """The conformance suite of the genn backend, which runs mlGeNN's code on this GPU."""
    if not (status := genn.status()).usable:
        yield {"result": f"left out: {status.why}"}
        return
    files = [root / "tests/backends" / f"test_{name}.py" for name in ("conformance", "genn")]
    if not all(file.exists() for file in files):
        yield {"result": "left out: no checkout with tests"}
        return
    command = [sys.executable, "-m", "pytest", "-m", "genn", "-p", "no:cacheprovider"]
    yield tests_passed([*command, *workers, *map(str, files)], root, seconds)


def genn_speed(hidden: Sequence[int]) -> Iterator[Row]:
    """Milliseconds of a training batch of the genn backend, where it is installed."""
    if not (status := genn.status()).usable:
        yield {"result": f"left out: {status.why}"}
        return
    from shd_genn.bench import speed

    for size in hidden:
        row = speed.measure(speed.Case("genn", "recurrent", "plain", size, 1, 5))
        yield {
            "hidden": size,
            "device": row.device,
            "batch": row.batch,
            "ms a sample": row.train_ms,
        }


def patterns(n_samples: int, end_ms: float) -> tuple[Events, NDArray[np.int32]]:
    """A pattern of spikes for each class, and samples that are moved by some ms: easy to learn."""
    rng = np.random.default_rng(5)
    times = rng.uniform(0, end_ms, (N_CLASSES, N_SPIKES))
    channels = rng.integers(0, N_CHANNELS, (N_CLASSES, N_SPIKES))
    labels = rng.integers(0, N_CLASSES, n_samples).astype(np.int32)
    moved = times[labels] + rng.normal(0, JITTER_MS, (n_samples, N_SPIKES))
    return Events.of(list(zip(np.maximum(moved, 0), channels[labels], strict=True))), labels


def trained(cuda: Learner, network: Network, config: CompileConfig, n: int) -> Iterator[Row]:
    """Train native, cuda and, on a GPU, genn: with the same weights, batches and rates.

    Args:
        cuda: The network on the GPU.
        network: The same.
        config: How it is compiled.
        n: Samples of an epoch; half as many test it.
    """
    events, labels = patterns(n + n // 2, config.n_steps * config.dt_ms)
    activate(cuda, events.take(np.arange(min(n, BATCH))))
    start, status = cuda.parameters(), genn.status()
    backends: dict[str, Backend | None] = {"native": native, "cuda": None, "genn": genn}
    if not (status.usable and status.accelerator):
        del backends["genn"]
        yield {"backend": "genn", "result": f"left out: {status.why}"}
    of_native: NDArray[np.intp] | None = None
    for name, backend in backends.items():
        with ExitStack() as stack:
            learner = cuda
            if backend is not None:
                compiled = backend.compile(network, EventProp(), config)
                learner = require_learner(stack.enter_context(compiled))
            learner.set_parameters(start)
            row, answers = _learned(learner, events, labels, n)
        of_native = answers if of_native is None else of_native
        yield {
            "backend": name,
            **row,
            "answers as native's": float(np.mean(answers == of_native)),
        }


def _learned(
    learner: Learner, events: Events, labels: NDArray[np.int32], n: int
) -> tuple[Row, NDArray[np.intp]]:
    """Train with the first n samples, and answer the others."""
    losses, begin = [], time.perf_counter()
    for epoch in range(EPOCHS):
        order = np.random.default_rng(epoch).permutation(n)
        parts = [order[i : i + BATCH] for i in range(0, n, BATCH)]
        results = [learner.train_batch(events.take(p), labels[p], 5e-3) for p in parts]
        losses.append(float(np.concatenate([r.loss for r in results]).mean()))
    seconds = (time.perf_counter() - begin) / EPOCHS
    test = np.arange(n, len(labels))
    answers = learner.evaluate(events.take(test)).readout.argmax(axis=1)
    row = {
        "epochs": EPOCHS,
        "samples": n,
        "first epoch's loss": losses[0],
        "last epoch's loss": losses[-1],
        "test accuracy": float(np.mean(answers == labels[test])),
        "s an epoch": seconds,
    }
    return row, answers
