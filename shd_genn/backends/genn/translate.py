"""From this project's description of a network to mlGeNN's, compiled for training or inference."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from ml_genn import Connection as MLConnection
from ml_genn import Network as MLNetwork
from ml_genn import Population as MLPopulation
from ml_genn import neurons, readouts, synapses
from ml_genn.compilers import InferenceCompiler
from ml_genn.compilers.event_prop_compiler import default_params
from ml_genn.connectivity import Dense

from shd_genn.backends.genn.compiler import Compiler, MaxVar, Weighted
from shd_genn.backends.protocols import CompileConfig
from shd_genn.network import LeakyIntegrate, LeakyIntegrateFire, Network, Population
from shd_genn.network.formulas import Formula


def training_network(
    network: Network, config: CompileConfig, batch_size: int, options: Mapping[str, Any]
) -> Any:
    """Make an mlGeNN ``CompiledTrainingNetwork``; its code is not built yet."""
    translated = _translate(network, config)
    delayed = {c.name for c in network.connections if c.delayed}
    compiler = Compiler(
        config,
        batch_size,
        network.output.name,
        # delays that are not learned get a learning rate of 0
        delay_learn_conns=[c for c in translated.connections if c.name in delayed],
        **options,
    )
    return compiler.compile(translated, name="training")


def inference_network(
    network: Network, config: CompileConfig, batch_size: int, options: Mapping[str, Any]
) -> Any:
    """Make an mlGeNN ``CompiledInferenceNetwork``; its code is not built yet."""
    compiler = InferenceCompiler(
        evaluate_timesteps=config.n_steps,
        dt=config.dt_ms,
        batch_size=batch_size,
        reset_in_syn_between_batches=True,
        **options,
    )
    return compiler.compile(_translate(network, config), name="inference")


def _translate(network: Network, config: CompileConfig) -> Any:
    translated = MLNetwork(default_params)
    with translated:
        populations = {
            p.name: MLPopulation(
                _neuron(p, config), p.size, record_spikes=p in network.spiking, name=p.name
            )
            for p in network.populations
        }
        for c in network.connections:
            zeros = np.zeros(c.shape, np.float32)
            MLConnection(
                populations[c.source.name],
                populations[c.target.name],
                Dense(zeros, zeros if c.delayed else 0),
                synapses.Exponential(network.values_of(c.target)["tau_syn"]),
                name=c.name,
                max_delay_steps=c.max_delay_steps if c.delayed else None,
            )
    return translated


def _neuron(population: Population, config: CompileConfig) -> Any:
    neuron = population.neuron
    if isinstance(neuron, LeakyIntegrateFire):  # spiking outputs are read from their spikes
        return neurons.LeakyIntegrateFire(v_thresh=neuron.v_thresh, tau_mem=neuron.tau_mem)
    if isinstance(neuron, LeakyIntegrate):
        return neurons.LeakyIntegrate(tau_mem=neuron.tau_mem, readout=_readout(neuron, config))
    return neurons.SpikeInput(max_spikes=1)  # Simulation.make_room makes it as large as needed


def _readout(neuron: LeakyIntegrate, config: CompileConfig) -> Any:
    if neuron.readout == "sum_var":
        return readouts.SumVar()
    if neuron.readout == "max_var":
        return MaxVar()
    weight = neuron.weight if isinstance(neuron.weight, Formula) else None
    return Weighted(neuron.readout, weight, config)
