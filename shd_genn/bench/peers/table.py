"""The table of the comparison: as a CSV file, on a terminal, and in Markdown."""

from __future__ import annotations

import csv
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import MISSING, asdict, dataclass, fields
from datetime import datetime
from pathlib import Path
from typing import Any, cast

from rich.table import Table

from shd_genn.bench.activity import SPIKES_PER_NEURON, Topology
from shd_genn.bench.peers.case import Setting
from shd_genn.bench.peers.harness import Measured
from shd_genn.bench.peers.libraries import BASELINE, LIBRARIES
from shd_genn.record import environment
from shd_genn.record.rows import write_table
from shd_genn.support.cli import print_table
from shd_genn.support.errors import DataError


@dataclass(frozen=True)
class Row:
    """A row: one peer in one setting; nan where nothing was measured.

    Attributes:
        peer: The peer's name.
        method: How the peer computes gradients.
        topology: Whether hidden neurons feed each other.
        hidden: Number of hidden neurons.
        n_steps: Number of steps in the trial of one second.
        threads: Number of cores.
        spikes_wanted: Spikes per hidden neuron and sample that input weights were scaled for.
        batch: Number of samples in a batch.
        repetitions: Number of batches that were timed.
        train_ms: Training time of the fastest batch, in ms per sample.
        train_median_ms: Training time of the median batch, in ms per sample.
        times_native: Fastest batch, as a multiple of the native engine's in the same setting.
        times_native_median: The same for the median batches.
        setup_s: Time to make the network, in s.
        warm_up_s: Time to find the input weights and for the first batch, in s, compiling included.
        spikes_per_neuron: Spikes per hidden neuron and sample that were reached.
        memory_growth_mb: Memory of network and training in MB, without library and input.
        result: ``measured``, or the reason why there is no measurement.
        versions: Versions of the peer's packages.
        cpu: Name of the processor.
        commit: Commit of this project.
        started: Time when the measurement of the setting began.
        copies: Delayed copies of each input channel.
    """

    peer: str
    method: str
    topology: str
    hidden: int
    n_steps: int
    threads: int
    spikes_wanted: float
    batch: int
    repetitions: int
    train_ms: float
    train_median_ms: float
    times_native: float
    times_native_median: float
    setup_s: float
    warm_up_s: float
    spikes_per_neuron: float
    memory_growth_mb: float
    result: str
    versions: str
    cpu: str
    commit: str
    started: str
    copies: int = 0

    @property
    def setting(self) -> Setting:
        """The work that was done."""
        return Setting(
            cast(Topology, self.topology),
            self.hidden,
            self.n_steps,
            self.threads,
            spikes_per_neuron=self.spikes_wanted,
            copies=self.copies,
        )


def rows_of(setting: Setting, measured: Iterable[Measured], started: datetime) -> list[Row]:
    """The rows of a setting, with machine, commit and time."""
    measured = list(measured)
    nothing = (math.nan, math.nan)
    native = next((m.ms_per_sample for m in measured if m.peer == BASELINE), nothing)
    cpu, commit = environment.cpu_name(), environment.commit() or ""
    rows = []
    for each in measured:
        library, ready = LIBRARIES[each.peer], each.ready
        fastest, median = each.ms_per_sample
        rows.append(
            Row(
                peer=each.peer,
                method=library.method,
                topology=setting.topology,
                hidden=setting.hidden,
                n_steps=setting.n_steps,
                threads=setting.threads,
                spikes_wanted=setting.spikes_per_neuron,
                batch=ready.batch_size if ready else 0,
                repetitions=sum(len(turn.seconds) for turn in each.turns),
                train_ms=fastest,
                train_median_ms=median,
                times_native=fastest / native[0],
                times_native_median=median / native[1],
                setup_s=ready.setup_s if ready else math.nan,
                warm_up_s=ready.warm_up_s if ready else math.nan,
                spikes_per_neuron=ready.spikes_per_neuron if ready else math.nan,
                memory_growth_mb=max((t.memory_growth_mb for t in each.turns), default=math.nan),
                result=each.result,
                versions=library.versions,
                cpu=cpu,
                commit=commit,
                started=f"{started:%Y-%m-%d %H:%M:%S}",
                copies=setting.copies,
            )
        )
    return rows


def write(path: Path, rows: Sequence[Row]) -> None:
    """Write a CSV file."""
    write_table(path, [asdict(row) for row in rows])


def read(path: Path) -> list[Row]:
    """Read a CSV file that `write` wrote.

    Raises:
        DataError: if it is not such a file.
    """
    kinds = {"int": int, "float": float, "str": str}
    try:
        with path.open(newline="", encoding="utf-8") as text:
            return [
                Row(
                    **{
                        f.name: kinds[str(f.type)](given[f.name])
                        for f in fields(Row)
                        if f.name in given or f.default is MISSING  # tables of earlier commits
                    }
                )
                for given in csv.DictReader(text)
            ]
    except (OSError, KeyError, TypeError, ValueError) as error:
        raise DataError(
            f"{path} must be a table of python -m shd_genn.bench peers, but reading it failed with "
            f"{error!r}; choose another file"
        ) from error


def show(rows: Sequence[Row]) -> None:
    """Print a table for each setting."""
    for setting, part in by_setting(rows).items():
        table = Table(title=f"{named(setting)}; {part[0].cpu}, commit {part[0].commit}")
        for column in ("peer", "method"):
            table.add_column(column)
        times = "batch", "ms/sample", "median", "× native", "medians,\n× native"
        heads = *times, "memory\n+MB", "spikes per\nneuron"
        for column in (*heads, "warm-up\ns", "batches\ntimed"):
            table.add_column(column, justify="right")
        table.add_column("result")
        for row in part:
            table.add_row(
                row.peer,
                row.method,
                str(row.batch or ""),
                number(row.train_ms),
                number(row.train_median_ms),
                number(row.times_native),
                number(row.times_native_median),
                number(row.memory_growth_mb),
                number(row.spikes_per_neuron),
                number(row.warm_up_s),
                str(row.repetitions),
                row.result,
            )
        print_table(table)


def markdown(rows: Sequence[Row]) -> str:
    """One table: a line for each peer, a column for each setting.

    A cell has the time in ms per sample, in brackets as a multiple of the native engine's, and the
    memory growth in MB.
    """
    settings = by_setting(rows)
    peers = list(dict.fromkeys(row.peer for row in rows))
    methods = {row.peer: row.method for row in rows}
    heads = ["peer", "gradients", *map(named, settings)]
    lines = [heads, ["---"] * len(heads)]
    for peer in peers:
        cells = (
            next((row for row in part if row.peer == peer), None) for part in settings.values()
        )
        lines.append([peer, methods[peer], *map(_cell, cells)])
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _cell(row: Row | None) -> str:
    if row is None:
        return ""
    if row.result != "measured":
        return row.result.replace("|", "/")
    times = "" if row.peer == BASELINE else f" ({number(row.times_native)}×)"
    return f"{number(row.train_ms)} ms{times}, {number(row.memory_growth_mb)} MB"


def by_setting(rows: Sequence[Row]) -> Mapping[Setting, list[Row]]:
    """The rows of each setting, in order."""
    parts: dict[Setting, list[Row]] = {}
    for row in rows:
        parts.setdefault(row.setting, []).append(row)
    return parts


def named(setting: Setting) -> str:
    """``1000 steps, 256 hidden, recurrent, 2 cores``."""
    cores = f"{setting.threads} core{'s' if setting.threads > 1 else ''}"
    spikes = setting.spikes_per_neuron
    others = "" if spikes == SPIKES_PER_NEURON else f", {number(spikes)} spikes per neuron"
    others += f", {setting.copies} copies of each channel" if setting.copies else ""
    return f"{setting.n_steps} steps, {setting.hidden} hidden, {setting.topology}, {cores}{others}"


def number(value: Any) -> str:
    """A number with three digits; "" for nan."""
    if math.isnan(value):
        return ""
    return f"{value:.0f}" if abs(value) >= 100 else f"{value:.3g}"
