"""The event-exact network with everything that can be learned, neuron by neuron.

As `event_exact`, but time constants and thresholds differ from neuron to neuron and every synapse
has its own delay; layers are blocks of w_hh. Neurons change only when something arrives at them, so
each is carried along its own events. Central finite differences of `loss` prove `gradient`.

    τ_mem V' = -V + I,  τ_syn I' = -I;  V = θ: V → 0, and I_j += w_ij after d_ij ms

Derivatives by τ_mem and τ_syn are carried beside V and I as imaginary parts (complex step: exact to
rounding); dL/dp = Σ over own spikes of -τ_mem λV ∂(V - θ)/∂p, see the package's `sensitivities`.
"""

import cmath
import heapq
import itertools
import math
from dataclasses import dataclass, field

import numpy as np
from scipy.optimize import brentq

EPS = 1e-100  # of the complex step: its square is 0, so it has no truncation error
NO_NEURON = -1


@dataclass
class Network:
    """Input → hidden (w_hh: recurrent or layers) → output; all times in ms."""

    w_ih: np.ndarray
    w_hh: np.ndarray
    w_ho: np.ndarray
    trial_ms: float
    tau_mem: np.ndarray | float = 20.0
    tau_syn: np.ndarray | float = 5.0
    v_thresh: np.ndarray | float = 1.0
    tau_mem_out: np.ndarray | float = 20.0
    tau_syn_out: np.ndarray | float = 5.0
    d_ih: np.ndarray | float = 0.0
    d_hh: np.ndarray | float = 0.0
    d_ho: np.ndarray | float = 0.0
    rate: float | None = None  # the readout weighs V with exp(-rate t) / T; None: 1/T

    def __post_init__(self):
        n_hidden, n_out = self.w_ho.shape
        for name in ("tau_mem", "tau_syn", "v_thresh"):
            setattr(self, name, np.full(n_hidden, getattr(self, name), float))
        for name in ("tau_mem_out", "tau_syn_out"):
            setattr(self, name, np.full(n_out, getattr(self, name), float))
        for name in ("ih", "hh", "ho"):
            shape = getattr(self, f"w_{name}").shape
            setattr(self, f"d_{name}", np.full(shape, getattr(self, f"d_{name}"), float))
        if self.rate is None:
            self.rate = 1 / self.trial_ms

    def parameters(self) -> dict[str, np.ndarray]:
        names = {"ih": "input_hidden", "hh": "hidden_hidden", "ho": "hidden_output"}
        return (
            {name: getattr(self, f"w_{short}") for short, name in names.items()}
            | {f"{name}.delay": getattr(self, f"d_{short}") for short, name in names.items()}
            | {f"hidden.{kind}": getattr(self, kind) for kind in ("tau_mem", "tau_syn", "v_thresh")}
            | {f"output.{kind}": getattr(self, f"{kind}_out") for kind in ("tau_mem", "tau_syn")}
        )


def decay(v, i, h, tau_mem, tau_syn):
    """V and I after h ms without events."""
    a, b = cmath.exp(-h / tau_mem), cmath.exp(-h / tau_syn)
    return v * a + i * tau_syn / (tau_mem - tau_syn) * (a - b), i * b


@dataclass
class Neuron:
    """State at its last event, and the derivatives of V and I by its own time constants."""

    tau_mem: float
    tau_syn: float
    v_thresh: float
    rate: float
    now: float = 0.0
    v: float = 0.0
    i: float = 0.0
    v_by_mem: float = 0.0
    v_by_syn: float = 0.0
    i_by_syn: float = 0.0
    version: int = 0
    readout: float = 0.0  # ∫ exp(-rate t) V dt
    readout_by_mem: float = 0.0
    readout_by_syn: float = 0.0

    def advance(self, t):
        h, (m, s) = t - self.now, (self.tau_mem, self.tau_syn)
        by_mem = complex(self.v, EPS * self.v_by_mem), self.i, complex(m, EPS), s
        by_syn = (complex(self.v, EPS * self.v_by_syn), complex(self.i, EPS * self.i_by_syn))
        by_syn = *by_syn, m, complex(s, EPS)
        read = self._read(h, *by_mem)
        self.readout += read.real
        self.readout_by_mem += read.imag / EPS
        self.readout_by_syn += self._read(h, *by_syn).imag / EPS
        v, i = decay(*by_mem[:2], h, *by_mem[2:])
        self.v, self.i, self.v_by_mem = v.real, i.real, v.imag / EPS
        v, i = decay(*by_syn[:2], h, *by_syn[2:])
        self.v_by_syn, self.i_by_syn = v.imag / EPS, i.imag / EPS
        self.now = t

    def _read(self, h, v, i, tau_mem, tau_syn):
        def integral(tau):
            k = 1 / tau + self.rate
            return math.exp(-self.rate * self.now) * (1 - cmath.exp(-k * h)) / k

        c = i * tau_syn / (tau_mem - tau_syn)
        return (v + c) * integral(tau_mem) - c * integral(tau_syn)

    def time_to_spike(self, horizon):
        """Until V crosses the threshold from below, or None."""
        if self.i <= self.v_thresh:  # V goes towards I at most
            return None
        c = self.i * self.tau_syn / (self.tau_mem - self.tau_syn)
        ratio = (self.v + c) / self.tau_mem / (c / self.tau_syn)
        peak = math.log(ratio) / (1 / self.tau_mem - 1 / self.tau_syn) if ratio > 0 else -1.0
        end = min(peak, horizon) if peak > 0 else horizon

        def above(h):
            return decay(self.v, self.i, h, self.tau_mem, self.tau_syn)[0].real - self.v_thresh

        return None if above(end) < 0 else brentq(above, 0.0, end, xtol=1e-15, rtol=1e-15)


@dataclass
class Solution:
    """What happened, in order: spikes (index into ``slopes``) and arrivals."""

    events: list = field(default_factory=list)
    outputs: list[Neuron] = field(default_factory=list)
    n_spikes: int = 0  # of hidden neurons


def solve(net: Network, inputs: list[tuple[float, int]]) -> Solution:
    """Run the network on input spikes (time, neuron)."""
    n_hidden, n_out = net.w_ho.shape
    hidden = [Neuron(net.tau_mem[j], net.tau_syn[j], net.v_thresh[j], 0.0) for j in range(n_hidden)]
    outputs = [
        Neuron(net.tau_mem_out[j], net.tau_syn_out[j], math.inf, net.rate) for j in range(n_out)
    ]
    solution, serial, queue = Solution(outputs=outputs), itertools.count(), []

    def send(t, source, connection, delays, weights):
        """Queue the arrivals of a spike; ``source`` is (population, neuron, its event's index)."""
        for j, (d, w) in enumerate(zip(delays, weights, strict=True)):
            if w != 0:
                heapq.heappush(queue, (t + d, next(serial), connection, source, j, w, 0))

    def plan(j):
        hidden[j].version += 1
        wait = hidden[j].time_to_spike(net.trial_ms - hidden[j].now)
        if wait is not None:
            event = (hidden[j].now + wait, next(serial), "spike", None, j, 0, hidden[j].version)
            heapq.heappush(queue, event)

    for t, i in inputs:
        send(t, ("input", i, NO_NEURON), "input_hidden", net.d_ih[i], net.w_ih[i])
    while queue:
        t, _, kind, source, j, w, version = heapq.heappop(queue)
        if t >= net.trial_ms:
            break
        if kind == "spike":
            if version != hidden[j].version:
                continue  # something arrived meanwhile
            n = hidden[j]
            n.advance(t)
            index = len(solution.events)
            by = n.v_by_mem, n.v_by_syn
            solution.events.append(("spike", t, j, n.i - n.v_thresh, by))
            n.v = n.v_by_mem = n.v_by_syn = 0.0
            solution.n_spikes += 1
            plan(j)
            send(t, ("hidden", j, index), "hidden_hidden", net.d_hh[j], net.w_hh[j])
            send(t, ("hidden", j, index), "hidden_output", net.d_ho[j], net.w_ho[j])
            continue
        n = outputs[j] if kind == "hidden_output" else hidden[j]
        n.advance(t)
        n.i += w
        solution.events.append((kind, t, j, source, w))
        if kind != "hidden_output":
            plan(j)
    for n in outputs:
        n.advance(net.trial_ms)
    return solution


def softmax(x):
    powers = np.exp(x - x.max())
    return powers / powers.sum()


def loss(net: Network, inputs, label: int) -> tuple[float, int]:
    """Cross-entropy of the softmax, and the number of hidden spikes."""
    solution = solve(net, inputs)
    readout = np.array([n.readout for n in solution.outputs]) / net.trial_ms
    return -np.log(softmax(readout)[label]), solution.n_spikes


class Adjoint:
    """λV and λI of a neuron, carried backwards; an output's are driven with d exp(-rate t)."""

    def __init__(self, tau_mem, tau_syn, now, d=0.0, rate=0.0):
        self.tau_mem, self.tau_syn, self.now, self.d, self.rate = tau_mem, tau_syn, now, d, rate
        self.v = self.i = 0.0

    def back_to(self, t):
        h, m, s = self.now - t, self.tau_mem, self.tau_syn
        # the part that follows the drive, of λV and of λI
        follow = self.d / (1 + m * self.rate)
        then, now = follow * math.exp(-self.rate * t), follow * math.exp(-self.rate * self.now)
        damp = 1 / (1 + s * self.rate)
        v, i = self.v - now, self.i - damp * now
        a, b = math.exp(-h / m), math.exp(-h / s)
        mixed = v * m / (m - s)
        self.v, self.i = v * a + then, mixed * a + (i - mixed) * b + damp * then
        self.now = t


def gradient(net: Network, inputs, label: int, spoil: dict | None = None) -> dict[str, np.ndarray]:
    """EventProp's derivative of the loss by every parameter.

    spoil: kind of parameter → factor on the terms that are its own, to see that tests notice.
    """
    solution = solve(net, inputs)
    g = -softmax(np.array([n.readout for n in solution.outputs]) / net.trial_ms)
    g[label] += 1
    end, (n_hidden, n_out) = net.trial_ms, net.w_ho.shape
    hidden = [Adjoint(net.tau_mem[j], net.tau_syn[j], end) for j in range(n_hidden)]
    out = [
        Adjoint(net.tau_mem_out[j], net.tau_syn_out[j], end, g[j] / end, net.rate)
        for j in range(n_out)
    ]
    grads = {key: np.zeros_like(array) for key, array in net.parameters().items()}
    for j, n in enumerate(solution.outputs):
        grads["output.tau_mem"][j] = -g[j] * n.readout_by_mem / end
        grads["output.tau_syn"][j] = -g[j] * n.readout_by_syn / end
    caused: dict[int, float] = {}
    for index, event in reversed(list(enumerate(solution.events))):
        if event[0] == "spike":
            _, t, j, slope, (by_mem, by_syn) = event
            a = hidden[j]
            a.back_to(t)
            a.v += (net.v_thresh[j] * a.v + caused.get(index, 0.0)) / slope
            grads["hidden.tau_mem"][j] -= a.tau_mem * a.v * by_mem
            grads["hidden.tau_syn"][j] -= a.tau_mem * a.v * by_syn
            grads["hidden.v_thresh"][j] += a.tau_mem * a.v
            continue
        connection, t, j, (_, i, spike), w = event
        a = out[j] if connection == "hidden_output" else hidden[j]
        a.back_to(t)
        grads[connection][i, j] -= a.tau_syn * a.i
        grads[f"{connection}.delay"][i, j] += w * (a.v - a.i)
        caused[spike] = caused.get(spike, 0.0) + w * (a.v - a.i)
    for kind, factor in (spoil or {}).items():
        for key in grads:
            if key.endswith(kind):
                grads[key] *= factor
    return grads
