"""Fixtures of the sweep tests."""

import pytest
import sweeping
import tiny


@pytest.fixture(scope="session")
def data(tmp_path_factory):
    """The folder of the tiny dataset."""
    return tiny.write(tmp_path_factory.mktemp("data") / "tiny")


@pytest.fixture
def space(tmp_path):
    """A search space's file in a folder of its own."""
    return sweeping.write_space(tmp_path)
