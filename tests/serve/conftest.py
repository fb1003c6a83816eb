"""A server of a run that tells low tones from high ones."""

import socket
import threading
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from helpers.tones import WORDS, tone

from shd_genn import fit
from shd_genn.encode.mel import MelSpectrogram, RateCode
from shd_genn.serve.listener import Listener
from shd_genn.serve.takes import Takes
from shd_genn.spikes.dataset import SpikeDataset
from shd_genn.spikes.events import Events
from shd_genn.spikes.hdf5 import write_spikes

CHANNELS = 16


@pytest.fixture(scope="session")
def run(tmp_path_factory):
    """A run that has learned both words by the rate code."""
    folder, encoder = tmp_path_factory.mktemp("tones"), RateCode(MelSpectrogram(CHANNELS))
    for split, n in (("train", 24), ("test", 8)):
        words = [WORDS[i % 2] for i in range(n)]
        spikes = [encoder.encode(tone(word, seed=i), i) for i, word in enumerate(words)]
        labels = np.array([WORDS.index(word) for word in words], np.int32)
        unknown = np.full(n, -1, np.int32)
        parts = ("tones", Events.of(spikes), labels, unknown, CHANNELS, WORDS)
        write_spikes(folder / f"{split}.h5", SpikeDataset(*parts, code="rate"))
    options = {"trial_ms": 300.0, "hidden_sizes": (16,), "w_in_mean": 0.3, "w_in_sd": 0.2}
    options |= {"learning_rate": 0.01, "shift_channels": 0.0, "batch_size": 8, "epochs": 8}
    options |= {"n_threads": 1, "softmax_temperature": 0.1, "validation": "none"}
    return fit(str(folder), runs=tmp_path_factory.mktemp("runs"), name="tones", **options)


@dataclass
class Served:
    """A server that runs, where, and where it saves recordings."""

    url: str
    port: int
    takes: Path


@pytest.fixture(scope="session")
def served(run, tmp_path_factory):
    uvicorn = pytest.importorskip("uvicorn", reason="the extra serve is not installed")
    pytest.importorskip("starlette", reason="the extra serve is not installed")
    from shd_genn.serve.app import application

    takes = tmp_path_factory.mktemp("takes") / "recordings"
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    with Listener([run.path, run.path]) as listener:
        app = application(listener, Takes(takes), ("127.0.0.1", "localhost"))
        server = uvicorn.Server(uvicorn.Config(app, port=port, log_level="error"))
        thread = threading.Thread(target=server.run, daemon=True)
        thread.start()
        end = time.monotonic() + 30
        while not server.started and time.monotonic() < end:
            time.sleep(0.01)
        yield Served(f"http://127.0.0.1:{port}/", port, takes)
        server.should_exit = True
        thread.join(10)
