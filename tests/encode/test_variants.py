"""Versions of recordings: what changes, by how much, repeatedly; and what training draws."""

import sys
from dataclasses import replace

import numpy as np
import pytest
from helpers import tiny
from scipy.signal import find_peaks

from shd_genn.datasets.load import load_dataset
from shd_genn.datasets.settings import DataConfig, NoValidation
from shd_genn.encode.cochlea import RATE, Cochlea
from shd_genn.encode.mel import RateCode
from shd_genn.encode.variants import Drawn, Variation, Varied, reverberant
from shd_genn.present.batches import Batching, batches
from shd_genn.present.settings import AugmentConfig
from shd_genn.spikes.dataset import SpikeDataset
from shd_genn.spikes.hdf5 import write_spikes
from shd_genn.support.errors import ConfigError, DataError

NOTHING = Variation(
    vocal_tract=1, pitch=1, tempo=1, level_db=0, lowest_snr_db=200, highest_snr_db=200,
    reverberation_s=0,
)  # fmt: skip
PITCH_HZ, FORMANTS_HZ = 120.0, (600.0, 1800.0)


@pytest.fixture(scope="module")
def vowel():
    """Half a second of a voice: pulses of 120 Hz through two resonances."""
    world = pytest.importorskip("pyworld", reason="the extra variants is not installed")
    assert world
    t = np.arange(RATE // 2) / RATE
    harmonics = np.arange(1, 40)[:, np.newaxis] * PITCH_HZ
    gain = sum(1 / (1 + ((harmonics - f) / 90) ** 2) for f in FORMANTS_HZ)
    sound = (gain * np.sin(2 * np.pi * harmonics * t)).sum(axis=0)
    return 0.1 * sound * np.hanning(len(sound)) / np.abs(sound).max()


def strongest_harmonic(sound, low, high):
    power = np.abs(np.fft.rfft(sound * np.hanning(len(sound)), 8 * RATE))
    frequencies = np.fft.rfftfreq(8 * RATE, 1 / RATE)
    inside = (frequencies > low) & (frequencies < high)
    return frequencies[inside][power[inside].argmax()]


def pitch_of(sound):
    power = np.abs(np.fft.rfft(sound * np.hanning(len(sound)), 8 * RATE))
    frequencies = np.fft.rfftfreq(8 * RATE, 1 / RATE)
    inside = (frequencies > 60) & (frequencies < 1200)
    peaks, _ = find_peaks(power[inside], height=0.1 * power[inside].max(), distance=300)
    return np.median(np.diff(frequencies[inside][peaks]))


def fixed(monkeypatch, **changes):
    """Let every version be changed by this and nothing else."""
    nothing = Drawn(1, 1, 1, 0, 200, 0, 10)
    monkeypatch.setattr(Drawn, "of", staticmethod(lambda *_: replace(nothing, **changes)))


def test_pitch_formants_and_tempo_change_one_by_one(vowel, monkeypatch):
    version = Varied(Cochlea(), NOTHING, 1)
    fixed(monkeypatch, pitch=1.25)
    higher, _ = version.version(vowel, 0)
    # 3 %: WORLD's pitch of a vowel that swells and fades
    assert pitch_of(higher) == pytest.approx(1.25 * PITCH_HZ, rel=0.03)
    assert abs(strongest_harmonic(higher, 300, 1000) - FORMANTS_HZ[0]) < 1.25 * PITCH_HZ
    fixed(monkeypatch, vocal_tract=1.25)
    shorter, _ = version.version(vowel, 0)
    assert pitch_of(shorter) == pytest.approx(PITCH_HZ, rel=0.03)
    second = strongest_harmonic(shorter, 1500, 2600)
    assert abs(second - 1.25 * FORMANTS_HZ[1]) < PITCH_HZ  # a harmonic beside the formant
    fixed(monkeypatch, tempo=1.25)
    faster, _ = version.version(vowel, 0)
    assert len(faster) == pytest.approx(len(vowel) / 1.25, rel=0.02)
    assert pitch_of(faster) == pytest.approx(PITCH_HZ, rel=0.03)


@pytest.mark.parametrize("tempo", [1.0, 1.25])
def test_above_the_vocoders_band_only_the_tempo_changes(vowel, monkeypatch, tempo):
    t = np.arange(len(vowel)) / RATE
    hiss = 0.01 * np.sin(2 * np.pi * 15000 * t) * np.hanning(len(t))
    fixed(monkeypatch, tempo=tempo, vocal_tract=1.2, pitch=1.2)
    version = Varied(Cochlea(), NOTHING, 1)
    with_hiss, without = (version.version(sound, 0)[0] for sound in (vowel + hiss, vowel))
    assert len(with_hiss) == len(without) == round(len(vowel) / tempo)
    high = with_hiss - without
    assert strongest_harmonic(high, 12000, 23000) == pytest.approx(15000 * tempo, rel=1e-3)
    # 1 %: the vocoder notices the rest of the hiss below 12 kHz
    assert np.sqrt(np.mean(high**2)) == pytest.approx(np.sqrt(np.mean(hiss**2)), rel=0.01)


def test_a_slower_version_loses_silence_but_no_speech(vowel, monkeypatch):
    fixed(monkeypatch, tempo=0.8)
    version = Varied(Cochlea(), NOTHING, 1)
    padded = np.concatenate([vowel, np.zeros(len(vowel) // 2)])
    assert len(version.version(vowel, 0)[0]) == round(len(vowel) / 0.8)
    assert len(version.version(padded, 0)[0]) == len(padded)


def test_noise_and_reverberation_are_as_strong_as_drawn(vowel, monkeypatch):
    version = Varied(Cochlea(), NOTHING, 1)
    fixed(monkeypatch)
    plain, _ = version.version(vowel, 0)
    fixed(monkeypatch, snr_db=20.0)
    noisy, _ = version.version(vowel, 0)
    noise = noisy - plain
    snr = 10 * np.log10(np.mean(plain**2) / np.mean(noise**2))
    assert snr == pytest.approx(20, abs=0.2)  # of 24 000 draws: 0.04 dB
    click = np.zeros(RATE)
    click[0] = 1.0
    heard = reverberant(click, Drawn(1, 1, 1, 0, 200, 0.2, 10.0), np.random.default_rng(0))
    tail = heard[1:]
    assert 10 * np.log10(np.sum(tail**2)) == pytest.approx(-10, abs=0.3)
    early, late = (np.mean(tail[i : i + 480] ** 2) for i in (0, 4800))  # 100 ms apart: 30 dB
    assert 10 * np.log10(early / late) == pytest.approx(30, abs=2)


def test_the_same_seed_gives_the_same_spikes_and_another_number_others(vowel):
    encoder = RateCode()
    one, again, other = (Varied(encoder, Variation(), n).encode(vowel, 5) for n in (1, 1, 2))
    np.testing.assert_array_equal(one[0], again[0])
    np.testing.assert_array_equal(one[1], again[1])
    assert len(one[0]) != len(other[0]) or (one[0] != other[0]).any()
    assert "Varied(encoder=RateCode" in repr(Varied(encoder, Variation(), 1))


def test_a_version_without_changes_is_the_recording_to_the_vocoder(vowel):
    """The vocoder joins a vowel with other phases, so a fifth of the spikes may differ."""
    cochlea = Cochlea()
    plain = len(cochlea.encode(vowel, 0)[0])
    assert len(Varied(cochlea, NOTHING, 1).encode(vowel, 0)[0]) == pytest.approx(plain, rel=0.2)
    counts = [len(Varied(cochlea, Variation(), n).encode(vowel, 0)[0]) for n in range(1, 4)]
    assert 0.4 * plain < min(counts) and max(counts) < 2 * plain


def test_without_the_vocoder_the_error_names_the_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "pyworld", None)
    with pytest.raises(ConfigError, match="pip install 'shd_genn\\[variants\\]'"):
        Varied(Cochlea(), Variation(), 1)


def test_settings_that_swap_are_refused():
    with pytest.raises(ConfigError, match="lowest_snr_db <= highest_snr_db must hold"):
        Variation(lowest_snr_db=60, highest_snr_db=20)
    with pytest.raises(ConfigError, match="1 <= pitch"):
        Variation(pitch=0.5)


def numbered(dataset, version):
    """A dataset whose spikes all tell which version they are of."""
    events = replace(dataset.events, channels=np.full_like(dataset.events.channels, version))
    return replace(dataset, events=events)


def test_training_draws_one_version_of_each_recording_in_each_epoch(tmp_path):
    tiny.write(tmp_path)
    genuine = tiny.dataset(50, 0)
    write_spikes(tmp_path / "train.h5", numbered(genuine, 0))
    for version in (1, 2):
        write_spikes(tmp_path / f"train.variant{version}.h5", numbered(genuine, version))
    config = DataConfig(dataset=str(tmp_path), variants=2)
    splits = load_dataset(config, 0)
    assert len(splits.train.variants) == 2 and splits.valid.variants == splits.test.variants == ()
    assert set(splits.valid.events.channels) == {0}
    batching = Batching(AugmentConfig(shift_channels=0.0), 16, 120.0, 0)
    seen: list[list[int]] = []
    for epoch in (0, 1, 1):
        drawn = []
        for events, _ in batches(batching, splits.train, epoch):
            for i in range(len(events)):
                versions = set(events.sample(i)[1].tolist())
                assert len(versions) == 1
                drawn += versions
        seen.append(drawn)
    assert set(seen[0]) == {0, 1, 2} and seen[0] != seen[1] and seen[1] == seen[2]
    plain = load_dataset(DataConfig(dataset=str(tmp_path), validation=NoValidation()), 0)
    assert isinstance(plain.train, SpikeDataset) and plain.train.variants == ()


def test_versions_of_other_recordings_are_refused(tmp_path):
    tiny.write(tmp_path)
    config = DataConfig(dataset=str(tmp_path), variants=1)
    with pytest.raises(DataError, match=r"needs .*train\.variant1\.h5, which does not"):
        load_dataset(config, 0)
    write_spikes(tmp_path / "train.variant1.h5", tiny.dataset(49, 0))
    with pytest.raises(DataError, match=r"must have versions of the recordings of train\.h5"):
        load_dataset(config, 0)
