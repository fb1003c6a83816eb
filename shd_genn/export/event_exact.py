"""Simulation without a grid: spikes at the times at which voltages reach the threshold.

Between arrivals voltage and current are exponentials, so that crossings can be found to rounding.
In diagonal form, U = V + r I with r = τ_syn/(τ_mem - τ_syn), U and I decay independently; an
arrival of weight w adds w to I and r w to U; a spike where V = U - r I reaches θ takes V to 0.
Steps only sort arrivals: none may come sooner than a step after its spike. A neuron that rises
above θ and falls below it again between two step ends is missed, which is rare (below 0.1 % of
spikes at 4 ms).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from shd_genn.export.trained import TrainedNetwork, check_neurons
from shd_genn.network.readouts import READOUTS, read_weights
from shd_genn.support.errors import refuse_unless, require

Array = NDArray[np.float64]
APART = 1e-6
"""τ_mem and τ_syn that are closer, relative to τ_mem, are moved apart: r would be infinite."""
ITERATIONS = 60


@dataclass(frozen=True)
class EventExact:
    """A trained network whose spikes come at exact times.

    Attributes:
        trained: The network.
        delay_ms: Time in ms from every spike, of the input too, to its arrival.
    """

    trained: TrainedNetwork
    delay_ms: float

    def __post_init__(self) -> None:
        trained = self.trained
        # V is θ when it spikes, so that it is 0 after either reset
        check_neurons(trained.network, "the event-exact simulation", subtracts=True)
        require(
            0 < self.delay_ms < trained.n_steps * trained.dt_ms,
            "0 < delay_ms < length of a trial",
            self.delay_ms,
            "the network was trained with a delay of one step",
        )
        for c in trained.network.connections:
            refuse_unless(
                not trained.delay_steps(c).any(),
                f"connection {c.name} has delays, but the event-exact simulation has one for all",
                "leave exact out",
            )

    @cached_property
    def _constants(self) -> tuple[Array, Array, Array]:
        """τ_mem, τ_syn and θ of all neurons, the output's included, (neurons,)."""
        k = [self.trained.constants(p) for p in self.trained.populations]
        tau_mem, tau_syn = (
            np.concatenate([getattr(x, f) for x in k]) for f in ("tau_mem", "tau_syn")
        )
        equal = np.abs(tau_mem - tau_syn) < APART * tau_mem
        return (
            tau_mem,
            np.where(equal, tau_syn * (1 - APART), tau_syn),
            np.concatenate([x.v_thresh for x in k]),
        )

    @cached_property
    def _weights(self) -> Array:
        """From every neuron, the input's first, to all that receive: (sources, neurons)."""
        trained, network = self.trained, self.trained.network
        begins = np.cumsum([0, network.input.size, *(p.size for p in trained.populations)])
        rows = {network.input.name: 0} | {
            p.name: int(b) for p, b in zip(trained.populations, begins[1:], strict=False)
        }
        weights = np.zeros((begins[-1], begins[-1] - network.input.size))
        for c in network.connections:
            top, left = rows[c.source.name], rows[c.target.name] - network.input.size
            weights[top : top + c.source.size, left : left + c.target.size] += trained.parameters[
                c.name
            ]
        return weights

    def readout(self, times_ms: NDArray[np.floating], channels: NDArray[np.integer]) -> Array:
        """One number a class, (classes,), from the input spikes of one sample."""
        trained = self.trained
        dt = min(self.delay_ms, trained.dt_ms)
        trial_ms = trained.n_steps * trained.dt_ms
        n_steps = math.ceil(trial_ms / dt - 1e-9)
        output, form = trained.network.output, READOUTS[trained.network.readout].form
        voltages, first = self._simulate(times_ms, channels, dt, n_steps)
        if form == "first_spike":
            return np.asarray(-np.minimum(first[-output.size :], trial_ms))
        if form == "max":
            return np.asarray(np.maximum(voltages.max(axis=0), 0))
        weights = read_weights(trained.network.readout, n_steps)
        averaged = READOUTS[trained.network.readout].averaged
        return np.asarray(weights @ voltages * (1 if averaged else dt / trained.dt_ms))

    def _simulate(
        self, times_ms: NDArray[np.floating], channels: NDArray[np.integer], dt: float, n_steps: int
    ) -> tuple[Array, Array]:
        """Output voltages at step ends, (steps, classes), and every neuron's first spike."""
        tau_mem, tau_syn, theta = self._constants
        weights, n_inputs = self._weights, self.trained.network.input.size
        r, a, b = tau_syn / (tau_mem - tau_syn), np.exp(-dt / tau_mem), np.exp(-dt / tau_syn)
        u, i, first = np.zeros_like(r), np.zeros_like(r), np.full_like(r, np.inf)
        size = self.trained.network.output.size
        voltages = np.zeros((n_steps, size))
        arrivals: list[list[tuple[float, int]]] = [[] for _ in range(n_steps)]
        for time, channel in zip(times_ms.tolist(), channels.tolist(), strict=True):
            _send(arrivals, time + self.delay_ms, dt, channel)
        for n in range(n_steps):
            arriving = sorted(arrivals[n])
            offsets = np.array([offset for offset, _ in arriving])
            rows = weights[[source for _, source in arriving]]
            left = (dt - offsets)[:, np.newaxis]
            u_end = a * u + (r * np.exp(-left / tau_mem) * rows).sum(axis=0)
            i_end = b * i + (np.exp(-left / tau_syn) * rows).sum(axis=0)
            for j in np.flatnonzero(u_end - r * i_end >= theta).tolist():
                neuron = _Neuron(tau_mem[j], tau_syn[j], theta[j], u[j], i[j])
                spikes, u_end[j] = neuron.step(offsets, rows[:, j], dt)
                for spike in spikes:
                    first[j] = min(first[j], n * dt + spike)
                    _send(arrivals, n * dt + spike + self.delay_ms, dt, n_inputs + j)
            u, i = u_end, i_end
            voltages[n] = (u - r * i)[-size:]
        return voltages, first


def _send(arrivals: list[list[tuple[float, int]]], time: float, dt: float, source: int) -> None:
    """Note a spike's arrival in its step."""
    step = int(time / dt)
    if step < len(arrivals):
        arrivals[step].append((time - step * dt, source))


@dataclass
class _Neuron:
    """One neuron within a step."""

    tau_mem: float
    tau_syn: float
    theta: float
    u: float
    i: float

    def step(self, offsets: Array, weights: Array, dt: float) -> tuple[list[float], float]:
        """The times of its spikes in a step, and U at the step's end."""
        r, now, spikes = self.tau_syn / (self.tau_mem - self.tau_syn), 0.0, []
        arriving = [*zip(offsets.tolist(), weights.tolist(), strict=True), (dt, 0.0)]
        for end, weight in arriving:
            while (h := self._crossing(end - now, r)) is not None:
                now += h
                self._decay(h)
                spikes.append(now)
                self.u = r * self.i  # V is 0 now
            self._decay(end - now)
            now = end
            self.u, self.i = self.u + r * weight, self.i + weight
        return spikes, self.u

    def _decay(self, h: float) -> None:
        self.u *= math.exp(-h / self.tau_mem)
        self.i *= math.exp(-h / self.tau_syn)

    def _crossing(self, longest: float, r: float) -> float | None:
        """Time to the threshold, None if it is not reached: Newton's rule from the left.

        V is concave where it rises, so that tangents reach the threshold before V does.
        """
        h = 0.0
        for _ in range(ITERATIONS):
            i = self.i * math.exp(-h / self.tau_syn)
            v = self.u * math.exp(-h / self.tau_mem) - r * i
            gap, rise = self.theta - v, (i - v) / self.tau_mem
            if gap <= 0:
                return h
            if rise <= 0 or gap > rise * (longest - h):
                return None
            if gap / rise <= h * 4e-16:
                return h
            h += gap / rise
        return h
