"""`python -m shd_genn.encode` as a user meets it."""

import subprocess
import sys

import h5py
import numpy as np
import pytest
import soundfile

from shd_genn.datasets.hdf5 import read_spikes


def run(*arguments):
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
        assert "seed" in file.attrs and "Cochlea(" in file.attrs["cochlea"]
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


def test_a_bad_recording_is_named_and_leaves_no_file(recordings, tmp_path):
    soundfile.write(recordings / "up" / "9.wav", np.zeros(4000), 16_000)
    output = tmp_path / "out" / "train.h5"
    result = run(recordings, "-o", output)
    assert result.returncode == 2
    assert "9.wav must not be silent" in result.stderr and "Traceback" not in result.stderr
    assert not output.exists() and not list(tmp_path.glob("out/*"))


def test_short_recording_is_named(recordings, tmp_path):
    soundfile.write(recordings / "up" / "9.wav", np.ones(200) * 0.1, 16_000)
    result = run(recordings, "-o", tmp_path / "train.h5")
    assert result.returncode == 2
    assert "9.wav: a recording must last at least 60 ms" in result.stderr


def test_output_that_is_a_folder(recordings, tmp_path):
    result = run(recordings, "-o", tmp_path)
    assert result.returncode == 2 and "must be a file to write, but is a folder" in result.stderr


def test_help_explains_every_option():
    text = run("--help").stdout
    for option in ("RECORDINGS", "--output", "-o", "--seed", "--workers", "--rms", "--ramp-ms"):
        assert option in text
