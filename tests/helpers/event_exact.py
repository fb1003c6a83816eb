"""A spiking network solved event by event in float64, with EventProp's adjoint solved exactly too.

The limit dt → 0 of the stepped backends: between spikes every variable is a sum of exponentials,
spike times are roots, spikes act at once. EventProp (Wunderlich & Pehle 2021, Table 1) gives its
gradient; central finite differences of `loss` prove it.

    τ_mem V' = -V + I,  τ_syn I' = -I;  V = θ: V → 0, and I_j += w_ij for all targets j
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from math import exp

import numpy as np
from scipy.optimize import brentq

from shd_genn.network.formulas import Formula
from shd_genn.network.learned_weight import LearnedWeight, basis

# Integrals between two events: what is integrated is smooth there, so 20 points find it to 1e-14.
POINTS, POINT_WEIGHTS = np.polynomial.legendre.leggauss(20)

RISING = Formula("1 + s")


def learned_curve(weight: LearnedWeight, s: np.ndarray) -> np.ndarray:
    """w(s) of a shared curve at its start, in the limit dt → 0."""
    theta = weight.initial(3)[0]
    e = np.exp(basis(weight.knots, np.ravel(s)) @ theta).reshape(np.shape(s))
    points, dt = (POINTS + 1) / 2, POINT_WEIGHTS / 2
    return e / np.sum(dt * np.exp(basis(weight.knots, points) @ theta))


# Weight of V at t/T in the readout.
READ_WEIGHTS: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "avg_var_exp_weight": lambda s: np.exp(-s),
    "avg_var": np.ones_like,
    "avg_var_linear_weight": lambda s: 1 - s,
    "avg_var_sigmoid_weight": lambda s: 1 / (1 + np.exp((s - 0.5) / 0.2)),
    "var": np.ones_like,
    # the weight of the conformance suite's network, which is a formula there
    # a learned weight whose parameter stays as it is at the start
    "learned_weight": lambda s: learned_curve(LearnedWeight(start=RISING), s),
    "weighted": lambda s: 0.3 + 2.3 * s * np.exp(-(s**2) / (2 * 0.37**2)),
}


@dataclass
class ExactNetwork:
    """Input → hidden (recurrent through w_hh) → output; times in ms.

    readout: one of READ_WEIGHTS, with the loss averaged over time for ``var``; max_var (max V);
    first_spike_time, first_spike_time_exp (outputs spike like hidden neurons).
    """

    w_ih: np.ndarray
    w_hh: np.ndarray
    w_ho: np.ndarray
    trial_ms: float
    tau_mem: float = 20.0
    tau_out: float = 20.0
    tau_syn: float = 5.0
    v_thresh: float = 1.0
    readout: str = "avg_var_exp_weight"
    temperature: float = 1.0
    tau0: float = 1.0
    tau1: float = 100.0
    alpha: float = 5e-5

    def weights(self) -> dict[str, np.ndarray]:
        return {"input_hidden": self.w_ih, "hidden_hidden": self.w_hh, "hidden_output": self.w_ho}

    @property
    def n_hidden(self) -> int:
        return self.w_ho.shape[0]

    @property
    def n_neurons(self) -> int:
        """Hidden neurons, and after them the outputs."""
        return sum(self.w_ho.shape)

    @property
    def outputs_spike(self) -> bool:
        return self.readout.startswith("first_spike")

    @cached_property
    def taus(self) -> np.ndarray:
        return np.where(np.arange(self.n_neurons) < self.n_hidden, self.tau_mem, self.tau_out)

    @cached_property
    def thresholds(self) -> np.ndarray:
        hidden = np.arange(self.n_neurons) < self.n_hidden
        return np.where(hidden | self.outputs_spike, self.v_thresh, np.inf)

    def current_of(self, population: str, j: int) -> np.ndarray:
        """What a spike adds to the currents of all neurons."""
        n_out = self.w_ho.shape[1]
        if population == "input":
            return np.append(self.w_ih[j], np.zeros(n_out))
        if population == "hidden":
            return np.append(self.w_hh[j], self.w_ho[j])
        return np.zeros(self.n_neurons)


@dataclass
class Solution:
    """What happened.

    events: in order: (time, source population, neuron, I - V before a spike that is no input)
    segments: between them: (start, end, V and I of the outputs at the start)
    first_spikes: of the outputs; the trial's end if there is none
    """

    events: list[tuple[float, str, int, float]] = field(default_factory=list)
    segments: list[tuple[float, float, np.ndarray, np.ndarray]] = field(default_factory=list)
    readout: np.ndarray | None = None
    max_times: np.ndarray | None = None
    first_spikes: np.ndarray | None = None
    final_v: np.ndarray | None = None

    @property
    def n_spikes(self) -> int:
        return sum(population != "input" for _, population, _, _ in self.events)


def decay(v, i, h, tau_mem, tau_syn):
    """V and I after h ms without events."""
    a, b = np.exp(-h / tau_mem), np.exp(-h / tau_syn)
    c = i * tau_syn / (tau_mem - tau_syn)
    return v * a + c * (a - b), i * b


def time_of_maximum(v, i, tau_mem, tau_syn):
    """When V' = 0, in ms from now; not positive if V only falls."""
    c = i * tau_syn / (tau_mem - tau_syn)
    ratio = (v + c) / tau_mem / np.where(c == 0, 1, c / tau_syn)
    with np.errstate(divide="ignore", invalid="ignore"):
        t = np.log(ratio) / (1 / tau_mem - 1 / tau_syn)
    return np.where((c > 0) & (ratio > 0), t, -1.0)


def next_spike(v, i, horizon, taus, tau_syn, thresholds):
    """The neuron that next crosses its threshold, and when; None, horizon if none does by then."""
    peak = time_of_maximum(v, i, taus, tau_syn)
    end = np.where(peak > 0, np.minimum(peak, horizon), horizon)
    rises = (i > thresholds) & (decay(v, i, end, taus, tau_syn)[0] >= thresholds)
    first = None
    for k in np.flatnonzero(rises).tolist():
        tau, threshold = float(taus[k]), float(thresholds[k])
        by_current = float(i[k]) * tau_syn / (tau - tau_syn)
        by_both = float(v[k]) + by_current

        def above(h, tau=tau, threshold=threshold, by_both=by_both, by_current=by_current):
            """What `decay` says, of one neuron, less its threshold."""
            return by_both * exp(-h / tau) - by_current * exp(-h / tau_syn) - threshold

        until = min(float(end[k]), horizon)
        if above(until) >= 0:
            first, horizon = k, brentq(above, 0.0, until, xtol=1e-15, rtol=1e-15)
    return first, horizon


def solve(net: ExactNetwork, inputs: list[tuple[float, int]]) -> Solution:
    """Run the network on input spikes (time, neuron), sorted by time."""
    n_hidden, n_out = net.w_ho.shape
    taus, thresholds = net.taus, net.thresholds
    v, i = np.zeros(net.n_neurons), np.zeros(net.n_neurons)
    solution = Solution(
        readout=np.zeros(n_out),
        max_times=np.zeros(n_out),
        first_spikes=np.full(n_out, net.trial_ms),
    )
    pending = [*((t, k) for t, k in inputs if t < net.trial_ms), (net.trial_ms, -1)]
    now = 0.0
    while pending:
        next_input = pending[0][0]
        j, h = next_spike(v, i, next_input - now, taus, net.tau_syn, thresholds)
        solution.segments.append((now, now + h, v[n_hidden:].copy(), i[n_hidden:].copy()))
        v, i = decay(v, i, h, taus, net.tau_syn)
        now += h
        if j is None:
            _, channel = pending.pop(0)
            if channel >= 0:
                solution.events.append((now, "input", channel, 0.0))
                i = i + net.current_of("input", channel)
        else:
            population, k = ("hidden", j) if j < n_hidden else ("output", j - n_hidden)
            solution.events.append((now, population, k, i[j] - thresholds[j]))
            if population == "output":
                solution.first_spikes[k] = min(now, solution.first_spikes[k])
            v[j] = 0.0
            i = i + net.current_of(population, k)
    solution.final_v = v[n_hidden:]
    _read(net, solution)
    return solution


def points_of(segments):
    """Times and weights, (segments, points), at which integrals over segments are taken."""
    start, end = (np.array(column) for column in list(zip(*segments, strict=True))[:2])
    half = (end - start)[:, np.newaxis] / 2
    return start[:, np.newaxis] + half * (1 + POINTS), half * POINT_WEIGHTS


def voltages(net, segments, t):
    """Output voltages at the points of segments: (segments, points, classes)."""
    start, _, v, i = (np.array(column)[:, np.newaxis] for column in zip(*segments, strict=True))
    h = (t - start)[:, :, np.newaxis]
    return decay(v, i, h, net.tau_out, net.tau_syn)[0]


def _read(net, solution):
    if net.outputs_spike:
        solution.readout = -solution.first_spikes
        return
    if net.readout != "max_var":
        t, dt = points_of(solution.segments)
        weight = READ_WEIGHTS[net.readout](t / net.trial_ms) * dt / net.trial_ms
        v = voltages(net, solution.segments, t)
        solution.readout = np.einsum("sp,spc->c", weight, v)
        return
    for start, end, v, i in solution.segments:
        t = np.clip(time_of_maximum(v, i, net.tau_out, net.tau_syn), 0, end - start)
        highest = decay(v, i, t, net.tau_out, net.tau_syn)[0]
        better = highest > solution.readout
        solution.readout = np.where(better, highest, solution.readout)
        solution.max_times = np.where(better, start + t, solution.max_times)


def softmax(x):
    powers = np.exp(x - x.max(axis=-1, keepdims=True))
    return powers / powers.sum(axis=-1, keepdims=True)


def penalty(net, t):
    """What the first spike of the right output costs for its time alone, and its derivative."""
    if net.readout == "first_spike_time_exp":
        return net.alpha * np.expm1(t / net.tau1), net.alpha / net.tau1 * np.exp(t / net.tau1)
    late = 1.01 * net.trial_ms - t
    return net.alpha / late, net.alpha / late**2


def loss(net: ExactNetwork, inputs, label: int) -> tuple[float, int]:
    """The loss, and the number of hidden and output spikes.

    Where the right output never spikes, the term is added whose gradient the kick is.
    """
    solution = solve(net, inputs)
    if net.readout == "var":
        t, dt = points_of(solution.segments)
        p = softmax(voltages(net, solution.segments, t) / net.temperature)[:, :, label]
        return -np.sum(dt * np.log(p)) / net.trial_ms, solution.n_spikes
    if not net.outputs_spike:
        return -np.log(softmax(solution.readout / net.temperature)[label]), solution.n_spikes
    t = solution.first_spikes[label]
    cost, kick = penalty(net, t)
    value = cost - np.log(softmax(-solution.first_spikes / net.tau0)[label])
    if t == net.trial_ms:
        value -= kick * net.tau_out * solution.final_v[label]
    return value, solution.n_spikes


def gradient(
    net: ExactNetwork, inputs, label: int, reset_term: float = 1.0, feedback_term: float = 1.0
) -> dict[str, np.ndarray]:
    """EventProp's dLoss/dw of every weight.

    reset_term and feedback_term other than 1 spoil the jump at a spike, to see that tests notice.
    """
    solution = solve(net, inputs)
    adjoint = _Adjoint(net, solution, label)
    weights, n_hidden = net.weights(), net.n_hidden
    grads = {name: np.zeros_like(w) for name, w in weights.items()}
    for t, population, j, slope in reversed(solution.events):
        adjoint.back_to(t)
        if population == "input":
            grads["input_hidden"][j] -= net.tau_syn * adjoint.li[:n_hidden]
            continue
        caused = net.current_of(population, j) @ (adjoint.lv - adjoint.li)
        if population == "hidden":
            grads["hidden_hidden"][j] -= net.tau_syn * adjoint.li[:n_hidden]
            grads["hidden_output"][j] -= net.tau_syn * adjoint.li[n_hidden:]
            mine = j
        else:
            mine = n_hidden + j
            if t == solution.first_spikes[j]:
                caused += adjoint.by_time[j]
        adjoint.lv[mine] += (
            reset_term * net.v_thresh * adjoint.lv[mine] + feedback_term * caused
        ) / slope
    return grads


class _Adjoint:
    """λ_V and λ_I of all neurons, solved backwards in time from the trial's end."""

    def __init__(self, net: ExactNetwork, solution: Solution, label: int):
        self.net, self.now, self.label = net, net.trial_ms, label
        self.lv, self.li = np.zeros(net.n_neurons), np.zeros(net.n_neurons)
        self.segments = list(solution.segments)
        p = softmax(solution.readout / net.temperature)
        self.g = ((np.arange(net.w_ho.shape[1]) == label) - p) / net.temperature
        self.maxima = []  # jumps of the max readout, latest first
        if net.readout == "max_var":
            self.maxima = sorted(
                ((t, k) for k, t in enumerate(solution.max_times) if solution.readout[k] > 0),
                reverse=True,
            )
        if net.outputs_spike:
            t = solution.first_spikes
            _, by_lateness = penalty(net, t[label])
            # the loss by the time of each first spike
            self.by_time = ((np.arange(len(t)) == label) - softmax(-t / net.tau0)) / net.tau0
            self.by_time[label] += by_lateness
            if t[label] == net.trial_ms:
                self.lv[net.n_hidden + label] = by_lateness

    def back_to(self, t: float) -> None:
        while self.maxima and self.maxima[0][0] >= t:
            at, k = self.maxima.pop(0)
            self._decay(at)
            self.lv[self.net.n_hidden + k] += self.g[k] / self.net.tau_out
        self._decay(t)

    def _decay(self, t: float) -> None:
        net, h = self.net, self.now - t
        a, b = np.exp(-h / net.taus), np.exp(-h / net.tau_syn)
        d = self.lv * net.taus / (net.taus - net.tau_syn)
        self.lv, self.li = self.lv * a, d * a + (self.li - d) * b
        if net.readout in READ_WEIGHTS:
            self._drive(self.segments.pop())
        self.now = t

    def _drive(self, segment) -> None:
        """Add what -∂L/∂V(t) of a segment brought: λ_V follows it with τ_mem, λ_I follows λ_V."""
        net = self.net
        t, dt = points_of([segment])
        if net.readout == "var":
            drive = -softmax(voltages(net, [segment], t)[0] / net.temperature)
            drive[:, self.label] += 1
            drive /= net.temperature
        else:
            drive = READ_WEIGHTS[net.readout](t[0] / net.trial_ms)[:, np.newaxis] * self.g
        a, b = (np.exp(-(t[0] - segment[0]) / tau) for tau in (net.tau_out, net.tau_syn))
        drive = drive * dt.T / (net.tau_out * net.trial_ms)
        self.lv[net.n_hidden :] += a @ drive
        self.li[net.n_hidden :] += (a - b) @ drive * net.tau_out / (net.tau_out - net.tau_syn)
