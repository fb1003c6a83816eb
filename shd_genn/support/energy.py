"""Energy that the processor, its memory and the GPUs take, where the machine counts it.

Linux counts that of the processor's packages and their DRAM (Intel's and AMD's RAPL) under
``/sys/class/powercap``: microjoules in ``energy_uj``, which start anew after
``max_energy_range_uj``. NVIDIA's driver counts that of a board in millijoules; it is read through
NVML (the package ``nvidia-ml-py``). All counters are of the whole machine: other programs count,
too.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from shd_genn.support.boards import NoBoards, boards

POWERCAP = Path("/sys/class/powercap")
"""Where Linux keeps the counters of packages and DRAM."""


@dataclass(frozen=True)
class Energy:
    """Energy in joules; None where the machine counts none.

    Attributes:
        cpu: Of all packages of the processor.
        dram: Of their memory.
        gpu: Of all boards that the driver shows.
    """

    cpu: float | None = None
    dram: float | None = None
    gpu: float | None = None


class Counter:
    """A counter of powercap.

    Args:
        zone: Its folder.

    Attributes:
        total: Joules since it was made.

    Raises:
        OSError: if its files cannot be read.
        ValueError: if they hold no numbers.
    """

    def __init__(self, zone: Path) -> None:
        self._file = zone / "energy_uj"
        self._range = int((zone / "max_energy_range_uj").read_text())
        self._last, self.total = self._read(), 0.0

    def _read(self) -> int:
        return int(self._file.read_text())

    def poll(self) -> None:
        """Add what was counted since the last time, which is less than one round of the counter."""
        now = self._read()
        if now < self._last:  # it has started anew
            self._last -= self._range
        self.total += (now - self._last) / 1e6
        self._last = now


class Meter:
    """What has been used since it was made.

    Args:
        powercap: The folder of Linux's counters.

    Attributes:
        missing: Why something is not counted, in whole clauses; empty if all is.
    """

    def __init__(self, powercap: Path | None = None) -> None:
        self.missing: list[str] = []
        self._counters = self._zones(powercap or POWERCAP)
        self._nvml, self._boards = self._find_boards()
        self._gpu_start = self._gpu()

    def _zones(self, powercap: Path) -> dict[str, list[Counter]]:
        counters: dict[str, list[Counter]] = {"package": [], "dram": []}
        # an intel-rapl-mmio zone counts the same package a second time
        zones = sorted(powercap.glob("intel-rapl:*"))
        for zone in zones:
            try:
                name = (zone / "name").read_text().strip().partition("-")[0]
                if name in counters:
                    counters[name].append(Counter(zone))
            except (OSError, ValueError) as error:
                reason = error.strerror if isinstance(error, OSError) else "it holds no number"
                self.missing.append(f"{zone.name} of the processor cannot be read ({reason})")
        if not zones:
            self.missing.append(f"the processor shows no counters in {powercap}")
        return counters

    def _find_boards(self) -> tuple[Any, list[Any]]:
        try:
            nvml, found = boards()
        except NoBoards as error:
            self.missing.append(str(error))
            return None, []
        try:
            for board in found:
                nvml.nvmlDeviceGetTotalEnergyConsumption(board)
        except nvml.NVMLError as error:
            self.missing.append(f"NVIDIA's driver counts no energy ({error})")
            return nvml, []
        return nvml, found

    def _gpu(self) -> float:
        count = self._nvml.nvmlDeviceGetTotalEnergyConsumption if self._boards else None
        return sum(count(board) for board in self._boards) / 1000 if count else 0.0

    def poll(self) -> Energy:
        """What has been used so far; call it at least every few minutes, as counters start anew."""
        found: dict[str, float | None] = {}
        for name, counters in self._counters.items():
            for counter in counters:
                counter.poll()
            found[name] = sum(c.total for c in counters) if counters else None
        gpu = self._gpu() - self._gpu_start if self._boards else None
        return Energy(found["package"], found["dram"], gpu)

    def sources(self) -> str:
        """What is counted, or why nothing is, in one line."""
        counted = [
            f"{len(counters)} {name}" for name, counters in self._counters.items() if counters
        ]
        if self._boards:
            counted.append(f"{len(self._boards)} GPU")
        if counted:
            return f"counted: {', '.join(counted)}"
        return f"not counted: {'; '.join(self.missing)}"
