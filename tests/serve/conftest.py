"""A server of a run that tells low tones from high ones."""

import socket
import threading
import time
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from helpers.tones import WORDS, tone

from shd_genn import fit
from shd_genn.encode.filter_bank import FilterBank
from shd_genn.encode.mel import MelSpectrogram, RateCode
from shd_genn.encode.silence import SILENCE
from shd_genn.serve.listener import Listener
from shd_genn.serve.takes import Takes
from shd_genn.spikes.dataset import SpikeDataset
from shd_genn.spikes.events import Events
from shd_genn.spikes.hdf5 import write_spikes

CHANNELS = 16


def trained(tmp_path_factory, encoder, words, sounds, trial_ms=300.0):
    """A run that has learned words by an encoder; ``sounds`` makes one of a word and a seed."""
    folder = tmp_path_factory.mktemp("tones")
    for split, n in (("train", 12 * len(words)), ("test", 4 * len(words))):
        names = [words[i % len(words)] for i in range(n)]
        spikes = [encoder.encode(sounds(word, seed=i), i) for i, word in enumerate(names)]
        labels = np.array([words.index(word) for word in names], np.int32)
        unknown = np.full(n, -1, np.int32)
        parts = ("tones", Events.of(spikes), labels, unknown, CHANNELS, words)
        write_spikes(folder / f"{split}.h5", SpikeDataset(*parts, code=encoder.code))
    options = {"trial_ms": trial_ms, "hidden_sizes": (16,), "w_in_mean": 0.3, "w_in_sd": 0.2}
    options |= {"learning_rate": 0.01, "shift_channels": 0.0, "batch_size": 8, "epochs": 8}
    options |= {"n_threads": 1, "softmax_temperature": 0.1, "validation": "none"}
    return fit(str(folder), runs=tmp_path_factory.mktemp("runs"), name="tones", **options)


@pytest.fixture(scope="session")
def run(tmp_path_factory):
    """A run that has learned both words by the rate code."""
    return trained(tmp_path_factory, RateCode(MelSpectrogram(CHANNELS)), WORDS, tone)


def heard(word, seed=0):
    """A tone, or noise that a microphone hears when nobody speaks."""
    if word != SILENCE:
        return tone(word, seed=seed)
    return np.random.default_rng(seed).normal(0, 0.02, 14_400)


@pytest.fixture(scope="session")
def streaming_run(tmp_path_factory):
    """A run that has learned both words and silence by the filter bank."""
    return trained(tmp_path_factory, FilterBank(CHANNELS), (*WORDS, SILENCE), heard, 500.0)


@dataclass
class Served:
    """A server that runs, where, and where it saves recordings."""

    url: str
    port: int
    takes: Path


@contextmanager
def serving(runs, takes):
    """A server of some runs."""
    uvicorn = pytest.importorskip("uvicorn", reason="the extra serve is not installed")
    pytest.importorskip("starlette", reason="the extra serve is not installed")
    from shd_genn.serve.app import application

    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    with Listener(runs) as listener:
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


@pytest.fixture(scope="session")
def served(run, tmp_path_factory):
    with serving([run.path, run.path], tmp_path_factory.mktemp("takes") / "recordings") as server:
        yield server


@pytest.fixture(scope="session")
def stream_served(streaming_run, tmp_path_factory):
    with serving([streaming_run.path], tmp_path_factory.mktemp("takes") / "recordings") as server:
        yield server
