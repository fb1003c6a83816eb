"""The native engine built for other vectors than this processor's: AVX2, and NEON of 64-bit Arm.

The whole conformance suite runs with AVX2 by
`SHD_GENN_MARCH=x86-64-v3 python -m pytest tests/backends/test_conformance.py -k native`, and with
NEON by `python -m helpers.arm64` from the folder tests.
"""

import shutil
import subprocess

import numpy as np
import pytest
from helpers import networks

from shd_genn.backends.choice import get
from shd_genn.backends.conformance.networks import TOLERANCE
from shd_genn.backends.native import lower as lower_module
from shd_genn.backends.native.lower import lower
from shd_genn.backends.native.render import render
from shd_genn.backends.protocols import CompileConfig
from shd_genn.backends.reference.engine import Reference
from shd_genn.learning.methods import EventProp
from shd_genn.support import builder
from shd_genn.support.errors import BuildError


@pytest.mark.skipif("avx2" not in builder.processor(), reason="this processor has no AVX2")
def test_gradients_with_avx2_are_those_of_the_reference(monkeypatch):
    monkeypatch.setenv("SHD_GENN_MARCH", "x86-64-v3")
    network = networks.learned_network()
    events, labels = networks.random_events(5), networks.random_labels(5)
    config = CompileConfig(networks.N_STEPS, n_threads=2)
    expected = Reference(network, config).gradient(events, labels)
    with get("native").compile(network, EventProp(), config) as engine:
        gradient = engine.gradient(events, labels)
    for name, value in expected.items():
        assert np.abs(gradient[name] - value).max() < TOLERANCE * np.abs(value).max()


@pytest.mark.skipif(
    shutil.which("aarch64-linux-gnu-g++") is None,
    reason="needs a compiler for 64-bit Arm (Debian: apt install g++-aarch64-linux-gnu)",
)
def test_source_of_a_delay_line_compiles_for_arm_without_warnings(monkeypatch, tmp_path):
    monkeypatch.setattr(lower_module, "LARGE", 0)
    source = tmp_path / "engine.cpp"
    copies = 2  # of a channel
    network = networks.learned_network()
    assert network.input.size % copies == 0
    source.write_text(render(lower(network, copies=copies)))
    flags = [f for f in builder.FLAGS if not f.startswith(("-march", "-O"))]
    command = ["aarch64-linux-gnu-g++", *flags, "-O1", "-Werror", "-march=armv8-a"]
    subprocess.run([*command, "-o", tmp_path / "engine.so", source], check=True)


def test_the_instruction_set_is_part_of_the_cache_key(monkeypatch, tmp_path):
    monkeypatch.setenv("SHD_GENN_CACHE", str(tmp_path))
    source = 'extern "C" int answer() { return sizeof(void*); }\n'
    paths = set()
    for march in ("", "native", "x86-64-v2" if "sse4_2" in builder.processor() else "armv8-a"):
        monkeypatch.setenv("SHD_GENN_MARCH", march)
        paths.add(builder.build_library(source, "answer"))
    assert len(paths) == 2  # the first two are the same


def test_an_unknown_instruction_set_is_refused_by_its_name(monkeypatch, tmp_path):
    monkeypatch.setenv("SHD_GENN_CACHE", str(tmp_path))
    monkeypatch.setenv("SHD_GENN_MARCH", "abacus")
    with pytest.raises(BuildError, match="abacus"):
        builder.build_library("int x;\n", "answer")
