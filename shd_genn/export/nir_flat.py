"""NIR graphs without graphs inside them, and the weights between their neurons."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from shd_genn.support.errors import DataError, refuse_unless

Edges = list[tuple[str, str]]


@dataclass(frozen=True)
class Path:
    """What lies between two populations.

    Attributes:
        source: Node of the neurons that spike.
        target: Node of the neurons that receive.
        weight: (targets, sources).
        delay: (sources,), in s.
    """

    source: str
    target: str
    weight: NDArray[np.floating]
    delay: NDArray[np.float64]


def flattened(graph: Any, nir: Any, prefix: str = "") -> tuple[dict[str, Any], Edges]:
    """All nodes and edges of a graph and of the graphs inside it.

    The inputs and outputs of inner graphs are left out, and so is a ``Flatten`` of numbers that lie
    in one dimension already: what comes in goes on.

    Args:
        graph: A ``nir.NIRGraph``.
        nir: The nir package.
        prefix: Of the nodes' names.

    Returns:
        Name → node, and edges between them.
    """
    nodes: dict[str, Any] = {}
    edges: Edges = [(f"{prefix}{a}", f"{prefix}{b}") for a, b in graph.edges]
    for key, node in graph.nodes.items():
        name = f"{prefix}{key}"
        if isinstance(node, nir.Flatten) and _is_flat(node):
            edges = _without(name, edges)
            continue
        if not isinstance(node, nir.NIRGraph):
            nodes[name] = node
            continue
        inner, inner_edges = flattened(node, nir, f"{name}_")
        begins = [k for k, n in inner.items() if isinstance(n, nir.Input)]
        ends = [k for k, n in inner.items() if isinstance(n, nir.Output)]
        edges = [
            (x, y)
            for a, b in edges
            for x in (ends if a == name else [a])
            for y in (begins if b == name else [b])
        ]
        nodes |= inner
        edges += inner_edges
        for passed in (*begins, *ends):
            edges = _without(passed, edges)
            del nodes[passed]
    return nodes, list(dict.fromkeys(edges))


def _is_flat(node: Any) -> bool:
    return node.input_type["input"] is not None and len(node.input_type["input"]) == 1


def _without(node: str, edges: Edges) -> Edges:
    """The edges when a node is left out, whose inputs go on to its outputs."""
    before = [a for a, b in edges if b == node and a != node]
    after = [b for a, b in edges if a == node and b != node]
    kept = [(a, b) for a, b in edges if node not in (a, b)]
    return kept + [(a, b) for a in before for b in after]


def edges_between(nodes: dict[str, Any], edges: Edges, populations: set[str]) -> list[Path]:
    """The connections between populations, in the order of their weights' nodes.

    Raises:
        DataError: if populations are connected otherwise than by one Linear, with or without Delay.
    """
    found = []
    for key, node in nodes.items():
        kind = type(node).__name__
        if kind not in ("Linear", "Affine"):
            continue
        bias = np.asarray(getattr(node, "bias", 0.0))
        refuse_unless(
            not bias.any(),
            f"node {key} has a bias, but our neurons have no constant current",
            "train the network without biases",
            DataError,
        )
        (begin, delay), target = _source(key, nodes, edges), _only(key, edges, forward=True)
        if begin not in populations or target not in populations:
            raise DataError(
                f"node {key} connects {begin} with {target}, which are not both neurons; "
                "give every pair of populations a Linear of its own"
            )
        weight = np.asarray(node.weight)
        found.append(Path(begin, target, weight, np.broadcast_to(delay, weight.shape[1])))
    for a, b in edges:
        refuse_unless(
            not (a in populations and b in populations),
            f"nodes {a} and {b} are connected without weights",
            "put a Linear between them",
            DataError,
        )
    return found


def _source(key: str, nodes: dict[str, Any], edges: Edges) -> tuple[str, NDArray[np.float64]]:
    """Where a connection's spikes come from, and how long they take, in s."""
    begin = _only(key, edges, forward=False)
    if type(nodes[begin]).__name__ != "Delay":
        return begin, np.zeros(1)
    delay = np.asarray(nodes[begin].delay, np.float64).reshape(-1)
    return _only(begin, edges, forward=False), delay


def _only(key: str, edges: Edges, *, forward: bool) -> str:
    """The one node before or after another."""
    found = [b if forward else a for a, b in edges if (a if forward else b) == key]
    if len(found) != 1:
        raise DataError(
            f"node {key} must have one node {'after' if forward else 'before'} it, but has "
            f"{', '.join(found) or 'none'}; give every connection weights of its own"
        )
    return found[0]
