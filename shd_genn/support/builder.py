"""C++ source → shared library, compiled once and kept in the user's cache."""

from __future__ import annotations

import ctypes
import functools
import hashlib
import os
import platform
import re
import shlex
import shutil
import subprocess
from pathlib import Path

from shd_genn.support.errors import BuildError
from shd_genn.support.files import cache_dir, write_text, written_aside
from shd_genn.support.version import __version__

FLAGS = (
    "-std=c++17",
    "-O3",
    "-march=native",
    "-fno-math-errno",  # lets sqrt and exp be vectorised; changes no result
    "-fno-trapping-math",  # lets choices between floats be vectorised; changes no result
    "-fPIC",
    "-shared",
    "-pthread",
    "-Wall",
    "-Wextra",
)
INCLUDE = Path(__file__).parent / "include"
"""Headers that all kernels share."""
DIRECTIVE = re.compile(r'^#include "([^"]+)"\n', re.MULTILINE)


def assemble(source: str, *folders: Path) -> str:
    """Put every ``#include "file"`` of ``source`` in its place, each file once.

    One self-contained text is easy to read when something is wrong with it, and its digest covers
    all that it is made of.

    Args:
        source: C++ text.
        folders: Where the included files lie, besides those that all kernels share.
    """
    seen: set[str] = set()

    def insert(match: re.Match[str]) -> str:
        name = match.group(1)
        if name in seen:
            return ""
        seen.add(name)
        path = next(folder / name for folder in (*folders, INCLUDE) if (folder / name).is_file())
        text = path.read_text(encoding="utf-8").replace("#pragma once\n", "")
        return f"// ---- {name} ----\n" + DIRECTIVE.sub(insert, text)

    return DIRECTIVE.sub(insert, source)


def load_library(source: str, name: str) -> ctypes.CDLL:
    """Compile a self-contained C++ text, unless the cache has it, and load it.

    Args:
        source: C++ text (see `assemble`) whose entry points are ``extern "C"``.
        name: Prefix of the library's file name.

    Raises:
        BuildError: if there is no C++ compiler, it fails, or the library cannot be loaded.
    """
    path = build_library(source, name)
    try:
        return ctypes.CDLL(str(path))
    except OSError as error:
        raise BuildError(f"{path} cannot be loaded ({error}); delete it and try again") from error


def build_library(source: str, name: str) -> Path:
    """Compile a self-contained C++ text into the cache, unless it is there; the library's path."""
    compiler = find_compiler()
    version = compiler_version(compiler)
    key = "\0".join((source, *compiler, version, *FLAGS, processor(), __version__))
    digest = hashlib.sha256(key.encode()).hexdigest()[:16]
    library = cache_dir("libraries") / f"{name}-{digest}.so"
    if not library.exists():
        write_text(library.with_suffix(".cpp"), source)
        _compile(compiler, library.with_suffix(".cpp"), library)
    return library


def find_compiler() -> tuple[str, ...]:
    """The C++ compiler's command: ``$CXX`` if it is set, else the first of c++, g++, clang++.

    Raises:
        BuildError: if there is none.
    """
    named = os.environ.get("CXX")
    if named:
        command = tuple(shlex.split(named))
        if command and shutil.which(command[0]):
            return command
        raise BuildError(f"CXX={named} names no program; unset CXX or name a C++ compiler with it")
    for candidate in ("c++", "g++", "clang++"):
        if shutil.which(candidate):
            return (candidate,)
    raise BuildError(
        "no C++ compiler was found (tried c++, g++ and clang++), and the native backend needs one; "
        "install it (Debian, Ubuntu: apt install g++; Fedora: dnf install gcc-c++; "
        "macOS: xcode-select --install) or name one with the environment variable CXX"
    )


@functools.cache
def compiler_version(compiler: tuple[str, ...]) -> str:
    """The first line of ``compiler --version``."""
    result = subprocess.run([*compiler, "--version"], capture_output=True, text=True, check=False)
    return (result.stdout or result.stderr).partition("\n")[0]


@functools.cache
def processor() -> str:
    """What ``-march=native`` depends on: processor model and instruction sets."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return f"{platform.machine()} {platform.processor()}"
    told = ("model name", "flags", "Features", "CPU part")
    return "\n".join(dict.fromkeys(line for line in lines if line.startswith(told)))


def _compile(compiler: tuple[str, ...], source: Path, library: Path) -> None:
    with written_aside(library) as aside:
        command = [*compiler, *FLAGS, "-o", str(aside), str(source)]
        result = subprocess.run(command, capture_output=True, text=True, check=False)
        if result.returncode != 0:
            raise BuildError(
                f"the C++ compiler failed on {source}:\n{' '.join(command)}\n"
                f"{result.stderr.strip()}\n"
                f"(compiler: {compiler_version(compiler)}); if it is an old one, name a newer one "
                "with the environment variable CXX"
            )
