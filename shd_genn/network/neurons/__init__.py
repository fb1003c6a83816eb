"""Models of neurons and synapses, in mlGeNN's words: plain values that a network is described with.

Time constants are in ms. They and thresholds may differ from neuron to neuron, and may be learned;
see `shd_genn.network.initialisers`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from shd_genn.network.initialisers import Value, bounds_of
from shd_genn.network.readouts import READOUTS, Readout
from shd_genn.support.errors import require


@dataclass(frozen=True)
class SpikeInput:
    """Neurons that emit given spikes, at most one each per step (mlGeNN `SpikeInput`).

    Spikes of one neuron that fall into the same step are not merged: they leave in the steps that
    follow.
    """


@dataclass(frozen=True)
class LeakyIntegrateFire:
    """Leaky integrate-and-fire neuron (mlGeNN `LeakyIntegrateFire`): tau_mem dV/dt = -V + I.

    At V ≥ v_thresh it spikes and V is set to 0 at once; there is no refractory period.

    Attributes:
        tau_mem: Membrane time constant in ms, of all neurons or of each.
        v_thresh: Firing threshold (dimensionless, as V), likewise.
        readout: For outputs: how the spikes become one number a class; see `shd_genn.network.readouts`.
    """

    tau_mem: Value = 20.0
    v_thresh: Value = 1.0
    readout: Readout | None = None

    def __post_init__(self) -> None:
        _require_positive("tau_mem", self.tau_mem, "time constants are in ms, usually 5 to 100")
        _require_positive("v_thresh", self.v_thresh, "the reset is at 0, so V must rise to spike")
        if self.readout is not None:
            _require_readout(self.readout, spiking=True)


@dataclass(frozen=True)
class LeakyIntegrate:
    """Leaky integrator without spikes (mlGeNN `LeakyIntegrate`), read out at the trial's end.

    Attributes:
        tau_mem: Membrane time constant in ms, of all neurons or of each.
        readout: How the voltage becomes one number a class; see `shd_genn.network.readouts`.
    """

    tau_mem: Value = 20.0
    readout: Readout = "avg_var_exp_weight"

    def __post_init__(self) -> None:
        _require_positive("tau_mem", self.tau_mem, "time constants are in ms, usually 5 to 100")
        _require_readout(self.readout, spiking=False)


Neuron = SpikeInput | LeakyIntegrateFire | LeakyIntegrate


def output_neuron(
    readout: Readout, tau_mem: Value = 20.0, v_thresh: Value = 1.0
) -> LeakyIntegrate | LeakyIntegrateFire:
    """The neuron that a readout is taken from; only one that spikes has a threshold."""
    if READOUTS[readout].spiking:
        return LeakyIntegrateFire(tau_mem, v_thresh, readout)
    return LeakyIntegrate(tau_mem, readout)


@dataclass(frozen=True)
class Exponential:
    """Exponentially decaying synaptic current (mlGeNN `Exponential` with ``scale_i``).

    Attributes:
        tau: Synaptic time constant in ms; if it differs, then from target neuron to target neuron,
            with the same for all synapses of a neuron.
    """

    tau: Value = 5.0

    def __post_init__(self) -> None:
        _require_positive("tau_syn", self.tau, "time constants are in ms, usually 2 to 20")


def _require_positive(name: str, value: Value, cure: str) -> None:
    if isinstance(value, float | int):
        require(0 < value < math.inf, f"0 < {name} < inf", value, cure)
        return
    require(
        0 < bounds_of(value)[0],
        f"0 < the lowest possible {name}",
        value,
        f"draw it from Clipped(…, low=…), or learn it with Trainable(…, low=…); {cure}",
    )


def _require_readout(readout: str, spiking: bool) -> None:
    mine = [name for name, kind in READOUTS.items() if kind.spiking == spiking]
    neuron, other = "LeakyIntegrate", "LeakyIntegrateFire"
    if spiking:
        neuron, other = other, neuron
    cure = f"read it from a {other}" if readout in READOUTS else "choose one of them"
    require(readout in mine, f"readout of {neuron} in {', '.join(mine)}", repr(readout), cure)
