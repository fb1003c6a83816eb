"""From a run's settings to the parts of a network, for model files to put together."""

from __future__ import annotations

import math
from typing import Literal, TypedDict

from shd_genn.network import (
    Clipped,
    Exponential,
    Gamma,
    LeakyIntegrate,
    LeakyIntegrateFire,
    Normal,
    Trainable,
    Uniform,
    output_neuron,
)
from shd_genn.network.initialisers import Initialiser, Value
from shd_genn.network.settings import GammaTau, ModelConfig, NetworkSettings

LONGEST = 3
"""How many times the mean a time constant may be that is drawn from a Gamma distribution."""


def hidden_neuron(model: ModelConfig) -> LeakyIntegrateFire:
    """Hidden neurons with the time constants and thresholds that the settings ask for."""
    return LeakyIntegrateFire(_tau(model, model.tau_mem_ms, model.tau_mem_min_ms), _thresh(model))


def hidden_synapse(model: ModelConfig) -> Exponential:
    """Synapses of hidden neurons."""
    return Exponential(_tau(model, model.tau_syn_ms, model.tau_syn_min_ms))


def readout_neuron(model: ModelConfig) -> LeakyIntegrate | LeakyIntegrateFire:
    """Output neurons."""
    tau = _tau_out(model, model.tau_mem_out_ms, model.tau_mem_min_ms)
    return output_neuron(model.readout.name, tau, model.v_thresh, model.readout.weight)


def readout_synapse(model: ModelConfig) -> Exponential:
    """Synapses of output neurons."""
    return Exponential(_tau_out(model, model.tau_syn_ms, model.tau_syn_min_ms))


class Delays(TypedDict):
    """Arguments of `Connection`."""

    delay: float | Initialiser
    max_delay_steps: int
    train_delay: bool


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
