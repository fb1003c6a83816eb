"""Cores and memory: limits of containers count."""

import os
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from shd_genn.support import machine


@pytest.fixture
def groups(tmp_path, monkeypatch):
    """A control group of 64 cores that a test can limit; returns its writer."""
    root = tmp_path / "cgroup"
    root.mkdir()
    lines = tmp_path / "self"
    monkeypatch.setattr(machine, "CGROUP_ROOT", root)
    read_text = Path.read_text
    monkeypatch.setattr(
        Path,
        "read_text",
        lambda self, *args, **kwargs: read_text(
            lines if str(self) == "/proc/self/cgroup" else self, *args, **kwargs
        ),
    )
    monkeypatch.setattr(psutil.Process, "cpu_affinity", lambda self: list(range(64)))

    def write(cgroup, **files):
        lines.write_text(cgroup)
        for name, content in files.items():
            file = root / name.replace("__", "/").replace("_DOT_", ".")
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(content)

    return write


@pytest.mark.parametrize(
    ("quota", "cores"),
    [("max 100000", 64), ("200000 100000", 2), ("150000 100000", 2), ("20000 100000", 1)],
)
def test_a_quota_of_version_2_counts(groups, quota, cores):
    groups("0::/a/b\n", a__b__cpu_DOT_max=quota, a__cpu_DOT_max="max 100000")
    assert machine.available_cores() == cores


def test_the_smallest_quota_of_all_groups_above_counts(groups):
    groups("0::/a/b\n", a__b__cpu_DOT_max="800000 100000", a__cpu_DOT_max="300000 100000")
    assert machine.available_cores() == 3


def test_inside_a_container_the_root_is_its_group(groups):
    groups("0::/../../docker/17\n", cpu_DOT_max="400000 100000")
    assert machine.available_cores() == 4


@pytest.mark.parametrize(("quota", "cores"), [("-1", 64), ("250000", 3)])
def test_a_quota_of_version_1_counts(groups, quota, cores):
    groups(
        "7:cpu,cpuacct:/slurm\n3:memory:/slurm\n",
        **{
            "cpu__slurm__cpu_DOT_cfs_quota_us": quota,
            "cpu__slurm__cpu_DOT_cfs_period_us": "100000",
        },
    )
    (machine.CGROUP_ROOT / "cpu,cpuacct").symlink_to("cpu")
    assert machine.available_cores() == cores


def test_memory_that_a_group_leaves(groups):
    groups(
        "0::/a\n",
        a__memory_DOT_max="1000000",
        a__memory_DOT_current="900000",
        a__memory_DOT_stat="anon 500000\ninactive_file 300000\n",
    )
    assert machine.available_memory() == 400_000  # cached files are given up on demand


def test_memory_without_a_group(groups):
    groups("0::/a\n", a__memory_DOT_max="max", a__memory_DOT_current="900000")
    assert 0 < machine.available_memory() <= psutil.virtual_memory().total


def test_affinity_counts():
    code = (
        "import os; os.sched_setaffinity(0, {sorted(os.sched_getaffinity(0))[0]})\n"
        "from shd_genn.support.machine import available_cores; print(available_cores())"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert result.stdout.strip() == "1", result.stderr


def test_peak_memory_is_in_bytes():
    held = np_ones = bytearray(os.urandom(1)) * (64 << 20)
    assert np_ones is held
    assert 64 << 20 < machine.peak_memory() < 64 << 30
