"""The type of presets, and the settings that most of them have in common."""

from __future__ import annotations

from dataclasses import dataclass

from shd_genn.config import Config, command_line
from shd_genn.datasets.settings import DataConfig, NoValidation
from shd_genn.learning.methods import EventProp
from shd_genn.learning.settings import Constant, TrainConfig
from shd_genn.network.neuron_settings import Lif
from shd_genn.network.settings import AvgVarExpWeight, ModelConfig, SameTau
from shd_genn.present.settings import AugmentConfig, PresentConfig

FIGURE = "in a figure only"
"""Says that an accuracy is published as a curve, which cannot be read as a number."""
SHD_SAMPLES = 8156
"""Training samples of SHD."""


@dataclass(frozen=True)
class Preset:
    """A published experiment, or one of our own, with all its settings.

    Attributes:
        name: The name that ``--preset`` takes.
        about: A short description, and the differences from the code that it comes from.
        source: Paper or code.
        published: Published test accuracy in per cent, or a remark where to find it.
        config: All settings.
    """

    name: str
    about: str
    source: str
    published: str
    config: Config

    @property
    def parameters(self) -> str:
        """The settings that are not the defaults, as options of ``python -m shd_genn.run``."""
        return " ".join(command_line.options_of(self.config))


# Every setting is written out, also where it is the default, so that a preset stays what it is when
# a default changes; a test checks it. Values are those of the common base of Nowotny, Turner &
# Knight (2025).
SHD = DataConfig(
    dataset="shd",
    data_dir=None,
    trial_ms=1000.0,
    validation=NoValidation(),
    variants=0,
    balance=False,
    test=True,
)
PRESENT = PresentConfig(
    binarise=False,
    delay_copies=0,
    delay_step_ms=30.0,
)
PLAIN = AugmentConfig(
    blend=0.0,
    blend_keep=0.5,
    dilation=1.0,
    shift_channels=0.0,
    jitter_channels=0.0,
    dropout=0.0,
    normalise_spikes=False,
)
MODEL = ModelConfig(
    model="recurrent",
    hidden_sizes=(256,),
    n_inputs=None,
    n_classes=None,
    neuron=Lif(reset="zero", tau_refrac_ms=0.0),
    synapse="exponential",
    tau_mem_ms=20.0,
    tau_syn_ms=5.0,
    tau_mem_out_ms=20.0,
    tau_distribution=SameTau(),
    train_tau=False,
    train_tau_out=False,
    tau_mem_min_ms=3.0,
    tau_syn_min_ms=1.0,
    v_thresh=1.0,
    v_thresh_sd=0.0,
    v_thresh_min=0.1,
    train_v_thresh=False,
    delay_in_ms=0.0,
    delay_rec_ms=0.0,
    delay_hidden_ms=0.0,
    train_delays=(),
    delay_kind="synaptic",
    max_delay_ms=1000.0,
    readout=AvgVarExpWeight(softmax_temperature=1.0),
    w_in_mean=0.03,
    w_in_sd=0.01,
    w_rec_mean=0.0,
    w_rec_sd=0.02,
    w_hidden_mean=0.02,
    w_hidden_sd=0.03,
    w_out_mean=0.0,
    w_out_sd=0.03,
)
TRAIN = TrainConfig(
    method=EventProp(),
    start_from=None,
    epochs=100,
    batch_size=32,
    learning_rate=1e-3,
    tau_learning_rate=None,
    v_thresh_learning_rate=None,
    delay_learning_rate=0.1,
    ease_in=0.001,
    ease_in_growth=1.05,
    schedule=Constant(),
    beta1=0.9,
    beta2=0.999,
    epsilon=1e-8,
    reg_lambda=0.0,
    reg_nu=14.0,
    revive_silent=0.0,
    hidden_dropout=0.0,
    weight_decay=0.0,
    label_smoothing=0.0,
    clip_gradient=0.0,
    average_decay=0.0,
    patience=0,
    keep_epochs=(),
    record_samples=(),
    seed=0,
)
