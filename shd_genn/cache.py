"""`python -m shd_genn.cache`: where the cache is, how large it is, and emptying it."""

from __future__ import annotations

import shutil
from dataclasses import dataclass, field
from pathlib import Path

from shd_genn.support.cli import command, parse
from shd_genn.support.errors import refuse_unless
from shd_genn.support.files import cache_root

CONTENT = {
    "cochlea": "transfer matrices of the cochlea; made again when recordings are encoded",
    "genn-code": "code that GeNN has generated; compiled again when a network is trained",
    "libraries": "compiled C++ of engines and cochlea; compiled again when it is needed",
    "neurons": "what was derived of neurons' equations; derived again when a network is trained",
    "official": "SHD and SSC; fetched again with python -m shd_genn.datasets",
    "spoken-digits": "the embedded dataset; made again when it is trained on",
}
"""What lies in each folder of the cache, and how it comes back."""
KEPT = frozenset({"official"})
"""Folders that are emptied by name only: a download is slow."""


@dataclass(frozen=True)
class Options:
    """Show where the cache is and how large it is, or empty it."""

    empty: bool = False
    """Delete what can be made again; downloaded datasets stay, unless they are in --only."""
    only: tuple[str, ...] = field(default=())
    """With --empty: the folders to delete, e.g. cochlea libraries."""


def main() -> None:
    """Show or empty the cache as the command line says."""
    options = parse(Options, prog="python -m shd_genn.cache")
    root = cache_root()
    folders = sorted(path for path in root.iterdir() if path.is_dir()) if root.is_dir() else []
    print(f"{root}: {_megabytes(sum(map(size, folders)))}")
    names = [folder.name for folder in folders]
    for name in options.only:
        refuse_unless(
            name in names,
            f"the cache has no folder {name}, but {', '.join(names) or 'none'}",
            "choose one of these, or leave --only out",
        )
    for folder in folders:
        chosen = folder.name in options.only if options.only else folder.name not in KEPT
        line = f"  {folder.name:15} {_megabytes(size(folder)):>10}  {CONTENT.get(folder.name, '')}"
        if options.empty and chosen:
            shutil.rmtree(folder, ignore_errors=True)  # what is in use stays
            line += " (deleted)"
        print(line)


def size(folder: Path) -> int:
    """Bytes of all files in a folder and in those inside it."""
    total = 0
    for path in folder.rglob("*"):
        try:
            total += path.stat().st_size if path.is_file() else 0
        except OSError:  # deleted meanwhile
            continue
    return total


def _megabytes(n_bytes: int) -> str:
    return f"{n_bytes / 1e6:.1f} MB"


if __name__ == "__main__":
    command(main)
