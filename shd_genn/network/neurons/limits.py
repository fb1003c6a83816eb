"""What of a neuron can be refused before it is simulated: steps too long, resets without end."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from shd_genn.network.initialisers import typical
from shd_genn.network.neurons.derived import Derived
from shd_genn.network.neurons.description import NeuronModel
from shd_genn.support.errors import refuse_unless, require

STABLE = 2.0
"""Explicit steps are stable while a step is shorter than this many of the shortest time
constants: the bound of the midpoint rule."""


def check_step(neuron: NeuronModel, dt_ms: float) -> None:
    """Refuse a neuron whose equations are too fast for its steps, or whose reset is no reset.

    Both are tested at the state in which a trial starts, and after a spike from there, with the
    parameters that training starts with. So is whether any state fulfils the spike condition.

    Args:
        neuron: The neuron.
        dt_ms: Length of a time step in ms.

    Raises:
        ConfigError: if it cannot be simulated so; the message says which step would do.
    """
    derived = neuron.derived
    values = {
        p.name: np.float64(typical(p.value_in(neuron))) for p in neuron.description.parameters
    }
    start = {q: np.float64(0) for q in derived.states} | {"I": np.float64(0)}
    initial = derived.initial.evaluate(values)
    start |= {q: np.float64(initial[q]) for q in derived.states if q in initial}
    after = {**start, **derived.reset.evaluate({**start, **values})}
    name = neuron.description.name
    if derived.spikes and not derived.crossing:
        g = float(derived.spike.evaluate({**after, **values})["g"])
        refuse_unless(
            g < 0,
            f"the reset of {name} leaves its spike condition at {g:.3g}, which is 0 or more, so "
            "that it would spike in every step",
            "let the reset take it below the threshold, or the threshold above the reset",
        )
    if derived.spikes:
        assert neuron.dynamics is not None
        highest = _highest_condition(derived, values)
        refuse_unless(
            highest >= 0 or derived.random,
            f"no state reaches the spike condition {neuron.dynamics.spike.strip()} of {name}: with "
            f"its parameters it always lacks {-highest:.3g} or more",
            "correct the condition, or give it parameters with which it can hold",
        )
    held = neuron.refractory_ms
    require(
        not held or dt_ms / 2 <= held,
        f"dt_ms / 2 <= tau_refrac of {name}",
        held,
        f"it is rounded to whole steps of {dt_ms:g} ms, and to none here; lengthen it, shorten "
        "dt_ms, or leave it out",
    )
    if derived.exact:
        return
    step = dt_ms / derived.substeps(dt_ms)
    for state in (start, after):
        partials = derived.partials.evaluate({**state, **values})
        rates = [[partials.get(f"A_{q}_{r}", 0.0) for r in derived.states] for q in derived.states]
        fastest = float(np.abs(np.linalg.eigvals(np.array(rates, float)).real).max())
        longest = STABLE / fastest if fastest > 0 else np.inf
        refuse_unless(
            step < longest,
            f"the shortest time constant of {name} is {1 / max(fastest, 1e-9):.3g} ms, but a step "
            f"of its equations takes {step:.3g} ms",
            f"set substep_ms of the neuron to {longest / 4:.2g} or less, or shorten dt_ms",
        )


def _highest_condition(derived: Derived, values: Mapping[str, np.float64]) -> float:
    """The highest value of the spike condition that a search over states finds, or one above 0.

    It begins with states of all magnitudes, and goes on around the best one, nearer and nearer.
    """
    names = [q for q in derived.states if q in derived.spike.inputs]
    rng = np.random.default_rng(0)
    shape = len(names), 4000
    states = rng.choice([-1, 1], shape) * 10 ** rng.uniform(-3, 36, shape)
    highest = -np.inf
    for nearness in range(40):
        with np.errstate(all="ignore"):
            found = derived.spike.evaluate({**dict(zip(names, states, strict=True)), **values})["g"]
        g = np.nan_to_num(np.broadcast_to(found, shape[1:]), nan=-np.inf)
        best = int(g.argmax())
        highest = max(highest, float(g[best]))
        if highest >= 0:
            break
        centre = states[:, best : best + 1]
        spread = 0.6**nearness * (1 + np.abs(centre))
        states = np.concatenate([centre, centre + spread * rng.normal(size=shape)], axis=1)[:, :-1]
    return highest
