"""Training that starts from a network of rates: its weights become those of spiking neurons.

DIET-SNN (Rathi & Roy 2021) trains a network of rectified linear units first, then fine-tunes the
spiking network with learned thresholds and leaks. A spike of layer l stands for c_l of the unit's
activity. With s_l the layer's scale, n the simulation steps of the converted run, and g what a
spike of weight 1 adds to V without leak,

    c_0 = 1 / scale of the input     c_l = s_l / n      g = (1 - exp(-dt/τ_mem)) τ_syn / dt
    w_l = W_l c_(l-1) / (c_l g)      w_output = W_output c_(l-1) · trial / τ_syn

So a unit whose activity is s_l spikes n times in a trial, if nothing leaks and its threshold is 1,
and the output's voltage is the unit's answer on average. DIET-SNN keeps W and sets thresholds to
percentiles times a factor below 1: the factor is `v_thresh` here.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from shd_genn.backends.protocols import Learner, Parameters
from shd_genn.learning.methods import Conversion
from shd_genn.network import Exponential, LeakyIntegrate, LeakyIntegrateFire, Network, Population
from shd_genn.record import checkpoints, environment
from shd_genn.record.run_folder import RunFolder
from shd_genn.support.errors import refuse_unless
from shd_genn.train.prepare import Experiment

Arrays = Mapping[str, NDArray[np.floating]]


def start_from_rates(experiment: Experiment, learner: Learner) -> None:
    """Give a network that has not learned yet the weights of the run that ``start_from`` names.

    Nothing happens if it names none.

    Raises:
        ConfigError: if the run is no conversion whose weights fit, or has learned other samples.
    """
    if (name := experiment.config.train.start_from) is None:
        return
    folder = RunFolder.open(Path(name))
    method = folder.config.train.method
    refuse_unless(
        isinstance(method, Conversion)
        and method.conversion == "percentile"
        and not method.rate_bias,
        f"start_from needs a run with method=conversion, conversion=percentile and no biases, but "
        f"{folder.path} has method={method.kind}",
        "train one with --method conversion --no-rate-bias",
    )
    assert isinstance(method, Conversion)
    was, now = folder.environment.dataset, environment.describe_dataset(experiment.splits)
    refuse_unless(
        was.train == now.train,
        f"{folder.path} has learned {was.train.samples} samples of {was.name}, which are not the "
        f"{now.train.samples} training samples of this run",
        "give both runs the same dataset and validation, so that no sample is validated that has "
        "been learned",
    )
    rates = checkpoints.read(folder.checkpoint("best")).parameters
    before = learner.parameters()
    _check(learner.network, before, rates)
    config = experiment.config
    trial_ms = config.n_steps * config.dt_ms
    found = spiking_weights(learner.network, before, rates, method.steps, config.dt_ms, trial_ms)
    learner.set_parameters({**before, **found})


def _check(network: Network, before: Arrays, rates: Arrays) -> None:
    """Refuse a network that is not the one that was converted, with spikes."""
    connections = {c.name for c in network.connections}
    of_rates = {key for key in rates if "." not in key}
    refuse_unless(
        connections == of_rates,
        f"the network has the connections {', '.join(sorted(connections))}, but the run of "
        f"start_from has {', '.join(sorted(of_rates))}",
        "take model=feedforward, and hidden_sizes of as many layers",
    )
    for key in sorted(connections):
        refuse_unless(
            before[key].shape == rates[key].shape,
            f"the weights {key} have the shape {before[key].shape}, but {rates[key].shape} in the "
            "run of start_from",
            "take the same hidden_sizes, and train that run with one bin for each channel: "
            "--bin-channels 1 and --bin-ms as long as a trial",
        )
    leaky = all(isinstance(p.neuron, LeakyIntegrateFire) for p in network.hidden)
    refuse_unless(
        leaky
        and isinstance(network.output.neuron, LeakyIntegrate)
        and all(isinstance(c.synapse, Exponential) for c in network.connections),
        "start_from gives weights to leaky integrate-and-fire neurons with exponential synapses "
        "and an output of voltages, but the network has others",
        "take neuron=lif, synapse=exponential and a readout of voltages",
    )


def spiking_weights(
    network: Network, before: Arrays, rates: Arrays, n_spikes: int, dt_ms: float, trial_ms: float
) -> Parameters:
    """The weights of a spiking network that answers as a network of rates.

    Args:
        network: Layers of leaky integrate-and-fire neurons, each connected to the next.
        before: Its parameters before training; time constants of neurons may be among them.
        rates: The parameters of the network of rates; see `ConvertedNetwork`.
        n_spikes: Spikes in a trial of a neuron whose unit is as active as its layer's scale.
        dt_ms: Length of a time step.
        trial_ms: Length of a trial.

    Returns:
        Connection → float32, (sources, targets).
    """

    def value(p: Population, kind: str) -> NDArray[np.float64]:
        given = before[key] if (key := f"{p.name}.{kind}") in before else network.values_of(p)[kind]
        return np.asarray(given, np.float64)

    found, per_spike = {}, 1 / float(rates[f"{network.input.name}.scale"][0])
    for p in (*network.hidden, network.output):
        (connection,) = network.inputs_of(p)
        weights = per_spike * rates[connection.name].astype(np.float64)
        tau_syn = value(p, "tau_syn")
        if p == network.output:
            weights = weights * trial_ms / tau_syn
        else:
            per_spike = float(rates[f"{p.name}.scale"][0]) / n_spikes
            gain = -np.expm1(-dt_ms / value(p, "tau_mem")) * tau_syn / dt_ms
            weights = weights / (per_spike * gain)
        found[connection.name] = weights.astype(np.float32)
    return found
