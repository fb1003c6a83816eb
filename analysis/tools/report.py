"""All figures and tables that some results allow, and one page of them that works offline."""

from __future__ import annotations

import base64
import importlib
import math
import shlex
import traceback
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from types import ModuleType
from typing import Any

import jinja2
import pandas as pd

from analysis.tools import script, style
from analysis.tools.configurations import datasets, with_names, words
from analysis.tools.load import Results, each
from analysis.tools.studies import Study
from analysis.tools.tables import accuracy, p_value
from shd_genn.record import environment
from shd_genn.support.errors import DataError, ShdGennError
from shd_genn.support.files import write_text
from shd_genn.support.progress import progress

FIGURES = (
    "comparison",
    "methods",
    "ablation",
    "accuracy_by_size",
    "learning_curves",
    "loss_curves",
    "readout_weight",
    "accuracy_by_time",
    "accuracy_by_spikes",
    "costs",
    "accuracy_by_bits",
    "accuracy_by_step",
    "spike_counts",
    "silent_neurons",
    "epoch_time",
    "energy",
    "memory",
    "memory_by_steps",
    "peers",
    "roofline",
    "scaling",
    "confusion",
    "speakers",
    "raster",
    "parameters",
    "study_progress",
    "study_importance",
    "study_parallel",
    "study_slice",
    "study_pareto",
    "study_samplers",
    "cochleagram",
)
"""Modules of the folder analysis, in the page's order."""


Table = tuple[list[str], list[list[tuple[str, Any]]]]
"""Column titles, and rows of cells: what is shown, what it is sorted by."""


@dataclass(frozen=True)
class Drawn:
    """A figure on the page.

    Attributes:
        name: Of its file, without ending.
        title: The first line of its script's docstring.
        caption: The rest of it.
        command: What makes it.
        picture: The figure as a data URI.
    """

    name: str
    title: str
    caption: str
    command: str
    picture: str


@dataclass
class Page:
    """What the page shows.

    Attributes:
        drawn: The figures.
        missing: Figure → why it could not be drawn.
        failed: Figure → what went wrong in drawing it: bugs of ours.
        tables: By title.
    """

    drawn: list[Drawn] = field(default_factory=list)
    missing: dict[str, str] = field(default_factory=dict)
    failed: dict[str, str] = field(default_factory=dict)
    tables: dict[str, Table] = field(default_factory=dict)


def make(results: Results, paths: Sequence[Path], output: Path) -> Page:
    """Write figures, tables and page into a folder.

    Args:
        results: Everything that was read.
        paths: Where it was read from; the commands on the page name them.
        output: The folder; made if it is missing.

    Raises:
        ConfigError: if the folder cannot be written.
    """
    page = Page()
    loaded: dict[str, Any] = {}
    with progress("Drawing", len(FIGURES), "figures") as advance:
        for figure in FIGURES:
            module = importlib.import_module(f"analysis.{figure}")
            for choice in _choices(module, results):
                loaded[figure] = _draw(page, module, results, paths, output, choice)
            advance(note=figure)
    page.tables = _tables(results, loaded)
    _write_tables(results, output)
    template = (Path(__file__).parent / "report.html").read_text(encoding="utf-8")
    html = jinja2.Environment(autoescape=True, trim_blocks=True, lstrip_blocks=True)
    content = html.from_string(template).render(
        page=page,
        problems=results.problems,
        counts=_counts(results),
        command=_command("-m analysis", paths, output),
        made=f"{datetime.now().astimezone():%Y-%m-%d %H:%M %Z}",
        commit=environment.commit(),
    )
    write_text(output / "index.html", content)
    return page


def _choices(module: ModuleType, results: Results) -> Iterator[tuple[str, str] | None]:
    """What a figure is drawn for: once, or for each dataset or study, as ``--OPTION VALUE``."""
    each = getattr(module, "EACH", None)
    found: list[str] = []
    if each == "study":
        found = [study.name for study in results.studies]
    elif each == "dataset":
        try:
            found = datasets(results.tested())
        except DataError:
            found = []
    yield from [(each, name) for name in found] if each and found else [None]


def _draw(
    page: Page,
    module: ModuleType,
    results: Results,
    paths: Sequence[Path],
    output: Path,
    choice: tuple[str, str] | None,
) -> Any:
    """Draw a figure and put it on the page; what it shows, or None if it could not be drawn."""
    figure = module.__name__.rpartition(".")[2]
    name = f"{figure}-{_slug(choice[1])}" if choice else figure
    by_study = getattr(module, "EACH", None) == "study"
    given = getattr(module, "Options", script.StudyOptions if by_study else script.Options)
    options = given(
        runs=tuple(paths), output=output / f"{name}.pdf", **dict([choice] if choice else [])
    )
    try:
        numbers = module.load(results, options)
        with style.applied():
            made = module.plot(numbers)
            script.save(made, options.output)
            made.set_layout_engine("none")  # it has its layout, and finding one takes long
            script.save(made, output / f".{name}.svg")
        if hasattr(module, "table"):
            write_text(output / f"{name}.tex", module.table(numbers))
    except ShdGennError as error:
        page.missing[name] = str(error)
        return None
    except Exception as error:  # the other figures are worth having; the command fails at its end
        page.failed[name] = f"{type(error).__name__}: {error}"
        traceback.print_exc()
        return None
    svg = output / f".{name}.svg"
    picture = base64.b64encode(svg.read_bytes()).decode()
    svg.unlink()
    title, _, caption = (module.__doc__ or name).strip().partition("\n\n")
    command = _command(f"analysis/{figure}.py", paths, Path(f"{name}.pdf"), choice)
    title = title.replace("\n", " ").rstrip(".") + (f" ({choice[1]})" if choice else "")
    page.drawn.append(Drawn(name, title, caption, command, f"data:image/svg+xml;base64,{picture}"))
    return numbers


def _slug(text: str) -> str:
    return "".join(c if c.isalnum() or c in "-_." else "-" for c in text)


def _command(
    what: str, paths: Sequence[Path], output: Path, choice: tuple[str, str] | None = None
) -> str:
    chosen = [f"--{choice[0]}", choice[1]] if choice else []
    return f"python {what} {shlex.join([*map(str, paths), *chosen, '-o', str(output)])}"


def _counts(results: Results) -> str:
    """``runs: 35 complete, 1 running, on arabic, english; study tpe: 25 trials``."""
    parts = []
    if len(results.runs):
        states = results.runs["state"].value_counts()
        listed = ", ".join(f"{count} {state}" for state, count in states.items())
        parts.append(f"runs: {listed}, on {', '.join(datasets(results.runs))}")
    parts += [f"study {study.name}: {len(study.trials)} trials" for study in results.studies]
    parts += [f"benchmark measurements: {len(results.bench)}"] if len(results.bench) else []
    parts += [f"recordings: {len(results.sounds)}"] if results.sounds else []
    return "; ".join(parts)


def _tables(results: Results, loaded: dict[str, Any]) -> dict[str, Table]:
    tables = {}
    if loaded["comparison"]:
        rows = loaded["comparison"].rows
        columns: dict[str, Any] = {
            "dataset": rows["dataset"],
            "configuration": rows["configuration"],
            "n": rows["n"],
            "test accuracy (%)": [(accuracy(r.mean, r.sd), r.mean) for r in each(rows)],
            "95 % interval": [
                (f"{100 * r.low:.1f} – {100 * r.high:.1f}", r.low) for r in each(rows)
            ],
            "spikes per neuron": [(f"{spikes:.1f}", spikes) for spikes in rows["spikes"]],
            "s per epoch": [(f"{seconds:.2f}", seconds) for seconds in rows["seconds"]],
        }
        tables["Configurations"] = _cells(columns)
    if loaded["ablation"]:
        rows = loaded["ablation"].rows
        columns = {
            "dataset": rows["dataset"],
            "change to the best by validation": rows["change"],
            "pairs": rows["n"],
            "difference (points)": [
                ("" if math.isnan(d) else f"{100 * d:+.1f}", d) for d in rows["difference"]
            ],
            "test": rows["test"],
            "p (Holm)": [(p_value(p), p) for p in rows["p"]],
        }
        tables["Paired tests"] = _cells(columns)
    if len(results.runs):
        tables["Runs"] = _cells(_runs(results))
    for study in results.studies:
        tables[f"Trials of study {study.name}"] = _cells(_trials(study))
    return tables


def _trials(study: Study) -> dict[str, pd.Series]:
    """The columns that a page has room for; the CSV file has all."""
    trials = study.trials
    known = ["number", "state", *study.objectives, "seconds"]
    columns = {name: trials[name] for name in known if name in trials}
    return columns | {words(name): trials[f"params_{name}"] for name in study.parameters}


def _runs(results: Results) -> dict[str, Any]:
    names = with_names(results, results.runs)["configuration"].reindex(
        results.runs.index, fill_value=""
    )
    runs = results.runs.assign(configuration=names)
    columns = {
        "run": "run",
        "state": "state",
        "problem": "problem",
        "dataset": "dataset",
        "configuration": "configuration",
        "seed": "seed",
        "test accuracy": "test_accuracy",
        "chosen epoch's accuracy": "best_accuracy",
        "epochs": "epochs_done",
        "spikes per neuron": "test_hidden_spikes_mean",
        "s per epoch": "seconds_per_epoch",
        "commit": "commit",
        "device": "device",
        "started": "started",
    }
    return {title: runs[column] for title, column in columns.items() if column in runs}


def _cells(columns: dict[str, Any]) -> Table:
    """Titles, and rows of (shown, sorted by)."""
    rows = zip(*([_cell(value) for value in values] for values in columns.values()), strict=True)
    return list(columns), [list(row) for row in rows]


def _cell(value: Any) -> tuple[str, Any]:
    if isinstance(value, tuple):
        return value
    if value is None or (isinstance(value, float) and pd.isna(value)):
        return "", ""
    return (f"{value:.4g}" if isinstance(value, float) else str(value)), value


def _write_tables(results: Results, output: Path) -> None:
    """The tables that everything was made from, for whoever wants to go on."""
    for name, table in (("runs", results.runs), ("epochs", results.epochs)):
        if len(table):
            write_text(output / f"{name}.csv", table.to_csv(index=False))
    for study in results.studies:
        write_text(output / f"trials-{_slug(study.name)}.csv", study.trials.to_csv(index=False))
