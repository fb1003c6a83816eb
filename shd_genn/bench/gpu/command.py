"""`python -m shd_genn.bench gpu FOLDER`: all that there is to know of the cuda backend on this GPU.

It proves (digests, conformance), then measures (speed, epochs), within a time limit, and writes
results.json and results.md into a folder after every row: what it had when it was stopped is kept.
"""

from __future__ import annotations

import json
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import tyro

from shd_genn.backends.cuda.build import gpu_toolchain
from shd_genn.bench.gpu import measure
from shd_genn.bench.gpu.measure import STAGES, WITHOUT_GPU, Lab, Row
from shd_genn.support.cli import parse
from shd_genn.support.errors import refuse_unless, require
from shd_genn.support.files import write_text


@dataclass(frozen=True)
class Options:
    """Prove and measure the cuda backend on the first GPU; leave the machine alone meanwhile."""

    folder: tyro.conf.Positional[Path]
    """Gets results.json and results.md."""
    seconds: float = 390
    """No row is begun later than this; a stage that was not done is named as left out."""
    stages: tuple[str, ...] = tuple(STAGES)
    """What is done, in this order."""
    hidden_sizes: tuple[int, ...] = (64, 256, 1024)
    """Hidden neurons of what is measured."""
    batch_sizes: tuple[int, ...] = (32, 128, 512)
    """Samples of a batch."""

    def __post_init__(self) -> None:
        unknown = [stage for stage in self.stages if stage not in STAGES]
        refuse_unless(
            not unknown,
            f"there are no stages {', '.join(unknown)}",
            f"choose some of {', '.join(STAGES)}",
        )
        for n in (*self.hidden_sizes, *self.batch_sizes):
            require(1 <= n, "1 <= hidden_sizes and batch_sizes", n, "give at least one of each")


def main(arguments: list[str]) -> None:
    """Do as the command line says."""
    options = parse(Options, arguments, prog="python -m shd_genn.bench gpu")
    lab = Lab(
        toolchain=None if {*options.stages} <= WITHOUT_GPU else gpu_toolchain(),
        hidden=options.hidden_sizes,
        batch_sizes=options.batch_sizes,
    )
    run(lab, options.folder, options.seconds, options.stages, print)


def run(
    lab: Lab,
    folder: Path,
    seconds: float,
    stages: tuple[str, ...],
    tell: Callable[[str], object],
) -> dict[str, list[Row]]:
    """Do the stages, and write what they find after every row.

    Args:
        lab: What is measured with.
        folder: Gets results.json and results.md.
        seconds: Time in s after which no new row is begun.
        stages: Names of `STAGES`.
        tell: Called with every row.

    Returns:
        Stage → rows.
    """
    folder.mkdir(parents=True, exist_ok=True)
    begin, results = time.perf_counter(), dict[str, list[Row]]()
    for stage in stages:
        rows = results[stage] = []
        found = STAGES[stage](lab)
        try:
            while time.perf_counter() - begin < seconds:
                if (row := next(found, None)) is None:
                    break
                passed = time.perf_counter() - begin
                rows.append(row | {"after s": round(passed, 1)})
                tell(f"{passed:6.1f} s  {stage}: {_line(row)}")
                _write(folder, results)
            else:
                rows.append({"result": f"left out: {seconds:.0f} s were over"})
        except Exception as error:  # the other stages are worth having, whatever this one met
            tell(traceback.format_exc())
            rows.append({"result": f"failed: {type(error).__name__}: {error}"})
        _write(folder, results)
    return results


def _line(row: Row) -> str:
    return ", ".join(f"{key} {_cell(value)}" for key, value in row.items())


def _cell(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.4g}"
    if isinstance(value, bool):
        return "yes" if value else "NO"
    if isinstance(value, list):
        return measure.cleaned("; ".join(map(str, value)))
    return measure.cleaned(str(value))


def _write(folder: Path, results: dict[str, list[Row]]) -> None:
    write_text(folder / "results.json", json.dumps(results, indent=1) + "\n")
    write_text(folder / "results.md", "\n".join(map(_table, results.items())))


def _table(stage: tuple[str, list[Row]]) -> str:
    name, rows = stage
    columns = list(dict.fromkeys(key for row in rows for key in row))
    lines = [f"## {name}\n"]
    if len(rows) == 1:
        lines += ["| | |", "|---|---|"]
        lines += [f"| {key} | {_cell(value)} |" for key, value in rows[0].items()]
    elif rows:
        lines += [f"| {' | '.join(columns)} |", "|" + "---|" * len(columns)]
        lines += [f"| {' | '.join(_cell(r.get(c, '')) for c in columns)} |" for r in rows]
    return "\n".join(lines) + "\n"
