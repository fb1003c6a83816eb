"""Basilar membrane and hair cell against numbers recorded from lauscher, SHD's own tool."""

from pathlib import Path

import numpy as np
import scipy.fft

from shd_genn.encode.basilar_membrane import BasilarMembrane
from shd_genn.encode.cochlea import RATE, Cochlea, velocity

# both sides compute in float64, but lauscher lets NumPy take other routes to the same numbers
MEMBRANE_TOLERANCE = 1e-6
# the native kernel takes velocities in float32, which moves them by up to 6e-8
HAIR_CELL_TOLERANCE = 1e-6


def recorded():
    with np.load(Path(__file__).parent / "data" / "lauscher.npz", allow_pickle=False) as file:
        return file["velocity"], file["probability"]


def our_velocity():
    """Of a tone that rises from 200 Hz to 6.2 kHz in 0.1 s, swelling and fading."""
    t = np.arange(4800) / RATE
    tone = np.sin(2 * np.pi * (200 * t + 30000 * t**2))
    sound = 0.6 * np.sin(np.pi * t / 0.1) ** 2 * tone
    spectrum = scipy.fft.rfft(sound)
    membrane = BasilarMembrane()
    w = 2 * np.pi * np.linspace(1, RATE / 2, len(spectrum))
    return velocity(membrane.transfer(w, membrane.places[::60, np.newaxis]), spectrum)


def test_basilar_membrane():
    expected, got = recorded()[0], our_velocity()[:, ::4]
    assert np.abs(got - expected).max() < MEMBRANE_TOLERANCE * np.abs(expected).max()


def test_hair_cell():
    expected = recorded()[1]
    got = Cochlea().hair_cell_probability(our_velocity().astype(np.float32))[:, ::4]
    assert np.ptp(expected) > 0.01
    assert np.abs(got - expected).max() < HAIR_CELL_TOLERANCE * np.abs(expected).max()
