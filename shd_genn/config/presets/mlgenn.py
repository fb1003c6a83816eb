"""The examples of mlGeNN that learn SHD with EventProp."""

from __future__ import annotations

from dataclasses import replace

from shd_genn.config import Config
from shd_genn.config.presets.preset import MODEL, PLAIN, PRESENT, SHD, SHD_SAMPLES, TRAIN, Preset
from shd_genn.datasets.settings import RandomValidation

MLGENN = "mlGeNN, examples/event_prop"


def presets() -> list[Preset]:
    """The three examples."""
    plain = Config(
        data=replace(SHD, trial_ms=1370.0),
        present=PRESENT,
        augment=PLAIN,
        model=MODEL,
        train=replace(TRAIN, reg_lambda=2.5e-10, ease_in=1.0),
        dt_ms=1.0,
    )
    return [
        Preset("mlgenn-shd", "shd.py: no augmentation", MLGENN, "none", plain),
        Preset(
            "mlgenn-shd-augment",
            "shd_augment.py: random shift with a standard deviation of 2 channels; here it is "
            "uniform and new in every epoch, there it is normal and adds up over the epochs",
            MLGENN,
            "none",
            replace(
                plain,
                augment=replace(PLAIN, shift_channels=4.2),
                train=replace(plain.train, epochs=300, reg_lambda=4e-9),
            ),
        ),
        Preset(
            "mlgenn-shd-best",
            "shd_delay_shift_blend.py: nine delayed copies, shift, and as many blends as samples; "
            "here only recorded samples are blended, there blends too, and more in every epoch",
            MLGENN,
            "none",
            Config(
                data=replace(
                    SHD,
                    validation=RandomValidation(
                        validation_fraction=round(512 / SHD_SAMPLES, 4), best_by="validation"
                    ),
                ),
                present=replace(PRESENT, delay_copies=9, delay_step_ms=30.0),
                augment=replace(PLAIN, shift_channels=40.0, blend=1.0),
                model=MODEL,
                train=replace(TRAIN, epochs=50, reg_lambda=5e-11, revive_silent=0.002),
                dt_ms=1.0,
            ),
        ),
    ]
