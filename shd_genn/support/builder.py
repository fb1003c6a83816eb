"""C++ source → shared library, compiled once and kept in the user's cache.

A library's file name is ``NAME-SOURCE-COMPILER-CHECKSUM.so``: digests of what it is made from, of
the compiler that made it, and of its own bytes. A library whose bytes do not fit its name is made
again, so a file that was cut off or mixed up is never loaded.
"""

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
import tempfile
from pathlib import Path

from shd_genn.support.errors import BuildError
from shd_genn.support.files import (
    DISK_ERRORS,
    cache_dir,
    temporary_folder,
    write_text,
    written_aside,
)
from shd_genn.support.interface import INCLUDE, Interface
from shd_genn.support.version import __version__

NATIVE = "-march=native"
"""Use all instructions of this processor; left out where a compiler does not know it."""
FLAGS = (
    "-std=c++17",
    "-O3",
    NATIVE,
    "-fno-math-errno",  # lets sqrt and exp be vectorised; changes no result
    "-fno-trapping-math",  # lets choices between floats be vectorised; changes no result
    "-fPIC",
    "-shared",
    "-pthread",
    "-Wall",
    "-Wextra",
    "-Wshadow",
)
SANITIZERS = {
    name: ("-O1", "-g", "-fno-omit-frame-pointer", *flags)  # later than -O3, so it prevails
    for name, flags in {
        "address": ("-fsanitize=address",),
        "undefined": (
            "-fsanitize=undefined,float-cast-overflow",
            "-fno-sanitize-recover=all",
        ),
        "thread": ("-fsanitize=thread",),
    }.items()
}
"""Value of ``SHD_GENN_SANITIZE`` → flags by which kernels watch themselves for errors; slow. A
program that loads such kernels must preload the sanitizer's runtime (tests/helpers/sanitizing.py).
"""
PACKAGE = Path(__file__).parents[1]
"""The folder of shd_genn. Compilers run in the folder above it, to which ``#line`` is relative."""
DIRECTIVE = re.compile(r'#include "([^"]+)"')


def flags() -> tuple[str, ...]:
    """The compiler's flags.

    ``SHD_GENN_MARCH`` chooses other instructions than this processor's, e.g. ``x86-64-v3`` (AVX2):
    it becomes the value of ``-march``. ``SHD_GENN_SANITIZE`` adds the flags of a sanitizer.

    Raises:
        BuildError: if there is no such sanitizer.
    """
    march = os.environ.get("SHD_GENN_MARCH")
    chosen = tuple(f"-march={march}" if march and flag == NATIVE else flag for flag in FLAGS)
    sanitizer = os.environ.get("SHD_GENN_SANITIZE")
    if not sanitizer:
        return chosen
    if sanitizer not in SANITIZERS:
        raise BuildError(
            f"SHD_GENN_SANITIZE={sanitizer} is none of {', '.join(SANITIZERS)}; unset it or "
            "set it to one of them"
        )
    return (*chosen, *SANITIZERS[sanitizer])


def assemble(
    source: str,
    name: str,
    *folders: Path,
    interface: Interface | None = None,
) -> str:
    """Put every ``#include "file"`` of ``source`` in its place, each file once.

    One self-contained text is easy to read when something is wrong with it, and its digest covers
    all that it is made of. ``#line`` makes compilers and debuggers point into the headers.

    Args:
        source: C++ text.
        name: What compilers call this text; lines of it are counted in the assembled text.
        folders: Where the included files lie, besides those that all kernels share.
        interface: What the text and its caller agree on; it becomes ``interface.h``.
    """
    generated = {"interface.h": (interface or Interface()).header()}
    seen: set[str] = set()
    lines: list[str] = []

    def insert(header: str) -> None:
        seen.add(header)
        if header in generated:
            lines.append(_line_directive(len(lines) + 2, name))
            append(generated[header])
        else:
            path = _find(header, (*folders, INCLUDE))
            inside = path.is_relative_to(PACKAGE.parent)
            file = (path.relative_to(PACKAGE.parent) if inside else path).as_posix()
            lines.append(_line_directive(1, file))
            append(path.read_text(encoding="utf-8"), file)

    def append(text: str, file: str | None = None) -> None:
        """Append the lines of a file, or of a text that lies in no file of its own."""
        for number, line in enumerate(text.splitlines(), 1):
            include = DIRECTIVE.fullmatch(line)
            if include and include[1] not in seen:
                insert(include[1])
                lines.append(
                    _line_directive(number + 1, file)
                    if file
                    else _line_directive(len(lines) + 2, name)
                )
            else:
                lines.append("" if include or line == "#pragma once" else line)

    append(source)
    return "\n".join(lines) + "\n"


def _line_directive(number: int, file: str) -> str:
    """Tell the compiler which line the next one is."""
    return f'#line {number} "{file}"'


def _find(header: str, folders: tuple[Path, ...]) -> Path:
    for folder in folders:
        if (folder / header).is_file():
            return folder / header
    raise FileNotFoundError(f"{header} is in none of {', '.join(map(str, folders))}")


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
        return _load(path)
    except BuildError:
        # it may come from another system that shares the cache: make it here
        _delete(path)
        return _load(build_library(source, name))


def _load(path: Path) -> ctypes.CDLL:
    try:
        return ctypes.CDLL(str(path))
    except OSError as error:
        try:
            return load_from_memory(path)
        except (AttributeError, OSError):
            raise BuildError(
                f"the system does not load {path} ({error}); set SHD_GENN_CACHE to a folder of "
                "this machine that programs may be run from (on no disk mounted with noexec)"
            ) from error


def load_from_memory(path: Path) -> ctypes.CDLL:
    """Load a library from a folder that programs may not be run from (``noexec``), on Linux.

    Raises:
        AttributeError: on another system.
        OSError: if the system does not load it.
    """
    handle = os.memfd_create(path.name)
    try:
        with os.fdopen(os.dup(handle), "wb") as memory:
            memory.write(path.read_bytes())
        # It stays open: the system knows libraries by their paths, and would take another one that
        # has the same number later for this one.
        return ctypes.CDLL(f"/proc/self/fd/{handle}")
    except BaseException:
        os.close(handle)
        raise


def build_library(source: str, name: str) -> Path:
    """Compile a self-contained C++ text into the cache, unless it is there; the library's path.

    Raises:
        BuildError: if the library is not in the cache and there is no compiler, or it fails.
    """
    folder = cache_dir("libraries").resolve()
    stem = f"{name}-{_digest(source, *flags(), processor(), __version__)}"
    try:
        compiler = find_compiler()
    except BuildError:
        found = _find_intact(folder, f"{stem}-*")
        if found is None or os.environ.get("CXX"):
            raise
        return found
    stem = f"{stem}-{_digest(*compiler, compiler_version(compiler))}"
    found = _find_intact(folder, f"{stem}-*")
    return found or _build(compiler, source, folder, stem)


def _build(compiler: tuple[str, ...], source: str, folder: Path, stem: str) -> Path:
    text = folder / f"{stem}.cpp"
    write_text(text, source)
    with temporary_folder() as aside:
        compiled = aside / "library.so"
        _compile(compiler, text, compiled)
        library = folder / f"{stem}-{_checksum(stem, compiled)}.so"
        with written_aside(library) as copy:
            shutil.copy(compiled, copy)
    return library


def _digest(*parts: str) -> str:
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:16]


def _checksum(stem: str, library: Path) -> str:
    """Of a library and what it is made from, so that no two can be taken for each other."""
    return hashlib.sha256(stem.encode() + b"\0" + library.read_bytes()).hexdigest()[:16]


def _find_intact(folder: Path, pattern: str) -> Path | None:
    """A library whose bytes fit its name; others are deleted."""
    for path in sorted(folder.glob(f"{pattern}.so")):
        stem, _, checksum = path.stem.rpartition("-")
        try:
            if _checksum(stem, path) == checksum:
                return path
        except OSError:  # another program has just deleted it
            continue
        _delete(path)
    return None


def _delete(path: Path) -> None:
    try:
        path.unlink(missing_ok=True)
    except OSError:  # a cache that only others may write to
        return


def find_compiler() -> tuple[str, ...]:
    """The C++ compiler's command: ``$CXX`` if it is set, else the first of c++, g++, clang++.

    Raises:
        BuildError: if there is none.
    """
    chosen = os.environ.get("CXX")
    if chosen:
        command = tuple(shlex.split(chosen))
        path = shutil.which(command[0]) if command else None
        if path is None:
            raise BuildError(
                f"CXX={chosen} is no program; unset CXX or set it to a C++ compiler's command"
            )
        # the compiler runs in another folder
        first = str(Path(path).absolute()) if os.sep in command[0] else command[0]
        return (first, *command[1:])
    for candidate in ("c++", "g++", "clang++"):
        if shutil.which(candidate):
            return (candidate,)
    raise BuildError(
        "no C++ compiler was found (tried c++, g++ and clang++), and the native backend needs one; "
        "install it (Debian, Ubuntu: apt install g++; Fedora: dnf install gcc-c++; "
        "macOS: xcode-select --install) or set the environment variable CXX to its command"
    )


@functools.cache
def compiler_version(compiler: tuple[str, ...]) -> str:
    """The first line of ``compiler --version``."""
    result = _run([*compiler, "--version"])
    return (result.stdout or result.stderr).partition("\n")[0]


@functools.cache
def processor() -> str:
    """What ``-march=native`` depends on: processor model and instruction sets."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return f"{platform.machine()} {platform.processor()}"
    relevant = ("model name", "flags", "Features", "CPU part")
    return "\n".join(dict.fromkeys(line for line in lines if line.startswith(relevant)))


def _compile(compiler: tuple[str, ...], source: Path, library: Path) -> None:
    options = flags()
    result = _run([*compiler, *options, "-o", str(library), str(source)])
    if result.returncode != 0 and "-march" in result.stderr and NATIVE in options:
        options = tuple(flag for flag in options if flag != NATIVE)
        result = _run([*compiler, *options, "-o", str(library), str(source)])
    if result.returncode != 0:
        command = " ".join((*compiler, *options, str(source)))
        raise BuildError(
            f"the C++ compiler failed on {source}:\n{command}\n{result.stderr.strip()}\n"
            f"(compiler: {compiler_version(compiler)}); {_cure(result.stderr)}"
        )


def _cure(said: str) -> str:
    """What to do about a compiler that failed, from what it said."""
    if any(os.strerror(number) in said for number in DISK_ERRORS):
        return (
            f"free space in {tempfile.gettempdir()}, where it writes, or set the environment "
            "variable TMPDIR to another folder"
        )
    if re.search(r"Killed|out of memory|virtual memory exhausted|Cannot allocate memory", said):
        return "end other programs, or give this one more memory"
    return "if it is an old one, set the environment variable CXX to the command of a newer one"


def _run(command: list[str]) -> subprocess.CompletedProcess[str]:
    """Run a compiler, without translated messages.

    Raises:
        BuildError: if it cannot be started.
    """
    environment = {**os.environ, "LC_ALL": "C"}
    if "SHD_GENN_SANITIZE" in environment:
        environment.pop("LD_PRELOAD", None)  # a sanitizer would watch the compiler, too
    try:
        return subprocess.run(
            command,
            capture_output=True,
            text=True,
            errors="replace",
            check=False,
            cwd=PACKAGE.parent,
            env=environment,
        )
    except OSError as error:
        raise BuildError(
            f"the C++ compiler {command[0]} cannot be started ({error.strerror}); "
            "set the environment variable CXX to another compiler's command"
        ) from error
