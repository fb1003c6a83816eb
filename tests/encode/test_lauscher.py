"""The whole cochlea against numbers recorded from lauscher, SHD's own tool; see data/README.md."""

from pathlib import Path

import numpy as np
import pytest
import scipy.fft

from shd_genn.encode.basilar_membrane import BasilarMembrane
from shd_genn.encode.cochlea import RATE, Cochlea
from shd_genn.encode.transform import padded_spectrum, velocity

PLACES = slice(None, None, 60)
STEPS = slice(None, None, 7)
# relative to the largest value of each place, so that weakly driven places count as much
MEMBRANE_TOLERANCE = 1e-6  # both sides compute in float64
# the kernel takes velocities in float32, which moves each by up to 6e-8 of itself
HAIR_CELL_TOLERANCE = 1e-6


@pytest.fixture(scope="module")
def recorded():
    with np.load(Path(__file__).parent / "data" / "lauscher.npz", allow_pickle=False) as file:
        return dict(file)


def clip() -> np.ndarray:
    """0.2 s of a tone that rises from 64 Hz to 14 kHz, with noise."""
    t = np.arange(9600) / RATE
    noise = np.random.PCG64(7).random_raw(9600) / 2.0**63 - 1
    return 0.2 * np.sin(15 * (np.exp(27 * t) - 1)) + 0.05 * noise


@pytest.fixture(scope="module")
def ours():
    """Membrane velocity of the clip, (12, 4801): lauscher pads nothing, so nor does this."""
    spectrum = scipy.fft.rfft(Cochlea().condition(clip()))
    membrane = BasilarMembrane()
    w = 2 * np.pi * np.linspace(1, RATE / 2, len(spectrum))
    return velocity(membrane.transfer(w, membrane.places[PLACES, np.newaxis]), spectrum)


def deviation(got: np.ndarray, expected: np.ndarray) -> float:
    """Largest difference, relative to the largest value of its place."""
    return float(np.max(np.abs(got - expected) / np.abs(expected).max(axis=1, keepdims=True)))


def test_level_window_and_basilar_membrane(recorded, ours):
    assert deviation(ours[:, STEPS], recorded["velocity"]) < MEMBRANE_TOLERANCE


def test_hair_cell(recorded, ours):
    got = Cochlea().hair_cell_probability(ours.astype(np.float32))
    assert (np.ptp(recorded["probability"], axis=1) > 0.003).all()  # every place has something
    assert deviation(got[:, STEPS], recorded["probability"]) < HAIR_CELL_TOLERANCE


@pytest.mark.slow
def test_nerve_and_bushy_cells(recorded, ours):
    """Spikes of each place: mean and variance over 200 runs of lauscher, 2000 of ours."""
    theirs = recorded["spikes"].astype(float)
    single, n_steps = ours.astype(np.float32), ours.shape[1]
    cochlea = Cochlea()
    runs = [cochlea.fire(single, n_steps, 0, seed)[1] for seed in range(2000)]
    mine = np.array([np.bincount(places, minlength=12) for places in runs], float)
    assert theirs.mean(axis=0).max() > 5  # spikes that a sound drives, not only spontaneous ones
    # standard errors of both together; the moments are those of the larger sample
    share = 1 / len(theirs) + 1 / len(mine)
    error_of_mean = np.sqrt(mine.var(axis=0) * share)
    error_of_variance = np.sqrt(((mine - mine.mean(axis=0)) ** 2).var(axis=0) * share)
    assert (np.abs(mine.mean(axis=0) - theirs.mean(axis=0)) < 3.5 * error_of_mean).all()
    assert (np.abs(mine.var(axis=0) - theirs.var(axis=0)) < 3.5 * error_of_variance).all()


def test_padding_moves_low_frequencies_by_less_than_a_step(ours):
    """What the encoder computes: padded, from the cached matrix in complex64.

    lauscher's transform of n steps puts N/2 = n - 1 steps' worth of sound on n, a drift of up to a
    step that padding makes smaller. Of a wave below 700 Hz, a step is 0.18 of a radian.
    """
    cochlea, sound = Cochlea(), Cochlea().condition(clip())
    matrix = cochlea.prepare(len(sound))[PLACES]
    padded = velocity(matrix, padded_spectrum(sound))
    assert padded.dtype == np.float32
    low = slice(8, 11)  # places 480 to 600; at the apex, lauscher's end rings into its beginning
    assert deviation(padded[low, : ours.shape[1]], ours[low]) < 0.18
