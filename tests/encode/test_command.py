"""`python -m shd_genn.encode` as a user meets it."""

import re
import subprocess
import sys
from dataclasses import fields

import h5py
import numpy as np
import pytest
import soundfile
from helpers.calling import call

from shd_genn.encode.__main__ import Options
from shd_genn.encode.cochlea import Cochlea
from shd_genn.encode.corpus import Corpus, on_threads
from shd_genn.encode.options import EncoderOptions
from shd_genn.encode.recordings import find_recordings
from shd_genn.encode.variants import Variation
from shd_genn.spikes.hdf5 import read_spikes, write_spikes


def run(*arguments):
    return call("encode", *arguments)


def run_process(*arguments):
    return subprocess.run(
        [sys.executable, "-m", "shd_genn.encode", *map(str, arguments)],
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture
def recordings(tmp_path):
    """Two words, two takes each, in a folder and in a manifest."""
    folder = tmp_path / "recordings"
    lines = ["file,word,speaker"]
    for number, word in enumerate(("up", "down")):
        for take in range(2):
            path = folder / word / f"{take}.wav"
            path.parent.mkdir(parents=True, exist_ok=True)
            t = np.arange(4000) / 16_000
            soundfile.write(path, 0.3 * np.sin(2 * np.pi * (300 + 900 * number) * t), 16_000)
            lines.append(f"{word}/{take}.wav,{word},speaker {take}")
    (folder / "list.csv").write_text("\n".join(lines))
    return folder


def test_folder_to_file_in_shds_layout(recordings, tmp_path):
    output = tmp_path / "new" / "train.h5"
    result = run(recordings, "-o", output)
    assert result.returncode == 0, result.stderr
    assert "4 recordings of 2 words" in result.stdout
    assert "Encoding: 4 recordings to do" in result.stderr  # no terminal: plain lines
    with h5py.File(output) as file:
        assert file["spikes/times"][0].dtype == np.float16
        assert [min(times) for times in file["spikes/times"][:]] == [0.0] * 4
        assert "seed" in file.attrs and "Cochlea(" in file.attrs["encoder"]
        assert file.attrs["code"] == "cochlea"
    dataset = read_spikes(output, "train")
    assert dataset.class_names == ("down", "up") and dataset.labels.tolist() == [0, 0, 1, 1]
    assert dataset.n_channels == 700 and (dataset.speakers == -1).all()


def test_manifest_names_speakers_and_seed_decides(recordings, tmp_path):
    outputs = [tmp_path / f"{i}.h5" for i in range(3)]
    for output, seed, workers in zip(outputs, (1, 1, 2), (1, 2, 2), strict=True):
        result = run(recordings / "list.csv", "-o", output, "--seed", seed, "--workers", workers)
        assert result.returncode == 0, result.stderr
    one, same, other = (read_spikes(output, "x") for output in outputs)
    assert one.speaker_names == ("speaker 0", "speaker 1")
    assert one.speakers.tolist() == [0, 1, 0, 1]
    np.testing.assert_array_equal(one.events.times_ms, same.events.times_ms)
    assert one.events.counts.tolist() != other.events.counts.tolist()


def test_the_file_has_the_spikes_cut_to_float16_seconds(recordings, tmp_path):
    found = find_recordings(recordings).recordings
    corpus = Corpus.of(found, Cochlea(), seed=5)
    ((_, events),) = on_threads(2)(corpus, corpus.parts)
    encoded = corpus.dataset("x", events)
    write_spikes(tmp_path / "once.h5", encoded)
    once = read_spikes(tmp_path / "once.h5", "x")
    cut = (encoded.events.times_ms / 1000).astype(np.float16).astype(np.float32) * 1000
    np.testing.assert_array_equal(once.events.times_ms, cut.astype(np.float32))
    np.testing.assert_array_equal(once.events.offsets, encoded.events.offsets)
    np.testing.assert_array_equal(once.events.channels, encoded.events.channels)
    # what was cut once is not cut again
    write_spikes(tmp_path / "twice.h5", once)
    twice = read_spikes(tmp_path / "twice.h5", "x")
    np.testing.assert_array_equal(twice.events.times_ms, once.events.times_ms)


def spoil_nothing(folder):
    return folder


def text_as_wav(folder):
    (folder / "up" / "9.wav").write_text("text")
    return folder


def silence(folder):
    soundfile.write(folder / "up" / "9.wav", np.zeros(4000), 16_000)
    return folder


def nan(folder):
    soundfile.write(folder / "up" / "9.wav", np.full(4000, np.nan), 16_000, subtype="FLOAT")
    return folder


def short(folder):
    soundfile.write(folder / "up" / "9.wav", np.sin(np.arange(200)), 16_000)
    return folder


def manifest_of(text):
    def write(folder):
        (folder / "list.csv").write_text(text)
        return folder / "list.csv"

    return write


def empty_folder(folder):
    (folder / "empty").mkdir()
    return folder / "empty"


def no_such_path(folder):
    return folder / "nowhere"


@pytest.mark.parametrize(
    ("spoil", "options", "message"),
    [
        (text_as_wav, [], r"9\.wav must be a sound file, but .*; convert it to WAV"),
        (silence, [], r"9\.wav must not be silent, but all its samples are 0; leave it out"),
        (nan, [], r"9\.wav must be finite, but has NaN or infinite samples"),
        (short, [], r"9\.wav: a recording must last at least 60 ms, but got 12\.5 ms"),
        (
            manifest_of("file,word\nup/0.wav,up\nup/7.wav,up\n"),
            [],
            r"list\.csv, line 3: .*7\.wav must be a sound file, but there is none",
        ),
        (
            manifest_of("path,word\nup/0.wav,up\n"),
            [],
            r"list\.csv must have columns file,word,speaker, but has path,word; add file",
        ),
        (empty_folder, [], r"empty must hold a folder a word with WAV or FLAC files in it"),
        (no_such_path, [], r"nowhere must be a folder, a CSV file or a list, but is none"),
        (spoil_nothing, ["--seed", "-1"], "0 <= seed must hold, but got -1"),
        (spoil_nothing, ["--workers", "-1"], "0 <= workers must hold, but got -1"),
        (spoil_nothing, ["--rms", "0"], "0 < rms < inf must hold, but got 0"),
        (spoil_nothing, ["--ramp-ms", "nan"], "0 <= ramp_ms must hold, but got nan"),
    ],
)
def test_what_is_wrong_is_said_and_leaves_the_old_file(
    recordings, tmp_path, spoil, options, message
):
    output = tmp_path / "out" / "train.h5"
    output.parent.mkdir()
    output.write_text("old")
    source = spoil(recordings)
    result = run(source, "-o", output, *options)
    assert result.returncode == 2
    assert re.search(f"^error: .*{message}", result.stderr, re.MULTILINE)
    assert output.read_text() == "old" and list(output.parent.iterdir()) == [output]


def test_a_bad_recording_is_named_and_leaves_no_file(recordings, tmp_path):
    soundfile.write(recordings / "up" / "9.wav", np.zeros(4000), 16_000)
    output = tmp_path / "out" / "train.h5"
    result = run_process(recordings, "-o", output)
    assert result.returncode == 2
    assert "9.wav must not be silent" in result.stderr and "Traceback" not in result.stderr
    assert not output.exists() and not list(tmp_path.glob("out/*"))


def test_output_that_is_a_folder(recordings, tmp_path):
    result = run(recordings, "-o", tmp_path)
    assert (
        result.returncode == 2 and "is a folder; give the name of a file to write" in result.stderr
    )


def test_options_that_are_missing_or_unknown(recordings):
    assert run(recordings).returncode == 2
    assert run(recordings, "-o", "x.h5", "--speed", 3).returncode == 2


def test_help_explains_every_option():
    result = run("--help")
    assert result.returncode == 0
    groups = (*fields(Options), *fields(EncoderOptions), *fields(Variation))
    options = [f for f in groups if f.name not in ("encoder", "variation")]
    named = [f"--{field.name.replace('_', '-')}" for field in options]
    named[0] = "RECORDINGS"  # the only positional one
    assert {"--output", "--seed", "--workers", "--rms", "--ramp-ms"} <= set(named)
    for option in [*named, "-o"]:
        assert option in result.stdout
