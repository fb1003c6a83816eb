"""Why sum-exp: a Gedanken experiment on three losses (after Nowotny, Turner & Knight 2025).

    python analysis/gedanken.py -o FILE

One hidden neuron hears a word that lasts from 100 to 400 ms of a trial of 1 s, and excites the
right one of 20 outputs, which otherwise rest. The more it spikes, the better: every loss falls as
its input weight grows. But it falls in jumps, one for each new spike, and an exact gradient sees
none of them. It only knows how the loss changes as spikes move, and that depends on the loss:

* Averaged cross-entropy: -log softmax(V) is convex in V, so that voltage counts most where there is
  none. The silence after the word costs most, the gradient moves the last spikes there by weakening
  the input, and the spikes vanish. The loss rises.
* Sum: ∫ V dt is the same wherever the spikes are. There is no gradient.
* Sum-exp: voltage counts more the earlier it comes. The gradient moves spikes forward by
  strengthening the input, and new spikes appear. The loss falls.

Nothing of this is fitted: the lines are the losses and exact gradients of the package's own engine,
averaged over words of random spikes.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated

import numpy as np
import tyro
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from shd_genn.backends.choice import get
from shd_genn.backends.protocols import CompileConfig, Differentiable, Simulator, require_gradient
from shd_genn.learning.methods import EventProp
from shd_genn.network import (
    Connection,
    Dense,
    Exponential,
    LeakyIntegrate,
    LeakyIntegrateFire,
    Network,
    Normal,
    Population,
    SpikeInput,
)
from shd_genn.network.readouts import Readout
from shd_genn.spikes.events import Events
from shd_genn.support.cli import command, parse
from shd_genn.support.errors import require
from shd_genn.support.files import require_ending, written_aside

LOSSES: dict[Readout, str] = {
    "var": "averaged cross-entropy",
    "avg_var": "sum",
    "avg_var_exp_weight": "sum-exp",
}
N_CLASSES, RIGHT = 20, 0
TRIAL_MS, WORD_MS, N_INPUT_SPIKES = 1000.0, (100.0, 400.0), 60
OUTPUT_WEIGHT = 5.0
CLOSE = (1.45, 1.75)
START, RATE = 1.6, 2.0
MAGNIFIED = 20
VOLTAGE = "#0072B2"
DOWNHILL, UPHILL, FLAT = "#009E73", "#D55E00", "0.55"

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Options:
    """Draw the Gedanken experiment."""

    output: Annotated[Path, tyro.conf.arg(aliases=["-o"])]
    """The picture: .png, .pdf or .svg."""
    backend: str = "native"
    """What computes: native or reference."""
    dt_ms: float = 0.2
    """Length of a time step in ms."""
    words: int = 16
    """Words of random spikes to average over."""
    points: int = 141
    """Weights at which every loss is computed."""
    updates: int = 100
    """Steps of gradient descent."""


@dataclass(frozen=True)
class Curve:
    """One loss, over input weights (or over the updates of a descent).

    Attributes:
        weight: Of the input.
        loss: Mean over words.
        gradient: Its exact derivative by the weight.
        spikes: Of the hidden neuron per word.
    """

    weight: Array
    loss: Array
    gradient: Array
    spikes: Array


@dataclass(frozen=True)
class Experiment:
    """What the figure shows.

    Attributes:
        times_ms: Of the steps.
        voltage: Of the right output in one word, at those times.
        hidden_spikes_ms: In that word.
        jumps: For each loss, what it is in that word alone, at weights close to each other.
        by_weight: For each loss, what it is at each weight.
        descent: For each loss, what gradient descent on the weight does.
    """

    times_ms: Array
    voltage: Array
    hidden_spikes_ms: Array
    jumps: dict[Readout, tuple[Array, Array]]
    by_weight: dict[Readout, Curve]
    descent: dict[Readout, Curve]


def load(options: Options) -> Experiment:
    """Compute losses and gradients."""
    words = random_words(options.words)
    jumps, by_weight, descent = {}, {}, {}
    for readout in LOSSES:
        # spikes that move by less than a step show in finer steps only
        with compiled(readout, replace(options, dt_ms=options.dt_ms / 10)) as network:
            jumps[readout] = loss_of_one(network, words.take(np.array([0])), options.points)
        with compiled(readout, options) as network:
            weights = np.linspace(0.2, 3.0, options.points)
            by_weight[readout] = _curve(weights, [look(network, words, w) for w in weights])
            descent[readout] = descend(network, words, options.updates)
            set_weight(network, START)
            recording = network.record(words.take(np.array([0])))
    return Experiment(
        times_ms=np.arange(network.config.n_steps, dtype=np.float64) * options.dt_ms,
        voltage=recording.voltages[0, :, RIGHT].astype(np.float64),
        hidden_spikes_ms=recording.spikes["hidden"].times_ms.astype(np.float64),
        jumps=jumps,
        by_weight=by_weight,
        descent=descent,
    )


def random_words(n: int) -> Events:
    """Input spikes at random times within the word."""
    rng = np.random.default_rng(0)
    channels = np.zeros(N_INPUT_SPIKES, np.int64)
    return Events.of([(np.sort(rng.uniform(*WORD_MS, N_INPUT_SPIKES)), channels) for _ in range(n)])


@contextmanager
def compiled(readout: Readout, options: Options) -> Iterator[Differentiable]:
    """Input → hidden neuron → outputs, read as given."""
    source = Population("input", SpikeInput(), 1)
    hidden = Population("hidden", LeakyIntegrateFire(), 1)
    output = Population("output", LeakyIntegrate(readout=readout), N_CLASSES)
    drawn, synapse = Dense(Normal()), Exponential()
    pairs = ((source, hidden), (hidden, output))
    network = Network(
        (source, hidden, output), tuple(Connection(*pair, drawn, synapse) for pair in pairs)
    )
    config = CompileConfig(n_steps=round(TRIAL_MS / options.dt_ms), dt_ms=options.dt_ms)
    with require_gradient(get(options.backend).compile(network, EventProp(), config)) as ready:
        yield ready


def set_weight(network: Simulator, weight: float) -> None:
    """Give the input a weight; the hidden neuron excites the right output only."""
    out = np.zeros((1, N_CLASSES), np.float32)
    out[0, RIGHT] = OUTPUT_WEIGHT
    network.set_parameters({"input_hidden": np.array([[weight]], np.float32), "hidden_output": out})


def look(network: Differentiable, words: Events, weight: float) -> tuple[float, float, float]:
    """Loss, exact gradient and hidden spikes at a weight of the input."""
    labels = np.full(len(words), RIGHT)
    set_weight(network, weight)
    result = network.evaluate(words, labels)
    gradient = network.gradient(words, labels)["input_hidden"]
    return (
        float(result.loss.mean()),
        float(gradient[0, 0]),
        float(result.spike_counts["hidden"].mean()),
    )


def loss_of_one(network: Simulator, word: Events, points: int) -> tuple[Array, Array]:
    """Weights, and the loss of one word at each."""
    weights, losses = np.linspace(*CLOSE, points), []
    for weight in weights:
        set_weight(network, weight)
        losses.append(float(network.evaluate(word, np.array([RIGHT])).loss[0]))
    return weights, np.array(losses)


def descend(network: Differentiable, words: Events, updates: int) -> Curve:
    """Plain gradient descent on the input's weight."""
    weights, seen = [START], []
    for _ in range(updates + 1):
        seen.append(look(network, words, weights[-1]))
        weights.append(max(weights[-1] - RATE * seen[-1][1], 0.0))
    return _curve(np.array(weights[:-1]), seen)


def _curve(weights: Array, seen: list[tuple[float, float, float]]) -> Curve:
    loss, gradient, spikes = np.array(seen).T
    return Curve(weights, loss, gradient, spikes)


def direction(curve: Curve) -> Array:
    """Where descent goes: 1 towards larger weights, -1 towards smaller, 0 for no gradient.

    None is what is a thousandth of the loss's fall over all weights, or less.
    """
    fall = (curve.loss.max() - curve.loss.min()) / (curve.weight.max() - curve.weight.min())
    return np.where(np.abs(curve.gradient) < 1e-3 * fall, 0.0, -np.sign(curve.gradient))


def plot(experiment: Experiment) -> Figure:
    """The trial above; below, a column for each loss: how it falls, where its gradient leads."""
    figure = Figure(figsize=(9, 9.6), layout="constrained")
    top, below = figure.subfigures(2, 1, squeeze=False, height_ratios=[1, 3.2]).flat
    _plot_trial(top.subplots(1, 1), experiment)
    panels = below.subplots(3, len(LOSSES), sharex="row", sharey="row")
    for (readout, name), column in zip(LOSSES.items(), panels.T, strict=True):
        column[0].set_title(name, fontweight="bold")
        _plot_jumps(column[0], *experiment.jumps[readout])
        _plot_loss(column[1], experiment.by_weight[readout])
        _plot_descent(column[2], experiment.descent[readout])
    for ax in panels.flat:
        ax.grid(alpha=0.3, lw=0.5)
    panels[0, 0].set_ylabel("loss of one word")
    text = (
        f"black: the loss\ncolour: what a gradient sees,\nthe same without jumps, times {MAGNIFIED}"
    )
    where = {"transform": panels[0, 1].transAxes, "ha": "right", "va": "top"}
    panels[0, 1].text(0.96, 0.95, text, fontsize="small", **where)
    panels[1, 0].set_ylabel("loss, mean of words")
    panels[2, 0].set_ylabel("hidden spikes per word")
    panels[2, 0].set_ylim(bottom=0)
    panels[0, 1].set_xlabel("weight of the input; every fall of the black line is a new spike")
    panels[1, 1].set_xlabel("weight of the input; arrows: where the exact gradient sends it")
    panels[2, 1].set_xlabel("updates of gradient descent on that weight")
    return figure


def _plot_trial(ax: Axes, experiment: Experiment) -> None:
    v, t = experiment.voltage, experiment.times_ms
    loss = np.log(np.exp(v) + N_CLASSES - 1) - v
    ax.fill_between(t, loss, color=UPHILL, alpha=0.25, lw=0)
    ax.plot(t, v, color=VOLTAGE, lw=1.2)
    ax.eventplot(experiment.hidden_spikes_ms, lineoffsets=-0.45, linelengths=0.5, color="k", lw=0.8)
    for x, y, what, colour in (
        (WORD_MS[1] + 20, -0.45, "spikes of the hidden neuron", "k"),
        (WORD_MS[1] + 20, 0.55, "voltage of the right output", VOLTAGE),
        (480, 2.1, "cross-entropy of each moment: the silence costs most", UPHILL),
    ):
        ax.text(x, y, what, color=colour, va="center")
    ax.set(xlim=(0, TRIAL_MS), ylim=(-0.8, None), xlabel="time (ms)", ylabel="voltage, loss")
    ax.set_title("one word", fontweight="bold")


def _plot_jumps(ax: Axes, weights: Array, losses: Array) -> None:
    change = np.diff(losses)
    smooth = np.where(np.abs(change) > 0.2 * np.abs(change).max(), 0, change)
    seen = losses[0] + MAGNIFIED * np.append(0, np.cumsum(smooth))
    total = seen[-1] - seen[0]
    colour = FLAT if abs(total) < 1e-3 else UPHILL if total > 0 else DOWNHILL
    ax.plot(weights, losses, color="k", lw=1)
    ax.plot(weights, seen, color=colour, lw=1.8)


def _plot_loss(ax: Axes, curve: Curve) -> None:
    ax.plot(curve.weight, curve.loss, color="k", lw=1)
    towards = direction(curve)
    for i in range(len(towards) // 6, len(towards), max(len(towards) // 14, 1)):
        x, y = curve.weight[i], curve.loss[i]
        if towards[i] == 0:
            ax.plot(x, y, "o", color=FLAT, ms=5)
            continue
        to = x + 0.22 * towards[i], np.interp(x + 0.22 * towards[i], curve.weight, curve.loss)
        colour = DOWNHILL if towards[i] > 0 else UPHILL
        shape = {"arrowstyle": "-|>", "color": colour, "lw": 1.8, "shrinkA": 0, "shrinkB": 0}
        ax.annotate("", to, (x, y), arrowprops=shape)


def _plot_descent(ax: Axes, curve: Curve) -> None:
    ax.plot(curve.spikes, color="k", lw=1.2)
    text = f"loss {curve.loss[0]:.2f} → {curve.loss[-1]:.2f}"
    ax.text(0.04, 0.93, text, transform=ax.transAxes, va="top")


def check(options: Options) -> None:
    """Refuse what cannot be computed or drawn, before anything is.

    Raises:
        ConfigError: if there is such an option.
    """
    require(
        0 < options.dt_ms <= TRIAL_MS, f"0 < dt_ms <= {TRIAL_MS:g}", options.dt_ms, "usual: 0.2"
    )
    for name, fewest, cure in (("words", 1, "usual: 16"), ("points", 2, "usual: 141")):
        value = getattr(options, name)
        require(fewest <= value, f"{fewest} <= {name}", value, cure)
    require(0 <= options.updates, "0 <= updates", options.updates, "usual: 100")
    require_ending(options.output)


def main() -> None:
    """Draw as the command line says."""
    options = parse(Options, prog="python analysis/gedanken.py")
    check(options)
    figure = plot(load(options))
    with written_aside(options.output) as aside:
        figure.savefig(aside, dpi=130)


if __name__ == "__main__":
    command(main)
