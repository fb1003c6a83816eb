"""What is written into the tables of a run folder is read as the same values, or refused."""

import math

import pytest

from shd_genn.record.rows import EpochRow, FoldRow, PredictionRow, read_rows, to_frame, write_rows
from shd_genn.record.summary import RunResult, Summary, read_summary, write_summary
from shd_genn.support.errors import DataError

EPOCH = EpochRow(1, "train", 1 / 3, 0.1, 2.5, 1e-17, 0.0, 7.0, 3, 80.0, 1e6, 44, 0.25, 1e-3)
PREDICTION = PredictionRow(
    4, 1, "nein, nein", 0, "", False, "", None, math.pi, 80, {"hidden0": 5, "second": 0}
)
FOLD = FoldRow("anna/b", "fold-00_anna_b", 18, 3, 0.5, 0.25)


@pytest.mark.parametrize(
    "row", [EPOCH, PREDICTION, FOLD, EpochRow(*list(vars(EPOCH).values())[:-1], None)]
)
def test_rows_are_read_as_they_were_written(tmp_path, row):
    path = tmp_path / "table.csv"
    write_rows(path, [row, row])
    assert read_rows(path, type(row)) == [row, row]


def test_a_missing_table_has_no_rows(tmp_path):
    assert read_rows(tmp_path / "metrics.csv", EpochRow) == []


@pytest.mark.parametrize(
    ("before", "after", "message"),
    [
        ("train", "trian", "line 2 .* is damaged: Invalid enum value 'trian' - at split"),
        (",44,", ",many,", "line 2 .* Expected int, got str - at samples"),
        (",44,0.25,0.001", "", "line 2 .* too few or too many cells"),
        ("accuracy", "acuracy", "line 2 .* missing required field accuracy"),
        (",44,", ",,", "line 2 .* Expected int, got null - at samples"),
    ],
)
def test_damaged_tables_are_refused_with_the_line(tmp_path, before, after, message):
    path = tmp_path / "metrics.csv"
    write_rows(path, [EPOCH])
    text = path.read_text()
    assert before in text
    path.write_text(text.replace(before, after))
    with pytest.raises(DataError, match=message):
        read_rows(path, EpochRow)


def test_a_table_that_is_no_text_is_refused(tmp_path):
    path = tmp_path / "metrics.csv"
    path.write_bytes(b"\xff\xfe\x00\x80" * 40)
    with pytest.raises(DataError, match=r"cannot be read: .*; restore the file"):
        read_rows(path, EpochRow)


def test_a_frame_has_the_columns_of_the_file():
    frame = to_frame([PREDICTION])
    assert frame["spikes_hidden0"].tolist() == [5] and frame["spikes_second"].tolist() == [0]
    assert frame["seen_speaker"].tolist() == [None]
    assert to_frame([EPOCH])["accuracy"].tolist() == [1 / 3]


RESULT = RunResult("tiny", 4, 2, "training accuracy", 0.5, 0.1, "native", 0.0, 80)


@pytest.mark.parametrize(
    "summary",
    [
        Summary("running", hidden={"a": 3, "b": 4}),
        Summary("failed", "the disk is full", notes=("one", "two")),
        Summary("complete", hidden={"a": 3}, result=RESULT),
    ],
)
def test_summaries_are_read_as_they_were_written(tmp_path, summary):
    write_summary(tmp_path / "summary.json", summary)
    assert read_summary(tmp_path / "summary.json") == summary


def test_damaged_summaries_are_refused(tmp_path):
    path = tmp_path / "summary.json"
    assert read_summary(path) is None
    for text, message in (
        ('{"state": "comp', "cannot be read"),
        ("[1]", "holds no JSON object"),
        ('{"state": "done"}', "Invalid enum value 'done' - at state"),
        ('{"state": "complete"}', "missing required field"),
    ):
        path.write_text(text)
        with pytest.raises(DataError, match=message):
            read_summary(path)
