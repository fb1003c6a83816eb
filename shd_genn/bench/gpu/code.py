"""What nvcc makes of the kernels: registers, spills, and the machine code of the loops over steps.

Nothing here needs a GPU: ``python -m shd_genn.bench gpu FOLDER --stages code``.
"""

from __future__ import annotations

import re
import shutil
import subprocess
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from shd_genn.backends.cuda import build
from shd_genn.support.errors import BuildError

CAPABILITIES = (75, 80, 90, 120)
"""Compute capabilities, 10 major + minor: Turing, Ampere, Hopper, Blackwell."""
STEP_KERNELS = ("forward", "adjoint")
"""The kernels that walk through all steps."""
STRICT = (
    *("-Werror", "all-warnings", "-Xcompiler", "-Wall,-Wextra,-Wno-unused-parameter"),
    *("-Xptxas", "-v"),
)
ENTRY = re.compile(r"Compiling entry function '(\w+)' for 'sm_(\d+)'")
FRAME = re.compile(r"(\d+) bytes stack frame, (\d+) bytes spill stores, (\d+) bytes spill loads")
USED = re.compile(r"Used (\d+) registers")
INSTRUCTION = re.compile(r"/\*([0-9a-f]{4,})\*/\s+(?:@!?\w+ )?([A-Z][A-Z0-9_.]*)([^;]*);")


@dataclass(frozen=True)
class KernelCode:
    """What nvcc made of a kernel for one compute capability.

    Attributes:
        kernel: Its name.
        capability: 10 major + minor.
        registers: Of each thread.
        stack: Bytes of each thread's own memory, for arrays with computed indices.
        spilled: Bytes that found no register, stores and loads together.
        loop: Instructions of the loop over steps: name → how many; empty if not disassembled.
    """

    kernel: str
    capability: int
    registers: int
    stack: int
    spilled: int
    loop: Mapping[str, int] = field(default_factory=dict)


def code_of(source: str, folder: Path, capabilities: Sequence[int]) -> list[KernelCode]:
    """Compile a source, with warnings as errors, and describe all of its kernels.

    Args:
        source: CUDA source, as `render` writes it.
        folder: Gets the source and the library.
        capabilities: What to compile for.

    Raises:
        Unusable: if there is no nvcc.
        BuildError: if nvcc fails or warns.
    """
    nvcc = build.find_nvcc()
    text, library = folder / "engine.cu", folder / "engine.so"
    text.write_text(source, encoding="utf-8")
    toolchain = build.nvcc_toolchain(nvcc, capabilities)
    command = [*toolchain.command, *STRICT, "-o", str(library), str(text)]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    if result.returncode:
        raise BuildError(
            f"nvcc {toolchain.version} does not compile {text} without a warning; "
            f"report this:\n{result.stderr[-2000:]}"
        )
    loops = _step_loops(library, nvcc)
    return [
        KernelCode(*key, *numbers, loops.get(key, {}))
        for key, numbers in _reported(result.stderr).items()
    ]


def _reported(text: str) -> dict[tuple[str, int], tuple[int, int, int]]:
    """Kernel and compute capability → registers, stack and spills, as ptxas reports them.

    Of a kernel that is a template, the largest.
    """
    found: dict[tuple[str, int], tuple[int, int, int]] = {}
    key, stack, spilled = ("", 0), 0, 0
    for line in text.splitlines():
        if entry := ENTRY.search(line):
            key = _name(entry[1]), int(entry[2])
        elif frame := FRAME.search(line):
            stack, spilled = int(frame[1]), int(frame[2]) + int(frame[3])
        elif used := USED.search(line):
            found[key] = max(found.get(key, (0, 0, 0)), (int(used[1]), stack, spilled))
    return found


def _name(mangled: str) -> str:
    """The name of a function; objects have it with its length and its arguments, _Z7forward6…."""
    match = re.match(r"_Z(\d+)(\w+)", mangled)
    return match[2][: int(match[1])] if match else mangled


def _step_loops(library: Path, nvcc: Path) -> dict[tuple[str, int], Counter[str]]:
    """Kernel and compute capability → the instructions of its loop over steps."""
    program = shutil.which("cuobjdump", path=str(nvcc.parent)) or shutil.which("cuobjdump")
    if program is None:
        return {}
    command = [program, "-sass", str(library)]
    text = subprocess.run(command, capture_output=True, text=True, check=False).stdout
    loops = {}
    for section in re.split(r"\n\s*code for sm_", text)[1:]:
        capability = int(section.partition("\n")[0])
        for function in section.split("Function : ")[1:]:
            if (kernel := _name(function.split()[0])) in STEP_KERNELS:
                loops[kernel, capability] = _largest_loop(function)
    return loops


def _largest_loop(sass: str) -> Counter[str]:
    """The instructions of the longest loop that holds a barrier of the block."""
    code = [(int(at, 16), name, rest) for at, name, rest in INSTRUCTION.findall(sass)]
    longest: list[str] = []
    for at, name, rest in code:
        target = re.search(r"0x([0-9a-f]+)", rest)
        if not name.startswith("BRA") or target is None or int(target[1], 16) >= at:
            continue
        inside = [n.split(".")[0] for where, n, _ in code if int(target[1], 16) <= where <= at]
        if "BAR" in inside and len(inside) > len(longest):
            longest = inside
    return Counter(longest)
