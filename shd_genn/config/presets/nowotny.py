"""Nowotny, Turner & Knight (2025), from the code of the paper, `genn_eventprop`."""

from __future__ import annotations

from dataclasses import replace

from shd_genn.config import Config
from shd_genn.config.presets.preset import (
    FIGURE,
    MODEL,
    PLAIN,
    PRESENT,
    SHD,
    SHD_SAMPLES,
    TRAIN,
    Preset,
)
from shd_genn.datasets.settings import AutoValidation
from shd_genn.learning.settings import Plateau
from shd_genn.network.settings import (
    AvgVar,
    AvgVarExpWeight,
    FirstSpikeTimeExp,
    GammaTau,
    MaxVar,
    ReadoutChoice,
)

NOWOTNY = "Nowotny, Turner & Knight 2025, arXiv 2212.01232"
LBD = 5e-10
"""Unit of the paper's regularisation strengths."""
SIZES = (64, 128, 256, 512, 1024)
BEST_LBD = {1: (1.0, 0.1, 1.0, 0.5, 0.1), 2: (0.1, 0.5, 0.5, 1.0, 0.1)}
"""dt in ms → factors of LBD for each of SIZES, chosen by cross-validation (the paper's scan 47)."""
BLENDED = 15288
"""Training samples of SHD with blends."""


def presets() -> list[Preset]:
    """The networks of the paper."""
    return [
        _base("ff", "sum", 20.0, 10.0, 1e-12),
        _base("rec", "sum", 20.0, 10.0, 1e-12),
        _base("ff", "sum_exp", 40.0, 5.0, 1e-10),
        _base("rec", "sum_exp", 40.0, 10.0, 1e-9),
        _base("ff", "max", 40.0, 10.0, 2.5e-9),
        _base("rec", "max", 40.0, 10.0, 5e-9),
        _base("ff", "first_spike", 40.0, 5.0, 2e-8),
        _base("rec", "first_spike", 40.0, 5.0, 1e-6),
        *_sizes(),
        *_best(),
    ]


def _base(
    topology: str, loss: str, tau_mem_ms: float, tau_syn_ms: float, reg_lambda: float
) -> Preset:
    """The comparison of losses: scan 46 of `genn_eventprop`."""
    readout: ReadoutChoice
    rate, w_out = 1e-3, (0.0, 0.03)
    if loss == "sum":
        readout, rate = AvgVar(softmax_temperature=1.0), 2e-3
    elif loss == "sum_exp":
        readout = AvgVarExpWeight(softmax_temperature=1.0)
    elif loss == "max":
        readout, rate = MaxVar(softmax_temperature=1.0), 2e-3
    else:
        readout = FirstSpikeTimeExp(
            first_spike_tau0_ms=1.0, first_spike_alpha=5e-5, first_spike_tau1_ms=100.0
        )
        w_out = (1.2, 0.6)
    return Preset(
        f"nowotny2025-base-{topology}-{loss}",
        f"comparison of losses on SHD: {loss}, "
        f"{'recurrent' if topology == 'rec' else 'feed-forward'}, no augmentation",
        NOWOTNY,
        FIGURE,
        Config(
            data=replace(SHD, trial_ms=1400.0),
            present=replace(PRESENT, binarise=True),
            augment=PLAIN,
            model=replace(
                MODEL,
                model="recurrent" if topology == "rec" else "feedforward",
                tau_mem_ms=tau_mem_ms,
                tau_syn_ms=tau_syn_ms,
                tau_mem_out_ms=tau_mem_ms,
                readout=readout,
                w_out_mean=w_out[0],
                w_out_sd=w_out[1],
            ),
            train=replace(TRAIN, epochs=300, learning_rate=rate, reg_lambda=reg_lambda),
            dt_ms=1.0,
        ),
    )


def _final(hidden: int, dt_ms: float, factor: float, epochs: int, blend: float) -> Config:
    """The final networks of the paper: delay line, shift, and blend if it is not 0."""
    return Config(
        data=SHD,
        present=replace(PRESENT, binarise=True, delay_copies=10, delay_step_ms=30.0),
        augment=replace(PLAIN, shift_channels=40.0, blend=blend),
        # a tenth of the weights, for eleven times the inputs
        model=replace(MODEL, hidden_sizes=(hidden,), w_in_mean=0.003, w_in_sd=0.001),
        train=replace(
            TRAIN,
            epochs=epochs,
            reg_lambda=factor * LBD,
            schedule=Plateau(decay=0.5, decay_epochs=50),
            revive_silent=0.002,
        ),
        dt_ms=dt_ms,
    )


def _sizes() -> list[Preset]:
    blend = round(BLENDED / SHD_SAMPLES - 1, 4)
    return [
        Preset(
            f"nowotny2025-{hidden}-dt{dt_ms}",
            f"delay line, shift and blend at {hidden} hidden neurons and {dt_ms} ms; the plateau "
            "rule goes by training, not by test accuracy, and only silent neurons are revived",
            NOWOTNY,
            FIGURE,
            _final(hidden, float(dt_ms), factor, epochs=50, blend=blend),
        )
        for dt_ms, factors in BEST_LBD.items()
        for hidden, factor in zip(SIZES, factors, strict=True)
    ]


def _best() -> list[Preset]:
    shd = _final(512, 2.0, 0.5, epochs=100, blend=0.0)
    ssc = _final(1024, 1.0, 1.0, epochs=50, blend=1.0)
    return [
        Preset(
            "nowotny2025-best-shd",
            "512 hidden neurons whose time constants are learned, delay line and shift, 2 ms; "
            "departs from the code as the other sizes do",
            NOWOTNY,
            "93.5 ± 0.7",
            replace(
                shd,
                model=replace(shd.model, train_tau=True, tau_mem_min_ms=3.0, tau_syn_min_ms=1.0),
            ),
        ),
        Preset(
            "nowotny2025-best-ssc",
            "1024 hidden neurons of Gamma-distributed time constants, delay line, shift and blend, "
            "on SSC, whose validation file chooses the epoch",
            NOWOTNY,
            "74.1 ± 0.9 on SSC",
            replace(
                ssc,
                data=replace(
                    ssc.data,
                    dataset="ssc",
                    validation=AutoValidation(validation_fraction=0.1, best_by="validation"),
                ),
                model=replace(
                    ssc.model,
                    tau_distribution=GammaTau(gamma_shape=3.0),
                    tau_mem_min_ms=3.0,
                    tau_syn_min_ms=1.0,
                ),
            ),
        ),
    ]
