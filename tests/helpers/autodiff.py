"""The same network in JAX, float64, differentiated by JAX: what our gradients are compared with.

Nothing of shd_genn's equations is used here, only the description of a network and its parameters.
`python tests/helpers/autodiff.py` writes the recorded gradients (needs jax; a few minutes).
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np

if __name__ == "__main__":
    sys.path[:0] = [str(Path(__file__).parents[1]), str(Path(__file__).parents[2])]

from shd_genn.backends.protocols import CompileConfig
from shd_genn.learning.methods import EProp, Surrogate
from shd_genn.learning.methods.shapes import SHAPES
from shd_genn.learning.objective import Objective, Regulariser
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
    Trainable,
    Uniform,
)
from shd_genn.spikes.events import Events

RECORDED = Path(__file__).parents[1] / "learning/data/autodiff.npz"
N_INPUTS, N_CLASSES, N_STEPS, N_SAMPLES = 12, 4, 60, 3
CONFIG = CompileConfig(
    N_STEPS, objective=Objective(temperature=0.3, regulariser=Regulariser(1e-4, 2e-4, 3.0))
)


def case_names():
    """All cases: method, shape or feedback, reset, readout."""
    for shape in SHAPES:
        for reset in ("attached", "detached"):
            yield f"surrogate/{shape}/{reset}/avg_var_exp_weight"
    for readout in ("max_var", "var", "sum_var"):
        yield f"surrogate/atan/attached/{readout}"
    for shape in ("triangle", "superspike"):
        yield f"eprop/{shape}/stopped/avg_var_exp_weight"
    yield "eprop/triangle/stopped/var"
    yield "surrogate/sigmoid/detached/delays"


def case(name):
    """Network, method, readout of a case."""
    kind, shape, reset, readout = name.split("/")
    delays = readout == "delays"
    readout = "avg_var_exp_weight" if delays else readout
    slope = {"superspike": 10.0}.get(shape)
    if kind == "eprop":
        method = EProp(surrogate=shape, surrogate_slope=slope)
    else:
        method = Surrogate(shape, slope, detach_reset=reset == "detached")
    return network(readout, delays, feeds_output=kind == "eprop"), method


def network(readout, delays=False, feeds_output=False):
    """Two recurrent layers whose time constants and thresholds are learned."""
    neuron = LeakyIntegrateFire(Trainable(Uniform(10, 30), 5), Trainable(Uniform(0.7, 1.2), 0.3))
    synapse = Exponential(Trainable(Uniform(3, 9), 1))
    source = Population("input", SpikeInput(), N_INPUTS)
    one, two = Population("one", neuron, 9), Population("two", neuron, 5)
    output = Population("output", LeakyIntegrate(Trainable(20.0, 3), readout), N_CLASSES)
    late = {"delay": Uniform(0, 6), "max_delay_steps": 6} if delays else {}
    pairs = [
        (source, one, Normal(0.6, 0.5)),
        (one, one, Normal(0.1, 0.4)),
        (one, two, Normal(0.7, 0.6)),
        (two, two, Normal(0.0, 0.4)),
        (two, output, Normal(0.0, 1.0)),
    ]
    if feeds_output:
        pairs.append((one, output, Normal(0.0, 1.0)))
    into = {"output": Exponential(Trainable(5.0, 1))}
    return Network(
        (source, one, two, output),
        tuple(Connection(a, b, Dense(w), into.get(b.name, synapse), **late) for a, b, w in pairs),
    )


def samples():
    """Events and labels."""
    rng = np.random.default_rng(5)
    events = Events.of(
        [
            (np.sort(rng.integers(0, N_STEPS, 90)).astype(float), rng.integers(0, N_INPUTS, 90))
            for _ in range(N_SAMPLES)
        ]
    )
    return events, np.array([1, 3, 0])


def rasters(events, channels_in=N_INPUTS):
    """0/1, (samples, steps, channels): one spike a step, the others in the steps after."""
    found = np.zeros((len(events), N_STEPS, channels_in))
    for i in range(len(events)):
        for time, channel in zip(*events.sample(i), strict=True):
            step = int(time)
            while step < N_STEPS and found[i, step, channel]:
                step += 1
            if step < N_STEPS:
                found[i, step, channel] = 1
    return found


def gradients(name):
    """dLoss/dp of the batch's mean loss with the regulariser, by JAX: key → float64 array."""
    import jax
    import jax.numpy as jnp

    jax.config.update("jax_enable_x64", True)
    net, method = case(name)
    events, labels = samples()
    kind, shape, reset, _ = name.split("/")
    slope, scale = method.derivative.slope, method.derivative.scale
    start = {
        key: jnp.asarray(array, jnp.float64) for key, array in net.initial_parameters(0).items()
    }
    delays = {c.name: np.zeros(c.shape, int) for c in net.connections}
    for c in net.connections:
        if c.delayed:
            delays[c.name] = np.floor(np.asarray(start.pop(f"{c.name}.delay")) + 0.5).astype(int)

    def psi(x, theta):
        u = slope * x
        density = lambda y, sd: jnp.exp(-((y / sd) ** 2) / 2) / (sd * np.sqrt(2 * np.pi))  # noqa: E731
        return (
            scale
            * {
                "superspike": lambda: 1 / (1 + jnp.abs(u)) ** 2,
                "fast_sigmoid": lambda: 0.5 * slope / (1 + jnp.abs(u)) ** 2,
                "atan": lambda: 0.5 * slope / (1 + (np.pi / 2 * u) ** 2),
                "sigmoid": lambda: slope * jax.nn.sigmoid(u) * (1 - jax.nn.sigmoid(u)),
                "triangle": lambda: jnp.maximum(0, 1 - jnp.abs(u / theta)) / theta,
                "boxcar": lambda: jnp.where(jnp.abs(x) < 1 / (2 * slope), slope, 0.0),
                "multi_gaussian": lambda: (
                    1.15 * density(x, 1 / slope)
                    - 0.15 * density(x - 1 / slope, 6 / slope)
                    - 0.15 * density(x + 1 / slope, 6 / slope)
                ),
            }[shape]()
        )

    @jax.custom_jvp
    def spike(v, theta):
        return (v >= theta).astype(jnp.float64)

    @spike.defjvp
    def spike_jvp(primals, tangents):
        (v, theta), (dv, dtheta) = primals, tangents
        return spike(v, theta), psi(v - theta, theta) * (dv - dtheta)

    stop = jax.lax.stop_gradient
    trained_populations = [p for p in net.populations if p != net.input]

    def run(parameters, raster):
        """Readout, loss-relevant voltages, and spike counts of one trial."""
        alpha = {p.name: jnp.exp(-1 / parameters[f"{p.name}.tau_mem"]) for p in trained_populations}
        taus = {p.name: parameters[f"{p.name}.tau_syn"] for p in trained_populations}
        beta = {name: jnp.exp(-1 / tau) for name, tau in taus.items()}
        gain = {name: (1 - alpha[name]) * tau * (1 - beta[name]) for name, tau in taus.items()}
        z = {p.name: [] for p in net.populations}
        z["input"] = list(jnp.asarray(raster))
        x = {p.name: jnp.zeros(p.size) for p in trained_populations}
        u = {p.name: jnp.zeros(p.size) for p in trained_populations}
        voltages, counts = [], {p.name: 0.0 for p in net.hidden}
        for n in range(N_STEPS):
            new = {}
            for p in trained_populations:
                x[p.name] = beta[p.name] * x[p.name]
                for c in net.inputs_of(p):
                    w, late = parameters[c.name], delays[c.name]
                    for d in range(int(late.max()) + 1):
                        if n - 1 - d >= 0:
                            came = z[c.source.name][n - 1 - d]
                            if kind == "eprop" and p != net.output:
                                came = stop(came)
                            x[p.name] = x[p.name] + came @ (w * (late == d))
                v = alpha[p.name] * u[p.name] + gain[p.name] * x[p.name]
                if p == net.output:
                    u[p.name] = v
                    voltages.append(v)
                    continue
                fired = spike(v, parameters[f"{p.name}.v_thresh"])
                u[p.name] = v * (1 - (fired if reset == "attached" else stop(fired)))
                new[p.name] = fired
                counts[p.name] = counts[p.name] + fired
            for name_, fired in new.items():
                z[name_].append(fired)
        return jnp.stack(voltages), counts

    readout = net.readout
    tau_out = 20.0
    regulariser, temperature = CONFIG.objective.regulariser, CONFIG.objective.temperature

    def loss(parameters):
        total, counts = 0.0, []
        for raster, label in zip(rasters(events), labels, strict=True):
            v, of_trial = run(parameters, raster)
            steps = jnp.arange(N_STEPS) / N_STEPS
            if readout == "var":
                logits = v / temperature
            elif readout == "max_var":
                # a maximum of 0, before the first arrivals, is no function of any voltage
                highest = v.max(axis=0)
                logits = jnp.where(highest > 0, highest, 0.0)[None] / temperature
            elif readout == "sum_var":
                logits = v.sum(axis=0)[None] / temperature
            else:
                logits = (jnp.exp(-steps) @ v / N_STEPS)[None] / temperature
            total += -jax.nn.log_softmax(logits, axis=1)[:, label].mean() / N_SAMPLES
            counts.append(of_trial)
        scale_ = tau_out * (N_STEPS if readout in ("sum_var", "max_var") else 1)
        for p in net.hidden:
            mean = sum(of_trial[p.name] for of_trial in counts) / N_SAMPLES
            strength = jnp.where(
                mean > regulariser.target, regulariser.upper, regulariser.lower
            ) * stop(parameters[f"{p.name}.tau_mem"])
            total += scale_ * jnp.sum(strength * (mean - regulariser.target) ** 2) / 2
        return total

    return {key: np.asarray(array) for key, array in jax.grad(loss)(start).items()}


def flattened(arrays):
    """All numbers of some gradients in one array, by the order of their keys."""
    return np.concatenate([np.asarray(arrays[key], np.float32).ravel() for key in sorted(arrays)])


def record():
    """Write all cases to `RECORDED`."""
    RECORDED.parent.mkdir(exist_ok=True)
    np.savez_compressed(RECORDED, **{name: flattened(gradients(name)) for name in case_names()})


if __name__ == "__main__":
    record()
