"""Silence as a class: what its pieces are made of, that they are encoded and kept."""

import sys

import numpy as np
import pytest
import soundfile

from shd_genn.encode import __main__ as encode
from shd_genn.encode.cochlea import RATE
from shd_genn.encode.recordings import Recording, find_recordings
from shd_genn.encode.silence import LEVELS_DB, SECONDS, background, noise_like, silences
from shd_genn.spikes.hdf5 import read_spikes
from shd_genn.support.errors import DataError


def word(pitch, seconds=0.5, hum_hz=400):
    """A tone in the middle third of a quiet hum."""
    t = np.arange(round(seconds * RATE)) / RATE
    noise = np.random.default_rng(pitch).normal(size=len(t))
    speaking = (t > seconds / 3) & (t < 2 * seconds / 3)
    hum = 0.001 * np.sin(2 * np.pi * hum_hz * t)
    return 0.3 * speaking * np.sin(2 * np.pi * pitch * t) + hum + 1e-5 * noise


@pytest.fixture
def sounds(tmp_path):
    for name, pitch in (("up", 2000), ("down", 3000)):
        for take in range(2):
            path = tmp_path / "sounds" / name / f"{take}.wav"
            path.parent.mkdir(parents=True, exist_ok=True)
            soundfile.write(path, word(pitch + take), RATE)
    return tmp_path / "sounds"


def strongest(sound):
    power = np.abs(np.fft.rfft(sound * np.hanning(len(sound)))) ** 2
    return float(np.fft.rfftfreq(len(sound), 1 / RATE)[power.argmax()])


def test_the_background_of_a_word_is_not_the_word():
    spectrum = background(word(2000))
    piece = noise_like(spectrum, 24_000, np.random.default_rng(0))
    assert strongest(piece) == pytest.approx(400, abs=60)
    assert background(np.zeros(9600)) is None
    assert background(np.sin(np.arange(9600))) is None  # nowhere quiet


def test_pieces_are_background_of_drawn_level_and_length(sounds, tmp_path):
    found = find_recordings(sounds).recordings
    pieces = silences(sounds, found, 12, tmp_path / "s", seed=1)
    assert {r.word for r in pieces} == {"silence"}
    levels, lengths = [], []
    for piece in pieces:
        sound, rate = soundfile.read(piece.path)
        assert rate == RATE
        assert strongest(sound) == pytest.approx(400, abs=60)
        levels.append(20 * np.log10(np.sqrt(np.square(sound).mean())))
        lengths.append(len(sound) / RATE)
    low, high = LEVELS_DB
    assert low - 0.5 < min(levels) < -45 and -40 < max(levels) < high + 0.5
    assert SECONDS[0] <= min(lengths) < max(lengths) <= SECONDS[1]
    before = [r.path.stat().st_mtime_ns for r in pieces]
    again = silences(sounds, found, 12, tmp_path / "s", seed=1)
    assert [r.path.stat().st_mtime_ns for r in again] == before  # so that encoding goes on


def test_noises_beside_the_words_are_used(sounds, tmp_path):
    (sounds / "_background_noise_").mkdir()
    t = np.arange(2 * RATE) / RATE
    fan = sounds / "_background_noise_" / "fan.wav"
    soundfile.write(fan, 0.05 * np.sin(2 * np.pi * 700 * t), RATE)
    for piece in silences(sounds, find_recordings(sounds).recordings, 4, tmp_path / "s", seed=0):
        assert strongest(soundfile.read(piece.path)[0]) == pytest.approx(700, abs=5)


def test_silence_is_a_class_of_the_file(sounds, tmp_path, monkeypatch):
    output = tmp_path / "train.h5"
    arguments = [str(sounds), "-o", str(output), "--code", "filterbank", "--channels", "12"]
    monkeypatch.setattr(sys, "argv", ["encode", *arguments, "--silence", "5"])
    encode.main()
    dataset = read_spikes(output, "x")
    assert dataset.class_names == ("down", "silence", "up")
    assert np.bincount(dataset.labels).tolist() == [2, 5, 2]
    assert len(list((tmp_path / "train.silence").glob("*.wav"))) == 5


def test_recordings_without_background_give_pink_noise_and_say_so(tmp_path, capsys):
    loud = tmp_path / "loud" / "up" / "0.wav"
    loud.parent.mkdir(parents=True)
    soundfile.write(loud, np.sin(np.arange(9600)), RATE)
    (piece,) = silences(tmp_path, [Recording(loud, "up")], 1, tmp_path / "s", 0)
    power = np.abs(np.fft.rfft(soundfile.read(piece.path)[0])) ** 2
    hz = np.fft.rfftfreq(2 * (len(power) - 1), 1 / RATE)
    bands = [power[(hz > f) & (hz <= 2 * f)].sum() for f in (250, 1000, 4000)]
    assert max(bands) < 1.5 * min(bands)  # as much in each octave
    assert "no recording has a background 20 dB below" in capsys.readouterr().err


def test_a_word_silence_is_refused(sounds, tmp_path):
    (sounds / "up").rename(sounds / "silence")
    with pytest.raises(DataError, match="the recordings have a word silence"):
        silences(sounds, find_recordings(sounds).recordings, 1, tmp_path, 0)
