"""The Fourier transform of a recording, and from it how the basilar membrane moves."""

from __future__ import annotations

import math

import numpy as np
import scipy  # loads its parts when they are first used
from numpy.typing import NDArray

LENGTHS = (12_000, 18_000, 24_300, 36_000, 48_000)
"""Lengths of a transform in steps of 1/24000 s. A recording is padded with silence to the next one.
There are few lengths, because each needs a transfer matrix of its own. They are products of 2, 3
and 5, for which the transform is fast. A longer recording is filtered block by block; see
`blocks`."""


def transform_length(n_samples: int) -> int:
    """Length of the transform for a recording of ``n_samples``; see `LENGTHS`."""
    needed = n_samples // 2 + 1
    for length in LENGTHS:
        if needed <= length:
            return length
    return math.ceil(needed / LENGTHS[-1]) * LENGTHS[-1]


def padded_spectrum(sound: NDArray[np.float64]) -> NDArray[np.complex128]:
    """Fourier transform of a recording padded with silence, bins 0 to the Nyquist frequency."""
    n = transform_length(len(sound))
    spectrum: NDArray[np.complex128] = scipy.fft.rfft(sound, 2 * (n - 1))
    return spectrum


def velocity(
    matrix: NDArray[np.complexfloating], spectrum: NDArray[np.complex128]
) -> NDArray[np.floating]:
    """Membrane velocity of each place over time, at half the sampling rate.

    As in lauscher, this is the real part of the inverse transform of the one-sided product: the
    analytic signal, decimated by two. The real part depends only on the Hermitian part of the
    product, so half the work is enough.

    Args:
        matrix: (n_places, n).
        spectrum: (n,).

    Returns:
        (n_places, n), float32 for complex64.
    """
    n = len(spectrum)
    product = matrix * spectrum.astype(matrix.dtype)
    half = np.empty((len(matrix), n // 2 + 1), matrix.dtype)
    half[:, 0] = product[:, 0].real
    half[:, 1:] = product[:, 1 : n // 2 + 1]
    half[:, 1:] += np.conj(product[:, : n - n // 2 - 1 : -1])
    half[:, 1:] *= 0.5
    result: NDArray[np.floating] = scipy.fft.irfft(half, n)
    return result
