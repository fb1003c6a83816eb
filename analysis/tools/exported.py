"""Tables that python -m shd_genn.export writes into the folders of runs."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from analysis.tools.load import Results, each
from shd_genn.support.errors import DataError


def tables(results: Results, name: str, columns: Sequence[str], options: str) -> pd.DataFrame:
    """The tables of all runs that have been reported.

    Args:
        results: Runs; what cannot be used becomes a note of theirs.
        name: The file in a run's folder ``export``.
        columns: Its columns.
        options: Of the command that writes it, for the message.

    Returns:
        The rows of all runs, with the column ``run``.

    Raises:
        DataError: if no run has the table.
    """
    parts = []
    for row in each(results.runs):
        path = Path(str(row.path)) / "export" / name
        if not path.is_file():
            continue
        try:
            table = pd.read_csv(path)
        except ValueError as error:
            results.note(f"{path} cannot be used: {error}")
            continue
        if missing := [column for column in columns if column not in table]:
            results.note(f"{path} cannot be used: it has no column {missing[0]}")
            continue
        parts.append(table.assign(run=row.run))
    if not parts:
        raise DataError(
            f"no run has a file export/{name}; write it with python -m shd_genn.export RUN "
            f"{options}"
        )
    return pd.concat(parts, ignore_index=True)
