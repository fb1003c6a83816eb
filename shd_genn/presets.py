"""Published networks by name, as the papers' code has them less its defects, and two of our own.

Values were read from the code of the papers: `genn_eventprop` (Nowotny, Turner & Knight 2025),
mlGeNN's examples, and `deventprop` (Mészáros, Knight & Nowotny 2025). Everything that a preset is
made of is named here, also where it is the default, so that a preset stays what it is when a
default changes.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass, replace
from typing import Any

from shd_genn.config import AugmentConfig, Config, DataConfig, ModelConfig, TrainConfig
from shd_genn.errors import ConfigError
from shd_genn.readouts import Readout

NOWOTNY = "Nowotny, Turner & Knight 2025, arXiv 2212.01232"
MLGENN = "mlGeNN, examples/event_prop"
MESZAROS = "Mészáros, Knight & Nowotny 2025, arXiv 2501.07331"
OWN = "this project, README, Recipes"
FIGURE = "in a figure only"

LBD = 5e-10
"""Unit of the regularisation strengths of Nowotny, Turner & Knight (2025)."""
SIZES = (64, 128, 256, 512, 1024)
BEST_LBD = {1: (1.0, 0.1, 1.0, 0.5, 0.1), 2: (0.1, 0.5, 0.5, 1.0, 0.1)}
"""dt in ms → factors of LBD that cross-validation chose for each of SIZES (their scan 47)."""
SHD_SAMPLES, SHD_BLENDED = 8156, 15288
"""Training samples of SHD, and what blending extends them to."""


@dataclass(frozen=True)
class Preset:
    """An experiment by name.

    Attributes:
        name: What ``--preset`` calls it.
        about: What it is, in a few words, and where it departs from the code it was read from.
        source: Paper or code.
        published: Published test accuracy in per cent, or where it stands.
        config: All its settings.
    """

    name: str
    about: str
    source: str
    published: str
    config: Config

    @property
    def parameters(self) -> str:
        """The settings that are not the defaults, as options of ``python -m shd_genn.run``."""
        default = _flat(asdict(Config()))
        own = {k: v for k, v in _flat(asdict(self.config)).items() if v != default[k]}
        return " ".join(f"--{name.replace('_', '-')} {_word(value)}" for name, value in own.items())


def get(name: str) -> Preset:
    """The preset of a name.

    Raises:
        ConfigError: if there is none.
    """
    if name not in PRESETS:
        raise ConfigError(
            f"preset must be one of {', '.join(PRESETS)}, but got {name!r}; "
            "see python -m shd_genn.run --list-presets"
        )
    return PRESETS[name]


def describe(presets: Iterable[Preset]) -> str:
    """Source, parameters and published accuracy of each, as lines of text."""
    return "\n\n".join(
        f"{preset.name}\n  {preset.about}\n  published: {preset.published} ({preset.source})\n"
        f"  {preset.parameters}"
        for preset in presets
    )


def _flat(tree: dict[str, Any]) -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, value in tree.items():
        flat |= _flat(value) if isinstance(value, dict) else {key: value}
    return flat


def _word(value: object) -> str:
    return " ".join(map(str, value)) if isinstance(value, tuple) else str(value)


_MODEL = ModelConfig(
    model="recurrent",
    hidden_sizes=(256,),
    tau_mem_ms=20.0,
    tau_syn_ms=5.0,
    tau_mem_out_ms=20.0,
    v_thresh=1.0,
    readout="avg_var_exp_weight",
    w_in_mean=0.03,
    w_in_sd=0.01,
    w_rec_mean=0.0,
    w_rec_sd=0.02,
    w_out_mean=0.0,
    w_out_sd=0.03,
)
_TRAIN = TrainConfig(
    epochs=100,
    batch_size=32,
    learning_rate=1e-3,
    beta1=0.9,
    beta2=0.999,
    epsilon=1e-8,
    reg_nu=14.0,
    ease_in=0.001,
    ease_in_growth=1.05,
    best_by="training",
    softmax_temperature=1.0,
    first_spike_tau0_ms=1.0,
    first_spike_tau1_ms=100.0,
    first_spike_alpha=5e-5,
)
_SHD = DataConfig(dataset="shd", trial_ms=1000.0, validation="none")


def _base(
    topology: str, loss: str, tau_mem_ms: float, tau_syn_ms: float, reg_lambda: float
) -> Preset:
    """The comparison of losses: scan 46 of `genn_eventprop`."""
    readout: Readout
    rate, w_out = 1e-3, (0.0, 0.03)
    if loss == "sum":
        readout, rate = "avg_var", 2e-3
    elif loss == "sum_exp":
        readout = "avg_var_exp_weight"
    elif loss == "max":
        readout, rate = "max_var", 2e-3
    else:
        readout, w_out = "first_spike_time_exp", (1.2, 0.6)
    return Preset(
        f"nowotny2025-base-{topology}-{loss}",
        f"comparison of losses on SHD: {loss}, "
        f"{'recurrent' if topology == 'rec' else 'feed-forward'}, no augmentation",
        NOWOTNY,
        FIGURE,
        Config(
            data=replace(_SHD, trial_ms=1400.0, binarise=True),
            augment=AugmentConfig(shift_channels=0.0),
            model=replace(
                _MODEL,
                model="recurrent" if topology == "rec" else "feedforward",
                tau_mem_ms=tau_mem_ms,
                tau_syn_ms=tau_syn_ms,
                tau_mem_out_ms=tau_mem_ms,
                readout=readout,
                w_out_mean=w_out[0],
                w_out_sd=w_out[1],
            ),
            train=replace(_TRAIN, epochs=300, learning_rate=rate, reg_lambda=reg_lambda),
            dt_ms=1.0,
        ),
    )


def _final(hidden: int, dt_ms: float, factor: float, epochs: int, blend: float) -> Config:
    """Their final networks: delay line, shift, and blend where it is not 0."""
    return Config(
        data=replace(_SHD, binarise=True, delay_copies=10, delay_step_ms=30.0),
        augment=AugmentConfig(shift_channels=40.0, blend=blend, blend_keep=0.5),
        # a tenth of the weights, for eleven times the inputs
        model=replace(_MODEL, hidden_sizes=(hidden,), w_in_mean=0.003, w_in_sd=0.001),
        train=replace(
            _TRAIN,
            epochs=epochs,
            reg_lambda=factor * LBD,
            schedule="plateau",
            decay=0.5,
            decay_epochs=50,
            revive_silent=0.002,
        ),
        dt_ms=dt_ms,
    )


def _sizes() -> list[Preset]:
    blend = round(SHD_BLENDED / SHD_SAMPLES - 1, 4)
    return [
        Preset(
            f"nowotny2025-{hidden}-dt{dt_ms}",
            f"delay line, shift and blend at {hidden} hidden neurons and {dt_ms} ms; the plateau "
            "rule hears of training, not of test accuracy, and only silent neurons are lifted",
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
            "512 hidden neurons whose time constants are learned, delay line and shift, 2 ms; what "
            "departs from the code is as in the other sizes",
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
                data=replace(ssc.data, dataset="ssc", validation="auto"),
                model=replace(
                    ssc.model, tau_distribution="gamma", tau_mem_min_ms=3.0, tau_syn_min_ms=1.0
                ),
                train=replace(ssc.train, best_by="validation"),
            ),
        ),
    ]


def _delays(topology: str, longest_ms: float, published: str) -> Preset:
    recurrent = topology == "rec"
    return Preset(
        f"meszaros2025-delay-{topology}",
        f"{'recurrent' if recurrent else 'feed-forward'}, 512 hidden neurons, learned delays, "
        "shift and blend; ease-in grows by 1.05 a batch, as was meant, and eases delays in, too",
        MESZAROS,
        published,
        Config(
            data=_SHD,
            augment=AugmentConfig(shift_channels=40.0, blend=1.0, blend_keep=0.5),
            model=replace(
                _MODEL,
                model="recurrent" if recurrent else "feedforward",
                hidden_sizes=(512,),
                delay_in_ms=longest_ms,
                delay_rec_ms=0.0,
                train_delays=("input", "recurrent") if recurrent else ("input",),
                max_delay_ms=1000.0,
            ),
            train=replace(
                _TRAIN,
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


def _mlgenn() -> list[Preset]:
    plain = Config(
        data=replace(_SHD, trial_ms=1370.0),
        augment=AugmentConfig(shift_channels=0.0),
        model=_MODEL,
        train=replace(_TRAIN, reg_lambda=2.5e-10, ease_in=1.0),
        dt_ms=1.0,
    )
    return [
        Preset("mlgenn-shd", "shd.py: no augmentation", MLGENN, "none", plain),
        Preset(
            "mlgenn-shd-augment",
            "shd_augment.py: shift with a standard deviation of 2 channels, here evenly spread and "
            "anew in every epoch (there normal, and adding up over the epochs)",
            MLGENN,
            "none",
            replace(
                plain,
                augment=AugmentConfig(shift_channels=3.5),
                train=replace(plain.train, epochs=300, reg_lambda=4e-9),
            ),
        ),
        Preset(
            "mlgenn-shd-best",
            "shd_delay_shift_blend.py: nine delayed copies, shift, and as many blends again, made "
            "of recorded samples only (there of blends, too, and more in every epoch)",
            MLGENN,
            "none",
            Config(
                data=replace(
                    _SHD,
                    validation="random",
                    validation_fraction=round(512 / SHD_SAMPLES, 4),
                    delay_copies=9,
                    delay_step_ms=30.0,
                ),
                augment=AugmentConfig(shift_channels=40.0, blend=1.0, blend_keep=0.5),
                model=_MODEL,
                train=replace(
                    _TRAIN, epochs=50, reg_lambda=5e-11, revive_silent=0.002, best_by="validation"
                ),
                dt_ms=1.0,
            ),
        ),
    ]


def _own() -> list[Preset]:
    quick = Config(
        data=_SHD,
        augment=AugmentConfig(shift_channels=20.0),
        model=replace(_MODEL, w_in_sd=0.05, tau_syn_ms=10.0),
        train=replace(
            _TRAIN,
            epochs=30,
            learning_rate=2e-3,
            ease_in=1.0,
            schedule="cosine",
            reg_lambda=0.0,
            softmax_temperature=0.2,
        ),
        dt_ms=2.0,
    )
    small_batches = replace(quick.train, epochs=80, batch_size=8, learning_rate=1.5e-3)
    best = replace(
        quick,
        data=replace(_SHD, delay_copies=4, delay_step_ms=60.0),
        augment=AugmentConfig(dilation=1.25, shift_channels=20.0),
        model=replace(
            quick.model,
            # five copies of each spike: a fifth of the mean, and the same variance of their sum
            w_in_mean=0.006,
            w_in_sd=0.022,
            tau_distribution="gamma",
            train_tau=True,
        ),
        train=replace(small_batches, epochs=70, tau_learning_rate=0.02),
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
    ]


PRESETS: dict[str, Preset] = {
    preset.name: preset
    for preset in (
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
        *_mlgenn(),
        _delays("rec", 150.0, "93.2 ± 1.0"),
        _delays("ff", 100.0, FIGURE),
        *_own(),
    )
}
"""All presets by name."""
