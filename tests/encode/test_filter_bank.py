"""The filter bank: its kernel against NumPy, pieces of a stream, levels, frequencies, refusals."""

import math
from itertools import pairwise

import numpy as np
import pytest

from shd_genn.encode.filter_bank import POINT, STREAM_RATE, FilterBank
from shd_genn.encode.segments import PAUSE_MS, Segments
from shd_genn.spikes.dataset import SpikeDataset
from shd_genn.spikes.events import Events
from shd_genn.spikes.hdf5 import read_spikes, write_spikes
from shd_genn.support.errors import ConfigError, DataError

BANK = FilterBank(24)


def sound(seconds=0.5, seed=0):
    """Noise of every level, a square wave of full scale, and silence: all that may come."""
    rng = np.random.default_rng(seed)
    n = round(seconds * STREAM_RATE)
    noise = rng.normal(0, 1, n) * np.geomspace(3, 8000, n)
    square = 32_767 * np.sign(np.sin(2 * np.pi * 900 * np.arange(n // 4) / STREAM_RATE) + 1e-9)
    parts = [noise, square, np.zeros(n // 2), -32_768 * np.ones(n // 8), noise[::-1]]
    return np.clip(np.concatenate(parts), -32_768, 32_767).astype(np.int16)


def in_numpy(bank, samples):
    """The filter bank by its description, all channels at a time, in int64."""
    gain, a1, a2 = bank.bands.T.astype(np.int64)
    lowest, release, span, threshold = bank.levels.tolist()
    y1 = y2 = z1 = z2 = total = envelope = charge = np.zeros(bank.n_channels, np.int64)
    x1 = x2 = 0
    peak, spikes = lowest, []
    for i, sample in enumerate(samples.tolist()):
        x = 1024 * sample
        y = (gain * (x - x2) + a1 * y1 + a2 * y2 + 2 ** (POINT - 1)) >> POINT
        z = (gain * (y - y2) + a1 * z1 + a2 * z2 + 2 ** (POINT - 1)) >> POINT
        x1, x2, y1, y2, z1, z2 = x, x1, y, y1, z, z1
        assert max(np.abs(y).max(), np.abs(z).max()) < 2**30  # what int32 holds, with a margin
        total = total + (np.abs(z) >> 4)
        if i % 16 < 15:
            continue
        change = total - envelope
        envelope = envelope + np.sign(change) * (np.abs(change) // 4)
        total = np.zeros_like(total)
        whole = np.array([max(int(e), 1).bit_length() - 1 for e in envelope])
        level = whole * 65_536 + ((np.maximum(envelope, 1) - 2**whole) * 65_536 >> whole)
        peak = max(peak - release, lowest, int(level.max()))
        charge = charge + np.maximum(level - (peak - span), 0)
        spikes += [(i // 16, c) for c in np.flatnonzero(charge >= threshold).tolist()]
        charge = np.where(charge >= threshold, charge - threshold, charge)
    return spikes


def spikes_of(bank, samples, pieces=1):
    stream = bank.stream()
    found = [stream.push(piece) for piece in np.array_split(samples, pieces)]
    return [
        (int(t), int(c)) for ticks, channels in found for t, c in zip(ticks, channels, strict=True)
    ]


def test_the_kernel_gives_the_spikes_of_numpy():
    for bank in (BANK, FilterBank(3, 20.0, 7500.0, highest_rate_hz=1000.0)):
        samples = sound(0.2)
        assert spikes_of(bank, samples) == in_numpy(bank, samples)


@pytest.mark.parametrize("pieces", [2, 37, 4000])
def test_a_stream_in_pieces_gives_the_spikes_of_the_whole(pieces):
    samples = sound(0.3, seed=1)
    assert spikes_of(BANK, samples, pieces) == spikes_of(BANK, samples)


def tone(hz, level=0.1, seconds=0.5):
    return level * np.sin(2 * np.pi * hz * np.arange(round(48_000 * seconds)) / 48_000)


@pytest.mark.parametrize("hz", [200, 1000, 4000])
def test_the_channel_of_a_tone_spikes_most(hz):
    _, channels = BANK.encode(tone(hz), 0)
    high, low = (2595 * math.log10(1 + f / 700) for f in (BANK.high_hz, BANK.low_hz))
    centres = 700 * (10 ** (np.linspace(high, low, 24) / 2595) - 1)
    nearest = np.abs(np.log(centres / hz)).argmin()
    counts = np.bincount(channels, minlength=24)
    assert abs(int(counts.argmax()) - nearest) <= 1
    assert counts.max() == pytest.approx(0.5 * BANK.highest_rate_hz, abs=8)


def test_quiet_and_loud_speech_give_alike_spikes_and_silence_none():
    t = np.arange(24_000) / 48_000
    vowel = sum(np.sin(2 * np.pi * 150 * k * t) / k for k in range(1, 20)) * np.sin(2 * np.pi * t)
    counts = [len(BANK.encode(level * vowel, 0)[0]) for level in (0.1, 0.5)]  # 14 dB
    assert counts[1] == pytest.approx(counts[0], rel=0.1)
    assert len(BANK.encode(np.zeros(24_000), 0)[0]) == 0
    assert len(BANK.encode(1e-4 * vowel, 0)[0]) == 0


def test_the_first_spike_comes_at_0_and_spikes_ascend():
    times_ms, channels = BANK.encode(np.concatenate([np.zeros(9600), tone(500)]), 0)
    assert times_ms[0] == 0
    assert (np.diff(times_ms) >= 0).all()
    assert times_ms.dtype == np.float32 and channels.dtype == np.uint16


def test_a_file_keeps_the_step_of_every_spike(tmp_path):
    """Though times in a file have half precision."""
    sound = np.concatenate([tone(hz, seconds=0.2) for hz in (300, 2000, 700, 5000)])
    ticks, channels = BANK.stream().push(BANK.pcm(sound))
    unknown = np.full(1, -1, np.int32)
    events = Events.of([BANK.encode(sound, 0)])
    write_spikes(
        tmp_path / "a.h5", SpikeDataset("a", events, np.zeros(1, np.int32), unknown, 24, ("a",))
    )
    times_ms, stored = read_spikes(tmp_path / "a.h5", "a").events.sample(0)
    found = sorted(zip(np.ceil(times_ms).tolist(), stored.tolist(), strict=True))
    assert found == list(zip((ticks - ticks[0]).tolist(), channels.tolist(), strict=True))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: FilterBank(0), "1 <= n_channels <= 1024"),
        (lambda: FilterBank(high_hz=8000.0), "20 <= low_hz < high_hz <= 7500"),
        (lambda: FilterBank(range_db=0.0), "1 <= range_db"),
        (lambda: FilterBank(highest_rate_hz=2000.0), "0 < highest_rate_hz <= 1000"),
        (lambda: FilterBank(lowest_peak_db=1.0), "-60 <= lowest_peak_db <= 0"),
        (lambda: FilterBank(release_db=-1.0), "0 <= release_db"),
    ],
)
def test_bad_settings_are_refused(make, message):
    with pytest.raises(ConfigError, match=message):
        make()


@pytest.mark.parametrize("audio", [np.empty(0), np.full(100, np.nan)])
def test_sounds_that_cannot_be_encoded(audio):
    with pytest.raises(DataError, match="must be finite and not empty"):
        BANK.encode(audio, 0)


def cut(ticks, pieces=1):
    """Begin, end and number of spikes of each word, for trials of 100 ms in steps of 2 ms."""
    segments, found, now = Segments(100.0, 2.0), [], ticks[-1] + PAUSE_MS
    bounds = np.linspace(-1, now, pieces + 1).round()
    for low, high in pairwise(bounds):
        part = np.array([t for t in ticks if low < t <= high], int)
        found += segments.push(part, np.zeros_like(part), int(high))
    assert segments.open is None
    return [(s.begin, s.end, len(s.ticks)) for s in found]


def test_a_stream_is_cut_into_words_however_it_comes():
    long = [5, 50, 103, 104, 150]  # the first trial ends at 5 + 98 ms
    assert cut(long) == [(5, 103, 3), (104, 202, 2)]
    assert cut([5, 60, 400], 7) == [(5, 103, 2), (400, 498, 1)]
    segments = Segments(1000.0, 1.0)  # a pause ends a word
    assert segments.push(np.array([3, 253, 504]), np.array([1, 2, 3]), 600)[0].end == 503
    assert segments.open is not None and segments.open.ticks == [0]
    for pieces in (2, 3, 50):
        assert cut(long, pieces) == cut(long)


def test_the_spikes_of_a_word_in_a_stream_are_those_of_its_recording():
    sound = np.concatenate([tone(700, seconds=0.2), tone(2500, seconds=0.1)])
    ticks, channels = BANK.stream().push(BANK.pcm(sound))
    (segment,) = Segments(500.0, 1.0).push(ticks, channels, 1000)
    for one, other in zip(segment.spikes, BANK.encode(sound, 0), strict=True):
        assert np.array_equal(one, other)
