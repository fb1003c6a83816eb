"""Compiling C files strictly, and running them on qemu's Cortex-M4."""

import shutil
import subprocess
from pathlib import Path

import pytest

BOARD = Path(__file__).parents[1] / "export" / "cortex_m4"
STRICT = ["-std=c99", "-Wall", "-Wextra", "-Wshadow", "-pedantic", "-Werror"]
MACHINE = ["-mcpu=cortex-m4", "-mthumb", "-mfloat-abi=hard", "-mfpu=fpv4-sp-d16"]


def on_a_cortex_m4(sources, define, given, folder, options=()):
    """What a program prints on qemu's board mps2-an386; the test is skipped where that is missing.

    Args:
        sources: C files.
        define: An option such as -DNETWORK_MAIN.
        given: What it reads, bytes.
        folder: Where it is compiled.
        options: More of qemu's.
    """
    for program in ("arm-none-eabi-gcc", "qemu-system-arm"):
        if shutil.which(program) is None:
            pytest.skip(f"{program} is not installed; docs/microcontrollers.md has its numbers")
    elf, board = folder / "program.elf", [BOARD / "startup.c", "-T", BOARD / "board.ld"]
    compiler = ["arm-none-eabi-gcc", *STRICT, "-O2", *MACHINE, define]
    subprocess.run([*compiler, *sources, *board, "--specs=rdimon.specs", "-o", elf], check=True)
    qemu = ["qemu-system-arm", "-M", "mps2-an386", "-nographic", "-monitor", "none"]
    qemu += ["-serial", "none", "-semihosting-config", "enable=on,target=native", "-kernel", elf]
    done = subprocess.run(
        [*qemu, *options], input=given, capture_output=True, timeout=60, check=True
    )
    return done.stdout.decode().replace("\r", "")
