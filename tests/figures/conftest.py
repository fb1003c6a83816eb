"""Fixtures of the tests of figures."""

import optuna
import pytest
from helpers import fakes

from analysis.tools.load import read


@pytest.fixture(scope="session", autouse=True)
def quiet():
    optuna.logging.set_verbosity(optuna.logging.WARNING)


@pytest.fixture(scope="session")
def grid(tmp_path_factory):
    """A folder of twelve complete runs."""
    return fakes.grid(tmp_path_factory.mktemp("grid"))


@pytest.fixture
def results(grid):
    return read([grid])
