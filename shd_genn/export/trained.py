"""A trained network as plain numbers: all that is needed to run it anywhere."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from shd_genn.backends.choice import BackendOption
from shd_genn.backends.protocols import Parameters
from shd_genn.backends.reference.neurons import constants_of
from shd_genn.backends.reference.sensitivities import Constants
from shd_genn.backends.reference.synapses import whole_steps
from shd_genn.learning.methods import STDP, Conversion
from shd_genn.network import Connection, Exponential, LeakyIntegrate, LeakyIntegrateFire
from shd_genn.network.description import Network
from shd_genn.network.parts import Population
from shd_genn.record.run_folder import RunFolder
from shd_genn.support.errors import ConfigError, refuse_unless
from shd_genn.train.inference import opened

RECEIVING = (LeakyIntegrate, LeakyIntegrateFire)
"""Neurons that an export knows, besides the input."""


@dataclass(frozen=True)
class TrainedNetwork:
    """A network with its parameters.

    Attributes:
        network: Populations and connections.
        parameters: Key → float32 array; see `shd_genn.backends.protocols.Parameters`.
        dt_ms: Length of a step in ms that it was trained with.
        n_steps: Steps of a trial.
        words: The word of each class.
        code: How sound became the spikes that it was trained on.
        name: Where it comes from.
    """

    network: Network
    parameters: Parameters
    dt_ms: float
    n_steps: int
    words: tuple[str, ...] = ()
    code: str = "cochlea"
    name: str = "network"

    @property
    def populations(self) -> tuple[Population, ...]:
        """All populations but the input, in order."""
        return tuple(p for p in self.network.populations if p != self.network.input)

    def constants(self, population: Population) -> Constants:
        """The constants of each neuron of a population, float64, (neurons,)."""
        return constants_of(self.network, population, self.parameters, self.dt_ms)

    def delay_steps(self, connection: Connection) -> NDArray[np.intp]:
        """Whole steps that spikes take beyond the one step that all take, (sources, targets)."""
        if not connection.delayed:
            return np.zeros(connection.shape, np.intp)
        given = self.parameters.get(f"{connection.name}.delay")
        if given is None:  # one number for all synapses
            given = np.full(connection.delay_shape, connection.delay, np.float32)
        return connection.of_synapses(whole_steps(given))

    def source_delays(self, connection: Connection, target: str) -> NDArray[np.intp]:
        """Whole steps that all spikes of a source neuron take longer, (sources,).

        Args:
            connection: The connection.
            target: What it is exported to, for the message.

        Raises:
            ConfigError: if they differ between synapses of the same source.
        """
        steps = self.delay_steps(connection)
        refuse_unless(
            bool((steps == steps[:, :1]).all()),
            f"the delays of connection {connection.name} differ from synapse to synapse, but "
            f"{target} has delays of whole neurons only",
            "export to numpy, or train with delays that are the same for all synapses of a neuron",
        )
        return steps[:, 0]


def check_neurons(network: Network, target: str, *, subtracts: bool = False) -> None:
    """Refuse neurons and synapses that an export does not know.

    Args:
        network: The network.
        target: What it is exported to, for the message.
        subtracts: Whether the target knows a reset by subtraction, too.

    Raises:
        ConfigError: if there are any.
    """
    for population in network.populations:
        neuron = population.neuron
        refuse_unless(
            population == network.input or type(neuron) in RECEIVING,
            f"population {population.name} has neurons of {neuron.description.name}, but {target} "
            f"describes {' and '.join(kind.__name__ for kind in RECEIVING)} only",
            "export a network of those",
        )
        if isinstance(neuron, LeakyIntegrateFire):
            refuse_unless(
                neuron.hand_written or (subtracts and neuron.tau_refrac == 0),
                f"neurons of {population.name} have reset {neuron.reset} and tau_refrac "
                f"{neuron.tau_refrac:g}, but {target} has a reset to 0 without refractory time",
                "train with those",
            )
        if isinstance(neuron, LeakyIntegrate):
            refuse_unless(
                neuron.weight is None,
                f"the readout {neuron.readout} has a weight of its own, which {target} does not "
                "know",
                "train with another readout, such as avg_var_exp_weight",
            )
    for c in network.connections:
        refuse_unless(
            type(c.synapse) is Exponential,
            f"connection {c.name} has synapses of {c.synapse.description.name}, but {target} "
            "describes Exponential only",
            "export a network of those",
        )


def of_run(
    folder: RunFolder, backend: BackendOption | None = None, trust_model: bool = False
) -> TrainedNetwork:
    """The network of a run's chosen epoch.

    Args:
        folder: The run.
        backend: What builds the network; None: the backend that trained the run.
        trust_model: The user consents to execute the folder's model file.

    Raises:
        ConfigError: if the run has no chosen epoch, or its method trains no network of the neurons
            that are exported.
    """
    environment, config = folder.environment.dataset, folder.config
    refuse_unless(
        not isinstance(config.train.method, STDP | Conversion),
        f"{folder.path} was trained by {config.train.method.kind}, whose neurons have no "
        "description outside of shd_genn",
        "take a run of another method, such as eventprop",
    )
    with opened(folder, backend, trust_model) as (simulator, _):
        return TrainedNetwork(
            network=simulator.network,
            parameters=simulator.parameters(),
            dt_ms=config.dt_ms,
            n_steps=config.n_steps,
            words=environment.words,
            code=environment.code,
            name=folder.path.name,
        )


def require_words(trained: TrainedNetwork) -> tuple[str, ...]:
    """A word for each output; outputs beyond the words are called by their number.

    Raises:
        ConfigError: if a word cannot be written in a line of text.
    """
    size = trained.network.output.size
    words = (*trained.words, *(f"output {i}" for i in range(len(trained.words), size)))
    for word in words:
        if not word.isprintable():
            raise ConfigError(
                f"word {word!r} has characters that cannot be printed; rename it in the dataset"
            )
    return words
