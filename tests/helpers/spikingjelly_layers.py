"""A layer of SpikingJelly's neurons, and ours that must have its spikes and gradients.

`python tests/helpers/spikingjelly_layers.py` writes the recorded gradients (needs torch and
spikingjelly). ParaLIF is not in SpikingJelly; its layer is a few lines of torch with SpikingJelly's
surrogate.
"""

from __future__ import annotations

import math
import sys
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

if __name__ == "__main__":
    sys.path[:0] = [str(Path(__file__).parents[1]), str(Path(__file__).parents[2])]

from helpers import autodiff
from shd_genn.backends.protocols import CompileConfig
from shd_genn.learning.methods import Surrogate
from shd_genn.learning.objective import Objective
from shd_genn.network import (
    KLIF,
    Connection,
    Dense,
    Exponential,
    LeakyIntegrate,
    LeakyIntegrateFire,
    Network,
    NeuronModel,
    Normal,
    ParaLIF,
    Population,
    SlidingPSN,
    SpikeInput,
    Trainable,
)

RECORDED = Path(__file__).parents[1] / "learning/data/spikingjelly.npz"
TAU = 4.0
"""SpikingJelly's τ in steps; its decay by a step is 1 - 1/τ, ours exp(-dt/tau_mem)."""
TAU_MEM = -1 / math.log(1 - 1 / TAU)
CONFIG = CompileConfig(autodiff.N_STEPS, objective=Objective(temperature=0.3))
N_HIDDEN = 9
FACTOR = 1.2
"""k of KLIF."""
WEIGHTS = (1.0, -0.4, 0.6, 0.3, -0.2)
"""Of SlidingPSN, the newest step first."""


@dataclass(frozen=True)
class Layer:
    """A kind of neuron.

    Attributes:
        neuron: Ours.
        weights: Of the input.
        detach_reset: Whether the reset is taken as given.
        at_once: A tau_syn so short that a current acts for one step only, in ms; I is then
            x · tau_syn/dt, and exactly 0 in the step after (exp(-1000) is 0), where KLIF has a
            kink.
    """

    neuron: NeuronModel
    weights: Normal = field(default_factory=lambda: Normal(1.0, 3.0))
    detach_reset: bool = False
    at_once: float = 0.001

    @property
    def method(self):
        return Surrogate("atan", detach_reset=self.detach_reset)


K = Trainable(FACTOR, 0.1)
LAYERS = {
    "plif": Layer(LeakyIntegrateFire(Trainable(TAU_MEM, 1.0)), Normal(2.0, 1.5), at_once=0.01),
    "klif": Layer(KLIF(TAU_MEM, 1.0, K, "zero", scale_reset=False)),
    "klif_soft": Layer(KLIF(TAU_MEM, 1.0, K, "subtract", scale_reset=False), detach_reset=True),
    "klif_scaled": Layer(KLIF(TAU_MEM, 1.0, K, "zero", scale_reset=True)),
    "klif_scaled_soft": Layer(KLIF(TAU_MEM, 1.0, K, "subtract", scale_reset=True)),
    "sliding_psn": Layer(SlidingPSN(Trainable(1.0, 0.1), tuple(map(Trainable, WEIGHTS)))),
    "paralif_threshold": Layer(ParaLIF(Trainable(TAU_MEM, 1.0), Trainable(1.0, 0.1))),
    "paralif_delta": Layer(ParaLIF(Trainable(TAU_MEM, 1.0), Trainable(0.5, 0.1), "delta")),
}
"""Name → what is compared."""


def network(layer):
    """Input, a layer, output."""
    source = Population("input", SpikeInput(), autodiff.N_INPUTS)
    hidden = Population("layer", layer.neuron, N_HIDDEN)
    output = Population("output", LeakyIntegrate(20.0, "avg_var_exp_weight"), autodiff.N_CLASSES)
    tau_syn = layer.at_once
    weights = Dense(Normal(layer.weights.mean / tau_syn, layer.weights.sd / tau_syn))
    return Network(
        (source, hidden, output),
        (
            Connection(source, hidden, weights, Exponential(tau_syn)),
            Connection(hidden, output, Dense(Normal(0.0, 1.0)), Exponential(5.0)),
        ),
    )


def like_spikingjelly(name, gradient):
    """Our gradients, by the parameters of SpikingJelly's layer, one for all neurons."""
    of_layer = {key.partition(".")[2]: g.sum() for key, g in gradient.items() if "." in key}
    found = {
        "input_layer": gradient["input_layer"] / LAYERS[name].at_once,
        "layer_output": gradient["layer_output"],
    }
    if name == "plif":  # tau_mem = -1/ln(1 - s), 1/τ = s = sigmoid(w)
        s = 1 / TAU
        of_layer = {"w": of_layer["tau_mem"] * -(TAU_MEM**2) / (1 - s) * s * (1 - s)}
    if name == "sliding_psn":
        oldest_first = [of_layer[f"w{i}"] for i in reversed(range(len(WEIGHTS)))]
        found["weight"] = np.array(oldest_first)
        of_layer = {"bias": -of_layer["v_thresh"]}
    return found | {key: np.array([g]) for key, g in of_layer.items()}


def layer_of(name):
    """SpikingJelly's layer in float64, and those of its parameters that are learned."""
    import torch
    from spikingjelly.activation_based import neuron, surrogate

    usual = {
        "v_threshold": 1.0,
        "v_reset": None if name.endswith("soft") else 0.0,
        "surrogate_function": surrogate.ATan(alpha=2.0),
        "detach_reset": LAYERS[name].detach_reset,
    }
    if name == "plif":
        layer = neuron.ParametricLIFNode(init_tau=TAU, decay_input=True, **usual).double()
        layer.w.data = torch.tensor(-math.log(TAU - 1), dtype=torch.float64)
    elif name.startswith("klif"):
        layer = neuron.KLIFNode(scale_reset="scaled" in name, tau=TAU, **usual).double()
        layer.k.data = torch.tensor(FACTOR, dtype=torch.float64)
    elif name == "sliding_psn":
        layer = neuron.SlidingPSN(
            len(WEIGHTS), surrogate_function=usual["surrogate_function"]
        ).double()
        layer.weight.data = torch.tensor(WEIGHTS[::-1], dtype=torch.float64)
    else:
        layer = para_lif(name.endswith("delta"), usual["surrogate_function"])
    return layer, dict(layer.named_parameters())


def para_lif(delta, spike):
    """A leaky integrator without a reset, with spikes of its voltage or of its rise."""
    import torch

    class NoReset(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.tau_mem = torch.nn.Parameter(torch.tensor(TAU_MEM, dtype=torch.float64))
            thresh = 0.5 if delta else 1.0
            self.v_thresh = torch.nn.Parameter(torch.tensor(thresh, dtype=torch.float64))

        def reset(self):
            self.v = 0.0

        def forward(self, x):
            alpha = torch.exp(-1 / self.tau_mem)
            before, self.v = self.v, alpha * self.v + (1 - alpha) * x
            return spike((self.v - before if delta else self.v) - self.v_thresh)

    return NoReset()


def gradients(name):
    """SpikingJelly's gradients of the mean loss, and its spikes of each neuron: float64."""
    import torch

    start = network(LAYERS[name]).initial_parameters(0)
    at_once = start["input_layer"].astype(float) * LAYERS[name].at_once
    w_in = torch.tensor(at_once, requires_grad=True)
    w_out = torch.tensor(start["layer_output"].astype(float), requires_grad=True)
    layer, learned = layer_of(name)
    alpha, beta = math.exp(-1 / 20), math.exp(-1 / 5)
    gain, n_steps = (1 - alpha) * 5 * (1 - beta), autodiff.N_STEPS
    events, labels = autodiff.samples()
    total, spikes = 0.0, 0.0
    for raster, label in zip(autodiff.rasters(events), labels, strict=True):
        layer.reset()
        x = v = torch.zeros(autodiff.N_CLASSES, dtype=torch.float64)
        z_in, z = torch.tensor(raster), torch.zeros(N_HIDDEN, dtype=torch.float64)
        read = 0.0
        for n in range(n_steps):
            x = beta * x + z @ w_out  # spikes arrive one step after they were emitted
            current = z_in[n - 1] @ w_in if n > 0 else torch.zeros(N_HIDDEN, dtype=torch.float64)
            z = layer(current[None])[0]
            spikes = spikes + z.detach()
            v = alpha * v + gain * x
            read = read + math.exp(-n / n_steps) * v / n_steps
        total = total - torch.log_softmax(read / 0.3, 0)[label] / len(labels)
    total.backward()
    return {
        "input_layer": w_in.grad.numpy(),
        "layer_output": w_out.grad.numpy(),
        **{key: np.atleast_1d(parameter.grad.numpy()) for key, parameter in learned.items()},
        "spikes": spikes.numpy(),
    }


if __name__ == "__main__":
    found = {f"{name}/{key}": a for name in LAYERS for key, a in gradients(name).items()}
    np.savez_compressed(RECORDED, **found)
