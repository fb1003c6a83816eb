"""`python -m shd_genn.bench peers`: peers in processes of their own, limits, tables, going on."""

import math
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import get_args

import numpy as np
import pytest
from helpers.calling import call

from shd_genn.bench.peers import libraries, table
from shd_genn.bench.peers.case import Batch, Setting
from shd_genn.bench.peers.command import chosen
from shd_genn.bench.peers.harness import Limits, measure
from shd_genn.bench.peers.libraries import Library
from shd_genn.support.errors import ConfigError, DataError

TINY = Setting("recurrent", hidden=16, n_steps=50, threads=1)
LIMITS = Limits(repetitions=2, seconds=60, memory_gb=4)
FAKES = '''
import time
import numpy as np

class Peer:
    """Spikes in proportion to its input weights."""

    batch_size = 4

    @staticmethod
    def place(setting, batch):
        return batch

    def __init__(self, setting, batch):
        self.setting = setting

    def set_weights(self, weights):
        self.scale = float(weights["input_hidden0"].mean()) / 0.03

    def spike_counts(self):
        return np.full(self.setting.hidden, 3 * self.scale)

    def train_batch(self):
        {train}
        return 0.0

    def close(self):
        pass
'''


@pytest.fixture
def fake(tmp_path, monkeypatch):
    """Put a peer of our own in the place of another: ``fake("spyx", "time.sleep(60)")``."""
    monkeypatch.setenv("PYTHONPATH", str(tmp_path), prepend=os.pathsep)
    # whether or not the library is installed
    monkeypatch.setattr(Library, "versions", property(lambda self: "fake 1"))

    def put(name: str, train: str) -> None:
        code = FAKES.format(train=train)
        # a child process finds it there before it is looked for in the package
        start = tmp_path / "sitecustomize.py"
        start.write_text(
            (start.read_text() if start.exists() else "import sys, types\n")
            + f"module = types.ModuleType('shd_genn.bench.peers.libraries.{name}_peer')\n"
            + f"exec({code!r}, module.__dict__)\n"
            + "sys.modules[module.__name__] = module\n"
        )

    return put


def test_peers_take_turns_and_are_measured(fake):
    fake("spyx", "time.sleep(0.01)")
    told = []
    first, second = measure(
        TINY, ["native", "spyx"], LIMITS, lambda steps=1, note="": told.append((steps, note))
    )
    assert [first.result, second.result] == ["measured", "measured"]
    assert told[-4:] == [(1, "native"), (1, "spyx")] * 2  # batch by batch
    assert sum(steps for steps, _ in told) == 2 * (1 + LIMITS.repetitions)
    fastest, median = second.ms_per_sample
    assert 10 / 4 <= fastest <= median  # ms: what it slept; the batch has 4 samples
    assert first.ready.batch_size == 32 and len(first.turns) == 2
    # what was asked for, to within what the search allows
    assert abs(second.ready.spikes_per_neuron - 9) < 0.25
    assert first.turns[0].memory_growth_mb > 0


def test_what_a_peer_cannot_do_is_a_result(fake):
    fake("jax", "time.sleep(60)")
    fake("torch", "self.held = np.ones((2**27,))")  # 1 GB
    fake("norse", "raise ValueError('no | such\\nthing')")
    fake("snntorch", "import os; os._exit(3)")
    # each limit is for the peers that reach it: how fast a process starts decides nothing
    slow = measure(TINY, ["jax"], Limits(repetitions=1, seconds=1, memory_gb=0.5))
    limits = Limits(repetitions=1, seconds=300, memory_gb=0.5)
    results = {
        each.peer: each for each in (*slow, *measure(TINY, ["torch", "norse", "snntorch"], limits))
    }
    assert results["jax"].result == "over 1 s"
    assert results["torch"].result == "out of memory (over 0.5 GB)"
    assert results["norse"].result == "failed: ValueError: no | such thing"
    assert results["snntorch"].result == "failed: its process ended with exit code 3"
    assert all(math.isnan(each.ms_per_sample[0]) for each in results.values())
    rows = table.rows_of(TINY, results.values(), started())
    assert [row.result for row in rows] == [each.result for each in results.values()]
    assert "over 1 s" in table.markdown(rows)
    assert "no / such" in table.markdown(rows)  # a table's bars are its own


def test_a_peer_that_dies_between_its_turns_is_a_result(fake):
    fake("spyx", "import os, threading; threading.Timer(0.5, os._exit, [5]).start()")
    fake("jax", "time.sleep(1)")
    limits = Limits(repetitions=3, seconds=300, memory_gb=4)
    spyx, jax = measure(TINY, ["spyx", "jax"], limits)
    assert spyx.result == "failed: its process ended with exit code 5" and not spyx.turns
    assert jax.result == "measured" and len(jax.turns) == 3


@pytest.mark.slow
def test_time_that_runs_out_keeps_the_batches_that_are_done(fake):
    fake("spyx", "time.sleep(1)")
    begin = time.perf_counter()
    (whole,) = measure(TINY, ["spyx"], Limits(repetitions=1, seconds=300, memory_gb=4))
    # long enough to start, however busy the machine is; 1000 batches would take much longer
    limit = 2 * (time.perf_counter() - begin)
    (each,) = measure(TINY, ["spyx"], Limits(repetitions=1000, seconds=limit, memory_gb=4))
    assert whole.result == each.result == "measured" and 1 <= len(each.turns) < 1000


def test_a_table_is_read_as_it_was_written(tmp_path):
    rows = table.rows_of(TINY, measure(TINY, ["native"], LIMITS), started())
    table.write(tmp_path / "compare.csv", rows)
    assert table.read(tmp_path / "compare.csv") == rows
    assert rows[0].times_native == 1 and rows[0].setting == TINY
    other = replace(TINY, spikes_per_neuron=5.0)
    assert replace(rows[0], spikes_wanted=5.0).setting == other != TINY
    assert table.named(other).endswith("1 core, 5 spikes per neuron")
    (tmp_path / "other.csv").write_text("peer,hidden\nnative,64\n")
    with pytest.raises(DataError, match=r"must be a table of python -m shd_genn\.bench peers"):
        table.read(tmp_path / "other.csv")


def test_what_is_not_installed_is_refused_by_name_and_named_otherwise(monkeypatch, capsys):
    absent = libraries.Library("BPTT", ("no_such_package",), ())
    monkeypatch.setitem(libraries.LIBRARIES, "spyx", absent)
    with pytest.raises(ConfigError, match=r"spyx needs no_such_package.*\[compare\]"):
        chosen(("native", "spyx"))
    assert "spyx" not in chosen(())
    assert "spyx is left out: no_such_package not installed" in capsys.readouterr().err
    assert chosen(("native",)) == ["native"]


def test_every_peer_has_a_file():
    assert list(libraries.LIBRARIES) == list(get_args(libraries.PeerName))
    for name in libraries.LIBRARIES:
        assert (Path(libraries.__file__).parent / f"{name}_peer.py").is_file()


def test_dense_input_arrives_a_step_after_it_was_emitted():
    batch = Batch.synthetic(2)
    dense = batch.dense(1000)
    assert dense.shape == (1000, 2, 700) and not dense[0].any()
    times, channels = batch.events.sample(1)
    first = int(np.ceil(times[0]))  # the first step at or after its time
    assert dense[first + 1, 1, channels[0]] == 1
    # all that is emitted before the last step, none twice: one spike a channel and step
    assert 7950 < dense[:, 1].sum() <= 8000


def test_a_delay_line_copies_the_input_for_all_peers():
    setting = Setting("recurrent", hidden=16, n_steps=100, threads=1, copies=2)
    batch = Batch.synthetic(2).through(setting)
    dense = batch.dense(100, setting.n_inputs)
    first, second, third = np.split(dense, 3, axis=2)  # 30 ms apart, which are 3 steps
    assert dense.shape == (100, 2, 2100) and first.sum() > 10_000
    np.testing.assert_array_equal(second[3:], first[:-3])
    np.testing.assert_array_equal(third[6:], first[:-6])
    assert not second[:3].any() and not third[:6].any()
    assert setting.network.input.size == 2100 and table.named(setting).endswith(
        "2 copies of each channel"
    )


def compare(*arguments):
    return call("bench", "peers", *arguments)


SMALL = ("--peers", "native", "--threads", 1, "--topologies", "recurrent", "--n-steps", 50)


def test_the_command_writes_goes_on_and_says_what_it_is_given(tmp_path):
    output = tmp_path / "compare.csv"
    common = (*SMALL, "--repetitions", 1, "-o", output)
    done = compare(*common, "--hidden-sizes", 16)
    assert done.returncode == 0, done.stderr
    assert "50 steps, 16 hidden, recurrent, 1 core" in done.stdout and "native" in done.stdout
    refused = compare(*common, "--hidden-sizes", 16, 32)
    assert refused.returncode == 2 and "output must be a new file" in refused.stderr
    before = table.read(output)
    elsewhere = tmp_path / "elsewhere.csv"
    table.write(elsewhere, [replace(before[0], cpu="Some CPU")])
    refused = compare(*SMALL, "-o", elsewhere, "--resume")
    assert refused.returncode == 2
    assert "has measurements of Some CPU, but this machine is" in " ".join(refused.stderr.split())
    both = tmp_path / "both.csv"
    table.write(both, [replace(before[0], peer="genn"), replace(before[0], n_steps=100)])
    refused = compare(*SMALL, "--hidden-sizes", 16, "-o", both, "--resume")
    assert "without genn would delete their rows; add them to --peers" in " ".join(
        refused.stderr.split()
    )
    assert refused.returncode == 2 and len(table.read(both)) == 2
    done = compare(*common, "--hidden-sizes", 16, 32, "--resume", "--markdown")
    assert done.returncode == 0, done.stderr
    after = table.read(output)
    assert after[:1] == before and [row.hidden for row in after] == [16, 32]
    lines = done.stdout.strip().splitlines()
    assert lines[0].startswith("| peer | gradients | 50 steps, 16 hidden, recurrent, 1 core |")
    assert lines[2].startswith("| native | EventProp | ") and lines[2].count(" ms") == 2


def test_ctrl_c_keeps_what_has_been_measured(tmp_path):
    output = tmp_path / "compare.csv"
    sizes = ("--hidden-sizes", 16, 1024)
    limits = ("--repetitions", 100_000, "--limit-s", 3)
    arguments = map(str, (*SMALL, *sizes, *limits, "-o", output))
    process = subprocess.Popen(
        [sys.executable, "-m", "shd_genn.bench", "peers", *arguments],
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    deadline = time.monotonic() + 60
    while not output.exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=30)
    assert process.returncode == 130 and "Traceback" not in err, err
    assert [row.hidden for row in table.read(output)] == [16]
    assert "16 hidden" in out


@pytest.mark.parametrize(
    ("option", "value", "said"),
    [
        ("--repetitions", 0, "1 <= repetitions"),
        ("--limit-s", 0, "0 < limit_s"),
        ("--limit-gb", 0, "0 < limit_gb"),
        ("--n-steps", 2000, "1 <= n_steps <= 1000"),
        ("--copies", 31, "0 <= copies <= 30"),
        ("--hidden-sizes", 0, "1 <= hidden_sizes"),
        ("--threads", 4096, "1 <= threads"),
        ("--spikes-per-neuron", "nan", "0 < spikes_per_neuron < inf"),
    ],
)
def test_wrong_options_are_refused(option, value, said):
    refused = compare(option, value)
    assert refused.returncode == 2 and said in " ".join(refused.stderr.split())


def started():
    return datetime(2026, 1, 2, 3, 4, 5)
