"""From a run's settings to the parts of a network, for model files to put together."""

from __future__ import annotations

import math
from typing import Literal, TypedDict

from shd_genn.network import (
    KLIF,
    LTMD,
    AdaptiveLeakyIntegrateFire,
    AdLIF,
    Clipped,
    Delta,
    Exponential,
    Gamma,
    HodgkinHuxley,
    Izhikevich,
    LeakyIntegrate,
    LeakyIntegrateFire,
    NeuronModel,
    Normal,
    ParaLIF,
    QuadraticIntegrateFire,
    SlidingPSN,
    Trainable,
    Uniform,
    output_neuron,
)
from shd_genn.network.initialisers import Initialiser, Value
from shd_genn.network.neuron_settings import (
    Adlif,
    Alif,
    IzhikevichNeuron,
    Klif,
    Lif,
    Ltmd,
    NeuronSettings,
    Paralif,
    Qif,
    SlidingPsn,
)
from shd_genn.network.neurons.izhikevich import CELLS
from shd_genn.network.neurons.sliding_psn import usual_weights
from shd_genn.network.parts import DelayKind
from shd_genn.network.settings import GammaTau, ModelConfig, NetworkSettings

LONGEST = 3
"""How many times the mean a time constant may be that is drawn from a Gamma distribution."""


def hidden_neuron(model: ModelConfig) -> NeuronModel:
    """Hidden neurons as the settings ask for, with time constants and thresholds likewise."""
    chosen = model.neuron
    tau_mem = _tau(model, model.tau_mem_ms, model.tau_mem_min_ms)
    if isinstance(chosen, Lif):
        return LeakyIntegrateFire(
            tau_mem, _thresh(model), reset=chosen.reset, tau_refrac=chosen.tau_refrac_ms
        )
    if isinstance(chosen, Alif):
        return AdaptiveLeakyIntegrateFire(
            tau_mem,
            _thresh(model),
            _own(chosen, "tau_adapt", _drawn(model, chosen.tau_adapt_ms), model.tau_mem_min_ms),
            _own(chosen, "beta", chosen.threshold_jump, 1e-6),
            chosen.alif_reset,
            chosen.tau_refrac_ms,
        )
    if isinstance(chosen, Adlif):
        return AdLIF(
            tau_mem,
            _thresh(model),
            _own(chosen, "tau_w", _drawn(model, chosen.tau_w_ms), model.tau_mem_min_ms),
            _own(chosen, "a", chosen.adapt_a, -0.95),
            _own(chosen, "b", chosen.adapt_b),
        )
    if isinstance(chosen, Qif):
        return QuadraticIntegrateFire(
            tau_mem,
            _own(chosen, "v_crit", chosen.v_crit, 0.1),
            _own(chosen, "v_peak", chosen.v_peak, 1.0),
            _own(chosen, "v_reset", chosen.v_reset, high=-0.01),
        )
    if isinstance(chosen, Klif):
        k = _own(chosen, "k", chosen.klif_factor, 0.1)
        return KLIF(tau_mem, _thresh(model), k, chosen.reset, chosen.scale_reset)
    if isinstance(chosen, Ltmd):
        return LTMD(tau_mem, _own(chosen, "k_thresh", chosen.k_thresh, 0.01))
    if isinstance(chosen, Paralif):
        return ParaLIF(tau_mem, _thresh(model), chosen.spikes)
    if isinstance(chosen, SlidingPsn):
        weights = (_own(chosen, "w", start) for start in usual_weights(chosen.psn_order))
        return SlidingPSN(_thresh(model), tuple(weights))
    if isinstance(chosen, IzhikevichNeuron):
        return _izhikevich(chosen)
    usual = HodgkinHuxley()
    own = {k: _own(chosen, k, getattr(usual, k), 0.01) for k in ("g_Na", "g_K", "g_L")}
    return HodgkinHuxley(**own, gain=_own(chosen, "gain", chosen.current_gain, 0.1))


def _izhikevich(chosen: IzhikevichNeuron) -> Izhikevich:
    of_cell = CELLS[chosen.cell]
    return Izhikevich(
        chosen.cell,
        a=_own(chosen, "a", of_cell["a"], 0.001, 1.0),
        b=_own(chosen, "b", of_cell["b"], high=0.26),  # beyond it the neuron has no rest
        c=_own(chosen, "c", of_cell["c"], -90.0, -20.0),
        d=_own(chosen, "d", of_cell["d"]),
        gain=_own(chosen, "gain", chosen.current_gain, 0.1),
    )


def _own(
    chosen: NeuronSettings,
    name: str,
    value: float | Initialiser,
    low: float = -math.inf,
    high: float = math.inf,
) -> Value:
    """A parameter that only this neuron has, learned if the settings say so."""
    return Trainable(value, low, high) if name in chosen.learned else value


def _drawn(model: ModelConfig, mean: float) -> float | Initialiser:
    """A time constant, drawn for each neuron if the settings say so."""
    if isinstance(distribution := model.tau_distribution, GammaTau):
        shape = distribution.gamma_shape
        return Clipped(Gamma(shape, mean / shape), model.tau_mem_min_ms, LONGEST * mean)
    return mean


def hidden_synapse(model: ModelConfig) -> Exponential | Delta:
    """Synapses of hidden neurons."""
    if model.synapse == "delta":
        return Delta()
    return Exponential(_tau(model, model.tau_syn_ms, model.tau_syn_min_ms))


def readout_neuron(model: ModelConfig) -> LeakyIntegrate | LeakyIntegrateFire:
    """Output neurons."""
    tau = _tau_out(model, model.tau_mem_out_ms, model.tau_mem_min_ms)
    return output_neuron(model.readout.name, tau, model.v_thresh, model.readout.weight)


def readout_synapse(model: ModelConfig) -> Exponential | Delta:
    """Synapses of output neurons."""
    if model.synapse == "delta":
        return Delta()
    return Exponential(_tau_out(model, model.tau_syn_ms, model.tau_syn_min_ms))


class Delays(TypedDict):
    """Arguments of `Connection`."""

    delay: float | Initialiser
    max_delay_steps: int
    train_delay: bool
    delay_kind: DelayKind


def delays(config: NetworkSettings, where: Literal["input", "recurrent", "hidden"]) -> Delays:
    """The delays of connections from the input, inside a layer, or from one layer to the next."""
    model, dt_ms = config.model, config.dt_ms
    spread = {
        "input": model.delay_in_ms,
        "recurrent": model.delay_rec_ms,
        "hidden": model.delay_hidden_ms,
    }[where]
    return {
        "delay": Uniform(0, spread / dt_ms) if spread > 0 else 0.0,
        "max_delay_steps": math.ceil(model.max_delay_ms / dt_ms),
        "train_delay": where in model.train_delays,
        "delay_kind": model.delay_kind,
    }


def _tau(model: ModelConfig, mean: float, low: float) -> Value:
    start: float | Initialiser = mean
    if isinstance(distribution := model.tau_distribution, GammaTau):
        # Nowotny, Turner & Knight 2025 (genn_eventprop, HETERO_TAU)
        shape = distribution.gamma_shape
        start = Clipped(Gamma(shape, mean / shape), low, LONGEST * mean)
    return Trainable(start, low) if model.train_tau else start


def _tau_out(model: ModelConfig, mean: float, low: float) -> Value:
    return Trainable(mean, low) if model.train_tau_out else mean


def _thresh(model: ModelConfig) -> Value:
    start: float | Initialiser = model.v_thresh
    if model.v_thresh_sd > 0:
        start = Clipped(Normal(model.v_thresh, model.v_thresh_sd), model.v_thresh_min)
    return Trainable(start, model.v_thresh_min) if model.train_v_thresh else start
