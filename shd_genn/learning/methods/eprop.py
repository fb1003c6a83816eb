"""e-prop (Bellec et al. 2020): gradients without the errors that neurons send each other."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

from annotated_types import Ge, Lt

from shd_genn.learning.methods.limits import check_one_synapse, check_steps
from shd_genn.learning.methods.shapes import Pseudo, ShapeName
from shd_genn.learning.methods.surrogate import Scale, Slope
from shd_genn.network import Network
from shd_genn.network.readouts import READOUTS
from shd_genn.support.errors import refuse_unless
from shd_genn.support.settings import Choice, Cure

FeedbackKind = Literal["symmetric", "random", "adaptive"]
"""symmetric: errors come back through the output weights; random: through weights that were drawn
independently and stay; adaptive: through such weights that get the updates of the output weights.
"""


@dataclass(frozen=True)
class EProp(Choice, kind="eprop"):
    """e-prop's gradient, computed after the trial, backwards in time.

    Bellec et al. (2020): a neuron hears of errors only from the output. The sums over time are
    taken in the opposite order, which gives the same numbers without a trace for each synapse.
    """

    surrogate: ShapeName = "triangle"
    """Shape of the surrogate derivative; docs/methods.md has their formulas."""
    surrogate_slope: Slope | None = None
    """How narrow the surrogate is; by default as usual for the shape."""
    surrogate_scale: Scale | None = None
    """Factor of the surrogate; by default as usual for the shape."""
    feedback: FeedbackKind = "symmetric"
    """How errors of the output reach hidden neurons: symmetric (through the output weights), random
    (through fixed weights of their own), adaptive (through weights of their own that get the output
    weights' updates)."""
    feedback_decay: Annotated[float, Ge(0), Lt(1), Cure("0 means none")] = 0.0
    """With adaptive feedback: the part of output weights and of feedback weights that each update
    takes away, per unit of the learning rate."""

    def __post_init__(self) -> None:
        super().__post_init__()
        refuse_unless(
            self.feedback == "adaptive" or self.feedback_decay == 0,
            f"feedback_decay belongs to feedback=adaptive, but feedback is {self.feedback}",
            "leave feedback_decay out, or choose feedback=adaptive",
        )

    @property
    def derivative(self) -> Pseudo:
        """The surrogate derivative with its constants."""
        return Pseudo.of(self.surrogate, self.surrogate_slope, self.surrogate_scale)

    def check(self, network: Network) -> None:
        """Refuse a network that e-prop cannot train.

        Raises:
            ConfigError: as `Surrogate.check`, or if a hidden population does not feed the output
                while feedback goes through the output weights or follows them.
        """
        _ = network.output
        check_one_synapse(network, "e-prop")
        check_steps(network, "e-prop")
        if self.feedback == "random":
            return
        for population in network.hidden:
            refuse_unless(
                any(c.target == network.output for c in network.outputs_of(population)),
                f"e-prop needs a connection from each hidden population to the output, but "
                f"{population.name} has none",
                "connect it to the output, choose feedback=random, or take one hidden layer",
            )


@dataclass(frozen=True)
class EPropOnline(EProp, kind="eprop-online"):
    """e-prop's gradient, computed during the trial with a trace for each synapse, as on a chip.

    The numbers are those of eprop, at a much higher cost.
    """

    def check(self, network: Network) -> None:
        """Refuse a network that online e-prop cannot train.

        Raises:
            ConfigError: as `EProp.check`, or if spikes have delays, time constants or thresholds
                are learned, or the readout is of a maximum.
        """
        super().check(network)
        form = READOUTS[network.readout].form
        refuse_unless(
            form in ("weighted", "each_step"),
            f"online e-prop cannot know during the trial when the maximum of readout "
            f"{network.readout} will be",
            "choose another readout, or method=eprop",
        )
        delayed = [c.name for c in network.connections if c.delayed]
        refuse_unless(
            not delayed,
            f"online e-prop has no delays, but {', '.join(delayed)} have some",
            "leave them out, or take method=eprop",
        )
        learned = [p.key for p in network.parameters if p.trained and p.kind != "weight"]
        refuse_unless(
            not learned,
            f"online e-prop learns weights only, but {', '.join(learned)} are learned, too",
            "keep them as they are, or take method=eprop",
        )
