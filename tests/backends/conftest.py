"""Fixtures of the backend tests."""

import pytest
import tiny


@pytest.fixture(scope="session")
def data(tmp_path_factory):
    """The folder of the tiny dataset."""
    return tiny.write(tmp_path_factory.mktemp("data") / "tiny")
