"""STDP: local rules for a layer whose neurons compete, with a reader of their spike counts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

from annotated_types import Ge, Gt, Le

from shd_genn.learning.methods.limits import check_currents
from shd_genn.network import Connection, LeakyIntegrate, LeakyIntegrateFire, Network
from shd_genn.network.readouts import READOUTS
from shd_genn.support.errors import refuse_unless
from shd_genn.support.settings import Choice, Cure

WindowName = Literal["trace", "nanocomposite"]
"""How the change of a weight depends on spike times; see `plasticity`."""
ReaderName = Literal["linear", "labels", "votes"]
"""linear: ridge regression of spike counts; labels: each neuron answers with the word that it
spikes most for; votes: with the word that it was given before training."""
Control = Literal["none", "frozen", "counts"]
"""none: the method itself; frozen: weights stay random; counts: the reader reads the input."""

Milliseconds = Annotated[float, Gt(0), Cure("it is in ms")]
NotNegative = Annotated[float, Ge(0), Cure("0 means none")]


@dataclass(frozen=True)
class STDP(Choice, kind="stdp"):
    """Spike-timing-dependent plasticity without labels, in a layer where the winner takes all.

    Diehl & Cook (2015): hidden neurons inhibit each other and adapt their thresholds. A reader of
    their spike counts, which is fitted to the labels, takes the place of the output.
    """

    window: WindowName = "trace"
    """How weights change: trace (towards the channels that spiked shortly before) or nanocomposite
    (the measured window of a memristor). The learning rate multiplies it; with nanocomposite, 1 is
    the device itself."""
    trace_tau_ms: Milliseconds = 20.0
    """With window trace: how long a channel's spike is remembered, in ms."""
    trace_target: Annotated[float, Ge(0), Le(1), Cure("0.4 is usual")] = 0.4
    """With window trace: weights of channels whose trace is below this fall."""
    trace_exponent: Annotated[float, Ge(0), Le(5), Cure("0.2 is usual")] = 0.2
    """With window trace: how much changes shrink as a weight comes near 1."""
    device_levels: Annotated[int, Ge(0), Cure("16 to 64 is usual, 0 means any number")] = 0
    """Number of conductances that a device has; the result of a change is rounded to one of them at
    random, so that it is right on average. 0: any."""
    device_noise: NotNegative = 0.0
    """Standard deviation of a factor of each change, from one change to the next; 0.01 to 0.05 is
    usual of memristors."""
    device_spread: NotNegative = 0.0
    """Standard deviation of a factor of all changes of a device, from device to device."""
    inhibition: NotNegative = 0.2
    """Where a spike sets the voltages of all other hidden neurons: so many thresholds below 0."""
    refractory_ms: NotNegative = 5.0
    """For how many ms after a spike a neuron cannot spike."""
    theta_jump: NotNegative = 0.005
    """What each training spike of a neuron adds to its threshold."""
    theta_tau_ms: Milliseconds = 1e5
    """Time constant, in ms of trials, with which these additions decay."""
    reader: ReaderName = "linear"
    """What turns spike counts into an answer: linear (ridge regression) or labels (each neuron
    answers with the word that it spikes most for); r-stdp has votes instead of labels."""
    reader_windows: Annotated[int, Ge(1), Le(100), Cure("4 is usual")] = 4
    """With reader linear: parts of the trial whose spikes are counted separately."""
    reader_memory: Annotated[float, Ge(1), Cure("the size of the training set is usual")] = 5000.0
    """Number of training samples after which the reader has forgotten all but 37 % of a sample."""
    ridge: Annotated[float, Gt(0), Cure("0.1 to 1 is usual")] = 0.3
    """With reader linear: strength of the ridge, relative to the mean square of a spike count."""
    control: Control = "none"
    """Controls that every result needs: frozen (random weights that stay, same reader) or counts
    (the same reader of the input's spike counts, without hidden neurons)."""

    def __post_init__(self) -> None:
        super().__post_init__()
        refuse_unless(
            self.device_levels != 1,
            "device_levels = 1 leaves a device one conductance, so that nothing can be learned",
            "take 2 levels or more, or 0 for any number",
        )
        refuse_unless(
            self.reader in self.readers,
            f"{self.kind} has the readers {' and '.join(self.readers)}, but got {self.reader}",
            "choose one of them",
        )
        refuse_unless(
            self.control != "counts" or self.reader == "linear",
            f"control=counts reads the input's spikes, which reader={self.reader} cannot",
            "choose reader=linear, or another control",
        )

    @property
    def readers(self) -> tuple[ReaderName, ...]:
        """The readers that the method has."""
        return ("linear", "labels")

    @property
    def windows(self) -> int:
        """Parts of the trial whose spikes are counted separately."""
        return self.reader_windows if self.reader == "linear" else 1

    @property
    def learns(self) -> bool:
        """Whether weights change; in the controls they do not."""
        return self.control == "none"

    def check(self, network: Network) -> None:
        """Refuse a network that is no layer of competing neurons.

        Raises:
            ConfigError: if it has more than one hidden population or any other connection than from
                the input to it and from it to the output, if neurons are not equal leaky
                integrate-and-fire neurons, or spikes have delays.
        """
        output = network.output
        refuse_unless(
            len(network.hidden) == 1 and set(_ends(network)) == _layer(network),
            f"{self.kind} trains one layer that is connected to the input and to the output only, "
            f"but the connections are {', '.join(c.name for c in network.connections)}; its "
            "neurons compete by inhibition instead of recurrent weights",
            "take model=feedforward and one number of hidden_sizes",
        )
        (hidden,) = network.hidden
        simple = isinstance(hidden.neuron, LeakyIntegrateFire) and hidden.neuron.hand_written
        refuse_unless(
            simple and isinstance(output.neuron, LeakyIntegrate),
            f"{self.kind} trains neurons of LeakyIntegrateFire with reset to 0 and reads voltages, "
            f"but {hidden.name} has {type(hidden.neuron).__name__} and the readout is "
            f"{network.readout}",
            "leave neuron and readout as they are by default",
        )
        check_currents(network, self.kind, "its rules are for neurons with a synaptic current")
        own = [p.key for p in network.parameters if p.kind != "weight"]
        refuse_unless(
            not own and network.readout_parameter is None,
            f"{self.kind} learns weights and thresholds by its own rules, but the network has "
            f"{', '.join(own) or 'a learned readout'}, too",
            "leave out delays and what differs from neuron to neuron",
        )
        assert not READOUTS[network.readout].spiking

    def input_of(self, network: Network) -> Connection:
        """The connection whose weights it learns."""
        return network.inputs_of(network.hidden[0])[0]

    def features(self, network: Network) -> int:
        """Number of spike counts that the reader gets of a trial."""
        read = network.input if self.control == "counts" else network.hidden[0]
        return self.windows * read.size


def _ends(network: Network) -> list[tuple[str, str]]:
    return [(c.source.name, c.target.name) for c in network.connections]


def _layer(network: Network) -> set[tuple[str, str]]:
    hidden = network.hidden[0].name
    return {(network.input.name, hidden), (hidden, network.output.name)}


@dataclass(frozen=True)
class RewardSTDP(STDP, kind="r-stdp"):
    """Reward-modulated STDP: changes wait for the trial's end, where a reward makes them real.

    Each hidden neuron is given a word before training. Changes of a neuron are made if its word is
    right, and made the other way round if it is wrong.
    """

    reader: ReaderName = "votes"
    """What turns spike counts into an answer: votes (the word whose neurons spike most) or linear
    (ridge regression)."""
    eligibility_tau_ms: Milliseconds = 500.0
    """How long a change is remembered until the reward at the trial's end, in ms."""
    punishment: Annotated[float, Ge(0), Le(1), Cure("1 is as strong as a reward")] = 0.1
    """Strength of the opposite change where a neuron's word is wrong; a reward has 1."""

    @property
    def readers(self) -> tuple[ReaderName, ...]:
        """The readers that the method has."""
        return ("linear", "votes")
