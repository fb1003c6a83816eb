"""Fixtures of the sweep tests."""

import pytest
from helpers import sweeping


@pytest.fixture
def space(tmp_path):
    """A search space's file in a folder of its own."""
    return sweeping.write_space(tmp_path)
