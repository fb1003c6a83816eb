"""Encoding goes on after an interruption, to the same file, bit for bit."""

import os
import signal
import subprocess
import sys
import time
from dataclasses import replace

import numpy as np
import pytest
import soundfile

from shd_genn.encode import corpus
from shd_genn.encode.__main__ import main
from shd_genn.encode.corpus import Corpus, encoded, on_threads
from shd_genn.encode.options import EncoderOptions
from shd_genn.encode.recordings import find_recordings
from shd_genn.spikes.hdf5 import write_spikes
from shd_genn.support.errors import BusyError
from shd_genn.support.locks import claimed

N = 7


@pytest.fixture
def folder(tmp_path):
    """Seven recordings of two words."""
    rng = np.random.default_rng(0)
    for i in range(N):
        path = tmp_path / "sounds" / ("up" if i % 2 else "down") / f"{i}.wav"
        path.parent.mkdir(parents=True, exist_ok=True)
        soundfile.write(path, 0.3 * rng.normal(size=3000).clip(-3, 3) / 3, 16_000)
    return tmp_path / "sounds"


@pytest.fixture
def small_parts(monkeypatch):
    monkeypatch.setattr(corpus, "MOST_RECORDINGS", 2)


@pytest.fixture
def whole(folder):
    """The recordings, for a code that is computed fast."""
    return Corpus.of(find_recordings(folder).recordings, EncoderOptions("rate").make(), seed=3)


def write(whole, output, encoding=None):
    with encoded(whole, output, encoding or on_threads(1)) as dataset:
        write_spikes(output, dataset)
    return output.read_bytes()


def test_parts_are_by_number_and_by_size(whole, monkeypatch, small_parts):
    assert [list(part) for part in whole.parts] == [[0, 1], [2, 3], [4, 5], [6]]
    monkeypatch.setattr(corpus, "MOST_BYTES", 1)  # one recording at least
    assert len(replace(whole).parts) == N


@pytest.mark.parametrize("stop_after", [0, 1, 3])
def test_an_interruption_loses_no_part_and_changes_no_bit(
    whole, tmp_path, small_parts, capsys, stop_after
):
    expected = write(whole, tmp_path / "at_once.h5")
    worked = []

    def stopped(whole, parts):
        for number, events in on_threads(1)(whole, parts):
            if len(worked) == stop_after:
                raise KeyboardInterrupt
            worked.append(parts[number])
            yield number, events

    output = tmp_path / "a.h5"
    with pytest.raises(KeyboardInterrupt):
        write(whole, output, stopped)
    assert not output.exists()
    assert f"stopped with {2 * stop_after} of 7 recordings encoded" in capsys.readouterr().err

    def counting(whole, parts):
        assert not set(parts) & set(worked)  # only what is missing
        return on_threads(2)(whole, parts)

    assert write(whole, output, counting) == expected
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.h5", "at_once.h5", "sounds"]


def interrupt(whole, output):
    """Encode all but the last part."""

    def stopped(whole, parts):
        yield from on_threads(1)(whole, parts[:-1])
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write(whole, output, stopped)
    return sorted((output.parent / f"{output.name}.parts").glob("*.npz"))


@pytest.mark.parametrize("damage", ["cut", "empty", "deleted", "swapped", "other recordings"])
def test_parts_that_are_not_whole_are_made_again(whole, tmp_path, small_parts, damage):
    expected = write(whole, tmp_path / "at_once.h5")
    files = interrupt(whole, tmp_path / "a.h5")
    assert len(files) == 3
    if damage == "cut":
        files[0].write_bytes(files[0].read_bytes()[:-40])
    elif damage == "empty":
        files[0].write_bytes(b"")
    elif damage == "deleted":
        files[0].unlink()
    elif damage == "swapped":  # one bit of the content: the archive's own checksum notices
        content = bytearray(files[0].read_bytes())
        content[len(content) // 2] ^= 1
        files[0].write_bytes(content)
    else:
        np.savez(files[0], times_ms=[0.0], channels=[1], offsets=[0, 1])
    assert write(whole, tmp_path / "a.h5") == expected


def test_parts_of_other_recordings_and_settings_are_not_used(whole, folder, tmp_path, small_parts):
    interrupt(whole, tmp_path / "a.h5")
    changed = whole.recordings[0].path
    sound, rate = soundfile.read(changed)
    soundfile.write(changed, sound[::-1], rate)
    others = Corpus.of(whole.recordings, EncoderOptions("rate", highest_rate_hz=90.0).make(), 3)
    for corpus_now in (whole, others, replace(whole, seeds=[*whole.seeds[1:], 1])):
        expected = write(corpus_now, tmp_path / "at_once.h5")
        (tmp_path / "at_once.h5").unlink()
        interrupt(whole, tmp_path / "a.h5")
        assert write(corpus_now, tmp_path / "a.h5") == expected


def test_two_programs_do_not_encode_into_one_file(whole, tmp_path):
    parts = tmp_path / "a.h5.parts"
    parts.mkdir()
    with claimed(parts), pytest.raises(BusyError, match="another program is working in it"):
        write(whole, tmp_path / "a.h5")


def test_ctrl_c_in_the_command_and_the_same_command_again(folder, tmp_path, monkeypatch):
    """The command is interrupted as its first part is there; the same command goes on."""
    arguments = ["encode", str(folder), "--code", "rate", "-o"]
    monkeypatch.setattr(sys, "argv", [*arguments, str(tmp_path / "at_once.h5")])
    main()
    script = (
        "import sys, time; from shd_genn.encode import corpus, __main__ as m; "
        "from shd_genn.support.cli import command; corpus.MOST_RECORDINGS = 2; "
        "keep = corpus._write; corpus._write = lambda *a: (keep(*a), time.sleep(0.3)); "
        f"sys.argv = {[*arguments, str(tmp_path / 'a.h5')]!r}; command(m.main)"
    )
    process = subprocess.Popen([sys.executable, "-c", script], stderr=subprocess.PIPE, text=True)
    while not list(tmp_path.glob("a.h5.parts/0*.npz")):
        assert process.poll() is None
        time.sleep(0.01)
    os.kill(process.pid, signal.SIGINT)
    _, errors = process.communicate(timeout=120)
    assert process.returncode == 130 and "recordings encoded; the same command goes on" in errors
    again = subprocess.run([sys.executable, "-c", script], capture_output=True, check=False)
    assert again.returncode == 0
    assert (tmp_path / "a.h5").read_bytes() == (tmp_path / "at_once.h5").read_bytes()
