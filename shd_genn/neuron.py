"""`python -m shd_genn.neuron NEURON -o picture.png`: what a neuron does, as a picture."""

from __future__ import annotations

import textwrap
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import numpy as np
import tyro
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from shd_genn.backends.reference.derived_neurons import Neurons, constants_of
from shd_genn.network.initialisers import typical
from shd_genn.network.neurons import NeuronModel
from shd_genn.network.neurons.named import neurons_of
from shd_genn.support.cli import command, parse
from shd_genn.support.errors import ConfigError, refuse_unless
from shd_genn.support.files import require_ending, require_writable
from shd_genn.support.pictures import save_picture

Array = NDArray[np.floating]
DT_MS = 0.1
PULSES_MS = (5.0, 10.0, 15.0)


@dataclass(frozen=True)
class Options:
    """Draw the response of a neuron to currents and to arriving spikes, and its f-I curve."""

    neuron: Annotated[str, tyro.conf.Positional]
    """lif, alif, adlif, qif, izhikevich, hodgkin_huxley, klif, ltmd, paralif, sliding_psn, or a
    file that defines a neuron."""
    output: Annotated[Path, tyro.conf.arg(aliases=["-o"])]
    """The picture (PNG, PDF or SVG)."""
    tau_syn_ms: float = 5.0
    """Synaptic time constant of the arriving spikes in ms."""


@dataclass(frozen=True)
class Response:
    """What a number of neurons did.

    Attributes:
        times: Of the steps, in ms.
        voltage: (steps, neurons).
        spike_times: Of all spikes, in ms.
        spike_neurons: Who emitted each of them.
    """

    times: Array
    voltage: Array
    spike_times: Array
    spike_neurons: NDArray[np.intp]


def main() -> None:
    """Draw the neuron that the command line names."""
    options = parse(Options, prog="python -m shd_genn.neuron")
    require_ending(options.output)
    require_writable(options.output)
    named = neurons_of(options.neuron)
    refuse_unless(
        len(named) == 1,
        f"the file {options.neuron} defines {len(named)} neurons ({', '.join(named)})",
        "keep one of them in the file",
    )
    ((name, neuron),) = named.items()
    save_picture(options.output, lambda: draw(name, neuron, options.tau_syn_ms))
    print(f"picture             {options.output}")


def draw(name: str, neuron: NeuronModel, tau_syn_ms: float = 5.0) -> Figure:
    """The picture of a neuron.

    Raises:
        ConfigError: if no current makes it spike.
    """
    weakest = rheobase(neuron)
    figure = Figure(figsize=(9, 6.5), layout="constrained")
    figure.suptitle(textwrap.fill(f"{name}: {_constants(neuron)}", 110), fontsize=9)
    axes = figure.subplots(2, 2)
    _current_steps(axes[0, 0], neuron, weakest)
    _pulses(axes[0, 1], neuron, weakest)
    _rates(axes[1, 0], neuron, weakest)
    _arrivals(axes[1, 1], neuron, weakest, tau_syn_ms)
    return figure


def _constants(neuron: NeuronModel) -> str:
    """Its parameters and their values."""
    values = {p.name: typical(p.value_in(neuron)) for p in neuron.description.parameters}
    return ", ".join(f"{name} = {value:g}" for name, value in values.items())


def respond(neuron: NeuronModel, duration_ms: float, current: Callable[[float], Array]) -> Response:
    """Run one neuron for each current, which are given as a function of time in ms."""
    size = len(current(0.0))
    values = {
        p.name: np.full(size, typical(p.value_in(neuron))) for p in neuron.description.parameters
    } | {"tau_syn": np.full(size, 5.0)}
    k = constants_of(
        neuron.description.name,
        neuron.derived,
        values,
        DT_MS,
        [],
        neuron.refractory_ms,
        np.dtype(np.float64),
    )
    neurons, shown = Neurons(k, []), neuron.derived.receives[0]
    times = np.arange(round(duration_ms / DT_MS)) * DT_MS
    voltage = []
    for t in times:
        before = neurons.state[shown]
        neurons.step(current(float(t)) / k.scale)
        peak = neurons.state[shown].copy()
        fired = neurons.spikes[-1]
        peak[fired] = np.maximum(before, peak)[fired]  # what was there before the reset
        voltage.append(peak)
    counts = [len(fired) for fired in neurons.spikes]
    return Response(
        times,
        np.array(voltage),
        np.repeat(times, counts),
        np.concatenate(neurons.spikes),
    )


def rheobase(neuron: NeuronModel) -> float:
    """The weakest constant current that makes a neuron spike within 200 ms, to 5 %.

    Raises:
        ConfigError: if none does.
    """
    strong = 0.001
    while not _spikes(neuron, strong):
        strong *= 2
        refuse_unless(
            strong < 1e6,
            f"no current up to 1e6 makes {neuron.description.name} spike",
            "check its spike condition",
        )
    currents = np.linspace(strong / 2, strong, 11)
    response = respond(neuron, 200.0, lambda t: currents)
    return float(currents[response.spike_neurons.min(initial=10)])


def _spikes(neuron: NeuronModel, current: float) -> bool:
    try:
        return len(respond(neuron, 200.0, lambda t: np.array([current])).spike_times) > 0
    except ArithmeticError as error:
        raise ConfigError(f"{neuron.description.name} cannot be drawn, because {error}") from error


def _current_steps(axes: Axes, neuron: NeuronModel, weakest: float) -> None:
    currents = weakest * np.array([0.7, 1.2, 2.0])
    response = respond(neuron, 150.0, lambda t: currents * (20 <= t < 120))
    for i, current in enumerate(currents):
        axes.plot(response.times, response.voltage[:, i], lw=0.8, label=f"I = {current:.3g}")
    axes.axvspan(20, 120, color="0.93", zorder=0)
    axes.set(title="current steps (grey)", xlabel="time (ms)", ylabel=neuron.derived.receives[0])
    axes.legend(fontsize=7, loc="upper right")


def _pulses(axes: Axes, neuron: NeuronModel, weakest: float) -> None:
    ends = 10 + np.array(PULSES_MS)
    strength = 2.5 * weakest
    response = respond(neuron, 60.0, lambda t: strength * ((t >= 10) & (t < ends)))
    for i, length in enumerate(PULSES_MS):
        axes.plot(response.times, response.voltage[:, i], lw=0.9, label=f"{length:g} ms")
    axes.axvline(10, color="0.7", lw=0.8)
    axes.set(
        title=f"pulses of I = {strength:.3g} from 10 ms on",
        xlabel="time (ms)",
        ylabel=neuron.derived.receives[0],
    )
    axes.legend(fontsize=7, loc="upper right")


def _rates(axes: Axes, neuron: NeuronModel, weakest: float) -> None:
    currents = np.linspace(0, 4 * weakest, 33)
    duration, warm_up = 500.0, 100.0
    response = respond(neuron, duration, lambda t: currents)
    late = response.spike_times >= warm_up
    counts = np.bincount(response.spike_neurons[late], minlength=len(currents))
    axes.plot(currents, 1000 * counts / (duration - warm_up), ".-", lw=0.9)
    axes.set(title="f-I curve, after 100 ms", xlabel="constant current I", ylabel="spikes per s")


def _arrivals(axes: Axes, neuron: NeuronModel, weakest: float, tau_syn_ms: float) -> None:
    rng = np.random.default_rng(3)
    arrivals, weight = np.sort(rng.uniform(5, 95, 14)), 1.5 * weakest

    def current(t: float) -> Array:
        passed = arrivals[arrivals <= t]
        return np.array([weight * np.exp(-(t - passed) / tau_syn_ms).sum()])

    response = respond(neuron, 120.0, current)
    axes.plot(response.times, response.voltage[:, 0], lw=0.9)
    axes.plot(arrivals, np.full(14, response.voltage.min()), "|", color="0.4", ms=10)
    axes.set(
        title=f"spikes of weight {weight:.3g} (marks), {tau_syn_ms:g} ms",
        xlabel="time (ms)",
        ylabel=neuron.derived.receives[0],
    )
    for t in response.spike_times:
        axes.axvline(t, color="tab:red", lw=0.6, alpha=0.5)


if __name__ == "__main__":
    command(main)
