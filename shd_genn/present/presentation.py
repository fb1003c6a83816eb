"""How a dataset's spikes are presented to a network, in training as in validation and test."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from shd_genn.present.settings import PresentConfig
from shd_genn.spikes.events import Events


@dataclass(frozen=True)
class Presentation:
    """From recorded spikes to those that the input neurons emit.

    Attributes:
        n_channels: Channels of the recording.
        trial_ms: What comes later is left out; infinity: nothing is.
        dt_ms: Spikes of a channel within such a step are merged, and enter at its begin; None: all
            stay as they are.
        delay_copies: Delayed copies beside the input, each with channels of its own.
        delay_step_ms: Delay of each copy against the one before.
    """

    n_channels: int
    trial_ms: float = np.inf
    dt_ms: float | None = None
    delay_copies: int = 0
    delay_step_ms: float = 30.0

    @staticmethod
    def of(settings: PresentConfig, trial_ms: float, dt_ms: float, n_channels: int) -> Presentation:
        """As the settings say, for recordings of so many channels."""
        return Presentation(
            n_channels=n_channels,
            trial_ms=trial_ms,
            dt_ms=dt_ms if settings.binarise else None,
            delay_copies=settings.delay_copies,
            delay_step_ms=settings.delay_step_ms,
        )

    @property
    def n_inputs(self) -> int:
        """Input neurons that it takes."""
        return self.n_channels * (1 + self.delay_copies)

    def __call__(self, events: Events) -> Events:
        """The spikes that the input neurons emit; what is given stays as it is."""
        if self.dt_ms is not None:
            events = binarise(events, self.dt_ms, self.n_channels)
        if self.delay_copies:
            events = delay_line(
                events, self.delay_copies, self.delay_step_ms, self.n_channels, self.trial_ms
            )
        return events


def binarise(events: Events, dt_ms: float, n_channels: int) -> Events:
    """At most one spike a channel and time step, at the step's begin.

    ``rescale`` of `genn_eventprop`, the code of Nowotny, Turner & Knight (2025).

    Args:
        events: The samples.
        dt_ms: Length of a step in ms.
        n_channels: Channels there are.

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
    """The input, and copies of it that come later, each on channels of its own.

    Nowotny, Turner & Knight (2025): 10 copies, 30 ms apart, beside the input itself.

    Args:
        events: The samples.
        n_copies: Copies; copy i = 1, 2, … is i·step_ms late, on channels from i·n_channels.
        step_ms: In ms.
        n_channels: Channels of the input.
        trial_ms: Spikes from then on are left out.

    Returns:
        New samples, each sorted by time; (1 + n_copies)·n_channels channels.
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
