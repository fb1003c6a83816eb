"""Recordings on disk: what is found, how it is read, and what is refused with which words."""

from functools import partial

import numpy as np
import pytest
import soundfile

from shd_genn.encode.audio import check_audio, read_audio
from shd_genn.encode.recordings import find_recordings
from shd_genn.support.errors import DataError


def write(path, rate=16_000, seconds=0.1):
    path.parent.mkdir(parents=True, exist_ok=True)
    t = np.arange(round(rate * seconds)) / rate
    sound = 0.5 * np.sin(2 * np.pi * 440 * t)
    soundfile.write(path, sound, rate)
    return path


def test_folder_a_word(tmp_path):
    for name in ("no/b.flac", "yes/a.wav", "yes/c.WAV"):
        write(tmp_path / name)
    (tmp_path / "yes" / "notes.txt").write_text("no sound")
    found = find_recordings(tmp_path).recordings
    assert [(r.path.name, r.word, r.speaker) for r in found] == [
        ("b.flac", "no", ""),
        ("a.wav", "yes", ""),
        ("c.WAV", "yes", ""),
    ]


def test_manifest(tmp_path):
    write(tmp_path / "in" / "a.wav")
    manifest = tmp_path / "list.csv"
    manifest.write_text("file,word,speaker\nin/a.wav,ja,Änne\nin/a.wav,nein,\n", encoding="utf-8")
    found = find_recordings(manifest).recordings
    assert [(r.word, r.speaker) for r in found] == [("ja", "Änne"), ("nein", "")]
    assert all(r.path.is_file() for r in found)


@pytest.mark.parametrize("rate", [8_000, 16_000, 22_050, 44_100, 48_000])
def test_any_rate_becomes_the_wanted_one(tmp_path, rate):
    audio = read_audio(write(tmp_path / "a.wav", rate), 48_000)
    assert abs(len(audio) - 4800) <= 6
    spectrum = np.abs(np.fft.rfft(audio[:4800]))
    assert spectrum.argmax() == 44  # 440 Hz in bins of 10 Hz


def test_channels_are_averaged(tmp_path):
    left, right = np.random.default_rng(0).uniform(-0.5, 0.5, (2, 800))
    soundfile.write(tmp_path / "a.wav", np.column_stack([left, right]), 16_000, subtype="DOUBLE")
    np.testing.assert_allclose(
        read_audio(tmp_path / "a.wav", 16_000), (left + right) / 2, atol=1e-12
    )


@pytest.mark.parametrize(
    ("text", "message"),
    [
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


def test_manifest_from_a_spreadsheet_with_a_mark_first(tmp_path):
    write(tmp_path / "a.wav")
    (tmp_path / "list.csv").write_text("file,word\na.wav,yes\n", encoding="utf-8-sig")
    assert [r.word for r in find_recordings(tmp_path / "list.csv").recordings] == ["yes"]


def test_manifest_that_is_not_utf8(tmp_path):
    (tmp_path / "list.csv").write_bytes("file,word\na.wav,zwölf\n".encode("latin-1"))
    with pytest.raises(DataError, match=r"list\.csv must be a CSV file in UTF-8, but .*0xf6"):
        find_recordings(tmp_path / "list.csv")


def test_folder_without_recordings(tmp_path):
    with pytest.raises(DataError, match="must hold a folder a word with WAV or FLAC files"):
        find_recordings(tmp_path)


def test_no_such_source(tmp_path):
    with pytest.raises(DataError, match="must be a folder, a CSV file or a list, but is none"):
        find_recordings(tmp_path / "nowhere")


def test_rounded_silence_is_silent(tmp_path):
    """Dither of a constant, and two channels that cancel but for rounding; quiet sound is none."""
    dither = 0.3 + np.arange(8000) % 3 / 2**15
    tone = 0.2 * np.sin(np.arange(8000) / 9)
    for sound in (dither, np.stack([tone, -tone], axis=1)):
        soundfile.write(tmp_path / "a.wav", sound, 16_000)
        with pytest.raises(DataError, match=r"silent, but its samples differ by [0-9e.-]+ of full"):
            check_audio(tmp_path / "a.wav", 0, 10, cut=False)
    soundfile.write(tmp_path / "a.wav", 0.001 * tone, 16_000)
    check_audio(tmp_path / "a.wav", 0, 10, cut=False)


@pytest.mark.parametrize("name", ["a.wav", "a.flac", "a.raw", "a.txt"])
def test_what_is_no_sound(tmp_path, name):
    path = tmp_path / name
    path.write_text("text")
    with pytest.raises(DataError, match=rf"{name} must be a sound file, but .*; convert it"):
        read_audio(path, 48_000)


def test_flac_that_was_cut_off(tmp_path):
    path = write(tmp_path / "a.flac", seconds=1)
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(DataError, match=r"a\.flac must be a sound file, but "):
        read_audio(path, 48_000)


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (0.0, r"a\.wav must not be silent, but all its samples are 0; leave it out"),
        (np.nan, r"a\.wav must be finite, but has NaN or infinite samples"),
        (np.inf, r"a\.wav must be finite, but has NaN or infinite samples"),
    ],
)
def test_sound_without_content(tmp_path, value, message):
    path = tmp_path / "a.wav"
    soundfile.write(path, np.full(800, value), 16_000, subtype="FLOAT")
    with pytest.raises(DataError, match=message):
        read_audio(path, 48_000)


def test_one_bad_sample_is_found(tmp_path):
    sound = np.full(800, 0.1)
    sound[500] = np.nan
    soundfile.write(tmp_path / "a.wav", sound, 16_000, subtype="FLOAT")
    with pytest.raises(DataError, match="must be finite"):
        read_audio(tmp_path / "a.wav", 48_000)


def test_an_offset_is_no_sound(tmp_path):
    """The level is measured on what can be heard: item 3."""
    sound = 0.01 * np.sin(np.arange(8000) / 3)
    for name, offset in (("pure", 0.0), ("small", 1e-4), ("large", 0.5)):
        path = tmp_path / f"{name}.wav"
        soundfile.write(path, sound + offset, 48_000, subtype="DOUBLE")
    pure, small, large = (
        read_audio(tmp_path / f"{name}.wav", 48_000) for name in ("pure", "small", "large")
    )
    np.testing.assert_array_equal(pure, sound)
    np.testing.assert_array_equal(small, sound + 1e-4)  # usual offsets change nothing
    np.testing.assert_allclose(large, sound - sound.mean(), atol=1e-12)


@pytest.mark.parametrize("rate", [16_000, 48_000])
def test_a_constant_is_silent(tmp_path, rate):
    soundfile.write(tmp_path / "a.wav", np.full(8000, 0.5), rate)
    for refuse in (
        lambda path: read_audio(path, 48_000),
        lambda path: check_audio(path, 0, 10, cut=False),
    ):
        with pytest.raises(DataError, match=r"must not be silent, but all its samples are 0\.5"):
            refuse(tmp_path / "a.wav")


@pytest.mark.parametrize("name", ["a.wav", "a.flac", "a.ogg", "a.mp3", "a.aiff", "a.au", "a.caf"])
def test_formats_of_libsndfile(tmp_path, name):
    path = write(tmp_path / "yes" / name, 44_100, 0.5)
    assert [r.word for r in find_recordings(tmp_path).recordings] == ["yes"]
    check_audio(path, 0.06, 10, cut=False)
    audio = read_audio(path, 48_000)
    assert 0.4 < len(audio) / 48_000 < 0.7
    assert np.abs(np.fft.rfft(audio[:24_000])).argmax() == 220  # 440 Hz in bins of 2 Hz


def test_long_recordings(tmp_path):
    path = write(tmp_path / "a.wav", seconds=12)
    with pytest.raises(DataError, match=r"lasts 12\.0 s, and at most 10 s .*; cut it .*--cut-s"):
        check_audio(path, 0, 10, cut=False)
    check_audio(path, 0, 1.5, cut=True)
    np.testing.assert_array_equal(
        read_audio(path, 16_000, 1.5), read_audio(path, 16_000)[: round(1.5 * 16_000)]
    )


def test_a_long_recording_is_checked_in_bounded_memory(tmp_path, monkeypatch):
    sizes = []
    reading = soundfile.SoundFile.read

    def read(self, frames=-1, *args, **options):
        sizes.append(frames)
        return reading(self, frames, *args, **options)

    monkeypatch.setattr(soundfile.SoundFile, "read", read)
    monkeypatch.setattr("shd_genn.encode.audio.BLOCK", 1000)
    check_audio(write(tmp_path / "a.wav", seconds=1), 0, 600, cut=False)
    assert sizes == [1000] * 16


def test_a_file_that_is_not_there_is_not_called_a_wrong_format(tmp_path):
    """libsndfile says "System error" of it, and of a folder and of a locked file."""
    (tmp_path / "text.wav").write_text("no sound")
    (tmp_path / "folder.wav").mkdir()
    for name, why in (
        ("none.wav", "but there is none; correct the path"),
        ("folder.wav", "but is a folder; give a file in it"),
        ("text.wav", r"but libsndfile says: [^;]*[^.;]; convert it to WAV"),
    ):
        for read in (read_audio, partial(check_audio, longest_s=1.0, cut=False)):
            with pytest.raises(DataError, match=f"{name} must be a sound file, {why}$"):
                read(tmp_path / name, 16_000)
