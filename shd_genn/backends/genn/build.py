"""Generates and compiles a model's code, in a folder of its own."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from shd_genn.backends.genn import installation
from shd_genn.support.errors import BuildError
from shd_genn.support.files import cache_dir


def build(model: Any, key: str) -> tempfile.TemporaryDirectory[str]:
    """Generate and compile a model's code in a new folder of the cache.

    Networks that are loaded from the same file would share their state, even within a process, so
    each gets a folder of its own; what was compiled before is copied into it.

    Args:
        model: A ``GeNNModel``, finished but not built.
        key: Names the code: what is compiled under one key may be used again.

    Returns:
        The folder; it is deleted with the object.

    Raises:
        BuildError: if there is no compiler, or it fails.
    """
    cache = cache_dir("genn-code")
    digest = hashlib.sha256(key.encode()).hexdigest()[:16]
    kept = cache / f"{model.name}-{digest}"
    if model.backend_name == "cuda":  # GeNN and the makefile that it writes ask for CUDA_PATH
        os.environ["CUDA_PATH"] = str(_cuda_path())
        if not kept.is_dir():
            _try_nvcc()
    folder = tempfile.TemporaryDirectory(prefix=f"run-{os.getpid()}-", dir=cache)
    here = Path(folder.name)
    if kept.is_dir():
        shutil.copytree(kept, here, dirs_exist_ok=True)
    log = here / "build.log"
    try:
        with _output_to(log):
            model.build(str(here))
        if not kept.is_dir():
            _keep(here, kept)
    except (subprocess.CalledProcessError, RuntimeError) as error:
        words = log.read_text(encoding="utf-8", errors="replace")[-4000:].strip()
        folder.cleanup()
        raise BuildError(
            f"GeNN cannot compile its code for this network ({error}):\n{words}\n"
            "(end of the compiler's output); correct the compiler's installation, or take "
            "--backend native"
        ) from error
    except BaseException:
        folder.cleanup()
        raise
    return folder


def nvcc_version() -> str:
    """What ``nvcc --version`` says last, which names the release and the build."""
    nvcc = _cuda_path() / "bin" / "nvcc"
    result = subprocess.run([nvcc, "--version"], capture_output=True, text=True, check=False)
    return (result.stdout or result.stderr).strip().rpartition("\n")[2]


def _cuda_path() -> Path:
    """The folder of the CUDA toolkit.

    Raises:
        BuildError: if there is none.
    """
    folder = installation.cuda_path()
    if folder is None:
        raise BuildError(
            "GeNN compiles its kernels with nvcc, which is in none of $CUDA_PATH/bin, PATH and "
            "/usr/local/cuda/bin; install the CUDA toolkit, or take --backend native"
        )
    return folder


def _try_nvcc() -> None:
    """Compile a kernel with the headers that GeNN's kernels include.

    GeNN runs nvcc in threads of its own, and where it fails there, the whole program is aborted.

    Raises:
        BuildError: if nvcc fails; the message quotes it.
    """
    nvcc = _cuda_path() / "bin" / "nvcc"
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder) / "kernel.cu"
        source.write_text("#include <curand_kernel.h>\n__global__ void kernel() {}\n", "utf-8")
        options = ["-cubin", "-std=c++11", "-o", str(source.with_suffix(".cubin"))]
        command = [str(nvcc), *options, str(source)]
        result = subprocess.run(command, capture_output=True, text=True, check=False)
    if result.returncode != 0:
        raise BuildError(
            f"nvcc cannot compile a kernel that uses cuRAND, as all of GeNN's do (exit code "
            f"{result.returncode}): {(result.stderr or result.stdout)[-2000:].strip()}\n"
            "(end of its output); install the CUDA toolkit with its cuRAND headers, and a g++ that "
            "this nvcc supports (NVCC_CCBIN names another), or take --backend native"
        )


def _keep(built: Path, kept: Path) -> None:
    with tempfile.TemporaryDirectory(prefix="run-", dir=kept.parent) as aside:
        shutil.copytree(built, aside, dirs_exist_ok=True)
        try:
            Path(aside).rename(kept)
        except OSError:  # another program was quicker
            return
        Path(aside).mkdir()  # for the context manager to delete


@contextmanager
def _output_to(log: Path) -> Iterator[None]:
    """Send what make and the compiler write to a file."""
    sys.stdout.flush()
    sys.stderr.flush()
    saved = os.dup(1), os.dup(2)
    try:
        with log.open("wb") as file:
            os.dup2(file.fileno(), 1)
            os.dup2(file.fileno(), 2)
            yield
    finally:
        for descriptor, original in zip((1, 2), saved, strict=True):
            os.dup2(original, descriptor)
            os.close(original)
