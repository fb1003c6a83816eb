"""Settings of papers whose neurons have no reset."""

from __future__ import annotations

import math
from dataclasses import replace

from shd_genn.config import Config
from shd_genn.config.presets.preset import MODEL, PLAIN, PRESENT, SHD, TRAIN, Preset
from shd_genn.learning.methods import Surrogate
from shd_genn.network.neuron_settings import Paralif
from shd_genn.network.settings import AvgVar

OF_A_CURRENT = -20 * math.expm1(-1 / 20)
"""S of tau_syn = 20 ms and dt = 1 ms: what a current of 1 in the paper is here."""


def presets() -> list[Preset]:
    """SPSN with Bernoulli spikes."""

    def sd(fan_in: int) -> float:
        return round(1 / math.sqrt(fan_in) / OF_A_CURRENT, 4)

    return [
        Preset(
            "yarga2023-spsn-sb-3x128",
            "three layers of neurons without a reset that spike at random (SPSN-SB), augmented; "
            "there the optimiser is Adamax, weights start evenly distributed and with biases, "
            "channels are scaled like time, the surrogate is p times as large, and the threshold "
            "is 0; here there is no bias, and it is 0.001",
            "Yarga & Wood 2023, code NECOTIS/Stochastic-Parallelizable-Spiking-Neuron-SPSN",
            "86.1 (one seed; 77.2 without augmentation)",
            Config(
                data=replace(SHD, trial_ms=1370.0),
                present=PRESENT,
                augment=replace(PLAIN, shift_channels=70.0, dilation=1.3),
                model=replace(
                    MODEL,
                    model="feedforward",
                    hidden_sizes=(128, 128, 128),
                    neuron=Paralif(spikes="bernoulli"),
                    tau_syn_ms=20.0,
                    v_thresh=0.001,
                    v_thresh_min=0.001,
                    readout=AvgVar(softmax_temperature=1.0),
                    w_in_mean=0.0,
                    w_in_sd=sd(700),
                    w_hidden_mean=0.0,
                    w_hidden_sd=sd(128),
                    w_out_sd=sd(128),
                ),
                train=replace(
                    TRAIN,
                    method=Surrogate(
                        surrogate="sigmoid",
                        surrogate_slope=1.0,
                        surrogate_scale=1.0,
                        detach_reset=True,
                    ),
                    epochs=200,
                    batch_size=64,
                    learning_rate=round(1e-3 / OF_A_CURRENT, 5),
                    ease_in=1.0,
                ),
                dt_ms=1.0,
            ),
        )
    ]
