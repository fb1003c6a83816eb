"""Published networks of adaptive neurons, ALIF and adLIF."""

from __future__ import annotations

from dataclasses import replace

from shd_genn.config import Config
from shd_genn.config.presets.preset import MODEL, PLAIN, PRESENT, SHD, TRAIN, Preset
from shd_genn.datasets.settings import RandomValidation
from shd_genn.network.neuron_settings import Adlif, Alif
from shd_genn.network.settings import AvgVar

CHARGE = 4.0
"""Here a spike of weight w charges V by w tau_syn / tau_mem, which is w / 4; in the code by w."""


def presets() -> list[Preset]:
    """One network of each neuron."""
    return [_alif(), _adlif()]


def _alif() -> Preset:
    """`eprop/shd_classifier.py` of mlGeNN."""
    config = Config(
        data=replace(SHD, trial_ms=1370.0),
        present=PRESENT,
        augment=PLAIN,
        model=replace(
            MODEL,
            neuron=Alif(
                tau_adapt_ms=2000.0,
                threshold_jump=0.0174,
                alif_reset="subtract",
                tau_refrac_ms=5.0,
                train_neuron=(),
            ),
            v_thresh=0.6,
            readout=AvgVar(softmax_temperature=1.0),
            # sd 1/sqrt(fan-in)
            w_in_mean=0.0,
            w_in_sd=round(CHARGE / 700**0.5, 4),
            w_rec_sd=round(CHARGE / 256**0.5, 4),
            w_out_sd=round(CHARGE / 256**0.5, 4),
        ),
        train=replace(
            TRAIN,
            batch_size=512,
            ease_in=1.0,
        ),
        dt_ms=1.0,
    )
    return Preset(
        "knight2022-alif-256",
        "256 recurrent ALIF neurons, no augmentation; here EventProp trains them (there e-prop), "
        "synapses are exponential (there a spike acts in one step), the softmax is of a mean "
        "voltage (there of that of each step), and no firing rate is regularised",
        "Knight & Nowotny 2022, NICE; mlGeNN, examples/eprop",
        "78.8 ± 1.1 (512 hidden: 84.6 ± 1.5, 1024: 86.6 ± 1.1)",
        config,
    )


def _adlif() -> Preset:
    """The larger network of SE-adLIF."""
    config = Config(
        data=replace(
            SHD, validation=RandomValidation(validation_fraction=0.2, best_by="validation")
        ),
        present=PRESENT,
        augment=PLAIN,
        model=replace(
            MODEL,
            hidden_sizes=(360, 360),
            # means of the ranges that the paper draws from: tau_u 5 to 25 ms, tau_w 60 to 300 ms
            neuron=Adlif(
                tau_w_ms=180.0, adapt_a=0.5, adapt_b=1.0, train_neuron=("tau_w", "a", "b")
            ),
            tau_mem_ms=15.0,
            train_tau=True,
        ),
        train=replace(
            TRAIN,
            epochs=300,
            batch_size=256,
            learning_rate=1e-2,
            ease_in=1.0,
            hidden_dropout=0.15,
        ),
        dt_ms=4.0,
    )
    return Preset(
        "baronig2025-adlif-2x360",
        "two recurrent layers of 360 adLIF neurons; here EventProp trains them (there a surrogate "
        "gradient), synapses are exponential, a, b and time constants start at the middle of the "
        "paper's ranges (there they are drawn from them), and channels are not summed by fives",
        "Baronig et al. 2025, Nat. Commun. 16:5776",
        "93.8 ± 0.8 with a validation set of its own, 95.8 ± 0.6 chosen on the test set",
        config,
    )
