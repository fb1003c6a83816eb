"""The front end of the C file: a filter bank that makes spikes of a microphone's samples."""

from __future__ import annotations

from dataclasses import dataclass

from shd_genn.encode.filter_bank import HEADER, STREAM_RATE, TICK_SAMPLES, FilterBank
from shd_genn.encode.segments import PAUSE_MS
from shd_genn.export.trained import TrainedNetwork
from shd_genn.support.errors import refuse_unless

BYTES_OF_A_CHANNEL = 7 * 4 + 2
"""RAM of a channel: its filters, envelope and charge, and its place in the list of spikes."""
BYTES_OF_A_BAND = 3 * 4
"""Flash of a channel's coefficients."""


@dataclass(frozen=True)
class FrontEnd:
    """A filter bank as C has it.

    Attributes:
        bank: It.
        step_ticks: Ticks of 1 ms in a step of the network.
    """

    bank: FilterBank
    step_ticks: int

    @property
    def header(self) -> str:
        """The C99 text of the filter bank."""
        return HEADER.read_text(encoding="utf-8").removeprefix("#pragma once\n")

    @property
    def bands(self) -> str:
        """The coefficients as C has them between braces."""
        return "\n".join(
            f"    {{{gain}, {a1}, {a2}}}," for gain, a1, a2 in self.bank.bands.tolist()
        )

    @property
    def levels(self) -> str:
        """The levels, likewise."""
        return ", ".join(str(level) for level in self.bank.levels.tolist())

    @property
    def pause(self) -> int:
        """Ticks without a spike that end a word."""
        return PAUSE_MS

    @property
    def ram(self) -> int:
        """Bytes of its state."""
        return BYTES_OF_A_CHANNEL * self.bank.n_channels + 4 * 4 + 2 * 4

    @property
    def flash(self) -> int:
        """Bytes of its constants."""
        return BYTES_OF_A_BAND * self.bank.n_channels + 4 * 4


def front_end_of(trained: TrainedNetwork, binarise: bool = False) -> FrontEnd:
    """The front end of a network that was trained on the filter bank's spikes.

    Args:
        trained: The network.
        binarise: Whether it was trained with ``--binarise``.

    Raises:
        ConfigError: if it was trained on other spikes, or with steps that are no whole ms.
    """
    size, tick_ms = trained.network.input.size, 1000 * TICK_SAMPLES / STREAM_RATE
    refuse_unless(
        trained.code == FilterBank.code,
        f"the front end is a filter bank, but the network was trained on the {trained.code} code",
        "encode the recordings with --code filterbank, and train on them",
    )
    refuse_unless(
        not binarise,
        "the network was trained with binarise, but the front end merges no spikes",
        "train without it",
    )
    ticks = trained.dt_ms / tick_ms
    refuse_unless(
        ticks >= 1 and ticks == round(ticks),
        f"the network has steps of {trained.dt_ms:g} ms, but the front end gives spikes every "
        f"{tick_ms:g} ms",
        "train with --dt-ms 1 or 2",
    )
    return FrontEnd(FilterBank(size), round(ticks))
