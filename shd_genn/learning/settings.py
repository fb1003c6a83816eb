"""Settings of training."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Annotated

from annotated_types import Ge, Gt, Le, Lt

from shd_genn.learning.methods import EventProp, MethodChoice
from shd_genn.network import Kind
from shd_genn.network.neurons import NEURON_PARAMETERS
from shd_genn.support.errors import refuse_unless
from shd_genn.support.settings import CHANGES_NO_RESULT, Choice, Cure, Settings, UserPath

Decay = Annotated[float, Gt(0), Lt(1), Cure("the papers use 0.5")]
Epochs = Annotated[int, Ge(1), Cure("the papers use 50")]
AdamDecay = Annotated[float, Ge(0), Lt(1), Cure("Adam's usual values are 0.9 and 0.999")]
KeptEpoch = Annotated[int, Ge(0), Cure("0 means before training")]
SampleIndex = Annotated[int, Ge(0), Cure("samples are counted from 0")]
SEED_MAX = 2**63 - 1
"""Seeds are 64-bit numbers, as TOML's are."""


@dataclass(frozen=True)
class Constant(Choice, kind="constant"):
    """It stays the same."""


@dataclass(frozen=True)
class Plateau(Choice, kind="plateau"):
    """It is multiplied by decay when the accuracy has stopped rising.

    The accuracy is that of validation, else of training (Nowotny, Turner & Knight 2025).
    """

    decay: Decay = 0.5
    """Factor by which the learning rate falls."""
    decay_epochs: Epochs = 50
    """Epochs that pass at least before the learning rate falls again."""


@dataclass(frozen=True)
class Step(Choice, kind="step"):
    """It is multiplied by decay every decay_epochs epochs."""

    decay: Decay = 0.5
    """Factor by which the learning rate falls."""
    decay_epochs: Epochs = 50
    """Epochs after which the learning rate falls again."""


@dataclass(frozen=True)
class Cosine(Choice, kind="cosine"):
    """It falls to 0 at the last epoch, along half a cosine."""


ScheduleChoice = Constant | Plateau | Step | Cosine


@dataclass(frozen=True)
class TrainConfig(Settings):
    """How the network is trained."""

    method: MethodChoice = field(default_factory=EventProp)
    """The rule that changes the weights; docs/methods.md compares them."""
    start_from: Annotated[str, UserPath()] | None = None
    """Folder of a run by method=conversion, whose weights training starts from, as DIET-SNN does;
    by default weights are drawn. See docs/conversion.md."""
    epochs: Annotated[int, Ge(1), Cure("the papers use 100")] = 100
    """Passes through the training set."""
    batch_size: Annotated[int, Ge(1), Cure("the papers use 32")] = 32
    """Samples per update of the weights. If samples are left over at the end of an epoch, its last
    batch is smaller."""
    learning_rate: Annotated[float, Gt(0), Cure("the papers use 1e-3")] = 1e-3
    """Adam's step for weights."""
    tau_learning_rate: Annotated[float, Gt(0), Cure("leave it out for that of weights")] | None = (
        None
    )
    """Adam's step for time constants, in ms; by default that of weights. Ease-in and schedule
    change this rate, and the two below, in proportion to that of weights."""
    v_thresh_learning_rate: (
        Annotated[float, Gt(0), Cure("leave it out for that of weights")] | None
    ) = None
    """Adam's step for thresholds, and for all other parameters of neurons that are no times; by
    default that of weights."""
    delay_learning_rate: Annotated[float, Gt(0), Cure("the papers use 0.1")] = 0.1
    """Adam's step for delays, in time steps; the papers use 0.1."""
    ease_in: Annotated[float, Gt(0), Le(1), Cure("1 means no ease-in")] = 1.0
    """Part of the learning rate that training starts with; the papers use 0.001. 1: no ease-in."""
    ease_in_growth: Annotated[float, Gt(1), Cure("the papers use 1.05")] = 1.05
    """Factor by which an eased-in learning rate grows with every batch until it is whole."""
    schedule: ScheduleChoice = field(default_factory=Constant)
    """How the learning rate changes over the epochs."""
    beta1: AdamDecay = 0.9
    """Adam's decay of the mean gradient."""
    beta2: AdamDecay = 0.999
    """Adam's decay of the mean squared gradient."""
    epsilon: Annotated[float, Gt(0), Cure("Adam's usual value is 1e-8")] = 1e-8
    """Adam's guard against division by zero."""
    reg_lambda: Annotated[float, Ge(0), Cure("0 means no regularisation")] = 2.5e-10
    """Strength of the regularisation that pulls each hidden neuron towards reg_nu spikes per trial;
    on mlGeNN's scale."""
    reg_nu: Annotated[float, Ge(0), Cure("14 is usual")] = 14.0
    """Spikes per trial that each hidden neuron is pulled towards."""
    revive_silent: Annotated[float, Ge(0), Cure("0 means nothing; the papers use 0.002")] = 0.0
    """Added after each epoch to the input weights of hidden neurons that emitted no spike in it,
    because no gradient could make them spike again; the papers use 0.002. 0: nothing."""
    hidden_dropout: Annotated[float, Ge(0), Lt(1), Cure("0.1 to 0.3 is usual")] = 0.0
    """Probability that a hidden neuron is silent in a training trial; what the others send is
    stronger in proportion. 0: no drop-out."""
    weight_decay: Annotated[float, Ge(0), Cure("0 means none; 0.01 is usual")] = 0.0
    """Weights are multiplied by 1 - learning rate times this before each update (AdamW)."""
    label_smoothing: Annotated[float, Ge(0), Lt(1), Cure("0 means none; 0.1 is usual")] = 0.0
    """Part of each label that is spread evenly over all words, in losses of voltages."""
    clip_gradient: Annotated[float, Ge(0), Cure("0 means that nothing is clipped")] = 0.0
    """Largest norm of the gradient of all that is learned; a longer one is shortened. 0: any."""
    average_decay: Annotated[float, Ge(0), Lt(1), Cure("0 means none; 0.9 is usual")] = 0.0
    """Decay of an average of all parameters over the epochs, which is validated, chosen and saved
    in place of the last parameters; 0.9 averages about the last 10 epochs. 0: no average."""
    patience: Annotated[int, Ge(0), Cure("0 means that training never stops early")] = 0
    """Stop when the accuracy that chooses the best epoch has not risen for this many epochs; 0:
    never."""
    keep_epochs: Annotated[tuple[KeptEpoch, ...], CHANGES_NO_RESULT] = ()
    """Epochs whose parameters are kept, a file each in the folder epochs/; 0 is before training."""
    record_samples: Annotated[tuple[SampleIndex, ...], CHANGES_NO_RESULT] = ()
    """Samples whose spikes and output voltages are kept with these epochs, counted from 0: of
    validation, or of training where nothing validates."""
    seed: Annotated[int, Ge(0), Le(SEED_MAX), Cure("0 is usual")] = 0
    """The one seed of everything random in a run."""

    def __post_init__(self) -> None:
        super().__post_init__()
        refuse_unless(
            not self.record_samples or bool(self.keep_epochs),
            f"record_samples names {len(self.record_samples)} samples, but keep_epochs no epoch",
            "add the epochs to keep_epochs",
        )

    def rates(self, learning_rate: float, kinds: Iterable[Kind] = ()) -> dict[str, float]:
        """Learning rates of all kinds of parameters, when that of weights has become this.

        Args:
            learning_rate: That of weights.
            kinds: The kinds of the network's parameters; those of a user's own neurons may be
                among them, whose time constants begin with ``tau``.
        """
        part = learning_rate / self.learning_rate
        tau = self.learning_rate if self.tau_learning_rate is None else self.tau_learning_rate
        thresh = self.v_thresh_learning_rate
        of_tau = part * tau
        of_others = part * (self.learning_rate if thresh is None else thresh)
        own = {kind: of_tau if kind.startswith("tau") else of_others for kind in kinds}
        known = {k: of_tau if p.unit == "ms" else of_others for k, p in NEURON_PARAMETERS.items()}
        return {
            **own,
            **known,
            "weight": learning_rate,
            "delay": part * self.delay_learning_rate,
        }
