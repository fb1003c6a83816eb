"""How recorded spikes become the network's input, in training, validation and test."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

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

    def __call__(self, events: Events) -> Events:
        """The spikes that the input neurons emit; ``events`` is not changed."""
        if self.dt_ms is not None:
            events = binarise(events, self.dt_ms, self.n_channels)
        if self.delay_copies:
            events = delay_line(
                events, self.delay_copies, self.delay_step_ms, self.n_channels, self.trial_ms
            )
        return events


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


def delay_line(
    events: Events, n_copies: int, step_ms: float, n_channels: int, trial_ms: float
) -> Events:
    """Add delayed copies of the input, each on channels of its own.

    Nowotny, Turner & Knight (2025) add 10 copies, 30 ms apart.

    Args:
        events: The samples.
        n_copies: Number of copies. Copy i = 1, 2, … is delayed by i·step_ms; its channels begin at
            i·n_channels.
        step_ms: Delay between copies in ms.
        n_channels: Number of channels of the input.
        trial_ms: Spikes at or after this time are dropped.

    Returns:
        New samples with (1 + n_copies)·n_channels channels, each sorted by time.
    """
    copies = np.arange(1 + n_copies)
    parts = []
    for i in range(len(events)):
        times_ms, channels = events.sample(i)
        late = times_ms + np.float32(step_ms) * copies[:, np.newaxis].astype(np.float32)
        own = channels + np.uint16(n_channels) * copies[:, np.newaxis].astype(np.uint16)
        kept = late < trial_ms
        times_ms, channels = late[kept], own[kept]
        order = np.argsort(times_ms, kind="stable")  # merges the copies, which are sorted already
        parts.append((times_ms[order], channels[order]))
    return Events.join(parts)
