"""Long recordings are filtered block by block: the spikes are those of filtering them whole."""

import threading

import numpy as np
import pytest
import scipy.fft

from shd_genn.encode import blocks
from shd_genn.encode.basilar_membrane import BasilarMembrane
from shd_genn.encode.cochlea import RATE, Cochlea
from shd_genn.encode.encoder import encode_many
from shd_genn.encode.transform import LENGTHS, transform_length, velocity
from shd_genn.support.files import cache_dir

SECONDS = 4.7


@pytest.fixture(scope="module")
def few_places():
    """A cochlea with 24 places from base to apex, whose matrices are made fast."""
    return Cochlea(membrane=BasilarMembrane(n_places=24))


@pytest.fixture(scope="module")
def sound():
    """Something like speech: noisy syllables of many pitches, pauses, and a slow drift."""
    rng = np.random.default_rng(0)
    t = np.arange(round(SECONDS * RATE)) / RATE
    pitch = 120 + 40 * np.sin(2 * np.pi * 0.7 * t)
    phase = 2 * np.pi * np.cumsum(pitch) / RATE
    voice = sum(np.sin(k * phase) / k for k in range(1, 40))
    syllables = np.clip(np.sin(2 * np.pi * 2.3 * t), 0, 1)
    return voice * syllables + 0.03 * rng.normal(size=len(t)) + 0.005 * t


def whole(model, sound):
    """Velocities of all places, filtered with one transform of the whole recording."""
    n_steps = (len(sound) + 1) // 2
    n = scipy.fft.next_fast_len(n_steps + RATE)  # a second of silence on either side
    w = 2 * np.pi * np.linspace(1, RATE / 2, n + 1)[:n]
    matrix = model.membrane.transfer(w, model.membrane.places[:, np.newaxis]).astype(np.complex64)
    padded = np.zeros(2 * n)
    padded[RATE : RATE + len(sound)] = sound
    return velocity(matrix, scipy.fft.rfft(padded)[:n])[:, RATE // 2 :][:, :n_steps]


def pairs(steps, places):
    return set(zip(steps.tolist(), places.tolist(), strict=True))


def test_spikes_are_those_of_filtering_the_whole(few_places, sound):
    """Velocities differ by 1/1000 of the place's largest one at most, at the base by 1/200.

    The base answers to a click for long, with frequencies near 24 kHz (4e-5 of its energy is more
    than 150 ms late), and this sound has white noise. At most two spikes in 1000 are others.
    """
    conditioned = few_places.condition(sound)
    expected = whole(few_places, conditioned)
    matrix = few_places.prepare(len(sound))
    for block in blocks.blocks(conditioned):
        part = slice(block.first_step, block.first_step + block.n_steps)
        got = velocity(matrix, block.spectrum)[:, blocks.BEFORE :][:, : block.n_steps]
        largest = np.abs(expected).max(axis=1, keepdims=True)
        error = (np.abs(got - expected[:, part]) / largest).max(axis=1)
        assert error[0] < 5e-3 and error[1:].max() < 1e-3
    steps, places = few_places.fire(expected, expected.shape[1], 0, seed=3)
    wanted = pairs(steps - steps.min(), places)
    times_ms, places = few_places.encode(sound, seed=3)
    steps = np.round(times_ms.astype(np.float64) * (RATE / 2000)).astype(int)
    mine = pairs(steps, places)
    assert len(wanted) > 1000
    assert len(mine - wanted) <= 2e-3 * len(wanted) and len(wanted - mine) <= 2e-3 * len(wanted)


def test_spikes_are_like_those_of_a_transform_of_that_length(few_places, sound, monkeypatch):
    """Before, a recording of 4.7 s was transformed whole: its time ran fast by one step in all.

    So its spikes are not the same ones, but each place has as many, and at about the same times.
    """
    by_blocks = few_places.encode(sound, seed=3)
    monkeypatch.setattr(blocks, "WHOLE", len(sound))
    at_once = few_places.encode(sound, seed=3)
    assert transform_length(len(sound)) == 144_000
    counts = [np.bincount(channels, minlength=24) for _, channels in (by_blocks, at_once)]
    # nerve fibres are random: as many as two draws of them differ by, three standard deviations
    assert (np.abs(counts[0] - counts[1]) <= 3 * np.sqrt(counts[0] + counts[1]) + 1).all()
    assert abs(counts[0].sum() / counts[1].sum() - 1) < 0.01
    bins = np.arange(0, 1000 * SECONDS, 50)
    one, other = (np.histogram(times_ms, bins)[0] for times_ms, _ in (by_blocks, at_once))
    assert np.corrcoef(one, other)[0, 1] > 0.995


def test_cells_go_on_where_they_were(few_places):
    """Two halves with the state carried over are the whole, to the bit; without it they are not."""
    rng = np.random.default_rng(1)
    moving = (rng.normal(size=(24, 3000)) * 40).astype(np.float32)
    at_once = pairs(*few_places._run(moving, 3000, 0, 5, None))
    for cut in (1, 16, 1001, 2999):  # within a vector of steps, too
        state = np.zeros((24, 7 + 24))
        first = few_places._run(moving[:, :cut], cut, 0, 5, None, 0, state)
        second = few_places._run(moving[:, cut:], 3000 - cut, 0, 5, None, cut, state)
        steps, places = (np.concatenate(both) for both in zip(first, second, strict=True))
        assert pairs(steps, places) == at_once
    assert len(at_once) > 100
    afresh = few_places._run(moving[:, 1001:], 1999, 0, 5, None)
    wanted = {(step, place) for step, place in at_once if step >= 1001}
    assert {(step + 1001, place) for step, place in zip(*map(list, afresh), strict=True)} != wanted


def test_a_recording_of_2_s_keeps_its_spikes(few_places):
    """What fits a transform is transformed whole, as before; one sample more is not."""
    assert transform_length(blocks.WHOLE) == blocks.N_STEPS == LENGTHS[-1]
    assert few_places.prepare(blocks.WHOLE).shape == (24, 48_000)
    assert few_places.prepare(blocks.WHOLE + 1).shape == (24, 48_000)
    names = {path.name.split("-")[1] for path in cache_dir("cochlea").glob("transfer-4800*.npy")}
    assert {"48000", "48001"} <= names


def test_all_long_recordings_share_a_matrix(few_places, sound):
    before = set(cache_dir("cochlea").iterdir())
    few_places.prepare(3 * RATE)
    known = set(cache_dir("cochlea").iterdir())
    for seconds in (11, 60, 600):
        few_places.prepare(seconds * RATE)
    assert set(cache_dir("cochlea").iterdir()) == known >= before


def test_the_memory_for_a_minute_is_bounded(few_places):
    """Blocks of 60 s take what those of 5 s take, beside the recording and its spikes."""
    import tracemalloc

    def peak(seconds):
        sound = np.random.default_rng(2).normal(size=seconds * RATE)
        few_places.encode(sound[: 3 * RATE], seed=0)
        tracemalloc.start()
        _, channels = few_places.encode(sound, seed=0)
        beside = tracemalloc.get_traced_memory()[1] - 4 * sound.nbytes - 40 * channels.size
        tracemalloc.stop()
        return beside

    assert peak(60) < peak(5) + (8 << 20)


def test_ctrl_c_does_not_wait_for_recordings_that_are_being_encoded(few_places, monkeypatch):
    """Python sends Ctrl-C to the main thread, which waits for those that encode."""
    short = np.random.default_rng(0).normal(size=RATE // 4)
    begun, seconds, calls = threading.Event(), 60, []
    few_places.prepare(seconds * RATE)
    fire = Cochlea._run

    def counted(*arguments):
        calls.append(None)
        return fire(*arguments)

    def long():
        begun.set()
        return np.tile(short, 4 * seconds)

    monkeypatch.setattr(Cochlea, "_run", counted)
    spikes = encode_many(few_places, [lambda: short, long], [0, 1], n_workers=2)
    next(spikes)
    assert begun.wait(60)
    spikes.close()  # as an exception does that leaves the loop over them
    assert len(calls) < seconds / 1.5 / 2, "the recording was encoded to its end"
