"""The cores and the memory that this process may use, limits of containers included."""

from __future__ import annotations

import math
import os
import sys
from pathlib import Path

import psutil

CGROUP_ROOT = Path("/sys/fs/cgroup")
"""Where Linux mounts control groups, by which containers and Slurm limit processes."""


def available_cores() -> int:
    """Cores that this process may use, at least 1.

    The smaller of its CPU affinity and the CPU quota of its control group, rounded up; all cores
    where the system knows neither.
    """
    process = psutil.Process()
    if hasattr(process, "cpu_affinity"):  # macOS has none
        cores = len(process.cpu_affinity())
    else:
        cores = psutil.cpu_count() or 1
    return max(1, math.ceil(min(cores, _cpu_quota())))


def available_memory() -> int:
    """Bytes that this process may still allocate: free memory, or what its control group leaves."""
    return min(int(psutil.virtual_memory().available), _group_memory())


def peak_memory() -> int:
    """The largest resident memory of this process so far, in bytes."""
    if sys.platform == "win32":
        return int(psutil.Process().memory_info().peak_wset)
    import resource  # Windows has no such module

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return int(peak) if sys.platform == "darwin" else peak * 1024  # elsewhere in KiB


def _cpu_quota() -> float:
    """CPUs that the control groups allow; infinity without a limit."""
    allowed = math.inf
    for folder in _groups("cpu"):
        quota, period = _numbers(folder / "cpu.max"), 0.0  # version 2: both in one file
        if len(quota) == 2:
            period = quota[1]
        elif not quota:
            quota = _numbers(folder / "cpu.cfs_quota_us")
            period = sum(_numbers(folder / "cpu.cfs_period_us"))
        if quota and quota[0] > 0 and period > 0:
            allowed = min(allowed, quota[0] / period)
    return allowed


def _group_memory() -> int:
    """Bytes that the control groups leave; a very large number without a limit."""
    left = sys.maxsize
    for folder in _groups("memory"):
        for limit, used in (
            ("memory.max", "memory.current"),
            ("memory.limit_in_bytes", "memory.usage_in_bytes"),
        ):
            bounds, usage = _numbers(folder / limit), _numbers(folder / used)
            if bounds and usage and math.isfinite(bounds[0]):
                needed = usage[0] - _cached_files(folder / "memory.stat")
                left = min(left, max(0, int(bounds[0] - needed)))
    return left


def _cached_files(statistics: Path) -> float:
    """Bytes of a control group that hold files' content, which the system gives up on demand."""
    try:
        lines = statistics.read_text(encoding="ascii").splitlines()
    except OSError:
        return 0.0
    numbers = dict(line.split(" ", 1) for line in lines if " " in line)
    return float(numbers.get("total_inactive_file", numbers.get("inactive_file", 0)))


def _groups(controller: str) -> list[Path]:
    """Folders of this process's control group and of all groups above it.

    Inside a container the path that the kernel names may not be mounted; the root then is the
    container's own group.
    """
    try:
        lines = Path("/proc/self/cgroup").read_text(encoding="utf-8").splitlines()
    except OSError:
        return []
    found: list[Path] = []
    for line in lines:
        _, controllers, path = line.split(":", 2)
        if controllers and controller not in controllers.split(","):
            continue
        root = CGROUP_ROOT / controller if controllers else CGROUP_ROOT
        group = Path(os.path.normpath(root / path.lstrip("/")))
        if not group.is_relative_to(root):
            group = root
        found += [
            folder
            for folder in (group, *group.parents)
            if folder.is_relative_to(root) and folder.is_dir()
        ]
    return found


def _numbers(file: Path) -> list[float]:
    """The numbers of a file; ``max`` is infinity; none if the file cannot be read."""
    try:
        words = file.read_text(encoding="ascii").split()
        return [math.inf if word == "max" else float(word) for word in words]
    except (OSError, ValueError):
        return []
