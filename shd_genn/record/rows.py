"""Rows of the tables in a run folder: one type for the code that writes them and that reads them.

A table is a CSV file with a header. Numbers are written so that reading gives the same float64 to
the bit; an empty cell is None. Epochs count from 1 everywhere.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeVar, get_args

import msgspec

from shd_genn.support.errors import DataError
from shd_genn.support.files import write_text

if TYPE_CHECKING:
    import pandas as pd

Split = Literal["train", "valid", "test"]
"""The parts of a dataset: weights are learned from train, the epoch is chosen by valid, and test is
evaluated once, at the end."""
SPLITS: tuple[Split, ...] = get_args(Split)

SPIKES = "spikes_"
"""Prefix of the columns of ``predictions.csv`` that count spikes of hidden populations."""


@dataclass(frozen=True)
class Epoch:
    """Which numbers a row has.

    Attributes:
        epoch: The epoch, counted from 1.
        split: The part of the dataset.
    """

    epoch: int
    split: Split


@dataclass(frozen=True)
class SplitResult:
    """Numbers of a network on a split.

    Attributes:
        accuracy: Part of the samples whose word was recognised, 0 to 1.
        loss: Mean loss of a sample, without the regulariser.
        hidden_spikes_mean: Spikes per hidden neuron and trial: mean over the neurons of all layers.
        hidden_spikes_sd: Standard deviation over the neurons.
        hidden_spikes_min: Of the neuron with fewest spikes.
        hidden_spikes_max: Of the neuron with most spikes.
        silent_neurons: Hidden neurons that never spiked in the split.
        input_spikes: Input spikes per trial.
        synaptic_operations: Per trial; a spike counts one for every neuron that it reaches.
        samples: Number of samples.
        seconds: Time that the split took, in s.
    """

    accuracy: float
    loss: float
    hidden_spikes_mean: float
    hidden_spikes_sd: float
    hidden_spikes_min: float
    hidden_spikes_max: float
    silent_neurons: int
    input_spikes: float
    synaptic_operations: float
    samples: int
    seconds: float


@dataclass(frozen=True)
class EpochRow(SplitResult, Epoch):  # the fields of the last base are the first columns
    """A row of ``metrics.csv``: one split in one epoch.

    Attributes:
        learning_rate: Learning rate of the weights in the epoch's last batch; None for splits that
            are not trained on.
        cpu_joules: Energy that the processor's packages took meanwhile, in J; None where the
            machine does not count it. That of other programs is included.
        dram_joules: Of their memory, likewise.
        gpu_joules: Of all GPUs, likewise.
        training_operations: Synaptic operations of the forward and the backward pass, per trial;
            see `shd_genn.learning.methods.operations`. None for splits that are not trained on.
    """

    learning_rate: float | None = None
    cpu_joules: float | None = None
    dram_joules: float | None = None
    gpu_joules: float | None = None
    training_operations: float | None = None


@dataclass(frozen=True)
class PredictionRow:
    """A row of ``predictions.csv``: one test sample.

    Attributes:
        sample: The sample's index in the dataset's file, counted from 0.
        label: The class.
        word: The word of the class.
        predicted: The class that the network answered.
        predicted_word: The word of that class.
        correct: Whether the two are the same.
        speaker: The speaker's name, "" if it is not known.
        seen_speaker: Whether the network was trained on this speaker; None if it is not known.
        loss: The sample's loss.
        input_spikes: Input spikes within the trial.
        hidden_spikes: Hidden population → its spikes; a column ``spikes_POPULATION`` each.
    """

    sample: int
    label: int
    word: str
    predicted: int
    predicted_word: str
    correct: bool
    speaker: str
    seen_speaker: bool | None
    loss: float
    input_spikes: int
    hidden_spikes: dict[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class FoldRow:
    """A row of ``folds.csv``: one fold of a cross-validation.

    Attributes:
        speaker: The speaker that was left out.
        fold: The folder of the fold's run.
        samples: The speaker's samples.
        best_epoch: The chosen epoch, counted from 1.
        accuracy: Accuracy on the speaker in that epoch.
        training_accuracy: Accuracy on the other speakers in that epoch.
    """

    speaker: str
    fold: str
    samples: int
    best_epoch: int
    accuracy: float
    training_accuracy: float


Row = EpochRow | PredictionRow | FoldRow
AnyRow = TypeVar("AnyRow", EpochRow, PredictionRow, FoldRow)


def write_rows(path: Path, rows: Sequence[Row]) -> None:
    """Write a table of a run folder."""
    write_text(path, rows_as_text(rows))


def rows_as_text(rows: Sequence[Row]) -> str:
    """The text of a table, the same for the same rows."""
    return _as_csv([_cells(row) for row in rows])


def read_rows(path: Path, kind: type[AnyRow]) -> list[AnyRow]:
    """The rows of a table; none if the file does not exist.

    Args:
        path: The CSV file.
        kind: `EpochRow`, `PredictionRow` or `FoldRow`.

    Raises:
        DataError: if the file cannot be read, or a cell is missing or of the wrong type.
    """
    try:
        with path.open(newline="", encoding="utf-8") as file:
            records = list(csv.DictReader(file))
    except FileNotFoundError:
        return []
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"{path} cannot be read: {error}; restore the file") from error
    return [_row(path, line, record, kind) for line, record in enumerate(records, 2)]


def to_frame(rows: Iterable[Row]) -> pd.DataFrame:
    """The rows as a pandas table whose columns are those of the CSV file."""
    import pandas as pd  # only here: it takes a while to import

    return pd.DataFrame([_cells(row, empty=None) for row in rows])


def write_table(path: Path, rows: Sequence[Mapping[str, object]]) -> None:
    """Write a CSV file with a column for every key."""
    write_text(path, _as_csv(rows))


def _as_csv(rows: Sequence[Mapping[str, object]]) -> str:
    text = io.StringIO(newline="")
    if rows:
        columns = dict.fromkeys(key for row in rows for key in row)
        writer = csv.DictWriter(text, list(columns), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
    return text.getvalue()


def _cells(row: Row, empty: object = "") -> dict[str, object]:
    """Column → value."""
    values = {f.name: getattr(row, f.name) for f in fields(row)}
    spikes = values.pop("hidden_spikes", {})
    values |= {f"{SPIKES}{population}": count for population, count in spikes.items()}
    return {name: empty if value is None else value for name, value in values.items()}


def _row(path: Path, line: int, record: Mapping[str | None, Any], kind: type[AnyRow]) -> AnyRow:
    if None in record or None in record.values():
        raise DataError(f"line {line} of {path} has too few or too many cells; restore the file")
    values: dict[str, Any] = {}
    for column, text in record.items():
        if column is not None and column.startswith(SPIKES):
            values.setdefault("hidden_spikes", {})[column.removeprefix(SPIKES)] = text
        else:
            values[str(column)] = None if text == "" and column not in _TEXT else text
    try:
        return msgspec.convert(values, kind, strict=False)
    except msgspec.ValidationError as error:
        problem = str(error).replace("$.", "").replace("`", "")
        raise DataError(f"line {line} of {path} is damaged: {problem}; restore the file") from error


_TEXT = ("speaker", "word", "predicted_word", "fold")
"""Columns in which "" is text."""
