"""The readout that plain BPTT peers use: this project's, in its closed form."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from shd_genn.bench.peers.case import Setting
from shd_genn.network.readouts import read_weights


def spike_weights(setting: Setting) -> NDArray[np.float32]:
    """What a hidden spike in a step weighs in the readout, (n_steps,).

    Outputs leak and do not spike, so that the weighted sum of their voltages over time is linear
    in hidden spikes: backward in time, the same filter turns the weight of each step's voltage
    into that of each step's spikes. Nothing of the output's dynamics is left to be stepped
    through, which is the fastest that a user of BPTT can write it.
    """
    readout = setting.model.readout
    of_voltage = read_weights(readout.name, setting.n_steps, readout.weight)
    weights = np.zeros(setting.n_steps)
    by_voltage = by_current = 0.0
    for step in reversed(range(setting.n_steps)):
        weights[step] = by_current  # a spike arrives one step later
        by_voltage = of_voltage[step] + setting.decay_mem * by_voltage
        by_current = setting.gain * by_voltage + setting.decay_syn * by_current
    return weights.astype(np.float32)
