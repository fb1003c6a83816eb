"""Network → Plan: a lane for every neuron that takes steps, a place for every parameter."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace

from shd_genn.backends.native.constants import CONSTANTS, code_of, is_derived, learned_of
from shd_genn.backends.native.neuron_code import NeuronCode
from shd_genn.backends.protocols import CompileConfig
from shd_genn.backends.reference.sensitivities import DERIVATIVES
from shd_genn.network import Connection, Network, Population
from shd_genn.network.initialisers import Parameter
from shd_genn.network.parts import DelayKind
from shd_genn.network.readouts import READOUTS, Form
from shd_genn.support.errors import refuse_unless, require

WARP = 32
"""Threads that go on together; a population's lanes are rounded up to whole warps."""
MOST_THREADS = 1024
"""Threads of a block, on every GPU."""
MOST_STEPS = 65_533
"""Steps of a trial; that in which a spike arrives is kept in 16 bits."""


@dataclass(frozen=True)
class PopulationPlan:
    """A population that takes steps.

    Attributes:
        name: Its name.
        number: Its place among them.
        size: Neurons.
        first: The lane of its first neuron.
        width: Lanes.
        list_first: Where its spikes of a step are listed.
        spikes: Whether its neurons spike.
        is_output: Whether it is read out.
        takes_input: Whether spikes of the input arrive.
        takes_late: Whether spikes of others arrive later than one step on.
        is_late_target: Whether any spikes do.
        tau_mem: Where its time constants stand among all parameters; -1 if they are not learned.
        tau_syn: Likewise.
        v_thresh: Likewise, of thresholds.
        code: The functions of its neurons, if they are described by equations; else they are
            leaky integrators, which have functions of their own.
        learned_first: Where the parameters of such neurons begin among all, if any are learned.
        kept_first: Where what they keep of a step for the backward pass begins in its row.
    """

    name: str
    number: int
    size: int
    first: int
    width: int
    list_first: int
    spikes: bool
    is_output: bool
    takes_input: bool
    takes_late: bool
    is_late_target: bool
    tau_mem: int
    tau_syn: int
    v_thresh: int
    code: NeuronCode | None = None
    learned_first: int = -1
    kept_first: int = 0


@dataclass(frozen=True)
class ConnectionPlan:
    """A connection.

    Attributes:
        name: Its name.
        source: Name of the population that spikes come from.
        target: Name of the population that they go to.
        weights: Where its weights stand among all parameters.
        delays: Likewise its delays; -1 if it has none.
        delayed: Whether it has delays.
        learns_delay: Whether they are learned.
        delay_kind: Which synapses share a delay.
        shared_delays: Numbers of its delays, padding included, if synapses share them; else 0.
    """

    name: str
    source: str
    target: str
    weights: int
    delays: int
    delayed: bool
    learns_delay: bool
    delay_kind: DelayKind
    shared_delays: int


@dataclass(frozen=True)
class ArrayPlan:
    """An array of parameters on the GPU.

    Attributes:
        parameter: What it holds.
        begin: Where it begins among all parameters.
        rows: Rows, of which the last is zeros where a row is a source neuron; 1 for numbers of
            neurons, delays that they share included.
        width: Numbers of a row; those beyond the last neuron mean nothing.
    """

    parameter: Parameter
    begin: int
    rows: int
    width: int


@dataclass(frozen=True)
class Plan:
    """A network as numbers: what `render` writes code for and `engine` fills in.

    Attributes:
        populations: Those that take steps, in order.
        connections: Those between them.
        input_connections: Those from the input.
        arrays: All parameters; those that are learned come first.
        n_learned: Numbers that are learned, padding included.
        n_values: Numbers of all parameters, padding included.
        lanes: Lanes of all populations.
        lanes_per_thread: Lanes that a thread carries.
        at_once: Rows of weights that a thread asks for at a time; lists are filled up to them.
        list_size: Room for the spikes of a step.
        n_inputs: Neurons of the input.
        form: How the output is read.
    """

    populations: tuple[PopulationPlan, ...]
    connections: tuple[ConnectionPlan, ...]
    input_connections: tuple[ConnectionPlan, ...]
    arrays: tuple[ArrayPlan, ...]
    n_learned: int
    n_values: int
    lanes: int
    lanes_per_thread: int
    at_once: int
    list_size: int
    n_inputs: int
    form: Form

    @property
    def learned(self) -> tuple[ArrayPlan, ...]:
        """The arrays that are learned, in order."""
        return tuple(a for a in self.arrays if a.parameter.trained)

    @property
    def derived(self) -> tuple[PopulationPlan, ...]:
        """The populations of neurons that are described by equations."""
        return tuple(p for p in self.populations if p.code)

    @property
    def most_states(self) -> int:
        """State variables of a neuron, of those of them that have most."""
        return max((len(p.code.states) for p in self.derived if p.code), default=1)

    @property
    def n_kept(self) -> int:
        """Numbers that these keep of a step for the backward pass."""
        return sum(p.code.rows * p.width for p in self.derived if p.code)

    @property
    def n_constants(self) -> int:
        """Constants of a neuron, of those that have most."""
        return max(
            len(CONSTANTS), *(len(p.code.constants.outputs) for p in self.derived if p.code), 0
        )

    @property
    def output(self) -> PopulationPlan:
        """The population that is read out."""
        return next(p for p in self.populations if p.is_output)


def lower(network: Network, config: CompileConfig) -> Plan:
    """Give neurons their lanes and parameters their places.

    Raises:
        ConfigError: if the network is too large, or the trial too long, for this backend.
    """
    require(
        config.n_steps <= MOST_STEPS,
        f"n_steps <= {MOST_STEPS} (of the cuda backend)",
        config.n_steps,
        "lengthen the step, or take --backend native",
    )
    stepped = [p for p in network.populations if p is not network.input]
    per_thread = _lanes_per_thread(stepped)
    widths = {p.name: _padded(p.size, WARP * per_thread) for p in stepped}
    lanes = sum(widths.values())
    refuse_unless(
        lanes <= MOST_THREADS * per_thread,
        f"the network has {sum(p.size for p in stepped)} neurons, which take {lanes} lanes "
        f"(each population a multiple of {WARP * per_thread}), but a block of threads has "
        f"{MOST_THREADS * per_thread} lanes, and the cuda backend gives each sample one block",
        "take --backend native or genn, or make the network smaller",
    )
    arrays, n_learned, n_values = _lay_out(network, widths)
    places = {a.parameter.key: a.begin for a in arrays}
    learned = {a.parameter.key: a.begin for a in arrays if a.parameter.trained}
    # many neurons spike more often a step; but of so many threads none has registers to spare
    at_once = 8 if per_thread == 4 and lanes <= 512 * per_thread else 4
    populations: list[PopulationPlan] = []
    first, list_first, kept_first = 0, 0, 0
    for number, population in enumerate(stepped):
        plan = _population(network, population, number, first, list_first, widths, learned)
        if is_derived(population):
            plan = _derived(plan, network, population, config.dt_ms, learned, kept_first)
            kept_first += plan.code.rows * plan.width if plan.code else 0
        populations.append(plan)
        first += plan.width
        list_first += plan.width + at_once if plan.spikes else 0
    widths_of = {a.parameter.key: a.width for a in arrays}
    connections = [_connection(c, places, learned, widths_of) for c in network.connections]
    from_input = tuple(c for c in connections if c.source == network.input.name)
    return Plan(
        populations=tuple(populations),
        connections=tuple(c for c in connections if c.source != network.input.name),
        input_connections=from_input,
        arrays=arrays,
        n_learned=n_learned,
        n_values=n_values,
        lanes=lanes,
        lanes_per_thread=per_thread,
        at_once=at_once,
        list_size=max(list_first, at_once),
        n_inputs=network.input.size,
        form=READOUTS[network.readout].form,
    )


def _padded(size: int, unit: int) -> int:
    return math.ceil(size / unit) * unit


def _lanes_per_thread(populations: list[Population]) -> int:
    """More neurons take more lanes a thread, lest a step be nothing but walking through lists."""
    for lanes, most in ((1, 320), (2, 704)):
        if sum(_padded(p.size, WARP * lanes) for p in populations) <= most:
            return lanes
    return 4


def _lay_out(network: Network, widths: Mapping[str, int]) -> tuple[tuple[ArrayPlan, ...], int, int]:
    """Places of all parameters, those that are learned first; every array starts on 128 bytes."""
    connections = {c.name: c for c in network.connections}
    arrays, at, n_learned = [], 0, 0
    for parameter in sorted(network.parameters, key=lambda p: not p.trained):
        owner = parameter.key.partition(".")[0]
        connection = connections.get(owner)
        rows = parameter.shape[0] + 1 if len(parameter.shape) == 2 else 1
        width = widths[connection.target.name if connection else owner]
        if connection and parameter.kind == "delay" and connection.delay_kind == "axonal":
            width = _padded(connection.source.size + 1, WARP)  # as many as weights have rows
        arrays.append(ArrayPlan(parameter, at, rows, width))
        at += rows * width
        if parameter.trained:
            n_learned = at
    return tuple(arrays), n_learned, at


def _population(
    network: Network,
    population: Population,
    number: int,
    first: int,
    list_first: int,
    widths: Mapping[str, int],
    learned: Mapping[str, int],
) -> PopulationPlan:
    inputs = network.inputs_of(population)
    late = [c for c in inputs if c.delayed]
    tau_mem, tau_syn, v_thresh = (
        learned.get(f"{population.name}.{kind}", -1) for kind in DERIVATIVES
    )
    return PopulationPlan(
        name=population.name,
        number=number,
        size=population.size,
        first=first,
        width=widths[population.name],
        list_first=list_first,
        spikes=population.neuron.description.spikes,
        is_output=population == network.output,
        takes_input=any(c.source == network.input for c in inputs),
        takes_late=any(c.source != network.input for c in late),
        is_late_target=len(late) > 0,
        tau_mem=tau_mem,
        tau_syn=tau_syn,
        v_thresh=v_thresh,
    )


def _derived(
    plan: PopulationPlan,
    network: Network,
    population: Population,
    dt_ms: float,
    learned: Mapping[str, int],
    kept_first: int,
) -> PopulationPlan:
    """What is different of neurons that are described by equations."""
    kinds = learned_of(network, population)
    places = [learned[f"{population.name}.{kind}"] for kind in kinds]
    # kernels take them as one array
    assert places == [places[0] + i * plan.width for i in range(len(places))]
    return replace(
        plan,
        tau_mem=-1,
        tau_syn=-1,
        v_thresh=-1,
        code=code_of(population, kinds, dt_ms),
        learned_first=places[0] if places else -1,
        kept_first=kept_first,
    )


def _connection(
    connection: Connection,
    places: Mapping[str, int],
    learned: Mapping[str, int],
    widths: Mapping[str, int],
) -> ConnectionPlan:
    name = connection.name
    return ConnectionPlan(
        name=name,
        source=connection.source.name,
        target=connection.target.name,
        weights=places[name],
        delays=places.get(f"{name}.delay", -1),
        delayed=connection.delayed,
        learns_delay=f"{name}.delay" in learned,
        delay_kind=connection.delay_kind,
        shared_delays=widths[f"{name}.delay"] if connection.shares_delays else 0,
    )
