"""A layer of SpikingJelly's PLIF neurons (Fang et al. 2021), and ours that must have its gradients.

`python tests/helpers/plif.py` writes the recorded gradients (needs torch and spikingjelly).
"""

from __future__ import annotations

import math
import sys
from pathlib import Path

import numpy as np

if __name__ == "__main__":
    sys.path[:0] = [str(Path(__file__).parents[1]), str(Path(__file__).parents[2])]

from helpers import autodiff
from shd_genn.backends.protocols import CompileConfig
from shd_genn.learning.methods import Surrogate
from shd_genn.learning.objective import Objective
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
)

RECORDED = Path(__file__).parents[1] / "learning/data/plif.npz"
TAU = 4.0
"""PLIF's τ in steps; its decay by a step is 1 - 1/τ, ours exp(-dt/tau_mem)."""
TAU_MEM = -1 / math.log(1 - 1 / TAU)
AT_ONCE = 0.01
"""A tau_syn so short that a current acts for one step only, in ms; I is then x · tau_syn/dt."""
CONFIG = CompileConfig(autodiff.N_STEPS, objective=Objective(temperature=0.3))
N_HIDDEN = 9


def network():
    """Input, PLIF, output."""
    source = Population("input", SpikeInput(), autodiff.N_INPUTS)
    hidden = Population("plif", LeakyIntegrateFire(Trainable(TAU_MEM, 1.0)), N_HIDDEN)
    output = Population("output", LeakyIntegrate(20.0, "avg_var_exp_weight"), autodiff.N_CLASSES)
    return Network(
        (source, hidden, output),
        (
            Connection(
                source, hidden, Dense(Normal(2.0 / AT_ONCE, 1.5 / AT_ONCE)), Exponential(AT_ONCE)
            ),
            Connection(hidden, output, Dense(Normal(0.0, 1.0)), Exponential(5.0)),
        ),
    )


METHOD = Surrogate("atan", detach_reset=False)


def like_spikingjelly(gradient):
    """Our gradients, by PLIF's own parameters: w with 1/τ = sigmoid(w), one for all neurons."""
    # tau_mem = -1/ln(1 - s), s = sigmoid(w)
    s = 1 / TAU
    by_w = -(TAU_MEM**2) / (1 - s) * s * (1 - s)
    return {
        "input_plif": gradient["input_plif"] / AT_ONCE,
        "plif_output": gradient["plif_output"],
        "w": np.array([gradient["plif.tau_mem"].sum() * by_w]),
    }


def gradients():
    """SpikingJelly's gradients of the mean loss, and its spikes of each neuron: float64."""
    import torch
    from spikingjelly.activation_based import neuron, surrogate

    start = network().initial_parameters(0)
    w_in = torch.tensor(start["input_plif"].astype(float) * AT_ONCE, requires_grad=True)
    w_out = torch.tensor(start["plif_output"].astype(float), requires_grad=True)
    layer = neuron.ParametricLIFNode(
        init_tau=TAU,
        decay_input=True,
        v_threshold=1.0,
        v_reset=0.0,
        surrogate_function=surrogate.ATan(alpha=2.0),
        detach_reset=False,
    ).double()
    layer.w.data = torch.tensor(-math.log(TAU - 1), dtype=torch.float64)
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
        "input_plif": w_in.grad.numpy(),
        "plif_output": w_out.grad.numpy(),
        "w": np.atleast_1d(layer.w.grad.numpy()),
        "spikes": spikes.numpy(),
    }


if __name__ == "__main__":
    np.savez_compressed(RECORDED, **gradients())
