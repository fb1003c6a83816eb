"""SHD and SSC: the published files, and their download through tonic."""

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
        tonic_class: Name of its class in tonic.datasets, and of tonic's folder for it.
        files: Split → file name.
        samples: Split → number of samples (Cramer et al. 2020).
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
    """The folder of a dataset's files: the given folder, else $SHD_GENN_DATA, else the cache.

    If it contains a folder SHD or SSC (as tonic makes it), that folder is used instead.
    """
    root = data_dir or os.environ.get("SHD_GENN_DATA")
    folder = Path(root).expanduser() if root else cache_dir("official")
    inside = folder / DATASETS[name].tonic_class
    return inside if inside.is_dir() else folder


def find(name: str, data_dir: str | None) -> dict[str, Path]:
    """The files of SHD or SSC by split.

    Raises:
        DataError: if a file is missing, or is not the published one. Nothing is downloaded here.
    """
    folder = data_folder(name, data_dir)
    files = {split: folder / file for split, file in DATASETS[name].files.items()}
    missing = [path.name for path in files.values() if not path.is_file()]
    if missing:
        raise DataError(
            f"dataset {name} must lie in {folder}, but {', '.join(missing)} is missing; download "
            f"it with python -m shd_genn.datasets {name}, or give its folder by --data-dir or the "
            "environment variable SHD_GENN_DATA"
        )
    for split, path in files.items():
        has, published = _n_samples(path), DATASETS[name].samples[split]
        if has != published:
            raise DataError(
                f"{path} must be the published file of {published} samples to count as {name}, but "
                f"has {'no labels' if has is None else has}; download it again, or give the folder "
                "as --dataset to train on its content"
            )
    return files


def fetch(name: str, data_dir: str | None) -> Path:
    """Download a dataset through tonic, which compares checksums.

    Complete files are not downloaded again, and neither is a complete archive that is not unpacked
    yet. A file is replaced only when the new one is complete.

    Args:
        name: ``shd`` or ``ssc``.
        data_dir: Folder for the files; None: see `data_folder`.

    Returns:
        The folder that holds the files.

    Raises:
        DataError: if tonic is not installed, or the download fails.
    """
    official = DATASETS[name]
    folder = data_folder(name, data_dir)
    for split, file in official.files.items():
        path = folder / file
        if path.is_file() and _whole(path, official.samples[split]):
            print(f"{path}: complete")
        else:
            _fetch_file(name, split, path)
    return folder


def _fetch_file(name: str, split: str, path: Path) -> None:
    try:
        import tonic.datasets
    except ImportError as error:
        raise DataError(
            f"the download of {name} needs tonic, which cannot be imported ({error}); "
            "install it with pip install 'shd_genn[shd]'"
        ) from error
    tonic_class = DATASETS[name].tonic_class
    # each file has a folder of its own: beside an unpacked file, tonic does not check an archive
    staging = path.parent / f".fetching-{path.stem}"
    unpacked = staging / tonic_class / path.name
    unpacked.unlink(missing_ok=True)  # left by an interrupted unpacking
    arguments = {"train": split == "train"} if name == "shd" else {"split": split}
    try:
        staging.mkdir(parents=True, exist_ok=True)
        getattr(tonic.datasets, tonic_class)(save_to=str(staging), **arguments)
        digest = checksum(unpacked)
    except Exception as error:
        raise DataError(
            f"the download of {name} failed ({type(error).__name__}: {error}); try again, or "
            f"download {path.name} from zenkelab.org/datasets by hand and give its folder by "
            "--data-dir"
        ) from error
    unpacked.replace(path)
    _mark(path, digest)
    shutil.rmtree(staging)


def _whole(path: Path, n_samples: int) -> bool:
    """Whether a file has the checksum that was recorded, or else the right number of samples."""
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
