"""What the cuda backend needs of a machine: nvcc, a driver, a GPU."""

import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
from helpers import emulation

from shd_genn.backends import choice
from shd_genn.backends.cuda import build
from shd_genn.support.errors import BuildError, ConfigError


@pytest.fixture
def nowhere(monkeypatch, tmp_path):
    """A machine without nvcc."""
    for name in ("NVCC", "CUDA_PATH"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(build.importlib.util, "find_spec", lambda name: None)


def test_no_nvcc(nowhere):
    with pytest.raises(BuildError, match=r"no nvcc was found; .*pip install 'shd_genn\[cuda\]'"):
        build.find_nvcc()


def test_nvcc_is_found_where_pip_puts_it(nowhere, monkeypatch, tmp_path):
    nvcc = tmp_path / "nvidia" / "cu13" / "bin" / "nvcc"
    nvcc.parent.mkdir(parents=True)
    nvcc.write_text("#!/bin/sh\n")
    nvcc.chmod(0o755)
    spec = SimpleNamespace(submodule_search_locations=[str(tmp_path / "nvidia")])
    monkeypatch.setattr(build.importlib.util, "find_spec", lambda name: spec)
    assert build.find_nvcc() == nvcc


def test_a_named_nvcc_is_used_or_fails(nowhere, monkeypatch):
    monkeypatch.setenv("NVCC", "no-such-compiler")
    with pytest.raises(BuildError, match="NVCC=no-such-compiler names no program"):
        build.find_nvcc()


def test_no_driver(monkeypatch):
    def no_library(name):
        raise OSError(name)

    monkeypatch.setattr(build.ctypes, "CDLL", no_library)
    with pytest.raises(ConfigError, match=r"no NVIDIA driver was found .*--backend native"):
        choice.get("cuda")


def driver(error=0, capability=(9, 0), version=13000):
    """A driver that describes a GPU, or answers with an error."""

    def attribute(value, which, device):
        value._obj.value = dict(zip((75, 76), capability, strict=True))[which]
        return 0

    def put(number):
        def call(value, *arguments):
            value._obj.value = number
            return 0

        return call

    def name(buffer, size, device):
        buffer.value = b"Some GPU"
        return 0

    return SimpleNamespace(
        cuInit=lambda flags: error,
        cuDeviceGet=put(0),
        cuDeviceGetName=name,
        cuDriverGetVersion=put(version),
        cuDeviceGetAttribute=attribute,
    )


def test_no_gpu(monkeypatch):
    monkeypatch.setattr(build.ctypes, "CDLL", lambda name: driver(error=100))
    with pytest.raises(BuildError, match=r"driver finds no GPU; .*CUDA_VISIBLE_DEVICES"):
        build.find_gpu()


def test_the_driver_describes_the_gpu(monkeypatch):
    monkeypatch.setattr(build.ctypes, "CDLL", lambda name: driver(capability=(8, 6), version=12040))
    assert build.find_gpu() == build.Gpu("Some GPU", 86, 124)


def test_a_gpu_or_a_driver_that_is_too_old():
    build.require_usable(build.Gpu("Some GPU", 75, 130), "13.0.88")
    with pytest.raises(BuildError, match=r"Some GPU has compute capability 7.0, .* 7.5 and later"):
        build.require_usable(build.Gpu("Some GPU", 70, 130), "13.0.88")
    with pytest.raises(BuildError, match=r"nvcc is 13.0.88, but the driver .* knows CUDA 12.4"):
        build.require_usable(build.Gpu("Some GPU", 90, 124), "13.0.88")


def test_auto_is_cuda_where_nvcc_and_a_gpu_are(monkeypatch):
    monkeypatch.setattr(build, "find_nvcc", lambda: Path("nvcc"))
    monkeypatch.setattr(build, "nvcc_version", lambda nvcc: "13.0.88")
    monkeypatch.setattr(build, "find_gpu", lambda: build.Gpu("Some GPU", 90, 130))
    why = "nvcc 13.0.88 compiles for the GPU Some GPU"
    assert choice.choose("auto") == choice.Choice("cuda", why)
    monkeypatch.setattr(build, "find_gpu", lambda: build.Gpu("Some GPU", 70, 130))
    chosen = choice.choose("auto")
    assert chosen.name != "cuda" and "Some GPU has compute capability 7.0" in chosen.why


def test_compiler_failure_shows_its_words(monkeypatch, tmp_path):
    toolchain = emulation.toolchain()  # in the usual cache: it compiles a library of its own
    monkeypatch.setenv("SHD_GENN_CACHE", str(tmp_path))
    with pytest.raises(BuildError, match=r"(?s)CUDA compiler failed on .*nonsense"):
        build.build_library("nonsense;", toolchain)
    assert not list(tmp_path.rglob("*.so"))


def test_who_does_not_ask_for_it_imports_none_of_it():
    program = (
        "import sys; from shd_genn.backends import choice\n"
        "choice.get('native'); choice.choose('auto')\n"
        "print([name for name in sys.modules if 'backends.cuda.' in name])"
    )
    result = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert result.stdout.strip() == "['shd_genn.backends.cuda.build']" and result.stderr == ""
