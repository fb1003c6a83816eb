"""Settings that worked well on other recordings in this project; see README, Recipes."""

from __future__ import annotations

from dataclasses import replace

from shd_genn.config import Config
from shd_genn.config.presets.preset import MODEL, PLAIN, PRESENT, SHD, TRAIN, Preset
from shd_genn.learning.settings import Cosine
from shd_genn.network.neuron_settings import Adlif
from shd_genn.network.settings import AvgVarExpWeight, GammaTau

OWN = "this project, README, Recipes"


def presets() -> list[Preset]:
    """The presets of this project."""
    quick = Config(
        data=SHD,
        present=PRESENT,
        augment=replace(PLAIN, shift_channels=20.0),
        model=replace(
            MODEL,
            w_in_sd=0.05,
            tau_syn_ms=10.0,
            readout=AvgVarExpWeight(softmax_temperature=0.2),
        ),
        train=replace(
            TRAIN,
            epochs=30,
            learning_rate=2e-3,
            ease_in=1.0,
            schedule=Cosine(),
            reg_lambda=0.0,
        ),
        dt_ms=2.0,
    )
    small_batches = replace(quick.train, epochs=80, batch_size=8, learning_rate=1.5e-3)
    best = replace(
        quick,
        present=replace(PRESENT, delay_copies=4, delay_step_ms=60.0),
        augment=replace(PLAIN, dilation=1.25, shift_channels=20.0),
        model=replace(
            quick.model,
            # five copies of each spike: a fifth of the mean, and the same variance of their sum
            w_in_mean=0.006,
            w_in_sd=0.022,
            tau_distribution=GammaTau(gamma_shape=3.0),
            train_tau=True,
        ),
        train=replace(small_batches, epochs=70, tau_learning_rate=0.02),
    )
    # what a study of five trials found on Arabic words, rounded
    adlif = replace(
        quick,
        model=replace(
            quick.model,
            neuron=Adlif(
                tau_w_ms=300.0, adapt_a=-0.41, adapt_b=0.26, train_neuron=("tau_w", "a", "b")
            ),
            tau_mem_ms=31.0,
            tau_distribution=GammaTau(gamma_shape=3.0),
            train_tau=True,
        ),
        train=replace(
            small_batches,
            epochs=20,
            learning_rate=2.1e-3,
            tau_learning_rate=3.8e-3,
            reg_lambda=3.7e-9,
        ),
    )
    few = replace(best.train, epochs=150, batch_size=4)
    shd = replace(
        best,
        present=replace(PRESENT, delay_copies=10, delay_step_ms=30.0),
        augment=replace(PLAIN, dilation=1.25, shift_channels=40.0),
        model=replace(
            best.model,
            hidden_sizes=(512,),
            # eleven copies of each spike: an eleventh of the mean, the same variance of their sum
            w_in_mean=0.03 / 11,
            w_in_sd=0.05 / 11**0.5,
            readout=AvgVarExpWeight(softmax_temperature=0.1),
        ),
        train=replace(best.train, epochs=100, batch_size=32, learning_rate=2e-3),
    )
    about = (
        "recurrent, 256 hidden neurons with wide input weights and slow synapses, a softmax "
        "that is sharp from the first batch, shift, 2 ms"
    )
    published = "none on SHD"
    return [
        Preset("shd-genn-30", f"{about}; 30 epochs", OWN, published, quick),
        Preset(
            "shd-genn-80",
            f"{about}; 80 epochs of small batches",
            OWN,
            published,
            replace(quick, train=small_batches),
        ),
        Preset(
            "shd-genn-best",
            f"{about}; small batches, dilation, a delay line of 4 copies 60 ms apart, "
            "heterogeneous learned time constants",
            OWN,
            published,
            best,
        ),
        Preset(
            "shd-genn-adlif",
            f"{about}; 20 epochs of small batches, adaptive neurons (adLIF) with heterogeneous "
            "learned time constants",
            OWN,
            published,
            adlif,
        ),
        Preset(
            "shd-genn-small",
            "shd-genn-best for a few dozen to a few hundred recordings of one's own: batches of 4, "
            "150 epochs",
            OWN,
            published,
            replace(best, train=few),
        ),
        Preset(
            "shd",
            "what worked best on other unseen voices, in the published size for SHD: 512 hidden "
            "neurons, a delay line of 10 copies 30 ms apart, shift of 40 channels, batches of 32; "
            "not tested on SHD",
            OWN,
            published,
            shd,
        ),
    ]
