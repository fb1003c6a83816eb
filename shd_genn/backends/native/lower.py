"""Network → Plan: what the engine's source depends on, and nothing else."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from shd_genn.backends.native.constants import code_of, parameters_of
from shd_genn.backends.native.layout import GROUP, LINE_GROUP, padded
from shd_genn.backends.native.names import identifiers
from shd_genn.backends.native.neuron_code import NeuronCode
from shd_genn.learning.methods import EProp, EPropOnline, EventProp, Method, Surrogate
from shd_genn.learning.methods.shapes import ShapeName
from shd_genn.network import Kind, Network, Population, kind_of
from shd_genn.network.parts import DelayKind
from shd_genn.network.readouts import READOUTS, Form

LARGE = 8 * 2**20
"""Bytes of input weights from which on their sums are computed before a trial. Up to there it
brings nothing (measured at 7.9 MB): rows of weights come fast enough from the outer cache."""


MOST_COPIES = 32
"""Copies of a channel that the kernels of a delay line keep in registers, or near them."""


@dataclass(frozen=True)
class LearnedPlan:
    """An array of parameters that is learned: its key, and its identifier in C++."""

    key: str
    id: str


@dataclass(frozen=True)
class PopulationPlan:
    """A population as the engine's source sees it.

    Attributes:
        name: Its name.
        id: Its identifier in C++, the name of its index.
        spikes: Whether its neurons take steps and spike.
        shared: Whether all its neurons have the same constants, and keep them.
        learned: Kind → identifier of the array, of what is learned of its neurons.
        code: The functions of its neurons, if they are described by equations; else they are
            leaky integrators, which have functions of their own.
    """

    name: str
    id: str
    spikes: bool
    shared: bool
    learned: Mapping[Kind, str] = field(default_factory=dict)
    code: NeuronCode | None = None

    @property
    def traces(self) -> int:
        """How many state variables online e-prop has traces of; see eprop_online.h."""
        return len(self.code.states) if self.code else 1


@dataclass(frozen=True)
class ConnectionPlan:
    """A connection between two populations.

    Attributes:
        name: Its name.
        id: Its identifier in C++, the name of its index and of the array of its weights.
        source: Where its spikes come from.
        target: Where they go to.
        delayed: Whether its synapses have delays.
        large: Whether its weights are too many for a core's cache.
        learned_delay: Identifier of the array of its delays; None if they are not learned.
        delay_kind: Which synapses share a delay.
    """

    name: str
    id: str
    source: PopulationPlan
    target: PopulationPlan
    delayed: bool
    large: bool
    learned_delay: str | None
    delay_kind: DelayKind = "synaptic"


SHAPES: dict[ShapeName, str] = {
    "superspike": "Superspike",
    "fast_sigmoid": "FastSigmoid",
    "atan": "Atan",
    "sigmoid": "Sigmoid",
    "triangle": "Triangle",
    "boxcar": "Boxcar",
    "multi_gaussian": "MultiGaussian",
}
"""Shape of a surrogate derivative → its C++ type in surrogate_shapes.h."""

LANES_OF_TRIALS = 4
"""Trials that go back side by side where each weight is read for all of them; see surrogate.h."""


@dataclass(frozen=True)
class RulePlan:
    """A method that differentiates time steps, as the engine's source sees it.

    Attributes:
        shape: C++ type of the surrogate derivative.
        lanes: Trials that a thread takes back side by side.
        detached: Whether no gradient goes through resets.
        transports: Whether errors go from hidden neurons to hidden neurons.
        own_feedback: Whether errors of the output come back through weights of their own.
        online: Whether gradients are computed forwards, with a trace for each synapse.
    """

    shape: str
    lanes: int
    detached: bool
    transports: bool
    own_feedback: bool
    online: bool = False


@dataclass(frozen=True)
class Plan:
    """What the engine's source depends on: the topology, and what is learned.

    Attributes:
        populations: All populations, in the order of their indices.
        connections: All connections, likewise.
        input: The population that emits given spikes.
        output: The population that is read.
        form: How it is read.
        learned: What is learned: weights in the order of connections, delays, then parameters of
            neurons.
        n_learned_of_synapses: How many of these arrays have a number for each synapse. Delays that
            neurons share are parameters of neurons.
        rule: The method, if it differentiates time steps; None for EventProp.
        line: Copies of each channel, itself included, if the input comes through a delay line
            that the kernels may know; else 0.
    """

    populations: tuple[PopulationPlan, ...]
    connections: tuple[ConnectionPlan, ...]
    input: PopulationPlan
    output: PopulationPlan
    form: Form
    learned: tuple[LearnedPlan, ...]
    n_learned_of_synapses: int
    rule: RulePlan | None = None
    line: int = 0

    @property
    def copies(self) -> int:
        """Copies of each channel in the delay line, if kernels treat them at once; else 0."""
        return self.line if self.summed and not self.rule else 0

    @property
    def group(self) -> int:
        """Trials whose input is summed at a time."""
        return LINE_GROUP if self.copies else GROUP

    @property
    def title(self) -> str:
        """The topology in one line."""
        edges = ", ".join(f"{c.source.name} -> {c.target.name}" for c in self.connections)
        return f"{edges}; readout {self.form}"

    @property
    def other_learned(self) -> tuple[LearnedPlan, ...]:
        """What is learned besides weights."""
        return self.learned[len(self.connections) :]

    @property
    def spiking(self) -> tuple[PopulationPlan, ...]:
        """The populations of neurons that spike; the output may be one."""
        return tuple(p for p in self.populations if p.spikes)

    @property
    def derived(self) -> tuple[PopulationPlan, ...]:
        """The populations of neurons that are described by equations."""
        return tuple(p for p in self.populations if p.code)

    @property
    def stepped(self) -> tuple[PopulationPlan, ...]:
        """The populations that take steps, in this order."""
        return self.spiking if self.output.spikes else (*self.spiking, self.output)

    @property
    def kept(self) -> tuple[PopulationPlan, ...]:
        """The leaky integrators whose voltages of all steps the backward pass needs."""
        return tuple(
            p for p in self.stepped if self.rule and not p.code and (p.spikes or p.learned)
        )

    @property
    def late_targets(self) -> tuple[PopulationPlan, ...]:
        """Populations whose adjoint of all steps is needed: targets of delays.

        Shared delays of the input need it only if they are dendritic and learn step by step.
        """
        return tuple(
            p
            for p in self.populations
            if any(
                c.delayed
                and (
                    c.source != self.input
                    or c.delay_kind == "synaptic"
                    or (c.delay_kind == "dendritic" and c in self.late_inputs)
                )
                for c in self.inputs_of(p)
            )
        )

    @property
    def learn_by_rows(self) -> tuple[ConnectionPlan, ...]:
        """Connections whose shared delays learn with their weights, from lambda_I alone.

        They start in the input and end in leaky integrate-and-fire neurons; see shared_delay.h.
        """
        return tuple(
            c
            for c in self.connections
            if c.learned_delay
            and c.delay_kind != "synaptic"
            and c.source == self.input
            and c.target.spikes
            and not c.target.code
            and c.target != self.output
        )

    @property
    def late_inputs(self) -> tuple[ConnectionPlan, ...]:
        """Connections from the input whose shared delays learn step by step."""
        return tuple(
            c
            for c in self.connections
            if c.learned_delay
            and c.delay_kind != "synaptic"
            and c.source == self.input
            and c not in self.learn_by_rows
        )

    @property
    def shares_delays(self) -> bool:
        """Whether synapses of any connection share delays."""
        return any(c.delayed and c.delay_kind != "synaptic" for c in self.connections)

    @property
    def summed(self) -> tuple[ConnectionPlan, ...]:
        """Connections whose input is summed before a trial, one a target; see input_stage.h."""
        from_input: dict[str, ConnectionPlan] = {}
        for c in self.connections:
            if c.source == self.input and c.target in self.spiking and c.large and not c.delayed:
                from_input.setdefault(c.target.name, c)
        return tuple(from_input.values())

    @property
    def output_is_linear(self) -> bool:
        """Whether outputs need take no steps; see linear_output.h."""
        delayed = any(c.delayed for c in self.inputs_of(self.output))
        return self.form == "weighted" and self.output.shared and not delayed

    @property
    def sensitivity_rows(self) -> int:
        """Rows of `Readout::sensitivity`: 0 if it is not needed, 1, or 2 for one of each step."""
        if not self.output.learned:
            return 0
        return 1 if self.form in ("weighted", "first_spike") else 2

    def inputs_of(self, population: PopulationPlan) -> tuple[ConnectionPlan, ...]:
        """The connections that end in a population."""
        return tuple(c for c in self.connections if c.target == population)

    def outputs_of(self, population: PopulationPlan) -> tuple[ConnectionPlan, ...]:
        """The connections that start in a population."""
        return tuple(c for c in self.connections if c.source == population)

    def carries(self, connection: ConnectionPlan) -> bool:
        """Whether errors come back through a connection in every step of the backward pass."""
        assert self.rule is not None
        if connection.target == self.output:
            return not (self.output_is_linear or self.rule.own_feedback)
        return self.rule.transports

    def feeds_back(self, population: PopulationPlan) -> bool:
        """Whether errors of the output come to a population."""
        assert self.rule is not None
        return self.rule.own_feedback or self.feeds_output(population)

    def feeds_output(self, population: PopulationPlan) -> bool:
        """Whether a connection goes from a population to the output."""
        return any(c.target == self.output for c in self.outputs_of(population))


def lower(
    network: Network, dt_ms: float = 1.0, method: Method | None = None, copies: int = 0
) -> Plan:
    """The plan of a network.

    Args:
        network: The network.
        dt_ms: Length of a step in ms; neurons may divide it into sub-steps.
        method: What it is trained with; EventProp if not given.
        copies: Copies of each input channel, itself included, of a delay line on the time grid.
    """
    taken: set[str] = set()
    population_ids = identifiers((p.name for p in network.populations), "population", taken)
    connection_ids = identifiers((c.name for c in network.connections), "connection", taken)

    trained = tuple(p for p in network.parameters if p.trained)
    weights, others = trained[: len(network.connections)], trained[len(network.connections) :]
    # the kernels take all weights as learned, in the order of connections
    assert [p.key for p in weights] == [c.name for c in network.connections]
    other_ids = identifiers((p.key.replace(".", "_") for p in others), "learned", taken)
    learned = dict(zip((p.key for p in trained), (*connection_ids, *other_ids), strict=True))

    populations = {
        p.name: _lower_population(network, p, identifier, learned, dt_ms)
        for p, identifier in zip(network.populations, population_ids, strict=True)
    }
    return Plan(
        populations=tuple(populations.values()),
        connections=tuple(
            ConnectionPlan(
                name=c.name,
                id=identifier,
                source=populations[c.source.name],
                target=populations[c.target.name],
                delayed=c.delayed,
                large=4 * c.source.size * padded(c.target.size) >= LARGE,
                learned_delay=learned.get(f"{c.name}.delay"),
                delay_kind=c.delay_kind,
            )
            for c, identifier in zip(network.connections, connection_ids, strict=True)
        ),
        input=populations[network.input.name],
        output=populations[network.output.name],
        form=READOUTS[network.readout].form,
        learned=tuple(LearnedPlan(key, i) for key, i in learned.items()),
        n_learned_of_synapses=sum(len(p.shape) == 2 for p in trained),
        rule=rule_of(EventProp() if method is None else method),
        line=copies if 2 <= copies <= MOST_COPIES and network.input.size % copies == 0 else 0,
    )


def rule_of(method: Method) -> RulePlan | None:
    """What the source depends on of a method that differentiates time steps; None of EventProp."""
    if isinstance(method, Surrogate):
        return RulePlan(SHAPES[method.surrogate], LANES_OF_TRIALS, method.detach_reset, True, False)
    if isinstance(method, EProp):
        own = method.feedback != "symmetric"
        online = isinstance(method, EPropOnline)
        return RulePlan(SHAPES[method.surrogate], 1, True, False, own, online)
    return None


def _lower_population(
    network: Network,
    population: Population,
    identifier: str,
    learned: Mapping[str, str],
    dt_ms: float,
) -> PopulationPlan:
    neuron = population.neuron.description
    keys = [p.key for p in parameters_of(network, population)]
    of_neurons = {kind_of(key): learned[key] for key in keys if key in learned}
    return PopulationPlan(
        name=population.name,
        id=identifier,
        spikes=neuron.receives and neuron.spikes,
        shared=neuron.receives and not keys,
        learned=of_neurons,
        code=code_of(population, tuple(of_neurons), dt_ms),
    )
