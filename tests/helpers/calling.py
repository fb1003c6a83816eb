"""A command of the package in this process, which saves the time to start Python and import all."""

import importlib
import os
import subprocess
import sys
from contextlib import redirect_stderr, redirect_stdout
from io import StringIO
from unittest import mock

from shd_genn.support import cli


def call(module: str, *arguments: object, width: int = 80) -> subprocess.CompletedProcess[str]:
    """Run ``python -m shd_genn.MODULE ARGUMENTS`` as if in a process of its own.

    Signals, the end of the process, and what it imports are tested by processes instead.

    Args:
        module: ``run``, ``evaluate``, ``encode`` …
        arguments: The command line.
        width: Columns of the terminal.

    Returns:
        Exit code, and what was printed.
    """
    name, words = f"shd_genn.{module}", [str(argument) for argument in arguments]
    found = importlib.import_module(name)
    if hasattr(found, "__path__"):
        found = importlib.import_module(f"{name}.__main__")
    out, err, code = StringIO(), StringIO(), 0
    with (
        mock.patch.object(sys, "argv", [str(found.__file__), *words]),
        mock.patch.dict(os.environ, {"COLUMNS": str(width)}),
        redirect_stdout(out),
        redirect_stderr(err),
    ):
        try:
            cli.command(found.main)
        except SystemExit as end:
            code = end.code if isinstance(end.code, int) else int(end.code is not None)
    return subprocess.CompletedProcess([name, *words], code, out.getvalue(), err.getvalue())
