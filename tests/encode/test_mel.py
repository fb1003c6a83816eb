"""Rate and latency codes of a mel spectrogram."""

import sys
from dataclasses import replace

import numpy as np
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st

from shd_genn import evaluate
from shd_genn.config import Config
from shd_genn.datasets.settings import DataConfig
from shd_genn.encode import __main__ as encode
from shd_genn.encode.cochlea import RATE
from shd_genn.encode.encoder import encode_many
from shd_genn.encode.mel import LatencyCode, MelSpectrogram, RateCode
from shd_genn.learning.settings import TrainConfig
from shd_genn.network.settings import ModelConfig
from shd_genn.spikes.hdf5 import read_spikes
from shd_genn.support.errors import ConfigError, DataError
from shd_genn.train import loop
from shd_genn.train.inference import listen_to

COARSE = MelSpectrogram(n_channels=40)
T = np.arange(RATE // 4) / RATE


def tone(frequency, level=0.1):
    return level * np.sin(2 * np.pi * frequency * T)


def test_a_tone_is_in_the_band_of_its_frequency():
    for frequency in (200.0, 1000.0, 5000.0):
        power = COARSE.power(tone(frequency)).sum(axis=0)[::-1]  # from low to high
        centres = COARSE.edges_hz[1:-1]
        assert power.argmax() == np.abs(centres - frequency).argmin()


def test_bands_are_even_on_the_mel_scale():
    spectrogram = MelSpectrogram()
    mels = 2595 * np.log10(1 + spectrogram.edges_hz / 700)
    np.testing.assert_allclose(np.diff(mels), np.diff(mels)[0])
    assert spectrogram.edges_hz[[0, -1]] == pytest.approx([50, 8000])
    n, bands = spectrogram.bands
    assert bands.shape == (n // 2 + 1, 700)
    np.testing.assert_allclose(bands.sum(axis=0), 1)  # none is empty, however narrow


def test_white_noise_is_as_strong_in_all_bands():
    noise = np.random.default_rng(0).normal(size=20 * RATE)
    power = COARSE.power(noise).mean(axis=0)
    # about 4000 independent windows of 1 to 15 bins each: 1 % apart at one bin
    np.testing.assert_allclose(power / power.mean(), 1, atol=0.06)


def test_intensity_is_in_db_below_the_strongest():
    spectrogram = MelSpectrogram(n_channels=3, range_db=50)
    power = np.array([[1.0, 0.1, 1e-9], [1e-2, 1e-5, 0.0]])
    expected = [[1, 0.8, 0], [0.6, 0, 0]]
    np.testing.assert_allclose(spectrogram.intensity(power), expected, atol=1e-12)


@pytest.mark.parametrize("encoder", [RateCode(COARSE), LatencyCode(COARSE)])
@given(seed=st.integers(0, 2**32), n=st.integers(1, RATE // 5))
@settings(max_examples=15, deadline=None)
def test_spikes_are_in_range_sorted_and_reproducible(encoder, seed, n):
    audio = np.random.default_rng(seed).normal(size=n)
    before = audio.copy()
    times, channels = encoder.encode(audio, seed)
    np.testing.assert_array_equal(audio, before)
    assert times.dtype == np.float32 and channels.dtype == np.uint16
    assert (np.diff(times) >= 0).all() and (times >= 0).all() and (channels < 40).all()
    again = encoder.encode(audio, seed)
    np.testing.assert_array_equal(times, again[0])
    np.testing.assert_array_equal(channels, again[1])


def test_rates_follow_the_intensity():
    encoder = RateCode(COARSE, highest_rate_hz=200.0)
    audio = tone(1000.0) + tone(300.0, 0.01)
    intensity = COARSE.intensity(COARSE.power(audio))
    n_seeds = 400
    counts = np.zeros(40)
    for seed in range(n_seeds):
        counts += np.bincount(encoder.encode(audio, seed)[1], minlength=40)
    expected = n_seeds * 200.0 * 0.005 * intensity.sum(axis=0)
    # a Poisson count lies within five standard deviations of its mean
    assert (np.abs(counts - expected) < 5 * np.sqrt(expected) + 1).all()


def test_rate_coded_spikes_are_poisson():
    counts = [len(RateCode(COARSE).encode(tone(1000.0), seed)[0]) for seed in range(400)]
    # the variance of 400 counts is their mean within five times sqrt(2/400)
    assert np.var(counts) == pytest.approx(np.mean(counts), rel=0.36)


def test_the_stronger_the_earlier_and_once_a_frame():
    encoder = LatencyCode(COARSE, frame_ms=20.0)
    times, channels = encoder.encode(tone(1000.0), 0)
    frames = np.floor((times + 1e-3) / 20.0)
    assert len(set(zip(frames, channels, strict=True))) == len(times)
    first = frames == 0
    power = COARSE.power(tone(1000.0))[:4].mean(axis=0)  # windows that begin in the first frame
    order = np.argsort(-power[channels[first]], kind="stable")
    assert (np.diff(times[first][order]) >= 0).all() and first.sum() > 3


def test_a_long_frame_makes_one_spike_a_channel():
    _, channels = LatencyCode(COARSE, frame_ms=10_000.0).encode(tone(1000.0), 0)
    assert len(channels) == len(set(channels)) > 1


def test_many_at_once_are_the_same_as_one_by_one():
    encoder = RateCode(COARSE)
    sounds = [lambda f=f: tone(f) for f in (200.0, 800.0, 3000.0)]
    many = list(encode_many(encoder, sounds, [1, 2, 3], n_workers=2))
    for (times, channels), sound, seed in zip(many, sounds, [1, 2, 3], strict=True):
        one = encoder.encode(sound(), seed)
        np.testing.assert_array_equal(times, one[0])
        np.testing.assert_array_equal(channels, one[1])


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: MelSpectrogram(n_channels=0), "1 <= n_channels"),
        (lambda: MelSpectrogram(low_hz=9000.0), "low_hz < high_hz"),
        (lambda: MelSpectrogram(hop_ms=0.0), "0 < hop_ms"),
        (lambda: MelSpectrogram(window_ms=0.01), "2 samples <= window_ms"),
        (lambda: RateCode(highest_rate_hz=0.0), "0 < highest_rate_hz"),
        (lambda: LatencyCode(frame_ms=1.0), "hop_ms <= frame_ms"),
    ],
)
def test_codes_that_cannot_be(make, message):
    with pytest.raises(ConfigError, match=message):
        make()


@pytest.mark.parametrize("audio", [np.zeros(100), np.empty(0), np.full(100, np.nan)])
def test_sounds_that_cannot_be_encoded(audio):
    for encoder in (RateCode(COARSE), LatencyCode(COARSE)):
        with pytest.raises(DataError, match="a recording must"):
            encoder.encode(audio, 0)


def test_the_code_is_in_the_file_in_the_run_and_where_it_is_used(tmp_path, monkeypatch):
    """From recordings through training to what refuses sounds of another code."""
    for word, pitch in (("up", 1000), ("down", 300)):
        folder = tmp_path / "sounds" / word
        folder.mkdir(parents=True)
        for take in range(3):
            soundfile.write(folder / f"{take}.wav", tone(pitch + 10.0 * take), RATE)
    for code, output in (("rate", "a/train.h5"), ("rate", "a/test.h5"), ("latency", "b/test.h5")):
        words = [str(tmp_path / "sounds"), "-o", str(tmp_path / output), "--code", code]
        monkeypatch.setattr(sys, "argv", ["encode", *words, "--channels", "20"])
        encode.main()
        dataset = read_spikes(tmp_path / output, "x")
        assert dataset.code == code and dataset.n_channels == 20

    config = Config(
        data=DataConfig(dataset=str(tmp_path / "a")),
        model=ModelConfig(hidden_sizes=(8,)),
        train=TrainConfig(batch_size=4, epochs=1),
    )
    folder = loop.start(config, tmp_path / "runs")
    assert folder.environment.dataset.code == "rate"
    for other in ("a", "b"):
        monkeypatch.setattr(
            sys, "argv", ["evaluate", str(folder.path), "--dataset", str(tmp_path / other)]
        )
        if other == "a":
            evaluate.main()
        else:
            with pytest.raises(ConfigError, match="must be encoded by rate like the training set"):
                evaluate.main()
    with pytest.raises(
        ConfigError, match="must have been trained on the cochlea, but was trained on the rate"
    ):
        listen_to(folder, tmp_path / "sounds/up/0.wav")
    (tmp_path / "a/train.h5").rename(tmp_path / "b/train.h5")
    mixed = replace(config, data=DataConfig(dataset=str(tmp_path / "b")))
    with pytest.raises(
        DataError, match="test must be encoded by rate like train, but is encoded by lat"
    ):
        loop.start(mixed, tmp_path / "runs")
