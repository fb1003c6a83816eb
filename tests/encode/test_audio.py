"""Recordings on disk: what is found, how it is read, and what is refused with which words."""

import numpy as np
import pytest
import soundfile

from shd_genn.encode.audio import find_recordings, read_audio
from shd_genn.errors import DataError


def write(path, rate=16_000, seconds=0.1, channels=1):
    path.parent.mkdir(parents=True, exist_ok=True)
    t = np.arange(round(rate * seconds)) / rate
    sound = 0.5 * np.sin(2 * np.pi * 440 * t)
    soundfile.write(path, np.column_stack([sound] * channels), rate)
    return path


def test_folder_a_word(tmp_path):
    for name in ("no/b.flac", "yes/a.wav", "yes/c.WAV"):
        write(tmp_path / name)
    (tmp_path / "yes" / "notes.txt").write_text("no sound")
    found = find_recordings(tmp_path)
    assert [(r.path.name, r.word, r.speaker) for r in found] == [
        ("b.flac", "no", ""),
        ("a.wav", "yes", ""),
        ("c.WAV", "yes", ""),
    ]


def test_manifest(tmp_path):
    write(tmp_path / "in" / "a.wav")
    manifest = tmp_path / "list.csv"
    manifest.write_text("file,word,speaker\nin/a.wav,ja,Änne\nin/a.wav,nein,\n", encoding="utf-8")
    found = find_recordings(manifest)
    assert [(r.word, r.speaker) for r in found] == [("ja", "Änne"), ("nein", "")]
    assert all(r.path.is_file() for r in found)


@pytest.mark.parametrize("rate", [8_000, 16_000, 22_050, 44_100, 48_000])
def test_any_rate_becomes_the_wanted_one(tmp_path, rate):
    audio = read_audio(write(tmp_path / "a.wav", rate), 48_000)
    assert abs(len(audio) - 4800) <= 6
    spectrum = np.abs(np.fft.rfft(audio[:4800]))
    assert spectrum.argmax() == 44  # 440 Hz in bins of 10 Hz


def test_channels_are_averaged(tmp_path):
    mono = read_audio(write(tmp_path / "a.wav"), 16_000)
    stereo = read_audio(write(tmp_path / "b.wav", channels=2), 16_000)
    np.testing.assert_allclose(stereo, mono, atol=1e-12)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("file,word\nnowhere.wav,yes\n", r"list\.csv, line 2: .*nowhere\.wav must be a sound file"),
        ("path,label\na,b\n", r"must have columns file,word,speaker, but has path,label"),
        ("file,word\n", "must list recordings, but has no rows"),
        ("file,word\na.wav,\n", r"line 2: every recording must have a word"),
    ],
)
def test_wrong_manifests(tmp_path, text, message):
    write(tmp_path / "a.wav")
    (tmp_path / "list.csv").write_text(text)
    with pytest.raises(DataError, match=message):
        find_recordings(tmp_path / "list.csv")


def test_folder_without_recordings(tmp_path):
    with pytest.raises(DataError, match="must hold a folder a word with WAV or FLAC files"):
        find_recordings(tmp_path)


def test_no_such_source(tmp_path):
    with pytest.raises(DataError, match="must be a folder or a CSV file, but is neither"):
        find_recordings(tmp_path / "nowhere")


def test_what_is_no_sound(tmp_path):
    path = tmp_path / "a.wav"
    path.write_text("text")
    with pytest.raises(DataError, match=r"a\.wav must be a sound file, but .*; convert it"):
        read_audio(path, 48_000)


@pytest.mark.parametrize(("value", "message"), [(0.0, "must not be silent"), (np.nan, "be finite")])
def test_sound_without_content(tmp_path, value, message):
    path = tmp_path / "a.wav"
    soundfile.write(path, np.full(800, value), 16_000, subtype="FLOAT")
    with pytest.raises(DataError, match=rf"a\.wav must .*{message.split()[-1]}"):
        read_audio(path, 48_000)
