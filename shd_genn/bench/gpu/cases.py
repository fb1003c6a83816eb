"""Networks of every kind that the cuda backend runs, and digests of all that it computes of them.

A digest covers the readout, the spike counts, the gradients and the parameters after two updates,
bit by bit. What the loss does to the output is given instead of worked out, so that nothing in a
digest depends on the host's NumPy. Digests are recorded from the kernels emulated on a CPU
(tests/helpers/on_cpu); a GPU must arrive at the same.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from shd_genn.backends.cuda import device
from shd_genn.backends.cuda.engine import CudaEngine
from shd_genn.backends.cuda.parts import lanes_of
from shd_genn.backends.protocols import CompileConfig
from shd_genn.learning.dropout import Dropout
from shd_genn.learning.objective import Objective
from shd_genn.learning.optimisers import Adam
from shd_genn.network import (
    AdaptiveLeakyIntegrateFire,
    AdLIF,
    Clipped,
    Connection,
    Dense,
    Exponential,
    Gamma,
    HodgkinHuxley,
    Izhikevich,
    LeakyIntegrate,
    LeakyIntegrateFire,
    Network,
    Neuron,
    NeuronModel,
    Normal,
    Population,
    QuadraticIntegrateFire,
    SpikeInput,
    Trainable,
    Uniform,
    Value,
    output_neuron,
)
from shd_genn.network.parts import DelayKind
from shd_genn.network.readouts import READOUTS, Readout
from shd_genn.spikes.events import Events

RECORDED = Path(__file__).with_name("digests.json")
N_INPUTS, N_CLASSES, N_STEPS, N_SAMPLES = 40, 5, 100, 3


@dataclass(frozen=True)
class Case:
    """A network, and how it is run.

    Attributes:
        hidden: Neurons of each hidden layer.
        readout: How the output is read.
        recurrent: Whether layers feed themselves.
        learns_neurons: Whether time constants and thresholds are learned, of all populations.
        delay: Longest delay in steps of all connections but the output's; 0 means none.
        learns_delays: Whether they are learned.
        delay_kind: Which synapses share a delay.
        dt_ms: Length of a step in ms.
        neurons: Those of the hidden layers, of `NEURONS`; leaky integrate-and-fire if none.
        regularised: Whether there are drop-out, weight decay and gradient clipping.
    """

    hidden: tuple[int, ...] = (64,)
    readout: Readout = "avg_var_exp_weight"
    recurrent: bool = True
    learns_neurons: bool = False
    delay: int = 0
    learns_delays: bool = False
    delay_kind: DelayKind = "synaptic"
    dt_ms: float = 1.0
    neurons: tuple[str, ...] = ()
    regularised: bool = False


OfNeurons = Callable[..., Value]
"""Makes a parameter of its value and bounds: `Trainable`, or one that is not learned."""


def _exponential(of: OfNeurons) -> NeuronModel:
    """Beyond 1 the exponential drives V away; a spike is at 2."""
    return Neuron(
        name="ExponentialIntegrateFire",
        equations="tau * V' = I - V + slope * exp((V - 1) / slope)",
        spike="V >= 2",
        reset="V = 0",
        parameters={"tau": 20.0, "slope": of(0.2, low=0.05, high=1.0)},
        substep_ms=0.5,
        tau_refrac=2.0,
    )


NEURONS: dict[str, tuple[Callable[[OfNeurons], NeuronModel], float]] = {
    "ALIF": (
        lambda of: AdaptiveLeakyIntegrateFire(of(20.0, low=5.0), beta=of(0.2, low=0.01)),
        1.0,
    ),
    "adLIF": (lambda of: AdLIF(a=of(0.2, low=-0.5), b=of(0.2, high=2.0)), 1.0),
    "soft reset": (
        lambda of: LeakyIntegrateFire(v_thresh=of(1.0, low=0.3), reset="subtract", tau_refrac=3.0),
        2.0,
    ),
    "QIF": (lambda of: QuadraticIntegrateFire(v_reset=of(-1.0, low=-3.0, high=-0.1)), 1.5),
    "Izhikevich": (lambda of: Izhikevich(d=of(8.0, low=1.0), gain=5.0), 5.0),
    "Hodgkin-Huxley": (lambda of: HodgkinHuxley(g_K=of(36.0, low=10.0)), 2.5),
    "own": (_exponential, 2.5),
}
"""Name → a neuron that is described by equations, and how strong the weights to it are."""


def _fixed(value: float, **bounds: float) -> Value:
    return value


MEASURED = [name for name in READOUTS if name not in ("weighted", "learned_weight")]
"""The readouts of the recorded cases; the others run the same code with other tables."""

CASES: dict[str, Case] = {
    **{f"recurrent, {readout}": Case(readout=readout) for readout in MEASURED},
    **{
        f"learned neurons, {readout}": Case(readout=readout, learns_neurons=True)
        for readout in MEASURED
        if READOUTS[readout].form != "weighted" or readout == "avg_var_exp_weight"
    },
    "feed-forward": Case(recurrent=False),
    "two layers": Case((70, 20)),
    "three layers": Case((33, 32, 31), recurrent=False, readout="max_var"),
    "delays": Case(delay=9),
    "learned delays": Case(delay=9, learns_delays=True),
    "all that is learned": Case((40, 30), learns_neurons=True, delay=5, learns_delays=True),
    "spiking output, all learned": Case(
        (40, 30), "first_spike_time_exp", learns_neurons=True, delay=5, learns_delays=True
    ),
    "axonal delays, learned": Case((40, 30), delay=7, learns_delays=True, delay_kind="axonal"),
    "dendritic delays, learned": Case(
        (70, 30), delay=7, learns_delays=True, delay_kind="dendritic", neurons=("", "adLIF")
    ),
    "drop-out, decay, clipping": Case((70, 20), regularised=True, neurons=("", "QIF")),
    "1 neuron": Case((1,)),
    "256 neurons": Case((256,)),
    "512 neurons, two a thread": Case((512,)),
    "512 neurons, learned": Case((512,), "max_var", learns_neurons=True, delay=3),
    "1024 neurons, four a thread": Case((1024,)),
    "half a ms a step": Case(dt_ms=0.5),
    "ALIF beside leaky": Case((33, 20), neurons=("ALIF", "")),
    "linear equations, all learned": Case(
        (40, 20, 12),
        learns_neurons=True,
        delay=5,
        learns_delays=True,
        neurons=("ALIF", "adLIF", "soft reset"),
    ),
    "Izhikevich, QIF, learned": Case(
        (40, 20), "max_var", learns_neurons=True, neurons=("Izhikevich", "QIF")
    ),
    "Hodgkin-Huxley": Case((40,), neurons=("Hodgkin-Huxley",)),
    "Hodgkin-Huxley, own, learned": Case(
        (33, 20), learns_neurons=True, delay=3, neurons=("Hodgkin-Huxley", "own")
    ),
    "400 adLIF, two a thread": Case((400,), neurons=("adLIF",)),
    "1024 ALIF, four a thread": Case((1024,), "var", neurons=("ALIF",)),
}


def network_of(case: Case) -> Network:
    """The network of a case, with much activity."""

    def of_neurons(mean: float, low: float) -> Value:
        if not case.learns_neurons:
            return mean
        return Trainable(Clipped(Gamma(3, mean / 3), low, 3 * mean), low, 6 * mean)

    tau_out: Value = Trainable(20.0, low=3.0) if case.learns_neurons else 20.0
    thresh: Value = Trainable(Normal(1.0, 0.1), low=0.3) if case.learns_neurons else 1.0
    synapse = Exponential(of_neurons(5.0, 1.0))

    def connection(source: Population, target: Population, weight: Normal) -> Connection:
        delay = Uniform(0, case.delay) if case.delay else 0.0
        dense, learns = Dense(weight), case.learns_delays
        kind = case.delay_kind
        return Connection(source, target, dense, synapse, delay, case.delay, learns, kind)

    source = Population("input", SpikeInput(), N_INPUTS)
    layers, strengths = [], []
    for i, size in enumerate(case.hidden):
        neuron: NeuronModel = LeakyIntegrateFire(of_neurons(20.0, 5.0), thresh)
        strength = 1.0
        if case.neurons and case.neurons[i]:
            make, strength = NEURONS[case.neurons[i]]
            neuron = make(Trainable if case.learns_neurons else _fixed)
        layers.append(Population(f"hidden{i}", neuron, size))
        strengths.append(strength)
    spiking = READOUTS[case.readout].spiking
    last = (
        output_neuron(case.readout, tau_out, thresh)
        if spiking
        else LeakyIntegrate(tau_out, case.readout)
    )
    output = Population("output", last, N_CLASSES)
    connections, before = [], source
    for layer, strength in zip(layers, strengths, strict=True):
        drawn = Normal(0.2, 0.3) if before is source else Normal(4 / before.size, 0.3)
        drawn = Normal(strength * drawn.mean, strength * drawn.sd)
        connections.append(connection(before, layer, drawn))
        if case.recurrent:
            connections.append(connection(layer, layer, Normal(0.0, 1.6 / math.sqrt(layer.size))))
        before = layer
    drawn = Normal(10 / before.size, 0.5)
    connections.append(Connection(before, output, Dense(drawn), Exponential(5.0)))
    return Network((source, *layers, output), tuple(connections))


def config_of(case: Case) -> CompileConfig:
    """How it is compiled."""
    if not case.regularised:
        return CompileConfig(N_STEPS, case.dt_ms)
    adam, objective = Adam(weight_decay=1.0, clip_gradient=0.5), Objective(dropout=Dropout(0.3))
    return CompileConfig(N_STEPS, case.dt_ms, adam=adam, objective=objective)


def events_of(case: Case) -> Events:
    """What it is shown: random spikes, some of which come after the trial."""
    rng = np.random.default_rng(7)
    end_ms = 1.05 * N_STEPS * case.dt_ms
    return Events.of(
        [(rng.uniform(0, end_ms, 220), rng.integers(0, N_INPUTS, 220)) for _ in range(N_SAMPLES)]
    )


def arrays_of(case: Case, engine: CudaEngine) -> dict[str, np.ndarray]:
    """All that the kernels compute in two batches, by name.

    Args:
        case: The case.
        engine: Its network, as compiled.
    """
    rng = np.random.default_rng(8)
    events, network = events_of(case), engine.network
    each_step = READOUTS[case.readout].form == "each_step"
    shape = (N_SAMPLES, *((N_STEPS,) if each_step else ()), network.output.size)
    rates = np.full(len(engine.plan.learned), 1e-2, np.float32)
    adam, dropout = engine.config.adam, engine.config.objective.dropout
    learned = [a.parameter.key for a in engine.plan.learned]
    kept = np.array([adam.kept(key, 1e-2) for key in learned], np.float32)
    arrays: dict[str, np.ndarray] = {}
    for batch in range(2):
        masks = dropout.masks(network, N_SAMPLES, seed=0, step=batch)
        silent = lanes_of(engine.plan, masks) if masks else None
        forward = engine.forward_pass(events, learns=True, silent=silent)
        drive = rng.uniform(-0.3, 0.3, shape).astype(np.float32)
        jump = rng.uniform(-1e-3, 1e-3, engine.plan.lanes).astype(np.float32)
        engine.device.backward(N_SAMPLES, drive, jump, first_part=True)
        clip = 1.0
        if case.regularised:
            engine.device.drop_out(None, {})
            engine.device.scale_gradient(dropout.scales(network))
            arrays[f"squares {batch}"] = squares = engine.device.squares()
            clip = adam.clip_norm(math.sqrt(math.fsum(squares)))
        gradient = engine.device.pull(device.GRADIENT, engine.plan.n_learned)
        engine.device.adam((0.9, 0.999, 1e-8), 1 / (1 - 0.999 ** (batch + 1)), rates, clip, kept)
        engine.parameters_changed()
        arrays |= {
            f"readout {batch}": forward.readout,
            f"counts {batch}": forward.counts,
            f"input spikes {batch}": forward.input_spikes,
            f"gradient {batch}": gradient,
        }
    if each_step:
        arrays |= _losses_of(engine, events)
    return arrays | {f"parameter {key}": array for key, array in engine.parameters().items()}


def _losses_of(engine: CudaEngine, events: Events) -> dict[str, np.ndarray]:
    """What the kernels of losses of every step compute: the cross-entropy, and learned weights."""
    gpu, n_classes, rng = engine.device, engine.network.output.size, np.random.default_rng(9)
    engine.forward_pass(events, learns=True, keep=True)
    labels, size = np.arange(N_SAMPLES), N_SAMPLES * N_STEPS * n_classes
    totals, rights = gpu.step_loss(labels, 0.7, 0.1, N_SAMPLES, to_drive=True)
    arrays = {"totals": totals, "rights": rights, "drive": gpu.pull(device.DRIVE, size)}
    for n in (1, n_classes):
        curves = rng.uniform(0, 2, (2, n, N_STEPS)).astype(np.float32)
        arrays[f"read by {n}"] = gpu.read_curves(N_SAMPLES, curves)
        by_readout = rng.uniform(-0.3, 0.3, (N_SAMPLES, n_classes)).astype(np.float32)
        gpu.drive_curves(by_readout, n, first_part=True)
        arrays[f"drive of {n}"] = gpu.pull(device.DRIVE, size)
        arrays[f"gradient of {n}"] = gpu.curve_gradient()
    return arrays


def digests_of(arrays: Mapping[str, np.ndarray]) -> dict[str, str]:
    """A digest of each array's bits; 0 and -0 count as the same."""
    result = {}
    for name, array in arrays.items():
        positive = array + np.zeros((), array.dtype)
        result[name] = hashlib.blake2b(positive.tobytes(), digest_size=8).hexdigest()
    return result


def recorded() -> dict[str, dict[str, str]]:
    """Case → array → digest, as recorded from the emulation."""
    digests: dict[str, dict[str, str]] = json.loads(RECORDED.read_text(encoding="utf-8"))
    return digests
