"""Filtering a long recording block by block: bounded memory, and one transfer matrix for all.

Overlap-save: each block is transformed together with what comes shortly before and after it. Of the
result, the block itself is kept. The membrane's response lies before the sound, because the model
that made SHD transforms back with the opposite sign, so that its filters run backwards in time.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import scipy
from numpy.typing import NDArray

N_STEPS = 48_000
"""Steps of 1/24000 s that are transformed at a time: 2 s."""
BEFORE = 3_600
"""Steps before a block that are transformed with it: 150 ms. Later than that, less than 1e-9 of the
energy of the response to a click is left, but at the base: 4e-5, by frequencies near 24 kHz."""
AFTER = 8_400
"""Steps after a block: 350 ms. Less than 1e-9 of the energy answers earlier, at the apex."""
KEPT = N_STEPS - BEFORE - AFTER
"""Steps of a block: 1.5 s."""
WHOLE = 2 * (N_STEPS - 1)
"""Samples (at 48 kHz) of the longest recording that is filtered as a whole."""


@dataclass(frozen=True)
class Block:
    """A part of a recording, transformed.

    Attributes:
        first_step: Its first step in the recording.
        n_steps: Its steps; they are ``BEFORE`` … ``BEFORE + n_steps`` of the inverse transform.
        spectrum: complex128, (N_STEPS,): at frequencies k · 24000 / N_STEPS Hz.
    """

    first_step: int
    n_steps: int
    spectrum: NDArray[np.complex128]


def blocks(sound: NDArray[np.float64]) -> Iterator[Block]:
    """The blocks of a recording, in order.

    Args:
        sound: (n_samples,) at 48 kHz; silence is before and after it.
    """
    n_steps = (len(sound) + 1) // 2
    for first in range(0, n_steps, KEPT):
        yield block(sound, 0, first, n_steps)


def block(sound: NDArray[np.float64], offset: int, first: int, n_steps: int) -> Block:
    """One block of a recording of which a piece is known.

    Args:
        sound: The piece, at 48 kHz; silence is before and after it.
        offset: The sample of the recording at which it begins.
        first: The block's first step.
        n_steps: Steps of the recording as far as it is known.
    """
    begin, end = (2 * (first - BEFORE) - offset, 2 * (first - BEFORE + N_STEPS) - offset)
    part = np.zeros(2 * N_STEPS)
    inside = sound[max(begin, 0) : end]
    part[max(-begin, 0) :][: len(inside)] = inside
    spectrum: NDArray[np.complex128] = scipy.fft.rfft(part)[:N_STEPS]
    return Block(first, min(KEPT, n_steps - first), spectrum)
