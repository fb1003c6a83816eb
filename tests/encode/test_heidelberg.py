"""The Heidelberg Digits' file names and lists."""

import numpy as np
import pytest
import soundfile

from shd_genn.encode.heidelberg import word_and_speaker
from shd_genn.encode.recordings import find_recordings
from shd_genn.support.errors import DataError

NAMES = (
    "lang-english_speaker-00_trial-0_digit-2.flac",
    "lang-german_speaker-11_trial-7_digit-4.flac",
)


@pytest.fixture
def archive(tmp_path):
    (tmp_path / "audio").mkdir()
    for name in NAMES:
        soundfile.write(tmp_path / "audio" / name, np.sin(np.arange(4800) / 10), 48_000)
    (tmp_path / "train_filenames.txt").write_text(f"{NAMES[1]}\n{NAMES[0]}\n\n")
    return tmp_path


def test_names_are_understood():
    assert word_and_speaker(NAMES[0]) == ("two", "00")
    assert word_and_speaker(NAMES[1]) == ("vier", "11")
    assert word_and_speaker("lang-german_speaker-3_trial-9_digit-5.wav") == ("fünf", "03")
    for other in ("lang-french_speaker-00_trial-0_digit-2.flac", "two.flac", f"x{NAMES[0]}"):
        assert word_and_speaker(other) is None


def test_a_list_has_its_own_order_and_a_folder_is_sorted(archive):
    found = find_recordings(archive / "train_filenames.txt")
    assert [(r.word, r.speaker) for r in found.recordings] == [("vier", "11"), ("two", "00")]
    assert found.bad == {} and all(r.path.is_file() for r in found.recordings)
    (archive / "audio/readme.md").write_text("hello")
    folder = find_recordings(archive / "audio")
    assert [r.word for r in folder.recordings] == ["two", "vier"]
    assert folder.notes == ["1 other files and folders are left out"]


def test_what_a_list_names_and_is_not_there_is_bad(archive):
    missing = "lang-german_speaker-01_trial-0_digit-0.flac"
    (archive / "test_filenames.txt").write_text(f"{NAMES[0]}\n{missing}\nvier.flac\n")
    found = find_recordings(archive / "test_filenames.txt")
    assert len(found.recordings) == 1
    reasons = " ".join(found.bad.values())
    assert f"{missing} must be beside" in reasons and "but has vier.flac" in reasons
    (archive / "empty.txt").write_text("\n")
    with pytest.raises(DataError, match="must list recordings, but has no names"):
        find_recordings(archive / "empty.txt")
