"""The readouts: how a trial becomes one number for each class. All backends share this table.

The names are mlGeNN's.

T is the length of a trial in ms, N its number of steps, V(t) the voltage of an output neuron.

| readout                  | number of an output neuron                 | the papers'           |
|--------------------------|--------------------------------------------|-----------------------|
| `avg_var`                | (1/T) ∫ V dt                               | sum                   |
| `avg_var_exp_weight`     | (1/T) ∫ exp(-t/T) V dt                     | sum-exp               |
| `avg_var_linear_weight`  | (1/T) ∫ (1 - t/T) V dt                     | sum-linear            |
| `avg_var_sigmoid_weight` | (1/T) ∫ V / (1 + exp((t/T - 0.5)/0.2)) dt  | sum-sigmoid           |
| `sum_var`                | Σ V over the N steps                       | -                     |
| `max_var`                | the largest V, at least 0                  | max                   |
| `var`                    | (1/T) ∫ V dt, but learned from every V(t)  | average cross-entropy |
| `first_spike_time`       | minus the first spike's time, -T if none   | first_spike           |
| `first_spike_time_exp`   | likewise; late spikes cost exponentially   | first_spike_exp       |
| `weighted`               | (1/T) ∫ w(t/T) V dt, w a formula           | -                     |
| `learned_weight`         | likewise, w learned; see `learned_weight`  | -                     |

The class of the largest number is the prediction; `shd_genn.learning.objective` has the losses.
`sum_var` depends on the length of a step, so it has no limit as dt → 0.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from shd_genn.network.formulas import Formula

Readout = Literal[
    "avg_var_exp_weight",
    "avg_var",
    "avg_var_linear_weight",
    "avg_var_sigmoid_weight",
    "sum_var",
    "max_var",
    "var",
    "first_spike_time",
    "first_spike_time_exp",
    "weighted",
    "learned_weight",
]

Form = Literal["weighted", "each_step", "max", "first_spike"]
"""Where the loss acts on an output. weighted: on V in all steps, in proportion to a fixed weight;
each_step: on V in each step, by a different amount; max: on V in the step of its maximum;
first_spike: on the time of the first spike."""

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Properties:
    """What a backend has to know of a readout.

    Attributes:
        form: Where the loss acts on the output.
        formula: Weight of V in the average at s = t/T, from 0 to 1; meaningless for maxima and
            spikes. Empty for ``weighted``, whose output neuron has a formula of its own.
        averaged: Whether the number is an average over the trial, as mlGeNN scales all gradients
            from voltages; see `shd_genn.backends.gradient_scale`.
    """

    form: Form
    formula: str = "1"
    averaged: bool = True

    @property
    def spiking(self) -> bool:
        """Whether it is read from spikes, so that the output is a `LeakyIntegrateFire`."""
        return self.form == "first_spike"


READOUTS: dict[Readout, Properties] = {
    "avg_var_exp_weight": Properties("weighted", "exp(-s)"),
    "avg_var": Properties("weighted"),
    "avg_var_linear_weight": Properties("weighted", "1 - s"),
    "avg_var_sigmoid_weight": Properties("weighted", "1 / (1 + exp((s - 0.5) / 0.2))"),
    "sum_var": Properties("weighted", averaged=False),
    "max_var": Properties("max", averaged=False),
    "var": Properties("each_step"),
    "first_spike_time": Properties("first_spike"),
    "first_spike_time_exp": Properties("first_spike"),
    "weighted": Properties("weighted", ""),
    "learned_weight": Properties("each_step"),
}


def weight_of(readout: Readout, given: Formula | None = None) -> Formula:
    """The weight of the voltage at t/T: the readout's own, or that which is given to it."""
    if given is None:
        return Formula(READOUTS[readout].formula)
    return given


def read_weights(readout: Readout, n_steps: int, given: Formula | None = None) -> Array:
    """Weight of the output voltage of each step n in the readout: w(n/N)/N.

    Only ``sum_var`` is not divided by N. As mlGeNN's `AvgVar`, `AvgVarExpWeight` and `SumVar`; the
    linear and the sigmoid weight are in genn_eventprop only (`EVP_LIF_output_sum_weigh_linear`,
    `…_sigmoid`).

    Args:
        readout: The readout's name.
        n_steps: Steps N of a trial.
        given: The weight of ``weighted``.

    Returns:
        float64, (n_steps,).

    Raises:
        ConfigError: if the weight is not finite in a step, or positive in none.
    """
    s, weight = np.arange(n_steps) / n_steps, weight_of(readout, given)
    weight.check(s)
    return weight(s) / (n_steps if READOUTS[readout].averaged else 1)


def drive_weights(
    readout: Readout, n_steps: int, dt_ms: float, tau_mem: float, given: Formula | None = None
) -> Array:
    """What the output's adjoint is driven with in each step, per unit of -∂L/∂readout.

    λ_V of an output decays towards -∂L/∂V(t) = g w(t/T)/T, with g = -∂L/∂readout (Wunderlich &
    Pehle 2021, Table 1). As in mlGeNN's EventPropCompiler, this is divided by tau_mem, and the
    weight of step n is w((n+1)/N), one step beyond that of the forward pass, because the adjoint
    of a step acts at the step's end.

    Args:
        readout: The readout's name; ``max_var`` is driven in the step of the maximum only.
        n_steps: Steps N of a trial.
        dt_ms: Length of a step in ms.
        tau_mem: Membrane time constant of the output in ms.
        given: The weight of ``weighted``.

    Returns:
        float64, (n_steps,), in 1/ms².
    """
    weight = weight_of(readout, given)
    s = (np.arange(n_steps) + 1) / n_steps
    return weight.finite(s) / (tau_mem * n_steps * dt_ms)
