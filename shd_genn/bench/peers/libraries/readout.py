"""The readout of the peers without a library: this project's readout in closed form."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from shd_genn.bench.peers.case import Setting
from shd_genn.network.formulas import Formula
from shd_genn.network.readouts import read_weights


def spike_weights(setting: Setting) -> NDArray[np.float32]:
    """The weight of a hidden spike in the readout, for each step: (n_steps,).

    Outputs leak and do not spike. So the readout, a weighted sum of their voltages over time, is
    linear in hidden spikes. The output's filter, run backward in time, turns the weights of
    voltages into weights of spikes. The output then needs no loop over steps, which is the fastest
    form for BPTT.
    """
    readout = setting.model.readout
    formula = readout.weight if isinstance(readout.weight, Formula) else None
    of_voltage = read_weights(readout.name, setting.n_steps, formula)
    weights = np.zeros(setting.n_steps)
    by_voltage = by_current = 0.0
    for step in reversed(range(setting.n_steps)):
        weights[step] = by_current  # a spike arrives one step later
        by_voltage = of_voltage[step] + setting.decay_mem * by_voltage
        by_current = setting.gain * by_voltage + setting.decay_syn * by_current
    return weights.astype(np.float32)
