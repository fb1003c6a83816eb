"""What a backend can do, as data: asked by code, and printed as the table in the docs."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from shd_genn.learning.methods import EProp, EventProp, Method, Surrogate
from shd_genn.network import HAND_WRITTEN_KINDS, Kind, Network, NeuronModel, Synapse
from shd_genn.network.initialisers import population_of
from shd_genn.network.neurons.limits import check_step
from shd_genn.network.readouts import READOUTS, Readout
from shd_genn.support.errors import refuse_unless

if TYPE_CHECKING:
    from shd_genn.backends.protocols import CompileConfig

REGULARISATION = ("drop-out", "weight decay", "gradient clipping")
"""What `Capabilities.regularises` may have."""
ALL_KINDS: tuple[Kind, ...] = ("weight", "delay", *HAND_WRITTEN_KINDS)
"""The kinds of parameters of networks of neurons that backends have code of their own for."""


@dataclass(frozen=True)
class Capabilities:
    """What a backend can do, on any machine that has what it needs.

    Attributes:
        title: Its name in sentences.
        summary: What it is, in a few words.
        needs: What has to be installed.
        neurons: The neurons that it has code of its own for.
        synapses: The synapses that it simulates.
        methods: The training methods that it has.
        varies: The kinds of parameters that may differ from neuron to neuron or from synapse to
            synapse.
        learns: The kinds of parameters that it learns.
        derives: Whether it simulates any other neuron by its equations, too, and learns all of its
            parameters.
        derives_by: The training methods with which it does.
        shares_delays_by: The training methods with which it has axonal and dendritic delays.
        readouts: The readouts of an output that it has.
        threads: Whether it computes on several cores.
        batched: Whether it computes the samples of a batch at the same time.
        kernel_times: Whether it measures what parts of the computation take.
        equal_time_constants: Whether tau_mem and tau_syn of a neuron may be the same.
        regularises: What it has of drop-out, weight decay and gradient clipping; label smoothing
            and averages over epochs need nothing of a backend.
        precision: What it computes in.
    """

    title: str
    summary: str
    needs: str
    neurons: tuple[type[NeuronModel], ...]
    synapses: tuple[type[Synapse], ...]
    methods: tuple[type[Method], ...]
    varies: tuple[Kind, ...]
    learns: tuple[Kind, ...]
    derives: bool = False
    derives_by: tuple[type[Method], ...] = ()
    shares_delays_by: tuple[type[Method], ...] = ()
    readouts: tuple[Readout, ...] = tuple(READOUTS)
    threads: bool = False
    batched: bool = True
    kernel_times: bool = False
    equal_time_constants: bool = True
    regularises: tuple[str, ...] = ()
    precision: str = "float32"

    def check(self, network: Network, method: Method, config: CompileConfig | None = None) -> None:
        """Refuse a network, a method or a regularisation that the backend does not have.

        Args:
            network: The network.
            method: What it is trained with.
            config: How, if it is trained.

        Raises:
            ConfigError: if it has not; the message says what to do.
        """
        refuse_unless(
            type(method) in self.methods,
            f"{self.title} cannot train with method {method.kind}; it has "
            f"{', '.join(known.kind for known in self.methods) or 'none'}",
            "take another --method or --backend",
        )
        method.check(network)
        for population in network.populations:
            self._check_neuron(population.neuron)
            refuse_unless(
                population.neuron.hand_written or type(method) in self.derives_by,
                f"{self.title} cannot train neurons by their equations with method {method.kind}, "
                f"but population {population.name} has {population.neuron}",
                "take --backend reference, another --method, or --neuron lif with its usual reset",
            )
            if config is not None and not self._has(population.neuron):
                check_step(population.neuron, config.dt_ms)
        for connection in network.connections:
            synapse = type(connection.synapse)
            self._refuse_unless(synapse in self.synapses, f"simulate {synapse.__name__} synapses")
            refuse_unless(
                not connection.shares_delays or type(method) in self.shares_delays_by,
                f"{self.title} has no {connection.delay_kind} delays with method {method.kind}, "
                f"but connection {connection.name} has them",
                "take --delay-kind synaptic, --backend reference, or --method eventprop with "
                "--backend native or cuda",
            )
        readout = network.readout
        self._refuse_unless(readout in self.readouts, f"read an output by {readout}")
        derived = {p.name for p in network.populations if not self._has(p.neuron)}
        for p in network.parameters:
            if population_of(p.key) in derived:
                continue
            self._refuse_unless(
                p.kind in self.varies, f"simulate {p.key} that differs from neuron to neuron"
            )
            self._refuse_unless(p.kind in self.learns or not p.trained, f"learn {p.key}")
        if config is not None:
            self._check_regularisation(network, method, config)

    def _check_regularisation(
        self, network: Network, method: Method, config: CompileConfig
    ) -> None:
        asked = {
            "drop-out": config.objective.dropout.probability,
            "weight decay": config.adam.weight_decay,
            "gradient clipping": config.adam.clip_gradient,
        }
        for name, value in asked.items():
            self._refuse_unless(not value or name in self.regularises, f"train with {name}")
            self._refuse_unless(
                not value or isinstance(method, EventProp | Surrogate | EProp),
                f"train with {name} by {type(method).__name__}",
            )

    def _has(self, neuron: NeuronModel) -> bool:
        """Whether it has code of its own for a neuron."""
        return type(neuron) in self.neurons and neuron.hand_written

    def _check_neuron(self, neuron: NeuronModel) -> None:
        name = neuron.description.name
        if neuron.hand_written:
            self._refuse_unless(self._has(neuron), f"simulate neurons of {name}")
            return
        known = ", ".join(n.__name__ for n in self.neurons)
        refuse_unless(
            self.derives,
            f"{self.title} cannot simulate {neuron if type(neuron) in self.neurons else name}, "
            f"because it has code for the usual {known} only and derives none from equations",
            "take --backend reference or native, or another neuron",
        )
        _ = neuron.derived  # refuses equations that nothing can be derived of

    def _refuse_unless(self, holds: bool, deed: str) -> None:
        refuse_unless(
            holds, f"{self.title} cannot {deed}", "change the settings, or take another --backend"
        )


@dataclass(frozen=True)
class Status:
    """What a backend finds on this machine.

    Attributes:
        why: Why it can or cannot be used, as a clause: "GeNN was built without CUDA".
        cure: What to do where it cannot be used; empty where it can.
        accelerator: The GPU that it computes on; None for the processor.
        largest_batch: Samples that it can learn from at once; None for any number.
        exact: Whether the same work always gives the same bits.
    """

    why: str
    cure: str = ""
    accelerator: str | None = None
    largest_batch: int | None = None
    exact: bool = True

    @property
    def usable(self) -> bool:
        """Whether it can be used."""
        return not self.cure


def markdown_table(backends: Mapping[str, Capabilities]) -> str:
    """The table of all backends in the docs, a column each."""
    rows: dict[str, Callable[[Capabilities], str]] = {
        "is": lambda c: c.summary,
        "needs": lambda c: c.needs,
        "training methods": lambda c: _names([method.kind for method in c.methods]),
        "neurons": lambda c: _names([neuron.__name__ for neuron in c.neurons]),
        "any neuron by its equations": lambda c: _yes(c.derives),
        "synapses": lambda c: _names([synapse.__name__ for synapse in c.synapses]),
        "readouts": lambda c: _some(c.readouts, tuple(READOUTS)),
        "differ from neuron to neuron": lambda c: _some(c.varies, ALL_KINDS),
        "learned": lambda c: _some(c.learns, ALL_KINDS),
        "axonal and dendritic delays": lambda c: (
            _names([method.kind for method in c.shares_delays_by]) or "no"
        ),
        "regularisation": lambda c: _names(list(c.regularises), "") or "none of these",
        "several cores": lambda c: _yes(c.threads),
        "samples at the same time": lambda c: _yes(c.batched),
        "tau_mem may equal tau_syn": lambda c: _yes(c.equal_time_constants),
        "times of kernels": lambda c: _yes(c.kernel_times),
        "computes in": lambda c: c.precision,
    }
    lines = [["", *(f"`{name}`" for name in backends)], ["---"] * (len(backends) + 1)]
    lines += [[title, *(cell(c) for c in backends.values())] for title, cell in rows.items()]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines) + "\n"


def _names(names: list[str], mark: str = "`") -> str:
    return ", ".join(f"{mark}{name}{mark}" for name in names)


def _some(some: tuple[str, ...], every: tuple[str, ...]) -> str:
    return "all" if set(some) == set(every) else _names(list(some))


def _yes(holds: bool) -> str:
    return "yes" if holds else "no"
