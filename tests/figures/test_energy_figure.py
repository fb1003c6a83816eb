"""Time and energy by batch size against the table's numbers."""

import pytest
from helpers import fakes
from helpers.drawn import PLAIN

from analysis import energy
from analysis.tools.load import read


def test_energy_of_an_epoch_is_the_sum_of_what_was_counted(tmp_path):
    numbers = energy.load(read([fakes.energy(tmp_path / "bench.csv")]), PLAIN)
    table = numbers.table.set_index(["series", "batch"])["kilojoules"]
    assert table["native, CPU, recurrent, 64, 2 threads", 1] == pytest.approx(0.110 * 8.156)
    assert table["genn, RTX 4090, recurrent, 64, 1 threads", 32] == pytest.approx(0.082 * 8.156)
    figure = energy.plot(numbers)
    assert [ax.get_ylabel() for ax in figure.axes] == ["s per epoch", "kJ per epoch"]
    heights = [bar.get_height() for bar in figure.axes[0].patches if bar.get_height() > 0]
    assert sorted(heights) == [8, 10, 30]


def test_without_counters_there_are_times_only(tmp_path):
    path = fakes.energy(tmp_path / "bench.csv")
    lines = path.read_text().splitlines()
    path.write_text("\n".join([lines[0], *(line.rsplit(",", 3)[0] + ",,," for line in lines[1:])]))
    figure = energy.plot(energy.load(read([path]), PLAIN))
    assert [ax.get_ylabel() for ax in figure.axes] == ["s per epoch"]
