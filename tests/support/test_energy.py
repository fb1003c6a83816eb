"""Energy from files as Linux's powercap has them, and from a stand-in for NVML."""

import sys
import types

import pytest

from shd_genn.support import energy
from shd_genn.support.boards import memory_in_use
from shd_genn.support.energy import Energy, Meter

# two packages, written by hand in the kernel's format: the second number is the counter's range
TREE = {
    "intel-rapl:0": ("package-0", 262143328850, 259_000_000_000),
    "intel-rapl:0:0": ("dram", 65712999613, 12_000_000_000),
    "intel-rapl:1": ("package-1", 262143328850, 1_000_000_000),
    "intel-rapl:1:0": ("dram", 65712999613, 13_000_000_000),
    "intel-rapl-mmio:0": ("package-0", 262143328850, 259_000_000_000),
    "intel-rapl": None,  # the control type, a folder without counters
}


def write(root, zones):
    for zone, content in zones.items():
        (root / zone).mkdir(exist_ok=True)
        if content is not None:
            name, largest, now = content
            (root / zone / "name").write_text(f"{name}\n")
            (root / zone / "max_energy_range_uj").write_text(f"{largest}\n")
            (root / zone / "energy_uj").write_text(f"{now}\n")


@pytest.fixture
def no_gpu(monkeypatch):
    monkeypatch.setitem(sys.modules, "pynvml", None)


def test_packages_and_dram_are_summed_and_counters_start_anew(tmp_path, no_gpu):
    write(tmp_path, TREE)
    meter = Meter(tmp_path)
    assert meter.poll() == Energy(0.0, 0.0, None)
    (tmp_path / "intel-rapl:0/energy_uj").write_text("262000000000\n")  # 3000 J
    (tmp_path / "intel-rapl:1:0/energy_uj").write_text("13000250000\n")  # 0.25 J
    found = meter.poll()
    assert (found.cpu, found.dram) == (pytest.approx(3000), pytest.approx(0.25))
    (tmp_path / "intel-rapl:0/energy_uj").write_text("856671150\n")  # over the end: 1000 J
    assert meter.poll().cpu == pytest.approx(4000)
    assert meter.sources() == "counted: 2 package, 2 dram"


def test_a_machine_without_counters_says_why(tmp_path, no_gpu):
    meter = Meter(tmp_path)
    assert meter.poll() == Energy()
    expected = f"not counted: the processor shows no counters in {tmp_path}; nvidia-ml-py is not"
    assert meter.sources().startswith(expected) and "\n" not in meter.sources()


def test_counters_that_may_not_be_read_say_so(tmp_path, no_gpu):
    write(tmp_path, {"intel-rapl:0": TREE["intel-rapl:0"]})
    (tmp_path / "intel-rapl:0/energy_uj").unlink()
    (tmp_path / "intel-rapl:0/energy_uj").mkdir()  # also root, who runs tests, cannot read that
    meter = Meter(tmp_path)
    assert meter.poll().cpu is None
    assert "intel-rapl:0 of the processor cannot be read (Is a directory)" in meter.sources()
    write(tmp_path, {"intel-rapl:1": ("package-1", "unknown", 3)})
    assert "intel-rapl:1 of the processor cannot be read (it holds no number)" in (
        Meter(tmp_path).sources()
    )


class StandInNVML(types.ModuleType):
    """Two boards; a call of a counter returns the next of what was recorded, in mJ."""

    class NVMLError(Exception):
        pass

    def __init__(self, recorded):
        super().__init__("pynvml")
        self.recorded = {board: list(values) for board, values in enumerate(recorded)}

    def nvmlInit(self):  # noqa: N802
        pass

    def nvmlDeviceGetCount(self):  # noqa: N802
        return len(self.recorded)

    def nvmlDeviceGetHandleByIndex(self, i):  # noqa: N802
        return i

    def nvmlDeviceGetTotalEnergyConsumption(self, board):  # noqa: N802
        if not self.recorded[board]:
            raise self.NVMLError("Not Supported")
        return self.recorded[board].pop(0)

    def nvmlDeviceGetMemoryInfo(self, board):  # noqa: N802
        return types.SimpleNamespace(used=(board + 1) << 30)


def test_memory_of_boards_is_summed_where_there_are_some(monkeypatch):
    monkeypatch.setitem(sys.modules, "pynvml", StandInNVML([(), ()]))
    assert memory_in_use() == 3 << 30
    monkeypatch.setitem(sys.modules, "pynvml", StandInNVML([]))
    assert memory_in_use() is None
    monkeypatch.setitem(sys.modules, "pynvml", None)
    assert memory_in_use() is None


def test_boards_are_summed(tmp_path, monkeypatch):
    # the first reading of each board is the probe, the second the start
    boards = [(5_000_000, 5_000_000, 5_250_000), (80_000, 80_000, 81_500)]
    monkeypatch.setitem(sys.modules, "pynvml", StandInNVML(boards))
    meter = Meter(tmp_path)
    assert meter.poll() == Energy(None, None, pytest.approx(251.5))
    assert meter.sources() == "counted: 2 GPU"


def test_a_board_that_counts_nothing_says_so(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "pynvml", StandInNVML([()]))
    meter = Meter(tmp_path)
    assert meter.poll().gpu is None
    assert "NVIDIA's driver counts no energy (Not Supported)" in meter.sources()


def test_this_machine_says_in_one_line_what_it_counts():
    assert "\n" not in Meter().sources()
    assert energy.POWERCAP.name == "powercap"
