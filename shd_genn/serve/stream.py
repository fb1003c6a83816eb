"""Words of a stream as they come, by a run that was trained on the filter bank's spikes."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from shd_genn.encode.filter_bank import TICK_SAMPLES, FilterBank
from shd_genn.encode.segments import Segment, Segments
from shd_genn.serve.ready import Ready


@dataclass(frozen=True)
class Heard:
    """A word of a stream.

    Attributes:
        run: Name of the run that heard it.
        word: The most probable word; ``silence`` if the run has learned that class.
        probability: Its probability.
        end_ms: When it ended, since the stream began.
    """

    run: str
    word: str
    probability: float
    end_ms: int


class WordStream:
    """A run that hears a stream, which comes in pieces of any lengths.

    Args:
        run: It; its encoder is a `FilterBank`.
    """

    def __init__(self, run: Ready) -> None:
        assert isinstance(run.encoder, FilterBank)
        config = run.simulator.config
        self._run, self._bank, self._samples = run, run.encoder.stream(), 0
        self._segments = Segments(config.trial_ms, config.dt_ms)

    def push(self, sound: NDArray[np.int16]) -> list[Heard]:
        """Take a piece of sound at 16 kHz; returns the words that have ended."""
        self._samples += len(sound)
        ticks, channels = self._bank.push(sound)
        ended = self._segments.push(ticks, channels, self._samples // TICK_SAMPLES - 1)
        return [self._heard(segment) for segment in ended]

    def so_far(self) -> Heard | None:
        """What the word that has not ended yet would be; None between words."""
        return None if self._segments.open is None else self._heard(self._segments.open)

    def _heard(self, segment: Segment) -> Heard:
        p = self._run.probabilities(self._run.presented(segment.spikes))
        best = int(p.argmax())
        return Heard(self._run.name, self._run.words[best], round(float(p[best]), 4), segment.end)
