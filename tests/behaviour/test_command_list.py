"""`python -m shd_genn` lists the commands and starts them."""

import importlib
import subprocess
import sys

import pytest

from shd_genn.__main__ import COMMANDS


def shd_genn(*arguments):
    return subprocess.run(
        [sys.executable, "-m", "shd_genn", *arguments], capture_output=True, text=True, check=False
    )


@pytest.mark.parametrize("arguments", [(), ("--help",)])
def test_the_commands_are_listed(arguments):
    result = shd_genn(*arguments)
    assert result.returncode == 0
    assert all(f"  {name} " in result.stdout for name in COMMANDS)


@pytest.mark.parametrize("name", COMMANDS)
def test_every_listed_command_exists(name):
    module = importlib.import_module(f"shd_genn.{name}")
    if hasattr(module, "__path__"):
        module = importlib.import_module(f"shd_genn.{name}.__main__")
    assert callable(module.main)


def test_a_command_is_started_with_its_options():
    result = shd_genn("run", "--list-presets")
    assert result.returncode == 0 and "shd-genn-best" in result.stdout
    result = shd_genn("run", "--epochs", "0")
    assert result.returncode == 2 and "1 <= epochs must hold, but got 0" in result.stderr


def test_an_unknown_command_gets_a_suggestion():
    result = shd_genn("evalute")
    assert result.returncode == 2
    assert "there is no command evalute; use evaluate if you mean that" in result.stderr
