"""Parts of a batch that are run one after the other: cut, joined again, read as spike trains."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from shd_genn.backends.cuda.device import Device, Forward
from shd_genn.backends.cuda.lower import Plan
from shd_genn.backends.protocols import CompileConfig
from shd_genn.learning.dropout import Masks
from shd_genn.network import Network
from shd_genn.spikes.events import Events

Train = tuple[NDArray[np.floating], NDArray[np.integer]]
"""Times in ms and neurons of a population's spikes in one trial."""


def lanes_of(plan: Plan, masks: Masks) -> NDArray[np.bool_]:
    """(n_samples, lanes): which neurons are silent, of all populations; masks are not empty."""
    n = len(next(iter(masks.values())))
    silent = np.zeros((n, plan.lanes), np.bool_)
    for p in plan.populations:
        if p.name in masks:
            silent[:, p.first : p.first + p.size] = masks[p.name]
    return silent


def part_of(events: Events, part: slice) -> Events:
    """Views of some samples that follow each other."""
    offsets = events.offsets[part.start : part.stop + 1]
    mine = slice(offsets[0], offsets[-1])
    return Events(events.times_ms[mine], events.channels[mine], offsets - offsets[0])


def joined(passes: list[Forward]) -> Forward:
    """Those of parts, as if they were one."""
    if len(passes) == 1:
        return passes[0]
    voltages = [p.voltages for p in passes if p.voltages is not None]
    return Forward(
        np.concatenate([p.readout for p in passes]),
        np.concatenate([p.counts for p in passes]),
        np.concatenate([p.input_spikes for p in passes]),
        np.concatenate(voltages) if voltages else None,
    )


def spikes_of(
    device: Device,
    plan: Plan,
    network: Network,
    config: CompileConfig,
    events: Events,
    forward: Forward,
) -> dict[str, list[Train]]:
    """Population name → times in ms and neurons of each trial that was last run forward."""
    n_steps, dt_ms = config.n_steps, config.dt_ms
    channel, begin = device.input_spikes(events)
    of_input: list[Train] = []
    for first, begins in zip(events.offsets[:-1] - events.offsets[0], begin, strict=True):
        steps = np.repeat(np.arange(n_steps), np.diff(begins[: n_steps + 1]))
        of_input.append((steps * dt_ms, channel[first : first + len(steps)]))
    spikes = {network.input.name: of_input}
    arrivals = device.arrivals(len(events))
    for p in plan.populations:
        if not p.spikes:
            continue
        trains = spikes[p.name] = []
        for arrival, count in zip(arrivals, forward.counts, strict=True):
            mine, n = (a[p.first : p.first + p.size] for a in (arrival, count))
            neurons, places = np.nonzero(np.arange(n_steps) < n[:, np.newaxis])
            steps = mine[neurons, places].astype(np.int64) - 1
            trains.append((steps * dt_ms, neurons))
    return spikes
