"""A spiking network solved event by event in float64, with EventProp's adjoint solved exactly too.

The limit dt → 0 of the stepped backends: between spikes every variable is a sum of exponentials,
spike times are roots, spikes act at once. EventProp (Wunderlich & Pehle 2021, Table 1) gives its
gradient; central finite differences of `loss` prove it.

    τ_mem V' = -V + I,  τ_syn I' = -I;  V = θ: V → 0, and I_j += w_ij for all targets j
"""

from dataclasses import dataclass, field

import numpy as np
from scipy.optimize import brentq


@dataclass
class ExactNetwork:
    """Input → hidden (recurrent if w_hh is given) → output; times in ms.

    readout: avg_var_exp_weight (1/T ∫ exp(-t/T) V), avg_var (1/T ∫ V) or max_var (max V).
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

    def weights(self) -> dict[str, np.ndarray]:
        return {"input_hidden": self.w_ih, "hidden_hidden": self.w_hh, "hidden_output": self.w_ho}

    @property
    def rate(self) -> float:
        """The readout weighs V with exp(-rate t) / T."""
        return 1 / self.trial_ms if self.readout == "avg_var_exp_weight" else 0.0


@dataclass
class Solution:
    """All events in order: (time, source population, neuron, I - V before a hidden spike)."""

    events: list[tuple[float, str, int, float]] = field(default_factory=list)
    readout: np.ndarray | None = None
    max_times: np.ndarray | None = None

    @property
    def n_hidden_spikes(self) -> int:
        return sum(population == "hidden" for _, population, _, _ in self.events)


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


def time_to_spike(v, i, horizon, net):
    """Time until V crosses the threshold from below, or None if it does not before the horizon."""
    if i <= net.v_thresh:  # V goes towards I at most
        return None
    peak = float(time_of_maximum(v, i, net.tau_mem, net.tau_syn))
    end = min(peak, horizon) if peak > 0 else horizon

    def above(h):
        return decay(v, i, h, net.tau_mem, net.tau_syn)[0] - net.v_thresh

    if above(end) < 0:
        return None
    return brentq(above, 0.0, end, xtol=1e-15, rtol=1e-15)


def solve(net: ExactNetwork, inputs: list[tuple[float, int]]) -> Solution:
    """Run the network on input spikes (time, neuron), sorted by time."""
    n_hidden, n_out = net.w_ho.shape
    v, i = np.zeros(n_hidden), np.zeros(n_hidden)
    v_out, i_out = np.zeros(n_out), np.zeros(n_out)
    solution = Solution(readout=np.zeros(n_out), max_times=np.zeros(n_out))
    pending = [*((t, k) for t, k in inputs if t < net.trial_ms), (net.trial_ms, -1)]
    now = 0.0
    while pending:
        next_input = pending[0][0]
        spikes = [time_to_spike(v[j], i[j], next_input - now, net) for j in range(n_hidden)]
        first = min((s for s in spikes if s is not None), default=None)
        h = next_input - now if first is None else first
        _read(net, solution, now, h, v_out, i_out)
        v, i = decay(v, i, h, net.tau_mem, net.tau_syn)
        v_out, i_out = decay(v_out, i_out, h, net.tau_out, net.tau_syn)
        now += h
        if first is None:
            _, channel = pending.pop(0)
            if channel >= 0:
                solution.events.append((now, "input", channel, 0.0))
                i = i + net.w_ih[channel]
        else:
            j = spikes.index(first)
            solution.events.append((now, "hidden", j, i[j] - net.v_thresh))
            v[j] = 0.0
            i = i + net.w_hh[j]
            i_out = i_out + net.w_ho[j]
    return solution


def _read(net, solution, now, h, v, i):
    """Add what the output voltage contributes to the readout in the h ms from now."""
    if net.readout == "max_var":
        t = time_of_maximum(v, i, net.tau_out, net.tau_syn)
        t = np.clip(t, 0, h)
        highest = decay(v, i, t, net.tau_out, net.tau_syn)[0]
        better = highest > solution.readout
        solution.readout = np.where(better, highest, solution.readout)
        solution.max_times = np.where(better, now + t, solution.max_times)
        return
    c = i * net.tau_syn / (net.tau_out - net.tau_syn)

    def integral(tau):  # of exp(-s/tau) exp(-rate (now + s)) over s = 0 .. h
        k = 1 / tau + net.rate
        return np.exp(-net.rate * now) * -np.expm1(-k * h) / k

    total = (v + c) * integral(net.tau_out) - c * integral(net.tau_syn)
    solution.readout = solution.readout + total / net.trial_ms


def softmax(x):
    powers = np.exp(x - x.max())
    return powers / powers.sum()


def loss(net: ExactNetwork, inputs, label: int) -> tuple[float, int]:
    """Cross-entropy of the softmax, and the number of hidden spikes."""
    solution = solve(net, inputs)
    return -np.log(softmax(solution.readout)[label]), solution.n_hidden_spikes


def gradient(
    net: ExactNetwork, inputs, label: int, reset_term: float = 1.0, feedback_term: float = 1.0
) -> dict[str, np.ndarray]:
    """EventProp's dLoss/dw of every weight.

    reset_term and feedback_term other than 1 spoil the jump at a spike, to see that tests notice.
    """
    solution = solve(net, inputs)
    g = -softmax(solution.readout)
    g[label] += 1
    adjoint = _Adjoint(net, g, solution)
    weights = net.weights()
    grads = {name: np.zeros_like(w) for name, w in weights.items()}
    for t, population, j, slope in reversed(solution.events):
        adjoint.back_to(t)
        if population == "input":
            grads["input_hidden"][j] -= net.tau_syn * adjoint.li
            continue
        grads["hidden_hidden"][j] -= net.tau_syn * adjoint.li
        grads["hidden_output"][j] -= net.tau_syn * adjoint.li_out
        caused = net.w_hh[j] @ (adjoint.lv - adjoint.li)
        caused += net.w_ho[j] @ (adjoint.lv_out - adjoint.li_out)
        adjoint.lv[j] += (
            reset_term * net.v_thresh * adjoint.lv[j] + feedback_term * caused
        ) / slope
    return grads


class _Adjoint:
    """λ_V and λ_I of hidden and output, solved backwards in time from the trial's end."""

    def __init__(self, net: ExactNetwork, g: np.ndarray, solution: Solution):
        n_hidden, n_out = net.w_ho.shape
        self.net, self.g, self.now = net, g, net.trial_ms
        self.lv, self.li = np.zeros(n_hidden), np.zeros(n_hidden)
        self.lv_out, self.li_out = np.zeros(n_out), np.zeros(n_out)
        # jumps of the max readout, latest first
        self.maxima = []
        if net.readout == "max_var":
            self.maxima = sorted(
                ((t, k) for k, t in enumerate(solution.max_times) if solution.readout[k] > 0),
                reverse=True,
            )

    def back_to(self, t: float) -> None:
        while self.maxima and self.maxima[0][0] >= t:
            at, k = self.maxima.pop(0)
            self._decay(at)
            self.lv_out[k] += self.g[k] / self.net.tau_out
        self._decay(t)

    def _decay(self, t: float) -> None:
        net, h = self.net, self.now - t
        drive = 0.0 if net.readout == "max_var" else self.g / net.trial_ms
        # λ_V of the output is driven with drive exp(-rate t): p is the part that follows it
        p_now = drive * np.exp(-net.rate * self.now) / (1 + net.tau_out * net.rate)
        p_then = drive * np.exp(-net.rate * t) / (1 + net.tau_out * net.rate)
        follow = 1 / (1 + net.tau_syn * net.rate)
        self.lv_out, self.li_out = self._free(
            self.lv_out - p_now, self.li_out - follow * p_now, h, net.tau_out
        )
        self.lv_out = self.lv_out + p_then
        self.li_out = self.li_out + follow * p_then
        self.lv, self.li = self._free(self.lv, self.li, h, net.tau_mem)
        self.now = t

    def _free(self, lv, li, h, tau_mem):
        a, b = np.exp(-h / tau_mem), np.exp(-h / self.net.tau_syn)
        d = lv * tau_mem / (tau_mem - self.net.tau_syn)
        return lv * a, d * a + (li - d) * b
