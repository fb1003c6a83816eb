"""The cuda backend's source on this CPU: see on_cpu/on_cpu.h.

`python -m helpers.emulation`, from the folder tests, records the digests that a GPU must arrive at.
"""

import functools
import hashlib
import json
import os
import subprocess
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace

import numpy as np

from helpers.precompiled import precompiled
from shd_genn.backends import cuda
from shd_genn.backends.capabilities import Status
from shd_genn.backends.cuda import engine
from shd_genn.backends.cuda.build import Toolchain
from shd_genn.backends.cuda.engine import CudaEngine
from shd_genn.backends.cuda.parts import lanes_of
from shd_genn.backends.cuda.render import render
from shd_genn.backends.cuda.store import constants_of_lanes, packed
from shd_genn.backends.protocols import CompileConfig
from shd_genn.bench.gpu import cases
from shd_genn.learning.dropout import Dropout
from shd_genn.learning.methods import Method
from shd_genn.network import Network
from shd_genn.support.builder import compiler_version, find_compiler
from shd_genn.support.files import written_aside
from shd_genn.support.locks import locked

ON_CPU = Path(__file__).parent / "on_cpu"
FLAGS = (
    *("-std=c++17", "-O1", "-march=native", "-ffp-contract=off", "-fPIC", "-U_FORTIFY_SOURCE"),
    *("-Wall", "-Wextra", "-Werror", "-Wno-unknown-pragmas", "-Wno-clobbered"),
)
INCLUDE = ("-include", str(ON_CPU / "on_cpu.h"))
SANITIZERS = {
    "address": ("-fsanitize=address", "-DSWAPCONTEXT"),
    "thread": ("-fsanitize=thread", "-DTSAN"),
}
"""Name → the flag for the kernels, and what the scheduler must be told."""


@functools.cache
def toolchain() -> Toolchain:
    """A C++ compiler that takes CUDA source; the emulation itself is compiled once."""
    compiler = find_compiler()[:1]
    header = precompiled((*compiler, *FLAGS), "on_cpu.h", (ON_CPU / "on_cpu.h").read_text("utf-8"))
    source = ON_CPU / "on_cpu.cpp"
    digest = hashlib.sha256(source.read_bytes()).hexdigest()[:16]
    scheduler = header.with_name(f"on_cpu-{digest}.so")  # one for all engines
    with locked(header.parent):
        if not scheduler.exists():
            with written_aside(scheduler) as aside:
                subprocess.run([*compiler, *FLAGS, "-shared", source, "-o", aside], check=True)
    links = ("-shared", "-Wl,--no-as-needed", str(scheduler))
    return Toolchain(
        command=(*compiler, *FLAGS, "-include", str(header), *links),
        version=compiler_version(compiler),
        suffix=".cpp",
    )


def compile(network: Network, config: CompileConfig, **options) -> CudaEngine:
    """A network on the emulated GPU."""
    return CudaEngine(network, config, toolchain(), **options)


@contextmanager
def schedule(order: int):
    """In which order threads go on: 0 ascending, 1 descending, others seed a random one."""
    os.environ["ON_CPU_ORDER"] = str(order)
    try:
        yield
    finally:
        del os.environ["ON_CPU_ORDER"]


def compile_network(network: Network, method: Method, config: CompileConfig) -> CudaEngine:
    """As a backend compiles."""
    cuda.CAPABILITIES.check(network, method)
    return compile(network, config)


BACKEND = SimpleNamespace(
    CAPABILITIES=cuda.CAPABILITIES,
    status=lambda: Status("a CPU emulates the GPU"),
    describe=dict,
    compile=compile_network,
)
"""The cuda backend on the emulated GPU."""


def digests(case: cases.Case) -> dict[str, str]:
    """What the emulation makes of a case."""
    with compile(cases.network_of(case), cases.config_of(case)) as compiled:
        return cases.digests_of(cases.arrays_of(case, compiled))


def without(source: str, kernel: str, text: str, instead: str) -> str:
    """CUDA source with something else in the place of a text of a kernel's file."""
    begin = source.rindex(f'"{kernel}.cuh"')
    end = source.find("#line", begin)
    assert source[begin:end].count(text) == 1
    return source[:begin] + source[begin:end].replace(text, instead) + source[end:]


def digests_without(name: str, kernel: str, text: str, instead: str) -> list[dict[str, str]]:
    """What three schedules make of a case when a kernel is broken; in a process of its own."""
    engine.render = lambda *plan: without(render(*plan), kernel, text, instead)  # until the next
    found = []
    for order in (0, 1, 2):
        with schedule(order):
            found.append(digests(cases.CASES[name]))
    return found


def watched(folder: Path, sanitizer: str, case: cases.Case, change=lambda source: source):
    """Run a batch under a sanitizer, as a program of its own.

    Args:
        folder: Gets the program.
        sanitizer: One of `SANITIZERS`.
        case: What is run.
        change: What is done to the CUDA source before, to plant an error.
    """
    network, config = cases.network_of(case), cases.config_of(case)
    with compile(network, config) as compiled:
        plan, parameters = compiled.plan, compiled.parameters()
    (folder / "engine.cpp").write_text(change(render(plan, network.input.name)))
    rng, events, n = np.random.default_rng(0), cases.events_of(case), cases.N_SAMPLES
    weights = network.drive_weights(config.n_steps, config.dt_ms)
    learned, dropout = plan.learned, Dropout(0.2)
    scales = dropout.scales(network)
    arrays = [
        np.array([config.n_steps, n, plan.lanes, plan.output.width], np.int64),
        np.array([config.dt_ms], np.float32),
        network.read_weights(config.n_steps).astype(np.float32),
        weights.astype(np.float32),
        packed(plan.arrays, parameters),
        constants_of_lanes(network, plan, parameters, config.dt_ms),
        events.times_ms,
        events.channels,
        events.offsets,
        rng.uniform(-0.3, 0.3, n * network.output.size).astype(np.float32),
        np.zeros(plan.lanes, np.float32),
        np.array([a.begin for a in learned] + [plan.n_learned], np.int64),
        np.full(len(learned), 1e-3, np.float32),
        np.array([a.parameter.low for a in learned], np.float32),
        np.array([a.parameter.high for a in learned], np.float32),
        np.full(len(learned), 0.99, np.float32),
        lanes_of(plan, dropout.masks(network, n, 0, 0)).astype(np.uint8),
        np.array([a.begin for a in plan.arrays] + [plan.n_values], np.int64),
        np.array([scales.get(a.parameter.key, 1) for a in plan.arrays], np.float32),
    ]
    with (folder / "numbers").open("wb") as file:
        for array in arrays:
            file.write(np.int64(array.size).tobytes() + array.tobytes())
    flag, scheduler = SANITIZERS[sanitizer]
    compiler, built = find_compiler()[:1], [folder / f"{n}.o" for n in ("engine", "main", "on_cpu")]
    commands = [
        [*FLAGS, *INCLUDE, "-g1", flag, "-c", folder / "engine.cpp", "-o", built[0]],
        ["-std=c++17", "-g", flag, "-c", ON_CPU / "main.cpp", "-o", built[1]],
        ["-std=c++17", "-O2", "-fPIC", scheduler, "-c", ON_CPU / "on_cpu.cpp", "-o", built[2]],
        [flag, *built, "-o", folder / "program"],
    ]
    for command in commands:
        subprocess.run([*compiler, *command], check=True)
    # without randomised addresses, which some kernels place where ThreadSanitizer has its shadow
    return subprocess.run(
        ["setarch", "-R", folder / "program", folder / "numbers"],
        capture_output=True,
        text=True,
        check=False,
    )


if __name__ == "__main__":
    found = {name: digests(case) for name, case in cases.CASES.items()}
    cases.RECORDED.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    print(f"{len(found)} cases recorded in {cases.RECORDED}")
