"""Settings of papers that trained SHD by e-prop or by backpropagation through time.

Their neurons have synapses that act at once, and their weights are what a spike adds to V. Here
synapses are exponential: for e-prop a time constant of one step is as near as they come to it. Of
a weight the part `OF_A_SPIKE` or `OF_A_STEP` comes to V. Weights and learning rates are divided by
it, so that both are as in the papers (a step of Adam does not depend on a gradient's scale).
"""

from __future__ import annotations

import math
from dataclasses import replace

from shd_genn.config import Config
from shd_genn.config.presets.preset import MODEL, PLAIN, PRESENT, SHD, TRAIN, Preset
from shd_genn.learning.methods import EProp, Surrogate
from shd_genn.network.neuron_settings import Alif
from shd_genn.network.settings import MaxVar, Var

KNIGHT = "Knight & Nowotny 2022, mlGeNN examples/eprop"
CRAMER = "Cramer et al. 2022; Zenke's tutorial 4 for weights and slope"
TRIAL_MS = 1370.0
OF_A_SPIKE = -math.expm1(-1 / 20)
"""(1-α) tau_syn/dt of tau_mem = 20 ms and tau_syn = dt = 1 ms: what V receives of a spike."""
OF_A_STEP = -math.expm1(-1 / 20) * 10 * -math.expm1(-1 / 10)
"""(1-α) S of tau_mem = 20 ms, tau_syn = 10 ms and dt = 1 ms: what V receives of x in a step."""


def presets() -> list[Preset]:
    """Three sizes of e-prop, and two of backpropagation through time."""
    sizes = {256: "78.8 ± 1.1", 512: "84.6 ± 1.5", 1024: "86.6 ± 1.1"}
    return [
        *(_eprop(n, published) for n, published in sizes.items()),
        _bptt("cramer2022-256", 256, 0.0, "80.0 ± 2.0 (Zenke & Vogels 2021)"),
        _bptt("cramer2022-1024", 1024, 10.0, "83.2 ± 1.3"),
    ]


def _eprop(n: int, published: str) -> Preset:
    def sd(fan_in: int) -> float:
        return round(1 / math.sqrt(fan_in) / OF_A_SPIKE, 4)

    # c_reg = 1e-3 acts on the difference of rates a step; here it is of spikes a trial, and the
    # loss is a mean over steps (docs/methods.md)
    strength = float(f"{1e-3 / (TRIAL_MS**2 * 20 * 20):.3g}")
    return Preset(
        f"knight2022-eprop-{n}",
        "e-prop, adaptive neurons; there synapses act at once, V goes on during the refractory "
        "time and states run on from trial to trial; here V is held and trials begin at rest",
        KNIGHT,
        published,
        Config(
            data=replace(SHD, trial_ms=TRIAL_MS),
            present=PRESENT,
            augment=PLAIN,
            model=replace(
                MODEL,
                hidden_sizes=(n,),
                neuron=Alif(
                    tau_adapt_ms=2000.0,
                    threshold_jump=0.0174,
                    alif_reset="subtract",
                    tau_refrac_ms=5.0,
                    train_neuron=(),
                ),
                tau_syn_ms=1.0,
                v_thresh=0.6,
                readout=Var(softmax_temperature=1.0),
                w_in_mean=0.0,
                w_in_sd=sd(700),
                w_rec_sd=sd(n),
                w_out_sd=sd(n),
            ),
            train=replace(
                TRAIN,
                method=EProp(
                    surrogate="triangle",
                    surrogate_slope=1.0,
                    surrogate_scale=0.3,
                    feedback="symmetric",
                    feedback_decay=0.0,
                ),
                batch_size=512,
                learning_rate=round(1e-3 / OF_A_SPIKE, 4),
                ease_in=1.0,
                reg_lambda=strength,
                reg_nu=13.7,
            ),
            dt_ms=1.0,
        ),
    )


def _bptt(name: str, n: int, jitter: float, published: str) -> Preset:
    def sd(fan_in: int) -> float:
        return round(0.2 / math.sqrt(fan_in) / OF_A_STEP, 4)  # 0.2/sqrt(fan-in) in the tutorial

    return Preset(
        name,
        "backpropagation through time with surrogate gradients, maximum over time; learning rate, "
        "batch and epochs are those of the tutorial, whose optimiser is Adamax; no regulariser",
        CRAMER,
        published,
        Config(
            data=SHD,
            present=PRESENT,
            augment=replace(PLAIN, jitter_channels=jitter),
            model=replace(
                MODEL,
                hidden_sizes=(n,),
                tau_syn_ms=10.0,
                readout=MaxVar(softmax_temperature=1.0),
                w_in_mean=0.0,
                w_in_sd=sd(700),
                w_rec_sd=sd(n),
                w_out_sd=sd(n),
            ),
            train=replace(
                TRAIN,
                method=Surrogate(
                    surrogate="superspike",
                    surrogate_slope=100.0,
                    surrogate_scale=1.0,
                    detach_reset=True,
                ),
                epochs=200,
                batch_size=256,
                learning_rate=round(2e-4 / OF_A_STEP, 4),
                ease_in=1.0,
            ),
            dt_ms=1.0,
        ),
    )
