"""Changes to training samples: pure functions of (events, rng)."""

from __future__ import annotations

import numpy as np

from shd_genn.events import Events


def shift_channels(
    events: Events, max_shift: float, n_channels: int, rng: np.random.Generator
) -> Events:
    """Shift each sample by a random number of channels; what leaves the range is dropped.

    Nowotny, Turner & Knight (2025): the whole number, towards 0, of U(-max_shift, max_shift).

    Args:
        events: The samples; they stay as they are.
        max_shift: Channels.
        n_channels: Channels there are.
        rng: Draws one number a sample.

    Returns:
        New events, sorted as before.
    """
    shifts = np.trunc(rng.uniform(-max_shift, max_shift, len(events))).astype(np.int32)
    shifted = events.channels + np.repeat(shifts, events.counts)
    kept = (shifted >= 0) & (shifted < n_channels)
    kept_before = np.zeros(len(kept) + 1, np.int64)
    np.cumsum(kept, out=kept_before[1:])
    return Events(
        events.times_ms[kept], shifted[kept].astype(np.uint16), kept_before[events.offsets]
    )
