"""EventProp: which networks it allows, and how its gradients are scaled."""

from __future__ import annotations

from shd_genn.network import Network
from shd_genn.network.readouts import READOUTS


def gradient_scale(network: Network, n_steps: int) -> float:
    """dLoss/dw divided by mlGeNN's ``Gradient``, in the limit dt → 0.

    mlGeNN leaves out a factor tau_mem of an output that is read by its voltage, and drives
    ``sum_var`` and ``max_var`` as if they were averages over the trial, N times too little.
    Regularisation strengths are published relative to that scale, so training keeps it.
    """
    kind = READOUTS[network.readout]
    if kind.spiking:
        return 1.0
    return network.tau_mem_out * (1 if kind.averaged else n_steps)
