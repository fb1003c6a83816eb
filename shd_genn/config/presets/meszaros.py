"""Mészáros, Knight & Nowotny (2025), from the code of the paper, `deventprop`."""

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

MESZAROS = "Mészáros, Knight & Nowotny 2025, arXiv 2501.07331"
BLENDS = 7644
"""Samples that blending adds to SHD."""


def presets() -> list[Preset]:
    """The recurrent and the feed-forward network with learned delays on SHD."""
    return [_delays("rec", 150.0, "93.2 ± 1.0"), _delays("ff", 100.0, FIGURE)]


def _delays(topology: str, longest_ms: float, published: str) -> Preset:
    recurrent = topology == "rec"
    return Preset(
        f"meszaros2025-delay-{topology}",
        f"{'recurrent' if recurrent else 'feed-forward'}, 512 hidden neurons, learned delays, "
        "shift and blend; unlike in the code, ease-in grows by 1.05 a batch, also for delays",
        MESZAROS,
        published,
        Config(
            data=SHD,
            present=replace(PRESENT, binarise=True),
            augment=replace(PLAIN, shift_channels=40.0, blend=round(BLENDS / SHD_SAMPLES, 4)),
            model=replace(
                MODEL,
                model="recurrent" if recurrent else "feedforward",
                hidden_sizes=(512,),
                delay_in_ms=longest_ms,
                delay_rec_ms=0.0,
                train_delays=("input", "recurrent") if recurrent else ("input",),
                max_delay_ms=1000.0,
            ),
            train=replace(
                TRAIN,
                epochs=500,
                patience=15,
                batch_size=256,
                ease_in=0.01,
                delay_learning_rate=0.1,
                reg_lambda=5e-11,
                revive_silent=0.002,
            ),
            dt_ms=1.0,
        ),
    )
