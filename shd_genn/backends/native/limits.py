"""What the engine can compute: sizes that fit int32 and memory, constants that fit float32."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np

from shd_genn.backends.native.constants import (
    CONSTANTS,
    SHARED,
    code_of,
    constants,
    derived_constants,
    is_derived,
    learned_of,
    parameters_of,
)
from shd_genn.backends.native.layout import padded
from shd_genn.backends.native.lower import lower
from shd_genn.backends.protocols import CompileConfig
from shd_genn.learning.methods import EventProp, Method
from shd_genn.network import Network, Population
from shd_genn.network.initialisers import bounds_of
from shd_genn.support.errors import OutOfMemoryError, refuse_unless, require
from shd_genn.support.machine import available_memory

MOST = 2**31 - 1
"""The largest int32."""


def check_sizes(network: Network, config: CompileConfig) -> None:
    """Refuse trials and delays whose steps the kernels cannot count in int32.

    Raises:
        ConfigError: if the network is one.
    """
    for p in network.populations:
        require(
            (config.n_steps + 1) * padded(p.size) < MOST,
            f"steps of a trial · neurons of {p.name} < 2^31",
            f"{config.n_steps} steps, {p.size} neurons",
            "shorten the trial, lengthen dt or take fewer neurons",
        )
    for c in network.connections:
        require(
            (config.n_steps + 2 + c.max_delay_steps) * padded(c.target.size) < MOST,
            f"(steps of a trial + max_delay_steps of {c.name}) · neurons of {c.target.name} < 2^31",
            f"{config.n_steps} + {c.max_delay_steps} steps, {c.target.size} neurons",
            "shorten the delays; a delay that is longer than the trial has no effect",
        )


def check_constants(network: Network, config: CompileConfig) -> None:
    """Refuse constants that are no longer themselves when the kernels take them as float32.

    Raises:
        ConfigError: if the network or the optimiser has one.
    """
    adam = config.adam
    require_float32("dt", config.dt_ms, "dt is in ms, usually 0.1 to 2")
    require_float32("epsilon", adam.epsilon, "Adam's usual value is 1e-8")
    for name, beta in (("beta1", adam.beta1), ("beta2", adam.beta2)):
        require(
            bool(np.float32(beta) < 1),
            f"{name} < 1 as float32",
            beta,
            "Adam's usual values are 0.9 and 0.999",
        )
    for population in network.populations:
        if population != network.input:
            _check_neurons(network, population, config.dt_ms)


def _check_neurons(network: Network, population: Population, dt_ms: float) -> None:
    if is_derived(population):
        _check_derived(network, population, dt_ms)
        return
    name = population.name
    for kind, value in network.values_of(population).items():
        low, high = bounds_of(value)
        require_float32(f"the lowest {kind} of {name}", low, "raise it")
        if high != math.inf:
            require_float32(f"the highest {kind} of {name}", high, "lower it")
    if parameters_of(network, population):
        return
    with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
        columns = constants(network, population, {}, dt_ms)[:, 0].astype(np.float32)
    for constant, value in zip(CONSTANTS[: len(SHARED)], columns.tolist(), strict=False):
        refuse_unless(
            math.isfinite(value) or constant == "v_thresh",
            f"tau_mem, tau_syn and dt = {dt_ms:g} ms make {constant} of {name} {value}",
            "choose time constants that are not so far from dt",
        )


def _check_derived(network: Network, population: Population, dt_ms: float) -> None:
    """What is derived of equations has constants of any sign; they must be finite as float32."""
    tau_syn = bounds_of(network.values_of(population)["tau_syn"])[0]
    require_float32(f"the lowest tau_syn of {population.name}", tau_syn, "raise it")
    if parameters_of(network, population):
        return
    with np.errstate(all="ignore"):
        columns = derived_constants(network, population, {}, dt_ms)[:, 0].astype(np.float32)
    refuse_unless(
        bool(np.isfinite(columns).all()),
        f"the parameters of {population.name} and dt = {dt_ms:g} ms make its equations infinite",
        "choose parameters nearer to their defaults, or a shorter dt",
    )


def require_float32(name: str, value: float, cure: str) -> None:
    """Refuse a number that becomes 0 or infinite where it is used as float32.

    Raises:
        ConfigError: if the number does.
    """
    with np.errstate(over="ignore", under="ignore"):
        used = float(np.float32(value))
    require(0 < used < math.inf, f"0 < {name} < inf as float32", value, cure)


def copies_of(network: Network, config: CompileConfig) -> int:
    """Copies of each channel of the delay line, itself included; 0 if kernels cannot know them."""
    line = config.delay_line
    known = line is not None and line.n_inputs == network.input.size
    return 1 + line.n_copies if line is not None and known and config.lag_steps else 0


def bytes_needed(
    network: Network,
    config: CompileConfig,
    n_threads: int,
    n_samples: int,
    method: Method | None = None,
) -> int:
    """Bytes of an engine that learns from batches of some samples, without their spikes."""
    weights = sum(
        4 * math.prod((*p.shape[:-1], padded(p.shape[-1]))) * (4 if p.trained else 1)
        for p in network.parameters
    )
    delays = sum(
        8 * math.prod((*c.delay_shape[:-1], padded(c.delay_shape[-1])))
        for c in network.connections
        if c.delayed
    )
    late = {c.target.name for c in network.connections if c.delayed}
    of_thread = sum(
        4 * padded(p.size) * (6 + config.n_steps * (2 if p.name in late else 1))
        for p in network.populations
        if p != network.input
    )
    for c in network.connections:
        if c.delayed:
            rows = config.n_steps if c.source == network.input else c.max_delay_steps + 2
            of_thread += 4 * rows * padded(c.target.size)
    plan = lower(network, config.dt_ms, method, copies_of(network, config))
    summed = {c.name for c in plan.summed}
    arrays = 2 if plan.copies else 1  # what arrives, and lambda_I
    of_group = sum(
        4 * arrays * plan.group * (config.n_steps + 1) * padded(c.target.size)
        for c in network.connections
        if c.name in summed
    )
    voltages = 4 * n_samples * config.n_steps * network.output.size
    kept = n_samples * sum(
        _bytes_kept(network, p, config, by_steps=not isinstance(method, EventProp | None))
        for p in network.populations
    )
    if plan.rule is not None:  # each thread's trials have arrays of their own, and keep voltages
        of_thread *= plan.rule.lanes
        sizes = {p.name: padded(p.size) for p in network.populations}
        if plan.rule.online:
            source_sizes = [c.source.size for c in network.connections]
            of_thread += sum(
                4 * (5 + c.target.traces) * size * sizes[c.target.name]
                for c, size in zip(plan.connections, source_sizes, strict=True)
                if c.target != plan.output
            )
        voltages += 4 * n_samples * config.n_steps * sum(sizes[p.name] for p in plan.kept)
    return weights + delays + n_threads * of_thread + of_group + voltages + kept


def _bytes_kept(
    network: Network, population: Population, config: CompileConfig, *, by_steps: bool
) -> int:
    """Bytes that a population keeps of every step of a sample, to learn from it."""
    learned = learned_of(network, population)
    code = code_of(population, learned, config.dt_ms)
    if code is None or not (code.keeps_states or by_steps):
        return 0
    return 4 * code.rows * config.n_steps * padded(population.size)


def check_memory(needed: int, n_threads: int) -> None:
    """Refuse at once what there is too little free memory for.

    Raises:
        OutOfMemoryError: if there is.
    """
    available = available_memory()
    if needed > available:
        raise OutOfMemoryError(_needs(needed, n_threads, f"only {_gb(available)} are free"))


@contextmanager
def memory_errors(needed: int, n_threads: int) -> Iterator[None]:
    """Turn memory errors of NumPy and of the engine into one that says how much is needed.

    Raises:
        OutOfMemoryError: if memory runs out.
    """
    try:
        yield
    except MemoryError as error:
        problem = str(error).partition(";")[0] or "the system has no more memory"
        raise OutOfMemoryError(_needs(needed, n_threads, problem)) from error


def _needs(needed: int, n_threads: int, problem: str) -> str:
    return (
        f"this network needs about {_gb(needed)} of memory with {n_threads} "
        f"thread{'s' if n_threads > 1 else ''}, besides its spikes, but {problem}; "
        "use fewer threads, a smaller batch, fewer neurons, or a shorter trial"
    )


def _gb(n: int) -> str:
    return f"{n / 1e9:.1f} GB" if n >= 1e8 else f"{n / 1e6:.0f} MB"
