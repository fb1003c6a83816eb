"""report.md: what an exported network costs, and what becomes of it elsewhere."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from shd_genn.export import off_grid
from shd_genn.export.c_source import memory
from shd_genn.export.costs import OPERATIONS_PER_UPDATE, Costs
from shd_genn.export.quantise import Bits, rounded
from shd_genn.export.trained import TrainedNetwork
from shd_genn.network.operations import OPERATION_PJ
from shd_genn.spikes.dataset import SpikeDataset

PRECISION = {32: "float32", 8: "int8", 4: "int8"}
"""Bits of a weight → the kind of addition; 4 bits are added as 8."""

BITS_COLUMNS = (
    *("bits", "fine_tuned", "accuracy", "flash_bytes", "ram_bytes"),
    *("synaptic_operations", "dataset", "samples"),
)
"""Columns of ``bits.csv``; synaptic operations are those of a word."""

STEPS_COLUMNS = (
    *("step", "delay_ms", "fine_tuned", "accuracy", "same_answers"),
    *("trained_step_ms", "dataset", "samples"),
)
"""Columns of ``steps.csv``; a step is in ms, or ``exact`` for none."""

Row = Sequence[str]


@dataclass(frozen=True)
class BitsRow:
    """A network whose weights have few bits.

    Attributes:
        bits: Of a weight.
        accuracy: Part of the samples whose word was recognised.
        flash: Bytes of weights and constants.
        ram: Bytes of the state.
        tuned: Whether it was fine-tuned for it.
    """

    bits: Bits
    accuracy: float
    flash: int
    ram: int
    tuned: bool = False


def bits_row(
    trained: TrainedNetwork, dataset: SpikeDataset, bits: Bits, backend: str, tuned: bool = False
) -> BitsRow:
    """Accuracy and memory of a network whose weights are rounded to so many bits."""
    few = replace(trained, parameters=rounded(trained.network, trained.parameters, bits))
    predicted = off_grid.predict(few, dataset, backend)
    needed = memory(trained, bits)
    accuracy = float(np.mean(predicted == dataset.labels))
    return BitsRow(bits, accuracy, needed.flash, needed.ram, tuned)


def text(
    trained: TrainedNetwork,
    dataset: SpikeDataset,
    costs: Costs | None,
    bits: Sequence[BitsRow],
    places: Sequence[off_grid.Accuracy],
) -> str:
    """The report in Markdown.

    Args:
        trained: The network.
        dataset: The samples that were tested.
        costs: What it costs to run; None: it could not be counted.
        bits: A row for each precision.
        places: A row for each grid and delay; none: it was not asked for.
    """
    parts = [
        f"# {trained.name}\n\nMeasured on {len(dataset)} test samples of {dataset.name}, "
        f"in steps of {trained.dt_ms:g} ms, {trained.n_steps} of them a word."
    ]
    if costs is not None:
        parts.append(_costs(trained, costs))
    parts.append(_bits(bits, costs))
    if places:
        parts.append(_places(places))
    return "\n\n".join(parts) + "\n"


def bits_table(rows: Sequence[BitsRow], dataset: SpikeDataset, costs: Costs | None) -> str:
    """The rows of each precision as CSV, for ``analysis/accuracy_by_bits.py``."""
    operations = "" if costs is None else repr(costs.synaptic_operations)
    lines: list[Sequence[object]] = []
    for row in rows:
        given = (row.accuracy, row.flash, row.ram, operations, dataset.name, len(dataset))
        lines.append((row.bits, int(row.tuned), *given))
    return _csv(BITS_COLUMNS, lines)


def steps_table(
    trained: TrainedNetwork, dataset: SpikeDataset, places: Sequence[off_grid.Accuracy]
) -> str:
    """The rows of each grid and delay as CSV, for ``analysis/accuracy_by_step.py``."""
    of_all = (trained.dt_ms, dataset.name, len(dataset))
    lines = [(p.step, p.delay_ms, int(p.tuned), p.accuracy, p.same, *of_all) for p in places]
    return _csv(STEPS_COLUMNS, lines)


def _csv(columns: Sequence[str], lines: Sequence[Sequence[object]]) -> str:
    table = io.StringIO()
    csv.writer(table, lineterminator="\n").writerows([columns, *lines])
    return table.getvalue()


def _costs(trained: TrainedNetwork, costs: Costs) -> str:
    word_ms = trained.n_steps * trained.dt_ms
    rows = [
        ("input spikes", f"{costs.input_spikes:,.0f}", ""),
        ("spikes of neurons", f"{costs.spikes:,.0f}", ""),
        (
            "synaptic operations",
            f"{costs.synaptic_operations:,.0f}",
            f"{costs.synaptic_operations / word_ms:,.0f} per ms; additions, weights of 0 left out",
        ),
        ("the same, dense", f"{costs.dense_operations:,}", "if every input counted in every step"),
        (
            "membrane updates",
            f"{costs.membrane_updates:,.0f}",
            f"{OPERATIONS_PER_UPDATE} operations each",
        ),
        ("activation sparsity", f"{costs.activation_sparsity:.4f}", f"at {trained.dt_ms:g} ms"),
        ("connection sparsity", f"{costs.connection_sparsity:.4f}", ""),
        ("footprint", f"{costs.footprint_bytes:,} bytes", "all parameters as float32"),
    ]
    table = _table(("a word costs", "number", "note"), rows)
    return (
        f"## Operations\n\nCounted as NeuroBench does, averaged over {costs.samples} samples.\n\n"
        f"{table}"
    )


def _bits(rows: Sequence[BitsRow], costs: Costs | None) -> str:
    lines = []
    for row in rows:
        pj = OPERATION_PJ[PRECISION[row.bits]]
        energy = "" if costs is None else f"{costs.synaptic_operations * pj / 1000:,.1f}"
        tuned = f"{row.bits}{', fine-tuned' if row.tuned else ''}"
        lines.append((tuned, f"{row.accuracy:.2%}", f"{row.flash:,}", f"{row.ram:,}", energy))
    heads = ("bits", "accuracy", "flash (bytes)", "RAM (bytes)", "additions (nJ)")
    return (
        "## Bits of a weight\n\n"
        f"{_table(heads, lines)}\n\n"
        "Energy is that of the additions alone, 45 nm at 0.9 V (Horowitz 2014). Memory traffic is "
        "not in it, and usually takes most: 5 pJ for 32 bits from 8 kB of SRAM, 640 pJ from DRAM. "
        "Compare operations first."
    )


def _places(places: Sequence[off_grid.Accuracy]) -> str:
    rows: list[Row] = [
        (
            "fine-tuned" if p.tuned else "",
            "none: exact times" if p.step == "exact" else f"{p.step:g}",
            f"{p.delay_ms:g}",
            f"{p.accuracy:.2%}",
            f"{p.same:.2%}",
        )
        for p in places
    ]
    heads = ["network", "step (ms)", "delay of a spike (ms)", "accuracy", "same answers"]
    if not any(p.tuned for p in places):
        heads, rows = heads[1:], [row[1:] for row in rows]
    return (
        "## Off its grid\n\nA network adapts to the steps that it was trained with, which is "
        f"the first row.\n\n{_table(heads, rows)}"
    )


def _table(heads: Row, rows: Sequence[Row]) -> str:
    lines = [heads, ["---"] * len(heads), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
