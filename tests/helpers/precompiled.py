"""Headers that are compiled once for all engines of a test run.

GCC spends a third of the time that it needs for an engine on the headers of the standard library.
The same code is compiled, with the same flags; kernels are also compiled without these headers, in
`test_no_kernel_has_a_warning`.
"""

import hashlib
import os
import re
import shlex
import subprocess
from collections.abc import Sequence
from pathlib import Path

from shd_genn.support import builder
from shd_genn.support.errors import BuildError
from shd_genn.support.files import cache_dir, write_text, written_aside
from shd_genn.support.interface import INCLUDE
from shd_genn.support.locks import locked

STANDARD = re.compile(r"^ *#include (<\w+(?:\.h)?>)", re.MULTILINE)


def standard_headers() -> str:
    """A header that includes all standard headers that kernels of the native backend include."""
    engine = builder.PACKAGE / "backends/native/kernels"
    sources = [*engine.glob("*.h"), *engine.glob("*.j2"), *INCLUDE.glob("*.h")]
    found = {name for path in sources for name in STANDARD.findall(path.read_text("utf-8"))}
    return "".join(f"#include {name}\n" for name in sorted(found))


def precompiled(command: Sequence[str], name: str, text: str) -> Path:
    """Compile a header into the cache, unless it is there.

    Args:
        command: The compiler and the flags of the sources that will include it.
        name: The header's file name.
        text: Its content.

    Returns:
        A header for the option ``-include``, with the compiled one beside it.
    """
    version = builder.compiler_version((command[0],))
    key = "\0".join((*command, version, builder.processor(), text))
    folder = cache_dir("headers", hashlib.sha256(key.encode()).hexdigest()[:16])
    header, compiled = folder / name, folder / f"{name}.gch"
    with locked(folder):
        if not compiled.exists():
            write_text(header, text)
            with written_aside(compiled) as aside:
                # Werror: the header is the main file here, which is worth a warning
                flags = [flag for flag in command if flag != "-Werror"]
                made = [*flags, "-w", "-x", "c++-header", str(header), "-o", str(aside)]
                subprocess.run(made, check=True)
    return header


def use_for_engines() -> None:
    """Let this process and its children compile engines with the standard headers compiled once.

    A warning is an error for them. A compiler that the user chose is left alone, and so is one that
    is not GCC.
    """
    if "CXX" in os.environ:
        return
    try:
        (compiler,) = builder.find_compiler()
        made_by = subprocess.check_output([compiler, "--version"], text=True)
    except (BuildError, OSError):
        return
    if "Free Software Foundation" in made_by:
        header = precompiled((compiler, *builder.FLAGS), "standard.h", standard_headers())
        os.environ["CXX"] = f"{compiler} -Werror -include {shlex.quote(str(header))}"


def with_less_optimisation(compiler: str) -> str:
    """A compiler's command, with ``-O1`` after all other options; takes two thirds of the time."""
    script = f'exec {compiler} "$@" -O1'
    return f"sh -c {shlex.quote(script)} sh"
