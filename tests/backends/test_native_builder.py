"""Compiled libraries: made once, checked before they are loaded, made again when damaged."""

import ctypes
import errno
import os
import re
import shutil
import stat
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import get_args

import pytest
from helpers import networks

from shd_genn.backends import native
from shd_genn.backends.conformance import derived
from shd_genn.backends.native.lower import lower
from shd_genn.backends.native.render import render
from shd_genn.backends.protocols import CompileConfig
from shd_genn.backends.reference.engine import Reference
from shd_genn.learning.methods import EventProp
from shd_genn.network.readouts import READOUTS, Form
from shd_genn.support import builder
from shd_genn.support.errors import BuildError, ConfigError

ANSWER = 'extern "C" int answer() { return 42; }'
OTHER = 'extern "C" int answer() { return 43; }'


@pytest.fixture(autouse=True)
def cache(monkeypatch, tmp_path):
    """An empty cache, and the compiler as it is found."""
    folder = tmp_path / "cache"
    monkeypatch.setenv("SHD_GENN_CACHE", str(folder))
    monkeypatch.delenv("CXX", raising=False)
    return folder


def answer(source):
    return builder.load_library(source, "test").answer()


def test_no_compiler(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("CXX", raising=False)
    with pytest.raises(BuildError, match=r"no C\+\+ compiler was found .* apt install g\+\+"):
        builder.build_library("int x;", "test")


def test_no_compiler_but_a_warm_cache(monkeypatch, tmp_path):
    assert answer(ANSWER) == 42
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("CXX", raising=False)
    assert answer(ANSWER) == 42
    compiler = native.describe()["compiler"]  # as a run's environment.json has it
    assert (
        compiler["command"] == "none" and "all libraries were in the cache" in compiler["version"]
    )
    with pytest.raises(BuildError, match=r"no C\+\+ compiler was found"):
        builder.build_library(OTHER, "test")


def test_the_compiler_of_cxx_is_used_or_fails(monkeypatch, tmp_path):
    monkeypatch.setenv("CXX", "no-such-compiler")
    with pytest.raises(BuildError, match="CXX=no-such-compiler is no program; unset CXX"):
        builder.build_library("int x;", "test")
    broken = program(tmp_path / "broken", "#!/no/such/interpreter\n")
    monkeypatch.setenv("CXX", str(broken))
    with pytest.raises(BuildError, match="broken cannot be started"):
        builder.build_library("int x;", "test")


def test_a_compiler_of_a_relative_path(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    program(tmp_path / "mine", f'#!/bin/sh\nexec {shutil.which("c++")} "$@"\n')
    monkeypatch.setenv("CXX", "./mine")
    assert answer(ANSWER) == 42


def test_compiler_failure_shows_its_words(cache):
    with pytest.raises(BuildError, match=r"(?s)compiler failed on .*\.cpp.*nonsense"):
        builder.build_library("nonsense;", "test")
    assert not list(cache.rglob("*.so"))


@pytest.mark.parametrize(
    ("said", "cure"),
    [
        ("cc1plus: fatal error: error writing to x.s: No space left on device", "TMPDIR"),
        ("c++: fatal error: Killed signal terminated program cc1plus", "give this one more memory"),
        ("error: unknown option -std=c++17", "CXX to the command of a newer one"),
    ],
)
def test_the_cure_is_that_of_what_the_compiler_said(monkeypatch, tmp_path, said, cure):
    script = f"#!/bin/sh\necho '{said}' >&2\nexit 1\n"
    monkeypatch.setenv("CXX", str(program(tmp_path / "failing", script)))
    with pytest.raises(BuildError, match=rf"(?s){re.escape(said)}.*; .*{cure}"):
        builder.build_library(ANSWER, "test")


def test_no_space_for_temporary_files(monkeypatch, tmp_path):
    def fail(*_args, **_more):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(builder.tempfile, "TemporaryDirectory", fail)
    with pytest.raises(ConfigError, match=r"No space left on device\); free space in /tmp, or set"):
        builder.build_library(ANSWER, "test")


def test_an_old_compiler_that_does_not_know_native(monkeypatch, tmp_path):
    script = (
        "#!/bin/sh\n"
        'for a in "$@"; do [ "$a" = -march=native ] && '
        '{ echo "error: bad value (native) for -march= switch" >&2; exit 1; }; done\n'
        f'exec {shutil.which("c++")} "$@"\n'
    )
    monkeypatch.setenv("CXX", str(program(tmp_path / "old", script)))
    assert answer(ANSWER) == 42


def test_a_library_is_compiled_once():
    first = builder.build_library(ANSWER, "test")
    written = first.stat().st_mtime_ns
    assert builder.build_library(ANSWER, "test") == first
    assert first.stat().st_mtime_ns == written
    assert answer(ANSWER) == 42


@pytest.mark.parametrize("damage", ["empty", "truncated", "swapped", "renamed", "a bit", "text"])
def test_a_damaged_library_is_made_again(damage):
    path, other = builder.build_library(ANSWER, "test"), builder.build_library(OTHER, "test")
    content = path.read_bytes()
    if damage == "empty":
        path.write_bytes(b"")
    elif damage == "truncated":
        path.write_bytes(content[: len(content) // 2])
    elif damage == "swapped":
        path.write_bytes(other.read_bytes())
    elif damage == "renamed":  # with the checksum of the other one
        stem = path.stem.rpartition("-")[0]
        checksum = other.stem.rpartition("-")[2]
        path.unlink()
        other.replace(path.with_name(f"{stem}-{checksum}.so"))
    elif damage == "a bit":
        flipped = bytearray(content)
        flipped[len(content) // 2] ^= 1
        path.write_bytes(flipped)
    else:
        path.write_bytes(b"not a library")
    assert builder.build_library(ANSWER, "test") == path
    assert path.read_bytes() == content
    # in a process of its own, in which nothing of that name has been loaded
    code = (
        "from shd_genn.support.builder import load_library; "
        f"print(load_library({ANSWER!r}, 'test').answer())"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert result.stdout.strip() == "42", result.stderr


def test_another_compiler_or_version_makes_another_library(monkeypatch, tmp_path):
    first = builder.build_library(ANSWER, "test")
    script = (
        '#!/bin/sh\n[ "$1" = --version ] && { echo "mine 1.0"; exit; }\n'
        f'exec {shutil.which("c++")} "$@"\n'
    )
    monkeypatch.setenv("CXX", str(program(tmp_path / "mine", script)))
    second = builder.build_library(ANSWER, "test")
    program(tmp_path / "mine", script.replace("1.0", "2.0"))
    builder.compiler_version.cache_clear()
    third = builder.build_library(ANSWER, "test")
    assert len({first, second, third}) == 3
    with monkeypatch.context() as patch:
        patch.setattr(builder, "__version__", "next")
        assert builder.build_library(ANSWER, "test") not in (first, second, third)


def test_a_cache_that_programs_may_not_be_run_from(monkeypatch):
    """As on a disk that is mounted with noexec: dlopen refuses the file, but not its bytes."""
    load = ctypes.CDLL

    def refuse(path):
        if not path.startswith("/proc/self/fd/"):
            raise OSError(f"{path}: failed to map segment from shared object")
        return load(path)

    monkeypatch.setattr(ctypes, "CDLL", refuse)
    assert answer(ANSWER) == 42
    assert answer(OTHER) == 43  # and not the one before, by its number

    def refuse_all(path):
        raise OSError(f"{path}: failed to map segment from shared object")

    monkeypatch.setattr(ctypes, "CDLL", refuse_all)
    with pytest.raises(BuildError, match=r"does not load .*failed to map.*set SHD_GENN_CACHE to"):
        answer(ANSWER)


def test_a_cache_that_cannot_be_written_but_has_the_library(monkeypatch):
    path = builder.build_library(ANSWER, "test")

    def refuse(*arguments):
        raise AssertionError("nothing needs to be written")

    monkeypatch.setattr(builder, "write_text", refuse)
    monkeypatch.setattr(builder, "written_aside", refuse)
    assert builder.build_library(ANSWER, "test") == path


def test_an_unwritable_cache_is_named(monkeypatch, tmp_path):
    blocked = tmp_path / "file"
    blocked.write_text("in the way")
    monkeypatch.setenv("SHD_GENN_CACHE", str(blocked))
    with pytest.raises(Exception, match="set SHD_GENN_CACHE to a folder that you may write to"):
        builder.build_library("int x;", "test")
    assert stat.S_ISREG(blocked.stat().st_mode)


def test_lines_point_into_the_files_that_are_put_together(tmp_path):
    (tmp_path / "one.h").write_text('#pragma once\n#include "two.h"\nint one = __LINE__;\n')
    (tmp_path / "two.h").write_text("#pragma once\n\nint two = __LINE__;\n")
    text = '#include "two.h"\n#include "one.h"\nint mine = __LINE__;\n'
    source = builder.assemble(text, "mine.cpp", tmp_path)
    marked = re.sub(r"int (\w+) = __LINE__;", r'const char* \1 = __FILE__ "*";', source)
    code = (
        source
        + "\n#line 1\n"
        + 'extern "C" void lines(int* l) { l[0] = one; l[1] = two; l[2] = mine; }\n'
    )
    lines = (ctypes.c_int * 3)()
    builder.load_library(code, "test").lines(lines)
    mine = source.splitlines().index("int mine = __LINE__;") + 1
    assert list(lines) == [3, 3, mine]
    assert source.count("int two") == 1
    names = 'extern "C" const char* name(int i) { return i == 0 ? one : i == 1 ? two : mine; }\n'
    library = builder.load_library(marked + names, "test")
    library.name.restype = ctypes.c_char_p
    found = [library.name(i).decode() for i in range(3)]
    assert found == [f"{tmp_path}/one.h*", f"{tmp_path}/two.h*", "mine.cpp*"]


def program(path: Path, text: str) -> Path:
    path.write_text(text)
    path.chmod(0o755)
    return path


def sources():
    """Name → C++ text of every kernel: engines of several topologies, and the others."""
    from shd_genn.bench.machine import COMPUTE_ARGUMENTS, READ_ARGUMENTS
    from shd_genn.encode.cochlea import CONSTANTS, FIRE_ARGUMENTS, SOURCE
    from shd_genn.support.interface import Interface

    package = Path(builder.PACKAGE)
    found = {"plain": networks.network(), "late": networks.learned_network(delays=True)}
    found |= {name: make() for name, (make, _) in derived.NETWORKS.items()}
    for readout in ("avg_var", "max_var", "var", "first_spike_time"):  # one of each form
        found[readout] = networks.learned_network(readout, delays=readout == "max_var")
    assert {READOUTS[network.readout].form for network in found.values()} == set(get_args(Form))
    plans = {name: lower(network) for name, network in found.items()}
    connections = tuple(replace(c, large=True) for c in plans["plain"].connections)
    plans["large"] = replace(plans["plain"], connections=connections)
    engines = {name: render(plan) for name, plan in plans.items()}
    limits = (package / "bench/kernels/limits.cpp").read_text(encoding="utf-8")
    return engines | {
        "cochlea": builder.assemble(
            SOURCE.read_text(encoding="utf-8"),
            "cochlea.cpp",
            interface=Interface((CONSTANTS, FIRE_ARGUMENTS)),
        ),
        "limits": builder.assemble(
            limits, "limits.cpp", interface=Interface((READ_ARGUMENTS, COMPUTE_ARGUMENTS))
        ),
    }


@pytest.mark.slow
@pytest.mark.parametrize("compiler", ["g++", "clang++"])
def test_no_kernel_has_a_warning(compiler, tmp_path):
    """With -Wall, -Wextra and -Wshadow."""
    if shutil.which(compiler) is None:
        pytest.skip(f"{compiler} is not installed")
    assert {"-Wall", "-Wextra", "-Wshadow"} <= set(builder.FLAGS)
    texts = sources()
    assert len(set(texts.values())) == len(texts) == 12
    if compiler == "g++":  # it has no warning of the other engines wherever tests compile them
        texts = {name: texts[name] for name in ("plain", "late", "large", "cochlea", "limits")}
    for name, text in texts.items():
        path = tmp_path / f"{name}.cpp"
        path.write_text(text, encoding="utf-8")
        # clang++'s optimiser has no warnings; those of g++ are errors wherever tests compile an
        # engine, see helpers.precompiled
        flags = [flag for flag in builder.FLAGS if flag not in ("-O3", "-shared")]
        command = [compiler, *flags, "-fsyntax-only", "-Werror", str(path)]
        result = subprocess.run(command, capture_output=True, text=True, check=False)
        assert result.returncode == 0, result.stderr[-3000:]


@pytest.mark.slow
def test_clang_agrees_with_the_reference(monkeypatch):
    """The whole conformance suite passes with CXX=clang++, too; this is its core."""
    if shutil.which("clang++") is None:
        pytest.skip("clang++ is not installed")
    from shd_genn.backends.choice import get

    monkeypatch.setenv("CXX", "clang++")
    config = CompileConfig(networks.N_STEPS)
    events, labels = networks.random_events(4), networks.random_labels(4)
    for network in (networks.network(), networks.learned_network(delays=True)):
        expected = Reference(network, config).gradient(events, labels)
        with get("native").compile(network, EventProp(), config) as compiled:
            assert networks.largest_error(compiled.gradient(events, labels), expected) < 1e-4
    assert os.environ["CXX"] == "clang++"
