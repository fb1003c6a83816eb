"""Settings that differ from the defaults in many places, choices among them."""

from shd_genn.config import Config
from shd_genn.datasets.settings import DataConfig, SpeakerValidation
from shd_genn.learning.settings import Plateau, TrainConfig
from shd_genn.network.settings import FirstSpikeTimeExp, GammaTau, ModelConfig
from shd_genn.present.settings import AugmentConfig, PresentConfig

OTHER = Config(
    data=DataConfig(dataset="shd", validation=SpeakerValidation("3")),
    present=PresentConfig(binarise=True, delay_copies=3),
    augment=AugmentConfig(shift_channels=40.0),
    model=ModelConfig(
        hidden_sizes=(64, 128),
        n_inputs=700,
        readout=FirstSpikeTimeExp(first_spike_tau1_ms=50.0),
        tau_distribution=GammaTau(gamma_shape=2.5),
        train_delays=("input", "hidden"),
    ),
    train=TrainConfig(epochs=3, seed=7, schedule=Plateau(decay=0.3)),
    dt_ms=2.0,
)
