"""How recorded spikes become the network's input, in training, validation and test."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from shd_genn.present.delay_line import DelayedEvents, DelayLine
from shd_genn.present.settings import PresentConfig
from shd_genn.spikes.events import Events


@dataclass(frozen=True)
class Presentation:
    """Turns recorded spikes into the spikes that the input neurons emit.

    Attributes:
        n_channels: Number of channels of the recording.
        trial_ms: Length of a trial in ms; later spikes of the delay line are dropped.
        dt_ms: Step in ms within which spikes of a channel are merged into one at the beginning of
            the step; None: spikes are not merged.
        delay_copies: Number of delayed copies of the input, each with channels of its own.
        delay_step_ms: Delay of each copy after the copy before, in ms.
    """

    n_channels: int
    trial_ms: float = np.inf
    dt_ms: float | None = None
    delay_copies: int = 0
    delay_step_ms: float = 30.0

    @staticmethod
    def of(settings: PresentConfig, trial_ms: float, dt_ms: float, n_channels: int) -> Presentation:
        """Make a presentation from settings, for recordings of ``n_channels``."""
        return Presentation(
            n_channels=n_channels,
            trial_ms=trial_ms,
            dt_ms=dt_ms if settings.binarise else None,
            delay_copies=settings.delay_copies,
            delay_step_ms=settings.delay_step_ms,
        )

    @property
    def n_inputs(self) -> int:
        """Number of input neurons."""
        return self.n_channels * (1 + self.delay_copies)

    @property
    def delay_line(self) -> DelayLine | None:
        """The delay line, if there is one."""
        if not self.delay_copies:
            return None
        return DelayLine(self.delay_copies, self.delay_step_ms, self.n_channels, self.trial_ms)

    def __call__(self, events: Events) -> Events:
        """The spikes that the input neurons emit; ``events`` is not changed."""
        if self.dt_ms is not None:
            events = binarise(events, self.dt_ms, self.n_channels)
        line = self.delay_line
        if line is None:
            return events
        # spikes that are on no grid may differ by a step from those of their copies
        return line(events) if self.dt_ms is None else DelayedEvents(events, line)


def binarise(events: Events, dt_ms: float, n_channels: int) -> Events:
    """Merge the spikes of a channel within a time step into one at the beginning of the step.

    Source: ``rescale`` of `genn_eventprop`, the code of Nowotny, Turner & Knight (2025).

    Args:
        events: The samples.
        dt_ms: Length of a step in ms.
        n_channels: Number of channels.

    Returns:
        New samples, sorted by time, then channel.
    """
    parts = []
    for i in range(len(events)):
        times_ms, channels = events.sample(i)
        steps = np.floor(times_ms / np.float32(dt_ms)).astype(np.int64)
        seen = np.zeros((int(steps.max(initial=0)) + 1, n_channels), bool)
        seen[steps, channels] = True
        steps, channels = np.divmod(np.flatnonzero(seen), n_channels)
        parts.append((steps.astype(np.float32) * np.float32(dt_ms), channels.astype(np.uint16)))
    return Events.join(parts)
