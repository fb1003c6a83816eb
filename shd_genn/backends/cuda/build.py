"""CUDA C++ → shared library: finds nvcc and the GPU, compiles once, keeps the library."""

from __future__ import annotations

import ctypes
import functools
import hashlib
import importlib.util
import os
import re
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from shd_genn.support.errors import BuildError
from shd_genn.support.files import cache_dir, write_text, written_aside
from shd_genn.support.version import __version__

FLAGS = (
    *("-O3", "-std=c++17", "-shared", "-cudart", "static"),
    "-fmad=false",  # a product and a sum become one only where the source says so: fmaf
    *("-Xcompiler", "-fPIC,-O2"),
)
OLDEST_GPU = 75
"""Compute capability, 10 major + minor: Turing, the oldest that CUDA 13 compiles for."""
INSTALL = (
    "install it with pip install 'shd_genn[cuda]', name one with the environment variable NVCC, or "
    "take --backend native"
)


class Unusable(BuildError):  # noqa: N818 - the name of what it says
    """What the backend needs is missing or too old: why, as a clause, and what to do."""

    def __init__(self, why: str, cure: str) -> None:
        super().__init__(f"the cuda backend cannot be used, because {why}; {cure}")
        self.why, self.cure = why, cure


@dataclass(frozen=True)
class Toolchain:
    """What makes a shared library of CUDA source.

    Attributes:
        command: The compiler and its options, but for input and output.
        version: Of the compiler, for the cache's key.
        suffix: Of the source's file.
        extra: Files that it compiles besides.
        finds_gpu: Whether it compiles for a GPU, which must be there.
    """

    command: tuple[str, ...]
    version: str
    suffix: str = ".cu"
    extra: tuple[Path, ...] = ()
    finds_gpu: bool = True


def find_nvcc() -> Path:
    """NVIDIA's compiler: ``$NVCC``, ``$CUDA_PATH/bin``, PATH, or the pip package.

    Raises:
        Unusable: if there is none.
    """
    if named := os.environ.get("NVCC"):
        if found := shutil.which(named):
            return Path(found)
        raise Unusable(
            f"NVCC={named} names no program", "unset NVCC, or set it to the path of nvcc"
        )
    candidates: list[Path] = []
    if folder := os.environ.get("CUDA_PATH"):
        candidates.append(Path(folder) / "bin" / "nvcc")
    if found := shutil.which("nvcc"):
        candidates.append(Path(found))
    spec = importlib.util.find_spec("nvidia")
    for place in (spec.submodule_search_locations or ()) if spec else ():
        candidates += sorted(Path(place).glob("cu*/bin/nvcc"), reverse=True)
    for candidate in candidates:
        if os.access(candidate, os.X_OK):
            return candidate
    raise Unusable("no nvcc was found", INSTALL)


@functools.cache
def nvcc_version(nvcc: Path) -> str:
    """What nvcc says of its version.

    Raises:
        Unusable: if it cannot be run.
    """
    try:
        result = subprocess.run([nvcc, "--version"], capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError) as error:
        raise Unusable(f"{nvcc} cannot be run ({error})", INSTALL) from error
    match = re.search(r"release (\d+\.\d+), V([\d.]+)", result.stdout)
    return match[2] if match else result.stdout.strip().splitlines()[-1]


@dataclass(frozen=True)
class Gpu:
    """The first GPU, as the driver describes it.

    Attributes:
        name: Its name.
        capability: 10 major + minor.
        driver: The newest CUDA that the driver knows, 10 major + minor.
    """

    name: str
    capability: int
    driver: int


def find_gpu() -> Gpu:
    """Ask the driver for the first GPU.

    Raises:
        Unusable: if there is no driver or no GPU.
    """
    try:
        driver = ctypes.CDLL("libcuda.so.1")
    except OSError as error:
        raise Unusable(
            "no NVIDIA driver was found (libcuda.so.1)",
            "install NVIDIA's driver on a machine with a GPU, or take --backend native",
        ) from error
    device, value, name = ctypes.c_int(), ctypes.c_int(), ctypes.create_string_buffer(100)
    if driver.cuInit(0) or driver.cuDeviceGet(ctypes.byref(device), 0):
        raise Unusable(
            "the NVIDIA driver finds no GPU",
            "look at what nvidia-smi says, and at CUDA_VISIBLE_DEVICES, or take --backend native",
        )
    driver.cuDeviceGetName(name, len(name), device)
    driver.cuDriverGetVersion(ctypes.byref(value))
    version = value.value // 1000 * 10 + value.value % 1000 // 10
    capability = 0
    for attribute, factor in ((75, 10), (76, 1)):  # compute capability, major and minor
        driver.cuDeviceGetAttribute(ctypes.byref(value), attribute, device)
        capability += factor * value.value
    return Gpu(name.value.decode(), capability, version)


def require_usable(gpu: Gpu, nvcc_release: str) -> None:
    """Refuse a GPU or a driver that is too old for what nvcc makes.

    Raises:
        Unusable: if it is.
    """
    if gpu.capability < OLDEST_GPU:
        raise Unusable(
            f"{gpu.name} has compute capability {gpu.capability / 10}, and nvcc compiles for "
            f"{OLDEST_GPU / 10} and later",
            "use a GPU of 2018 (Turing) or later, or take --backend native",
        )
    major = int(nvcc_release.partition(".")[0])
    if gpu.driver // 10 < major:
        raise Unusable(
            f"nvcc is {nvcc_release}, but the driver of {gpu.name} knows CUDA {gpu.driver / 10} "
            "at most",
            "update the driver, or name an older nvcc with the environment variable NVCC",
        )


def gpu_toolchain() -> Toolchain:
    """nvcc, for the first GPU.

    Raises:
        Unusable: if there is no nvcc, no driver or no GPU, or one is too old.
    """
    nvcc = find_nvcc()
    version, gpu = nvcc_version(nvcc), find_gpu()
    require_usable(gpu, version)
    return nvcc_toolchain(nvcc, (gpu.capability,))


def nvcc_toolchain(nvcc: Path, capabilities: Sequence[int]) -> Toolchain:
    """nvcc, for GPUs of some compute capabilities (10 major + minor).

    Args:
        nvcc: The compiler.
        capabilities: What to compile for.
    """
    codes = [f"-gencode=arch=compute_{c},code=sm_{c}" for c in capabilities]
    # the pip packages' libraries do not lie where their nvcc looks for them
    libraries = [
        f"-L{folder}" for folder in (nvcc.resolve().parents[1] / "lib",) if folder.is_dir()
    ]
    return Toolchain((str(nvcc), *FLAGS, *codes, *libraries), nvcc_version(nvcc))


def load_library(source: str, toolchain: Toolchain) -> ctypes.CDLL:
    """Compile a self-contained text, unless the cache has it, and load it.

    Raises:
        BuildError: if the compiler fails, or the library cannot be loaded.
    """
    path = build_library(source, toolchain)
    try:
        return ctypes.CDLL(str(path))
    except OSError as error:
        raise BuildError(f"{path} cannot be loaded ({error}); delete it and try again") from error


def build_library(source: str, toolchain: Toolchain) -> Path:
    """Compile a self-contained text into the cache, unless it is there; the library's path.

    Raises:
        BuildError: if the compiler fails.
    """
    extra = [path.read_text(encoding="utf-8") for path in toolchain.extra]
    key = "\0".join((source, *extra, *toolchain.command, toolchain.version, __version__))
    digest = hashlib.sha256(key.encode()).hexdigest()[:16]
    library = cache_dir("libraries") / f"cuda-engine-{digest}.so"
    if not library.exists():
        text = library.with_suffix(toolchain.suffix)
        write_text(text, source)
        _compile(toolchain, text, library)
    return library


def _compile(toolchain: Toolchain, source: Path, library: Path) -> None:
    with written_aside(library) as aside:
        inputs = (str(source), *map(str, toolchain.extra))
        command = [*toolchain.command, "-o", str(aside), *inputs]
        result = subprocess.run(command, capture_output=True, text=True, check=False)
        if result.returncode != 0:
            raise BuildError(
                f"the CUDA compiler failed on {source}:\n{' '.join(command)}\n"
                f"{(result.stderr or result.stdout).strip()}\n"
                f"(compiler: {toolchain.version}); if it is older than CUDA 13, name a newer one "
                "with the environment variable NVCC"
            )
