"""A trial of e-prop with adaptive neurons: recorded from mlGeNN's `EPropCompiler`, and by hand.

`python tests/helpers/mlgenn_eprop.py` records it (needs pygenn 5 and ml_genn; a minute). `by_hand`
computes the same with plain loops, in mlGeNN's convention or in ours, so that what differs between
them is written in one place:

* GeNN's order of updates pairs the spikes of a step, its pseudo-derivative and the error of two
  steps before. Here a spike acts one step later, on V and on the output, as in the forward pass.
* mlGeNN carries the adaptation's trace as Bellec et al. (2020), whose threshold falls before a
  spike is added. In its forward pass the threshold falls after that, so here the trace does, too.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np

if __name__ == "__main__":
    sys.path[:0] = [str(Path(__file__).parents[2])]

from shd_genn.network import (
    AdaptiveLeakyIntegrateFire,
    Connection,
    Dense,
    Exponential,
    LeakyIntegrate,
    Network,
    Normal,
    Population,
    SpikeInput,
)

RECORDED = Path(__file__).parents[1] / "learning/data/mlgenn_eprop.npz"
N_INPUTS, N_HIDDEN, N_CLASSES, N_STEPS = 12, 9, 4, 80
TAU_MEM, TAU_ADAPT, V_THRESH, BETA, LABEL = 20.0, 60.0, 0.6, 0.2, 2


def weights():
    """In mlGeNN's scale: what a spike adds to V."""
    rng = np.random.default_rng(3)
    return {
        "input_hidden": rng.normal(0.12, 0.15, (N_INPUTS, N_HIDDEN)),
        "hidden_hidden": rng.normal(0.0, 0.15, (N_HIDDEN, N_HIDDEN)),
        "hidden_output": rng.normal(0.0, 0.5, (N_HIDDEN, N_CLASSES)),
    }


def spikes():
    """Steps and channels of the input; a channel spikes once a step at most."""
    rng = np.random.default_rng(4)
    raster = rng.random((N_STEPS, N_INPUTS)) < 0.12
    steps, channels = np.nonzero(raster)
    return steps, channels


def run_mlgenn():
    """What mlGeNN computes, (steps, neurons), and its gradients; it compiles in this folder."""
    from ml_genn import Connection, Network, Population
    from ml_genn.compilers import EPropCompiler
    from ml_genn.connectivity import Dense
    from ml_genn.neurons import AdaptiveLeakyIntegrateFire, LeakyIntegrate, SpikeInput
    from ml_genn.synapses import Delta
    from ml_genn.utils.data import preprocess_spikes

    network, start = Network(), weights()
    with network:
        source = Population(SpikeInput(max_spikes=2000), N_INPUTS)
        hidden = Population(
            AdaptiveLeakyIntegrateFire(
                v_thresh=V_THRESH,
                tau_mem=TAU_MEM,
                tau_adapt=TAU_ADAPT,
                beta=BETA,
                tau_refrac=0.0,
                relative_reset=True,
                integrate_during_refrac=True,
            ),
            N_HIDDEN,
        )
        output = Population(LeakyIntegrate(tau_mem=TAU_MEM, readout="sum_var"), N_CLASSES)
        made = {
            "input_hidden": Connection(source, hidden, Dense(start["input_hidden"]), Delta()),
            "hidden_hidden": Connection(hidden, hidden, Dense(start["hidden_hidden"]), Delta()),
            "hidden_output": Connection(hidden, output, Dense(start["hidden_output"]), Delta()),
        }
    compiler = EPropCompiler(
        example_timesteps=N_STEPS,
        losses="sparse_categorical_crossentropy",
        c_reg=0.0,
        batch_size=1,
        backend="single_threaded_cpu",
    )
    compiled = compiler.compile(network)
    found = {name: [] for name in ("V", "A", "V_out", "E_out", "psi", "z_filter")}
    steps, channels = spikes()
    with compiled:
        compiled.set_input({source: [preprocess_spikes(steps.astype(float), channels, N_INPUTS)]})
        out, of_hidden = compiled.neuron_populations[output], compiled.neuron_populations[hidden]
        compiled.losses[output].set_target(out, [LABEL], output.shape, 1, N_STEPS)
        into_hidden = compiled.connection_populations[made["input_hidden"]]

        def pull(variable):
            variable.pull_from_device()
            return variable.values.copy().ravel()

        for _ in range(N_STEPS):
            compiled.step_time()
            for name, variable in (
                ("V", of_hidden.vars["V"]),
                ("A", of_hidden.vars["A"]),
                ("V_out", out.vars["V"]),
                ("E_out", out.vars["E"]),
                ("psi", into_hidden.post_vars["Psi"]),
                ("z_filter", into_hidden.pre_vars["ZFilter"]),
            ):
                found[name].append(pull(variable))
            for stage in ("Softmax1", "Softmax2", "Softmax3"):
                compiled.custom_update(stage)
        arrays = {name: np.array(rows) for name, rows in found.items()}
        for name, connection in made.items():
            group = compiled.connection_populations[connection]
            arrays[f"gradient_{name}"] = pull(group.vars["DeltaG"])
    return arrays


@dataclass(frozen=True)
class Convention:
    """When what is multiplied.

    Attributes:
        trace_delay: Steps from a spike to the trace that a pseudo-derivative is multiplied by.
        error_delay: Steps from the error of an output to the trace that it is multiplied by.
        falls_after_spike: Whether the adaptation of a spike falls in the step in which it is added.
    """

    trace_delay: int
    error_delay: int
    falls_after_spike: bool


MLGENN = Convention(trace_delay=0, error_delay=2, falls_after_spike=False)
OURS = Convention(trace_delay=1, error_delay=-1, falls_after_spike=True)


def softmax(v):
    e = np.exp(v - v.max())
    return e / e.sum()


def forward():
    """V and A before the reset, spikes, and V of the output; float64, (steps, neurons)."""
    alpha, rho, w = np.exp(-1 / TAU_MEM), np.exp(-1 / TAU_ADAPT), weights()
    x = np.zeros((N_STEPS, N_INPUTS))
    x[spikes()] = 1
    v, a, v_out = np.zeros(N_HIDDEN), np.zeros(N_HIDDEN), np.zeros(N_CLASSES)
    before = np.zeros(N_INPUTS), np.zeros(N_HIDDEN)
    rows = []
    for now in x:
        v = alpha * v + before[0] @ w["input_hidden"] + before[1] @ w["hidden_hidden"]
        a, v_out = rho * a, alpha * v_out + before[1] @ w["hidden_output"]
        z = (v >= V_THRESH + BETA * a).astype(float)
        rows.append((v, a, z, v_out))
        v, a, before = v - V_THRESH * z, a + z, (now, z)
    return x, *(np.array(each) for each in zip(*rows, strict=True))


def by_hand(convention):
    """The gradients of the summed loss by weights in mlGeNN's scale, in a convention."""
    alpha, rho = np.exp(-1 / TAU_MEM), np.exp(-1 / TAU_ADAPT)
    x, v, a, z, v_out = forward()
    psi = 0.3 / V_THRESH * np.maximum(0, 1 - np.abs(v - V_THRESH - BETA * a) / V_THRESH)
    # mlGeNN's softmax is 0 before the first step, and its error before that
    errors = {n: softmax(v_out[n]) - np.eye(N_CLASSES)[LABEL] for n in range(N_STEPS)}
    if convention is MLGENN:
        errors[-1] = -np.eye(N_CLASSES)[LABEL]
    none = np.zeros(N_CLASSES)
    feedback = weights()["hidden_output"]
    # the last step of GeNN's synapses sees the neurons of the step before
    last = N_STEPS - 1 if convention is MLGENN else N_STEPS

    def filtered(spikes_of):
        total, found = np.zeros(spikes_of.shape[1]), []
        for row in spikes_of:
            total = alpha * total + row
            found.append(total)
        return np.array(found)

    gradient = {}
    for name, source in (("input_hidden", x), ("hidden_hidden", z)):
        trace = filtered(source)
        e_filtered = adapted = total = np.zeros((source.shape[1], N_HIDDEN))
        for n in range(last):
            arrived = n - convention.trace_delay
            by_spike = np.zeros_like(total) + (trace[arrived][:, None] if arrived >= 0 else 0)
            e = psi[n] * (by_spike - BETA * adapted)
            adapted = rho * (adapted + e) if convention.falls_after_spike else rho * adapted + e
            e_filtered = alpha * e_filtered + e
            total = total + e_filtered * (feedback @ errors.get(n - convention.error_delay, none))
        gradient[name] = total
    # an error of the output has one step less to go
    trace, late = filtered(z), convention.error_delay - (1 if convention is MLGENN else 0)
    gradient["hidden_output"] = sum(
        np.outer(trace[n], errors.get(n - late, none)) for n in range(last)
    )
    return gradient


def network():
    """The same in our words; a time constant of nothing makes synapses that act at once."""
    hidden_neuron = AdaptiveLeakyIntegrateFire(TAU_MEM, V_THRESH, TAU_ADAPT, BETA)
    source = Population("input", SpikeInput(), N_INPUTS)
    hidden = Population("hidden", hidden_neuron, N_HIDDEN)
    output = Population("output", LeakyIntegrate(TAU_MEM, "var"), N_CLASSES)
    pairs = ((source, hidden), (hidden, hidden), (hidden, output))
    return Network(
        (source, hidden, output),
        tuple(Connection(a, b, Dense(Normal(0.0, 1.0)), Exponential(TAU_SYN)) for a, b in pairs),
    )


TAU_SYN = 0.01
GAIN = -np.expm1(-1 / TAU_MEM) * TAU_SYN
"""What V receives of a weight in our scale."""


if __name__ == "__main__":
    np.savez_compressed(RECORDED, **run_mlgenn())
