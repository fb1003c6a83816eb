"""The same network in JAX, float64, differentiated by JAX: what our gradients are compared with.

Nothing of shd_genn's equations is used here, only the description of a network and its parameters.
`python tests/helpers/autodiff.py` writes the recorded gradients (needs jax; a few minutes);
with `--missing` it computes the cases only that are not recorded.
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
    AdaptiveLeakyIntegrateFire,
    AdLIF,
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
    """All cases: method, shape, reset, readout, and the neuron if it is not LIF."""
    for shape in SHAPES:
        for reset in ("attached", "detached"):
            yield f"surrogate/{shape}/{reset}/avg_var_exp_weight"
    for readout in ("max_var", "var", "sum_var"):
        yield f"surrogate/atan/attached/{readout}"
    for shape in ("triangle", "superspike"):
        yield f"eprop/{shape}/stopped/avg_var_exp_weight"
    yield "eprop/triangle/stopped/var"
    yield "surrogate/sigmoid/detached/delays"
    yield "surrogate/atan/attached/avg_var_exp_weight/alif"
    yield "surrogate/atan/detached/avg_var_exp_weight/alif"
    yield "surrogate/triangle/detached/var/alif"
    yield "surrogate/atan/attached/avg_var_exp_weight/soft"
    yield "surrogate/atan/detached/avg_var_exp_weight/held"
    yield "surrogate/atan/attached/avg_var_exp_weight/adlif"
    for neuron in ("alif", "adlif"):
        yield f"eprop/triangle/stopped/avg_var_exp_weight/{neuron}"


def case(name):
    """Network, method, readout of a case."""
    kind, shape, reset, readout, *neuron = name.split("/")
    delays = readout == "delays"
    readout = "avg_var_exp_weight" if delays else readout
    slope = {"superspike": 10.0}.get(shape)
    if kind == "eprop":
        method = EProp(surrogate=shape, surrogate_slope=slope)
    else:
        method = Surrogate(shape, slope, detach_reset=reset == "detached")
    neuron = NEURONS[neuron[0]] if neuron else NEURONS["lif"]
    return network(readout, delays, kind == "eprop", neuron), method


TAU_MEM, V_THRESH = Trainable(Uniform(10, 30), 5), Trainable(Uniform(0.7, 1.2), 0.3)
NEURONS = {
    "lif": LeakyIntegrateFire(TAU_MEM, V_THRESH),
    "soft": LeakyIntegrateFire(TAU_MEM, V_THRESH, reset="subtract"),
    "held": LeakyIntegrateFire(TAU_MEM, V_THRESH, reset="subtract", tau_refrac=3.0),
    "alif": AdaptiveLeakyIntegrateFire(
        TAU_MEM, V_THRESH, Trainable(Uniform(20, 60), 5), Trainable(Uniform(0.2, 0.5), 0.01)
    ),
    "adlif": AdLIF(
        TAU_MEM,
        V_THRESH,
        Trainable(Uniform(20, 60), 5),
        Trainable(Uniform(0.1, 0.4), -0.9),
        Trainable(Uniform(0.1, 0.4), -0.9),
    ),
}
"""Neurons whose parameters are all learned."""


def network(readout, delays=False, feeds_output=False, neuron=NEURONS["lif"]):
    """Two recurrent layers of neurons whose parameters are all learned."""
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
    kind, shape, reset, _, *neuron = name.split("/")
    neuron = neuron[0] if neuron else "lif"
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
    def spike(x, theta):
        return (x >= 0).astype(jnp.float64)

    @spike.defjvp
    def spike_jvp(primals, tangents):
        (x, theta), (dx, _) = primals, tangents
        return spike(x, theta), psi(x, theta) * dx

    stop = jax.lax.stop_gradient
    trained_populations = [p for p in net.populations if p != net.input]

    def scale_of(tau_syn, beta):
        return tau_syn * (1 - beta)

    def propagator(tau_mem, tau_w, a):
        """exp of the system of V, w and a held current, (neurons, 2, 3)."""
        rows = [
            [-1 / tau_mem, -1 / tau_mem, 1 / tau_mem],
            [a / tau_w, -1 / tau_w, 0 * a],
            [0 * a] * 3,
        ]
        system = jnp.stack([jnp.stack(row, -1) for row in rows], -2)
        return jax.vmap(jax.scipy.linalg.expm)(system)[:, :2]

    def hidden_step(parameters, name, u, adapted, held, current):
        """Spikes, V and adaptation after the reset, and steps for which V is still held."""
        of = {
            kind: parameters.get(f"{name}.{kind}")
            for kind in ("tau_mem", "v_thresh", "tau_adapt", "beta", "tau_w", "a", "b")
        }
        theta = of["v_thresh"]
        alpha = jnp.exp(-1 / of["tau_mem"])
        free = held == 0
        if neuron == "adlif":
            p = propagator(of["tau_mem"], of["tau_w"], of["a"])
            v = p[:, 0, 0] * u + p[:, 0, 1] * adapted + p[:, 0, 2] * current
            adapted = p[:, 1, 0] * u + p[:, 1, 1] * adapted + p[:, 1, 2] * current
        else:
            v = jnp.where(free, alpha * u + (1 - alpha) * current, u)
        x = v - theta
        if neuron == "alif":
            adapted = jnp.exp(-1 / of["tau_adapt"]) * adapted
            x = x - of["beta"] * adapted
        fired = jnp.where(free, spike(x, theta), 0.0)
        to_reset = fired if reset == "attached" else stop(fired)
        zero = neuron in ("lif", "adlif")
        v = v * (1 - to_reset) if zero else v - to_reset * theta
        adapted = adapted + fired * (of["b"] if neuron == "adlif" else 1)
        refractory = 3 if neuron == "held" else 0
        held = jnp.where(stop(fired) > 0, refractory, jnp.maximum(held - 1, 0))
        return fired, v, adapted, held

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
        adapted = {p.name: jnp.zeros(p.size) for p in net.hidden}
        held = {p.name: jnp.zeros(p.size, int) for p in net.hidden}
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
                if p == net.output:
                    u[p.name] = alpha[p.name] * u[p.name] + gain[p.name] * x[p.name]
                    voltages.append(u[p.name])
                    continue
                # the current is held during the step; V and what adapts start at 0
                fired, u[p.name], adapted[p.name], held[p.name] = hidden_step(
                    parameters,
                    p.name,
                    u[p.name],
                    adapted[p.name],
                    held[p.name],
                    scale_of(taus[p.name], beta[p.name]) * x[p.name],
                )
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


def record(only_missing):
    """Write all cases to `RECORDED`, or those that are missing there."""
    RECORDED.parent.mkdir(exist_ok=True)
    found = {}
    if only_missing and RECORDED.exists():
        with np.load(RECORDED) as recorded:
            found = {name: recorded[name] for name in case_names() if name in recorded}
    for name in case_names():
        if name not in found:
            found[name] = flattened(gradients(name))
            print(name, flush=True)
    np.savez_compressed(RECORDED, **found)


if __name__ == "__main__":
    record(only_missing="--missing" in sys.argv)
