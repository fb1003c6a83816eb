"""SHD and SSC: the published files, fetched through tonic when asked for."""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass
from pathlib import Path

from shd_genn.errors import DataError
from shd_genn.files import cache_dir, written_aside
from shd_genn.progress import progress

CHUNK = 1 << 22


@dataclass(frozen=True)
class Official:
    """A published dataset: tonic's class, and the file of each split."""

    tonic_class: str
    files: dict[str, str]


DATASETS = {
    "shd": Official("SHD", {"train": "shd_train.h5", "test": "shd_test.h5"}),
    "ssc": Official(
        "SSC", {"train": "ssc_train.h5", "valid": "ssc_valid.h5", "test": "ssc_test.h5"}
    ),
}


def data_folder(name: str, data_dir: str | None) -> Path:
    """Where a dataset's files are: the given folder, else $SHD_GENN_DATA, else the cache.

    In it, a folder SHD or SSC (as tonic makes it) is preferred to the folder itself.
    """
    root = data_dir or os.environ.get("SHD_GENN_DATA")
    folder = Path(root) if root else cache_dir("official")
    inside = folder / DATASETS[name].tonic_class
    return inside if inside.is_dir() else folder


def find(name: str, data_dir: str | None) -> dict[str, Path]:
    """The files of SHD or SSC by split.

    Raises:
        DataError: if one is missing; it is never fetched unasked.
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
    return files


def fetch(name: str, data_dir: str | None) -> Path:
    """Download a dataset through tonic and check it; what is there and whole is not fetched again.

    Args:
        name: ``shd`` or ``ssc``.
        data_dir: Folder to put it in; None: see `data_folder`.

    Returns:
        The folder that holds the files.

    Raises:
        DataError: if tonic is not installed, or the published files cannot be had.
    """
    official = DATASETS[name]
    try:
        import tonic.datasets
    except ImportError as error:
        raise DataError(
            f"fetching {name} needs tonic, which cannot be imported ({error}); "
            "pip install 'shd_genn[shd]'"
        ) from error
    root = data_folder(name, data_dir)
    root = root.parent if root.name == official.tonic_class else root
    dataset_class = getattr(tonic.datasets, official.tonic_class)
    for split, file in official.files.items():
        path = root / official.tonic_class / file
        if path.is_file() and _marked_whole(path):
            print(f"{path}: is there and whole")
            continue
        # h5py must not meet half a file: tonic takes any file of that name for the dataset
        path.unlink(missing_ok=True)
        try:
            _construct(dataset_class, root, split)
        except Exception as error:
            raise DataError(
                f"{name} could not be fetched: {type(error).__name__}: {error}; try again, or "
                f"download {file} from zenkelab.org/datasets by hand and name its folder with "
                "--data-dir"
            ) from error
        _mark_whole(path)
    return root / official.tonic_class


def _construct(dataset_class: type, root: Path, split: str) -> None:
    """Have tonic fetch one file and compare it with its checksum."""
    if dataset_class.__name__ == "SHD":
        dataset_class(save_to=str(root), train=split == "train")
    else:
        dataset_class(save_to=str(root), split=split)


def _mark_whole(path: Path) -> None:
    with written_aside(path.with_suffix(".sha256")) as aside:
        aside.write_text(checksum(path), encoding="utf-8")


def _marked_whole(path: Path) -> bool:
    mark = path.with_suffix(".sha256")
    return mark.is_file() and mark.read_text(encoding="utf-8") == checksum(path)


def checksum(path: Path) -> str:
    """SHA-256 of a file, with a progress bar."""
    digest = hashlib.sha256()
    size = path.stat().st_size
    with path.open("rb") as file, progress(f"Checking {path.name}", size >> 20, "MB") as advance:
        while chunk := file.read(CHUNK):
            digest.update(chunk)
            advance(len(chunk) >> 20)
    return digest.hexdigest()
