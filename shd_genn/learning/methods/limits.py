"""What several training methods ask of a network."""

from __future__ import annotations

from shd_genn.network import Delta, LeakyIntegrate, LeakyIntegrateFire, Network
from shd_genn.network.readouts import READOUTS
from shd_genn.support.errors import refuse_unless


def check_one_synapse(network: Network, method: str) -> None:
    """Refuse a population whose connections have different synapses.

    Raises:
        ConfigError: if there is one.
    """
    for population in network.populations:
        synapses = list(dict.fromkeys(c.synapse for c in network.inputs_of(population)))
        refuse_unless(
            len(synapses) <= 1,
            f"connections into population {population.name} have different synapses: "
            f"{', '.join(map(str, synapses))}",
            f"make them equal, because {method} has one synaptic current a neuron (as mlGeNN)",
        )


def check_currents(network: Network, method: str, reason: str) -> None:
    """Refuse synapses without a current.

    Args:
        network: The network.
        method: What would train it.
        reason: Why it cannot, as a clause.

    Raises:
        ConfigError: if there are any.
    """
    jumping = [c.name for c in network.connections if isinstance(c.synapse, Delta)]
    refuse_unless(
        not jumping,
        f"{method} cannot train the delta synapses of {', '.join(jumping)}, because {reason}",
        "take synapse=exponential, or method=surrogate or eprop",
    )


def check_steps(network: Network, method: str) -> None:
    """Refuse what a method that differentiates time steps cannot learn.

    Raises:
        ConfigError: if the output spikes, a hidden neuron is neither leaky integrate-and-fire nor
            described by equations, or delays or the tau_mem of neurons with delta synapses are
            learned.
    """
    readout = network.readout
    refuse_unless(
        not READOUTS[readout].spiking,
        f"{method} cannot learn from the time of a first spike, but the readout is {readout}",
        "choose a readout of voltages, or take EventProp",
    )
    for population in (*network.hidden, network.output):
        neuron = population.neuron
        needed = LeakyIntegrate if population == network.output else LeakyIntegrateFire
        by_equations = population != network.output and not neuron.hand_written
        refuse_unless(
            by_equations or type(neuron) is needed,
            f"{method} trains neurons of {needed.__name__} here, but population "
            f"{population.name} has {type(neuron).__name__}",
            "take another neuron or another method",
        )
    for population in {c.target for c in network.connections if isinstance(c.synapse, Delta)}:
        refuse_unless(
            population.neuron.hand_written,
            f"{method} trains delta synapses to leaky integrate-and-fire neurons that are reset to "
            f"0 without a refractory time, but those of {population.name} are {population.neuron}",
            "take synapse=exponential, or leave out neuron, reset and tau_refrac",
        )
        key = f"{population.name}.tau_mem"
        refuse_unless(
            not any(p.key == key and p.trained for p in network.parameters),
            f"{key} is learned, but {population.name} has delta synapses, with which {method} "
            "learns weights and thresholds only",
            "leave train_tau and train_tau_out out, or take synapse=exponential",
        )
    late = [c.name for c in network.connections if c.train_delay]
    refuse_unless(
        not late,
        f"{method} cannot learn delays, which are whole steps to it, but those of "
        f"{', '.join(late)} are learned",
        "keep them as they are drawn, or take EventProp",
    )
