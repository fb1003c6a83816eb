"""Simulates a NIR graph by its equations; it knows NIR only, nothing of shd_genn.

`euler`: steps of dt in which a spike is 1, as Norse, snnTorch and SpikingJelly integrate. `exact`:
the equations of the NIR paper in closed form, in which a spike has area 1. Both deliver what
neurons emit one step later, and give the voltages of the node before the output.
"""

import numpy as np


def _currents(graph, emitted, step, lag, dt):
    """What arrives at each node of neurons in a step."""
    arriving = {}
    for key, node in graph.nodes.items():
        if type(node).__name__ not in ("Linear", "Affine"):
            continue
        (begin,) = [a for a, b in graph.edges if b == key]
        (end,) = [b for a, b in graph.edges if a == key]
        if type(graph.nodes[end]).__name__ == "Flatten":
            (end,) = [b for a, b in graph.edges if a == end]
        delay = np.zeros(node.weight.shape[1])
        if type(graph.nodes[begin]).__name__ == "Delay":
            delay = graph.nodes[begin].delay
            (begin,) = [a for a, b in graph.edges if b == begin]
        sent = step - lag - np.round(delay / dt).astype(int)
        spikes = np.where(sent >= 0, emitted[begin][sent, np.arange(len(sent))], 0)
        arriving[end] = arriving.get(end, 0) + node.weight @ spikes
    return arriving


def simulate(graph, inputs, dt, rule):
    """Output voltages (steps, outputs), given input spikes (steps, channels) of 0 and 1."""
    neurons = {k: n for k, n in graph.nodes.items() if type(n).__name__ in ("CubaLIF", "CubaLI")}
    (source,) = [k for k, n in graph.nodes.items() if type(n).__name__ == "Input"]
    (sink,) = [k for k, n in graph.nodes.items() if type(n).__name__ == "Output"]
    (last,) = [a for a, b in graph.edges if b == sink]
    emitted = {k: np.zeros((len(inputs), len(n.tau_mem))) for k, n in neurons.items()}
    emitted[source] = inputs
    current = {k: np.zeros(len(n.tau_mem)) for k, n in neurons.items()}
    voltage = {k: np.zeros(len(n.tau_mem)) for k, n in neurons.items()}
    out = np.zeros((len(inputs), len(neurons[last].tau_mem)))
    for step in range(len(inputs)):
        arriving = _currents(graph, emitted, step, 1, dt)
        for key, node in neurons.items():
            i, v = rule(node, current[key], voltage[key], arriving.get(key, 0), dt)
            if hasattr(node, "v_threshold"):
                fired = v >= node.v_threshold
                emitted[key][step], v = fired, np.where(fired, node.v_reset, v)
            current[key], voltage[key] = i, v
        out[step] = voltage[last]
    return out


def euler(node, i, v, spikes, dt):
    i = i + dt / node.tau_syn * (-i + node.w_in * spikes)
    return i, v + dt / node.tau_mem * (node.v_leak - v + node.r * i)


def exact(node, i, v, spikes, dt):
    i = i + node.w_in * spikes / node.tau_syn  # at the begin of the step
    a, b = np.exp(-dt / node.tau_mem), np.exp(-dt / node.tau_syn)
    held = node.r * i * node.tau_syn / (node.tau_syn - node.tau_mem) * (b - a)
    return b * i, node.v_leak + a * (v - node.v_leak) + held
