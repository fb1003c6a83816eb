"""The delay line: copies of the input on channels of their own, each later than the one before."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from shd_genn.spikes.events import Events


@dataclass(frozen=True)
class DelayLine:
    """Adds delayed copies of the input; Nowotny, Turner & Knight (2025) add 10, 30 ms apart.

    Attributes:
        n_copies: Number of copies. Copy i = 1, 2, … is delayed by i·step_ms; its channels begin at
            i·n_channels.
        step_ms: Delay between copies in ms.
        n_channels: Number of channels of the input.
        trial_ms: Spikes at or after this time are dropped.
    """

    n_copies: int
    step_ms: float
    n_channels: int
    trial_ms: float = np.inf

    @property
    def n_inputs(self) -> int:
        """Number of input neurons."""
        return self.n_channels * (1 + self.n_copies)

    def __call__(self, events: Events) -> Events:
        """The samples with all copies, each sorted by time."""
        copies = np.arange(1 + self.n_copies)
        lags = np.float32(self.step_ms) * copies[:, np.newaxis].astype(np.float32)
        first = np.uint16(self.n_channels) * copies[:, np.newaxis].astype(np.uint16)
        parts = []
        for i in range(len(events)):
            times_ms, channels = events.sample(i)
            late, own = times_ms + lags, channels + first
            kept = late < self.trial_ms
            times_ms, channels = late[kept], own[kept]
            order = np.argsort(times_ms, kind="stable")  # merges copies, which are sorted already
            parts.append((times_ms[order], channels[order]))
        return Events.join(parts)

    def lag_steps(self, n_steps: int, dt_ms: float) -> int | None:
        """Steps by which each copy follows the copy before.

        Args:
            n_steps: Steps of a trial.
            dt_ms: Length of a step in ms.

        Returns:
            The number of steps, if it is the same for all copies of a spike at the beginning of
            any step, however times are rounded. None if it is not, or if the line drops other
            spikes than the trial's end does.
        """
        lag = max(round(self.step_ms / dt_ms), 1)
        grid = np.arange(n_steps).astype(np.float32) * np.float32(dt_ms)
        copies = np.arange(1 + self.n_copies)[:, np.newaxis]
        late = grid + np.float32(self.step_ms) * copies.astype(np.float32)
        steps = np.arange(n_steps) + lag * copies
        within = steps < n_steps
        exact = late == steps.astype(np.float32) * np.float32(dt_ms)
        on_grid = bool(exact[within].all())
        same_end = np.array_equal(late < self.trial_ms, within)
        return lag if on_grid and same_end else None


class DelayedEvents(Events):
    """The spikes that leave a delay line. They are computed when they are asked for.

    An engine that knows delay lines takes `recorded` and `line` instead.

    Args:
        recorded: The spikes that enter the line.
        line: The delay line.
    """

    recorded: Events
    line: DelayLine

    def __init__(self, recorded: Events, line: DelayLine) -> None:
        self.__dict__.update(recorded=recorded, line=line)  # the base class is frozen

    def __len__(self) -> int:
        """The number of samples."""
        return len(self.recorded)

    @cached_property
    def _all(self) -> Events:
        return self.line(self.recorded)

    @property
    def times_ms(self) -> NDArray[np.float32]:
        """Spike times of all copies in ms."""
        return self._all.times_ms

    @property
    def channels(self) -> NDArray[np.uint16]:
        """The neurons that spiked."""
        return self._all.channels

    @property
    def offsets(self) -> NDArray[np.int64]:
        """Where the spikes of each sample begin."""
        return self._all.offsets

    def take(self, indices: NDArray[np.integer]) -> Events:
        """The given samples, in the given order."""
        return DelayedEvents(self.recorded.take(indices), self.line)
