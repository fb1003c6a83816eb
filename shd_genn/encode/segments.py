"""Cutting a stream of spikes into words: where a filter bank is silent, there is none.

A word begins with the first spike. It ends when the trial is over, or when no channel has spiked
for `PAUSE_MS`. The C file of python -m shd_genn.export does the same.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from shd_genn.encode.encoder import Spikes
from shd_genn.encode.filter_bank import BEFORE_TICK_MS

PAUSE_MS = 250
"""A word ends when no channel has spiked for so long."""


@dataclass
class Segment:
    """The spikes of a word.

    Attributes:
        begin: Tick (ms) of the stream at which it began.
        end: Tick at which it ended; that of its last spike so far, if it goes on.
        ticks: Of the spikes, after the first one.
        channels: Of the spikes.
    """

    begin: int
    end: int
    ticks: list[int] = field(default_factory=list)
    channels: list[int] = field(default_factory=list)

    @property
    def spikes(self) -> Spikes:
        """Times in ms and channels, as an encoder gives them."""
        times_ms = np.maximum(np.array(self.ticks) - BEFORE_TICK_MS, 0)
        return times_ms.astype(np.float32), np.array(self.channels, np.uint16)


class Segments:
    """Cuts a stream, which comes in pieces of any lengths.

    Args:
        trial_ms: Length of a trial.
        step_ms: Length of a time step; spikes of the last one are the last that count.
    """

    def __init__(self, trial_ms: float, step_ms: float) -> None:
        self._longest = round(trial_ms - step_ms)
        self.open: Segment | None = None

    def push(
        self, ticks: NDArray[np.integer], channels: NDArray[np.integer], now: int
    ) -> list[Segment]:
        """Take the spikes of a piece of the stream.

        Args:
            ticks: Of the spikes, ascending.
            channels: Of the spikes.
            now: The last tick of the piece.

        Returns:
            Words that have ended.
        """
        ended: list[Segment] = []
        for tick, channel in zip(ticks.tolist(), channels.tolist(), strict=True):
            if self.open and tick > self._end(self.open):
                ended.append(self._close(self.open))
            if self.open is None:
                self.open = Segment(tick, tick)
            self.open.ticks.append(tick - self.open.begin)
            self.open.channels.append(channel)
            self.open.end = tick
        if self.open and now >= self._end(self.open):
            ended.append(self._close(self.open))
        return ended

    def _end(self, segment: Segment) -> int:
        """The tick at which a word ends unless it goes on before."""
        return min(segment.end + PAUSE_MS, segment.begin + self._longest)

    def _close(self, segment: Segment) -> Segment:
        segment.end, self.open = self._end(segment), None
        return segment
