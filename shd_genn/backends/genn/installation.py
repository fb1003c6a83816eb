"""What of GeNN is on this machine; imports neither pygenn nor ml_genn."""

from __future__ import annotations

import ctypes
import functools
import importlib.util
import os
import shutil
from importlib import metadata
from pathlib import Path

TESTED = {"pygenn": "5.4.0", "ml_genn": "2.3.1 (master of March 2026, commit 02114c3)"}
HOW_TO_INSTALL = (
    "build and install GeNN (https://genn-team.github.io/documentation/5/installation.html), "
    "then mlGeNN (https://ml-genn.readthedocs.io/en/latest/installation.html); tested versions: "
    + ", ".join(f"{package} {version}" for package, version in TESTED.items())
)


def missing() -> list[str]:
    """Which of GeNN's two packages are not installed."""
    return [package for package in TESTED if importlib.util.find_spec(package) is None]


def absence(absent: list[str]) -> str:
    """A clause: these packages are not installed."""
    return f"{' and '.join(absent)} {'is' if len(absent) == 1 else 'are'} not installed"


def cuda_path() -> Path | None:
    """The folder whose ``bin`` has nvcc, or None.

    GeNN asks for it with the environment variable CUDA_PATH, which is the first place to look in;
    then come PATH and the folder that CUDA's installer uses.
    """
    if named := os.environ.get("CUDA_PATH"):
        folders = [Path(named)]
    else:
        nvcc = shutil.which("nvcc")
        found = [Path(nvcc).resolve().parents[1]] if nvcc else []
        folders = [*found, Path("/usr/local/cuda")]
    return next((folder for folder in folders if (folder / "bin" / "nvcc").is_file()), None)


@functools.cache
def gpu() -> tuple[str | None, str]:
    """The name of the GPU that GeNN can use, or None, and why."""
    spec = importlib.util.find_spec("pygenn")
    if spec is None:
        return None, absence(["pygenn"])
    folders = map(Path, spec.submodule_search_locations or ())
    if not any(path for folder in folders for path in folder.glob("cuda_backend*")):
        return None, "GeNN was built without CUDA"
    if cuda_path() is None:
        return None, (
            "GeNN compiles its kernels with nvcc, which is in none of $CUDA_PATH/bin, PATH and "
            "/usr/local/cuda/bin"
        )
    name = _first_cuda_device()
    if name is None:
        return None, "the CUDA driver finds no GPU"
    return name, f"GeNN has the GPU {name}"


def _first_cuda_device() -> str | None:
    """Ask the driver itself: it is there wherever a GPU can be used, nvidia-smi is not."""
    try:
        driver = ctypes.CDLL("libcuda.so.1")
    except OSError:
        return None
    device, name = ctypes.c_int(), ctypes.create_string_buffer(100)
    failed = (
        driver.cuInit(0)
        or driver.cuDeviceGet(ctypes.byref(device), 0)
        or driver.cuDeviceGetName(name, len(name), device)
    )
    return None if failed else name.value.decode()


def genn_backend() -> str:
    """GeNN's own backend that is used: ``cuda`` where it works, else ``single_threaded_cpu``."""
    return "single_threaded_cpu" if gpu()[0] is None else "cuda"


def describe() -> dict[str, str | None]:
    """What a run keeps of GeNN: versions, its backend, the GPU."""
    name, why = gpu()
    return {
        **{package: metadata.version(package) for package in TESTED},
        "backend": genn_backend(),
        "gpu": name,
        "why": why,
    }
