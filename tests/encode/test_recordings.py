"""What counts as a recording: nothing is taken or dropped without a line."""

import os
import sys

import numpy as np
import pytest
import soundfile

from shd_genn.encode.__main__ import main
from shd_genn.encode.recordings import find_recordings
from shd_genn.spikes.hdf5 import read_spikes
from shd_genn.support.cli import command
from shd_genn.support.errors import DataError


def write(path):
    path.parent.mkdir(parents=True, exist_ok=True)
    sound = 0.3 * np.sin(np.arange(4000) / 5)
    soundfile.write(path, sound, 16_000, format="WAV")
    return path


@pytest.fixture
def folder(tmp_path):
    for word in ("a", "b"):
        write(tmp_path / "rec" / word / "0.wav")
    return tmp_path / "rec"


def encode(capsys, monkeypatch, *options):
    monkeypatch.setattr(sys, "argv", ["encode", *map(str, options), "--code", "rate"])
    monkeypatch.setattr(sys, "argv", [*sys.argv, "--channels", "20"])
    try:
        command(main)
        code = 0
    except SystemExit as left:
        code = left.code
    captured = capsys.readouterr()
    return code, captured.out + captured.err


@pytest.mark.parametrize(
    "junk",
    [
        ".ipynb_checkpoints/0.wav",
        "__MACOSX/a/0.wav",
        ".git/objects/0.wav",
        "_background_noise_/0.wav",
        "a/._0.wav",
        "a/.hidden.wav",
        ".DS_Store",
        "a/.nfs00017",
    ],
)
def test_what_systems_leave_is_no_recording(folder, junk):
    write(folder / junk)
    found = find_recordings(folder)
    assert [(r.word, r.path.name) for r in found.recordings] == [("a", "0.wav"), ("b", "0.wav")]
    (note,) = found.notes
    assert note.startswith("1 hidden or system file is left out: ") and not found.bad
    assert note.endswith(junk.split("/")[0] if not junk.startswith("a/") else junk)


def test_what_is_left_out_has_a_line_each(folder):
    for name in ("a/readme.txt", "a/labels.json"):
        (folder / name).write_text("x")
    write(folder / "a" / "deep" / "1.wav")
    write(folder / "2.wav")
    (folder / "empty").mkdir()
    found = find_recordings(folder)
    assert len(found.recordings) == 2
    assert found.notes == [
        "2 files that are no recordings are left out: a/labels.json, a/readme.txt",
        "1 folder without recordings is left out: empty",
        "1 recording outside a word's folder is left out: 2.wav",
        "1 recording in a folder of a word's folder is left out: a/deep/1.wav",
    ]


def test_only_recordings_one_folder_deeper(tmp_path):
    write(tmp_path / "a" / "speaker" / "1.wav")
    with pytest.raises(DataError, match=r"has none .*a/speaker/1\.wav.*; for another layout"):
        find_recordings(tmp_path)


def test_formats_that_cannot_be_read_are_refused_by_name(folder, tmp_path, capsys, monkeypatch):
    (folder / "a" / "1.m4a").write_bytes(b"x")
    (folder / "b" / "1.WMA").write_bytes(b"x")
    output = tmp_path / "x.h5"
    code, text = encode(capsys, monkeypatch, folder, "-o", output)
    assert code == 2 and not output.exists()
    assert "2 recordings cannot be used; correct them, or leave them out with --skip-bad" in text
    assert ".m4a files cannot be read; convert it, e.g. with ffmpeg -i 1.m4a 1.wav" in text
    code, text = encode(capsys, monkeypatch, folder, "-o", output, "--skip-bad")
    assert code == 0 and "note: 2 bad recordings are left out" in text
    assert len(read_spikes(output, "x")) == 2


def test_all_bad_recordings_are_named_before_the_first_is_encoded(
    folder, tmp_path, capsys, monkeypatch
):
    (folder / "a" / "1.wav").write_text("text")
    soundfile.write(folder / "a" / "2.wav", np.zeros(4000), 16_000)
    soundfile.write(folder / "b" / "3.wav", np.full(4000, np.nan), 16_000, subtype="FLOAT")
    write(folder / "b" / "4.wav").write_bytes(write(folder / "b" / "4.wav").read_bytes()[:40])
    output = tmp_path / "x.h5"
    code, text = encode(capsys, monkeypatch, folder, "-o", output)
    assert code == 2 and "4 recordings cannot be used" in text and "Encoding" not in text
    for name in ("1.wav", "2.wav", "3.wav", "4.wav"):
        assert name in text
    code, text = encode(capsys, monkeypatch, folder, "-o", output, "--skip-bad")
    assert code == 0 and "note: 4 bad recordings are left out" in text
    skipped = read_spikes(output, "x")
    for name in ("a/1.wav", "a/2.wav", "b/3.wav", "b/4.wav"):
        write(folder / name)
    encode(capsys, monkeypatch, folder, "-o", output)
    whole = read_spikes(output, "x")  # with all: the same spikes of those that were good before
    for one, other in ((0, 0), (1, 3)):
        for a, b in zip(skipped.events.sample(one), whole.events.sample(other), strict=True):
            np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize(
    "text",
    [
        "file,word,speaker\na/0.wav,x,me\nb/0.wav,y,\n",
        "file;word;speaker\na/0.wav;x;me\nb/0.wav;y;\n",
        "file\tword\tspeaker\na/0.wav\tx\tme\nb/0.wav\ty\t\n",
        "\ufeffFile, Word , speaker\n a/0.wav , x , me\n\nb/0.wav, y\n",
        "file,word,speaker,,\na/0.wav,x,me,,\n,,,,\nb/0.wav,y,,,\n",
        "file,word,speaker\na\\0.wav,x,me\nb\\0.wav,y,\n",
        "word,file,speaker\r\nx,a/0.wav,me\r\ny,b/0.wav\r\n",
    ],
)
def test_manifests_as_people_write_them(folder, text):
    manifest = folder / "list.csv"
    manifest.write_text(text, encoding="utf-8", newline="")
    found = find_recordings(manifest)
    expected = [(folder / "a/0.wav", "x", "me"), (folder / "b/0.wav", "y", "")]
    assert [(r.path, r.word, r.speaker) for r in found.recordings] == expected


def test_all_missing_files_of_a_manifest_are_named(folder, tmp_path, capsys, monkeypatch):
    manifest = folder / "list.csv"
    manifest.write_text("file,word\na/0.wav,a\nnone.wav,a\nnothing.wav,b\n")
    code, text = encode(capsys, monkeypatch, manifest, "-o", tmp_path / "x.h5")
    assert code == 2 and "2 recordings cannot be used" in text
    assert "line 3:" in text and "none.wav must be a sound file, but there is none" in text
    assert "line 4:" in text


def test_names_that_are_not_utf8(folder, tmp_path, capsys, monkeypatch):
    (folder / "a").rename(folder / os.fsdecode(b"f\xfcnf"))
    output = tmp_path / "x.h5"
    code, text = encode(capsys, monkeypatch, folder, "-o", output)
    assert code == 0, text
    assert read_spikes(output, "x").class_names == ("b", "fünf")


def test_the_home_folder(folder, tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    code, text = encode(capsys, monkeypatch, "~/rec", "-o=~/x.h5")
    assert code == 0, text
    assert (tmp_path / "x.h5").is_file() and not (tmp_path / "~").exists()


def test_an_output_that_cannot_be_written_is_found_at_once(folder, tmp_path, capsys, monkeypatch):
    (tmp_path / "file").touch()
    code, text = encode(capsys, monkeypatch, folder, "-o", tmp_path / "file" / "x.h5")
    assert code == 2 and "cannot be written" in text and "Checking" not in text


def test_long_recordings_are_refused_or_cut(folder, tmp_path, capsys, monkeypatch):
    soundfile.write(folder / "a" / "0.wav", np.sin(np.arange(16_000 * 605) / 5), 16_000)
    output = tmp_path / "x.h5"
    code, text = encode(capsys, monkeypatch, folder, "-o", output)
    assert code == 2 and "0.wav lasts 605.0 s, and at most 600 s" in text
    code, text = encode(capsys, monkeypatch, folder, "-o", output, "--cut-s", "0.5")
    assert code == 0, text
    assert read_spikes(output, "x").events.times_ms.max() < 520
