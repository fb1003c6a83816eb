"""NIR: the exchange format of neuromorphic chips and simulators (Pedersen et al. 2024).

A population of `LeakyIntegrateFire` becomes a ``CubaLIF``, one of `LeakyIntegrate` a ``CubaLI``, a
connection a ``Linear``, and delays a ``Delay`` in front of it. Times are in seconds, as all
exporters write them. `shd_genn.export.nir_forms` says how programs read the numbers.

What belongs to our steps is in the graph's metadata, which no reader needs: ``form``, ``dt`` and
``trial`` in seconds, ``spike_delay_steps`` (every spike takes one step to arrive), ``reset`` and
``readout``.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, get_args

import numpy as np
from numpy.typing import NDArray

from shd_genn.backends.reference.neurons import constants_of
from shd_genn.export.described import as_text, from_text
from shd_genn.export.nir_flat import edges_between, flattened
from shd_genn.export.nir_forms import Form, constants_from, field_names, fields_of, weights_for
from shd_genn.export.trained import TrainedNetwork, check_neurons, require_words
from shd_genn.network import (
    Connection,
    Dense,
    Exponential,
    LeakyIntegrate,
    LeakyIntegrateFire,
    Network,
    Normal,
    Population,
    SpikeInput,
    Uniform,
    Value,
)
from shd_genn.network.readouts import READOUTS, Readout
from shd_genn.support.errors import ConfigError, DataError, refuse_unless, require
from shd_genn.support.files import written_aside

Array = NDArray[np.float64]
NOT_DRAWN = Dense(Normal(0.0, 0.0))
"""Connectivity of imported networks: their weights are given, so that none need be drawn."""


def nir_module() -> Any:
    """The nir package.

    Raises:
        ConfigError: if it is not installed.
    """
    try:
        import nir
    except ImportError as error:
        raise ConfigError(
            "the nir package is not installed; install it with pip install -e '.[export]'"
        ) from error
    return nir


def to_nir(trained: TrainedNetwork, form: Form = "steps") -> Any:
    """The NIR graph of a trained network.

    Args:
        trained: The network.
        form: Which readers its numbers are for.

    Returns:
        A ``nir.NIRGraph``. Nodes have the names of populations and connections.

    Raises:
        ConfigError: if NIR has no node for a neuron, a synapse or a delay of it, or the programs
            that a form is for know none.
    """
    nir, network = nir_module(), trained.network
    check_neurons(network, "NIR")
    source, output = network.input, network.output
    nodes = {source.name: nir.Input(input_type={"input": np.array([source.size])})}
    edges = []
    for population in trained.populations:
        nodes[population.name] = _node_of(trained, population, form)
    for c in network.connections:
        nodes[c.name] = nir.Linear(weight=_weights(trained, c, form).T.copy())
        begin, end = c.source.name, c.name
        if (delays := trained.source_delays(c, "NIR")).any():
            refuse_unless(
                form != "torch",
                f"connection {c.name} has delays, but snnTorch, Norse and SpikingJelly read none",
                "take another form, such as --nir-form steps",
            )
            nodes[f"{c.name}_delay"] = nir.Delay(delay=delays * trained.dt_ms / 1000)
            edges.append((begin, begin := f"{c.name}_delay"))
        edges.append((begin, end))
        if form == "torch" and c.source == c.target:
            # snnTorch 1.0 misreads a cycle of neurons and weights only; Flatten does nothing
            size = np.array([c.target.size])
            nodes[f"{c.name}_flat"] = nir.Flatten({"input": size}, start_dim=-1, end_dim=-1)
            edges.append((end, end := f"{c.name}_flat"))
        edges.append((end, c.target.name))
    nodes["readout"] = nir.Output(output_type={"output": np.array([output.size])})
    edges.append((output.name, "readout"))
    metadata = {
        "form": form,
        "dt": trained.dt_ms / 1000,
        "trial": trained.n_steps * trained.dt_ms / 1000,
        "spike_delay_steps": 1,
        "reset": "to zero",
        "readout": network.readout,
        "words": "\n".join(require_words(trained)),
        "code": trained.code,
        "order": "\n".join(nodes),  # HDF5 sorts them by name
        "network": as_text(network),
    }
    return nir.NIRGraph(nodes=nodes, edges=edges, metadata=metadata)


def write_nir(trained: TrainedNetwork, path: Path, form: Form = "steps") -> None:
    """Write a NIR file, which is HDF5; see `to_nir`."""
    graph = to_nir(trained, form)
    with written_aside(path) as aside:
        nir_module().write(aside, graph)


def read_nir(path: Path, **defaults: Any) -> TrainedNetwork:
    """Read a NIR file of ours or of others; see `from_nir`.

    Raises:
        DataError: if the file cannot be read, or its network cannot be described here.
    """
    nir = nir_module()
    try:
        graph = nir.read(path)
    except (OSError, KeyError, ValueError, AssertionError, TypeError) as error:
        raise DataError(f"{path} must be a NIR file, but {error!r}; write it again") from error
    return from_nir(graph, name=path.stem, **defaults)


def from_nir(
    graph: Any,
    *,
    form: Form = "steps",
    dt_ms: float = 1.0,
    trial_ms: float = 1000.0,
    readout: Readout = "avg_var_exp_weight",
    name: str = "network",
) -> TrainedNetwork:
    """A network from a NIR graph.

    Args:
        graph: A ``nir.NIRGraph``; graphs inside it are unfolded.
        form: How its numbers are to be read, if the graph's metadata do not say it.
        dt_ms: Length of a step in ms, likewise.
        trial_ms: Length of a trial in ms, likewise.
        readout: How the output is read, likewise.
        name: What the network is called in messages.

    Raises:
        DataError: if a node or an edge of it cannot be described here; the message names it.
    """
    nodes, edges = flattened(graph, nir_module())
    data = {key: _plain(value) for key, value in graph.metadata.items()}
    order = [key for key in str(data.get("order", "")).split("\n") if key in nodes]
    nodes = {key: nodes[key] for key in (*order, *(k for k in nodes if k not in order))}
    dt_ms = float(data.get("dt", dt_ms / 1000)) * 1000
    trial_ms = float(data.get("trial", trial_ms / 1000)) * 1000
    readout, form = data.get("readout", readout), data.get("form", form)
    require(form in get_args(Form), "form in steps, continuous", form, "choose one of them")
    require(readout in READOUTS, f"readout in {', '.join(READOUTS)}", readout, "choose one of them")
    ends = {p for p, q in edges if type(nodes[q]).__name__ == "Output"}
    populations: dict[str, Population] = {}
    parameters: dict[str, NDArray[np.float32]] = {}
    scales: dict[str, Array] = {}
    synapses: dict[str, Exponential] = {}
    for key, node in nodes.items():
        kind = type(node).__name__
        if kind == "Input":
            size = int(np.prod(node.input_type["input"]))
            populations[key] = Population(_identifier(key), SpikeInput(), size)
        elif kind in ("CubaLIF", "CubaLI"):
            read = readout if key in ends else None
            population, synapse, arrays, scale = _population(key, node, read, form, dt_ms / 1000)
            populations[key], synapses[key], scales[key] = population, synapse, scale
            parameters |= arrays
        elif kind not in ("Output", "Linear", "Affine", "Delay"):
            problem, cure = WHY.get(kind, UNKNOWN)
            raise DataError(f"node {key} is a {kind}, {problem}; {cure}")
    connections = []
    for path in edges_between(nodes, edges, set(populations)):
        weight, seconds = path.weight, path.delay
        begin, end = populations[path.source], populations[path.target]
        steps = np.round(seconds * 1000 / dt_ms).astype(np.float32)
        delay = float(steps[0]) if len(set(steps.tolist())) == 1 else _drawn(steps)
        connection = Connection(
            begin, end, NOT_DRAWN, synapses[path.target], delay, int(steps.max())
        )
        scaled = (weight.T.astype(np.float64) * scales[path.target]).astype(np.float32)
        parameters[connection.name] = scaled
        if connection.delayed:
            parameters[f"{connection.name}.delay"] = np.repeat(steps[:, None], end.size, axis=1)
        connections.append(connection)
    network = Network(tuple(populations.values()), tuple(connections))
    network = _as_described(network, parameters, str(data.get("network", "")), dt_ms)
    known = {p.key for p in network.parameters}
    parameters = {key: value for key, value in parameters.items() if key in known}
    network.check_parameters(parameters)
    words = str(data["words"]).split("\n") if "words" in data else []
    code = str(data.get("code", "cochlea"))
    n_steps = round(trial_ms / dt_ms)
    return TrainedNetwork(network, parameters, dt_ms, n_steps, tuple(words), code, name)


def _as_described(
    network: Network, parameters: dict[str, NDArray[np.float32]], text: str, dt_ms: float
) -> Network:
    """The network as it was described when it was written, unless the graph was changed since."""
    written = from_text(text)
    if written is None:
        return network
    known = ({p.key for p in n.parameters} for n in (written, network))
    same = [p.name for p in written.populations] == [p.name for p in network.populations]
    same = same and written.readout == network.readout
    same = same and {c.name: c.shape for c in written.connections} == {
        c.name: c.shape for c in network.connections
    }
    if not same or not all(keys <= parameters.keys() for keys in known):
        return network
    for p in network.populations:
        if p == network.input:
            continue
        ours, theirs = (
            constants_of(n, _named(n, p.name), parameters, dt_ms) for n in (written, network)
        )
        for name in ("tau_mem", "tau_syn", "v_thresh"):
            if not np.allclose(getattr(ours, name), getattr(theirs, name), rtol=1e-6):
                return network
    return written


def _named(network: Network, name: str) -> Population:
    return next(p for p in network.populations if p.name == name)


UNKNOWN = ("which cannot be described here", "replace it by CubaLIF, CubaLI, Linear or Delay")
WHY = {
    "LIF": ("whose synapses have no time constant, but ours have one", "export it as CubaLIF"),
    "LI": ("whose synapses have no time constant, but ours have one", "export it as CubaLI"),
    "IF": ("which does not leak, but our neurons do", "export it as CubaLIF"),
    "Threshold": ("which has no voltage", "export it as CubaLIF"),
}
"""Why nodes of other programs are refused, and what to do."""


def _node_of(trained: TrainedNetwork, population: Population, form: Form) -> Any:
    """The node of a population."""
    nir, spikes = nir_module(), population.neuron.description.spikes
    k, dt = trained.constants(population), trained.dt_ms / 1000
    fields = fields_of(k, dt, form, spikes=spikes)
    return (nir.CubaLIF if "v_threshold" in fields else nir.CubaLI)(**fields)


def _weights(trained: TrainedNetwork, c: Connection, form: Form) -> NDArray[np.float32]:
    """The weights of a connection as the file has them, (sources, targets)."""
    k, spikes = trained.constants(c.target), c.target.neuron.description.spikes
    weights = trained.parameters[c.name]
    return weights_for(weights, k, trained.dt_ms / 1000, form, spikes=spikes)


def _population(
    key: str, node: Any, readout: Readout | None, form: Form, dt: float
) -> tuple[Population, Exponential, dict[str, NDArray[np.float32]], Array]:
    """A population, its synapses, arrays of its constants, and what weights are multiplied by."""
    name, size = _identifier(key), int(np.prod(node.tau_mem.shape))
    flat = {f: np.asarray(getattr(node, f), np.float64).reshape(-1) for f in field_names(node)}
    values, scale = constants_from(key, flat, dt, form)
    spikes = "v_thresh" in values
    refuse_unless(
        not spikes or np.allclose(flat["v_reset"], flat["v_leak"]),
        f"node {key} resets to {flat.get('v_reset')}, but must reset to v_leak, as our neurons do",
        "set v_reset to v_leak, and train it again",
        DataError,
    )
    refuse_unless(
        spikes or readout is not None,
        f"node {key} never spikes and is not connected to the output, so that it has no effect",
        "connect it to the output, or leave it out",
        DataError,
    )
    arrays = {f"{name}.{kind}": value.astype(np.float32) for kind, value in values.items()}
    drawn = {kind: _value(value) for kind, value in values.items()}
    neuron: LeakyIntegrate | LeakyIntegrateFire
    if not spikes:
        assert readout is not None
        neuron = LeakyIntegrate(drawn["tau_mem"], readout)
    else:
        spiking = readout if readout and READOUTS[readout].spiking else None
        neuron = LeakyIntegrateFire(drawn["tau_mem"], drawn["v_thresh"], spiking)
    return Population(name, neuron, size), Exponential(drawn["tau_syn"]), arrays, scale


def _value(values: Array) -> Value:
    """One number if all are the same, as it was in ms; else that they differ."""
    rounded = np.round(values, 9)  # to s and back: units in the last place
    if np.all(rounded == rounded[0]):
        return float(rounded[0])
    return _drawn(values.astype(np.float32))


def _drawn(values: NDArray[np.floating]) -> Uniform:
    """That numbers differ, and between which bounds."""
    return Uniform(float(values.min()), float(values.max()))


def _identifier(key: str) -> str:
    """A node's name as that of a population."""
    name = "".join(letter if letter.isalnum() else "_" for letter in key)
    return name if name.isidentifier() else f"n_{name}"


def _plain(value: Any) -> Any:
    return value.decode() if isinstance(value, bytes) else value
