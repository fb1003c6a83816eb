"""SHD and SSC: the published files, which a command fetches through tonic."""

from __future__ import annotations

import hashlib
import os
import shutil
from dataclasses import dataclass
from pathlib import Path

import h5py

from shd_genn.support.errors import DataError
from shd_genn.support.files import cache_dir, written_aside
from shd_genn.support.progress import progress

CHUNK = 1 << 22


@dataclass(frozen=True)
class Official:
    """A published dataset.

    Attributes:
        tonic_class: Its name in tonic.datasets, and that of the folder tonic puts it in.
        files: The file of each split.
        samples: How many samples each file has (Cramer et al. 2020).
    """

    tonic_class: str
    files: dict[str, str]
    samples: dict[str, int]


DATASETS = {
    "shd": Official(
        "SHD",
        {"train": "shd_train.h5", "test": "shd_test.h5"},
        {"train": 8156, "test": 2264},
    ),
    "ssc": Official(
        "SSC",
        {"train": "ssc_train.h5", "valid": "ssc_valid.h5", "test": "ssc_test.h5"},
        {"train": 75_466, "valid": 9_981, "test": 20_382},
    ),
}


def data_folder(name: str, data_dir: str | None) -> Path:
    """Where a dataset's files are: the given folder, else $SHD_GENN_DATA, else the cache.

    In it, a folder SHD or SSC (as tonic makes it) is preferred to the folder itself.
    """
    root = data_dir or os.environ.get("SHD_GENN_DATA")
    folder = Path(root).expanduser() if root else cache_dir("official")
    inside = folder / DATASETS[name].tonic_class
    return inside if inside.is_dir() else folder


def find(name: str, data_dir: str | None) -> dict[str, Path]:
    """The files of SHD or SSC by split.

    Raises:
        DataError: if one is missing (it is never fetched unasked), or is not what its name says.
    """
    folder = data_folder(name, data_dir)
    files = {split: folder / file for split, file in DATASETS[name].files.items()}
    missing = [path.name for path in files.values() if not path.is_file()]
    if missing:
        raise DataError(
            f"dataset {name} must lie in {folder}, but {', '.join(missing)} is not there; fetch it "
            f"with python -m shd_genn.datasets {name}, or name the folder that has it with "
            "--data-dir or the environment variable SHD_GENN_DATA"
        )
    for split, path in files.items():
        has, published = _n_samples(path), DATASETS[name].samples[split]
        if has != published:
            raise DataError(
                f"{path} must be the published file of {published} samples to count as {name}, but "
                f"has {'no labels' if has is None else has}; fetch it again, or name the folder "
                "as --dataset to train on what is in it"
            )
    return files


def fetch(name: str, data_dir: str | None) -> Path:
    """Download a dataset through tonic, which compares checksums.

    What is there and whole is not fetched again; an archive that is there but not unpacked is
    not, either. Nothing is replaced before its successor is complete.

    Args:
        name: ``shd`` or ``ssc``.
        data_dir: Folder to put it in; None: see `data_folder`.

    Returns:
        The folder that holds the files.

    Raises:
        DataError: if tonic is not installed, or the published files cannot be had.
    """
    official = DATASETS[name]
    folder = data_folder(name, data_dir)
    for split, file in official.files.items():
        path = folder / file
        if path.is_file() and _whole(path, official.samples[split]):
            print(f"{path}: is there and whole")
        else:
            _fetch_file(name, split, path)
    return folder


def _fetch_file(name: str, split: str, path: Path) -> None:
    try:
        import tonic.datasets
    except ImportError as error:
        raise DataError(
            f"fetching {name} needs tonic, which cannot be imported ({error}); "
            "pip install 'shd_genn[shd]'"
        ) from error
    tonic_class = DATASETS[name].tonic_class
    # A folder for each file: beside an unpacked file tonic takes half an archive for a whole one
    staging = path.parent / f".fetching-{path.stem}"
    unpacked = staging / tonic_class / path.name
    unpacked.unlink(missing_ok=True)  # an interrupted unpacking; the archive is checked by tonic
    arguments = {"train": split == "train"} if name == "shd" else {"split": split}
    try:
        staging.mkdir(parents=True, exist_ok=True)
        getattr(tonic.datasets, tonic_class)(save_to=str(staging), **arguments)
        digest = checksum(unpacked)
    except Exception as error:
        raise DataError(
            f"{name} cannot be fetched ({type(error).__name__}: {error}); try again, or download "
            f"{path.name} from zenkelab.org/datasets by hand and name its folder with --data-dir"
        ) from error
    unpacked.replace(path)
    _mark(path, digest)
    shutil.rmtree(staging)


def _whole(path: Path, n_samples: int) -> bool:
    """Whether a file is as it was when it was fetched, or looks whole where that is not known."""
    mark = _mark_of(path)
    if mark.is_file():
        return mark.read_text(encoding="utf-8") == checksum(path)
    return _n_samples(path) == n_samples


def _n_samples(path: Path) -> int | None:
    """The number of labels in a file; None if it is damaged or has none."""
    try:
        with h5py.File(path) as file:
            return len(file["labels"])
    except (OSError, KeyError, TypeError, RuntimeError):
        return None


def _mark_of(path: Path) -> Path:
    return path.with_suffix(".sha256")


def _mark(path: Path, digest: str) -> None:
    with written_aside(_mark_of(path)) as aside:
        aside.write_text(digest, encoding="utf-8")


def checksum(path: Path) -> str:
    """SHA-256 of a file, with a progress bar."""
    digest = hashlib.sha256()
    size = path.stat().st_size
    with path.open("rb") as file, progress(f"Checking {path.name}", size >> 20, "MB") as advance:
        while chunk := file.read(CHUNK):
            digest.update(chunk)
            advance(len(chunk) >> 20)
    return digest.hexdigest()
