"""A run of the tiny dataset, and networks of random weights, to export."""

import pytest
from helpers import tiny

from shd_genn import fit


@pytest.fixture(scope="session")
def run(data, tmp_path_factory):
    """A run that has learned the tiny dataset."""
    options = {"trial_ms": 120.0, "hidden_sizes": (20,), "w_in_mean": 0.2, "w_in_sd": 0.1}
    options |= {"learning_rate": 0.01, "shift_channels": 0.0, "batch_size": 16, "epochs": 8}
    options |= {"n_threads": 1, "softmax_temperature": 0.1, "validation": "none"}
    return fit(str(data), runs=tmp_path_factory.mktemp("runs"), name="tiny", **options)


@pytest.fixture(scope="session")
def test_set():
    """60 samples like those that it has learned."""
    return tiny.dataset(60, 7)
