"""Each library: it learns, and where its neurons are the native engine's it does the same work."""

import numpy as np
import pytest

from shd_genn.bench.peers.case import Batch, Setting
from shd_genn.bench.peers.libraries import LIBRARIES, load
from shd_genn.bench.peers.libraries.compiled import CompiledPeer
from shd_genn.bench.peers.libraries.readout import spike_weights
from shd_genn.bench.peers.worker import match_activity
from shd_genn.network.readouts import read_weights
from shd_genn.spikes.events import Events

COMPILED = {"torch", "snntorch", "spikingjelly", "norse"}
PEERS = [
    pytest.param(
        name,
        marks=[
            *([pytest.mark.genn] if name == "genn" else []),
            *([pytest.mark.slow] if library.method == "event-based" else []),
            pytest.mark.skipif(
                bool(library.missing), reason=f"{', '.join(library.missing)} not installed"
            ),
            pytest.mark.filterwarnings("ignore"),  # of the libraries, which are not ours to mend
        ],
    )
    for name, library in LIBRARIES.items()
]
SAME_NEURONS = {
    "native",
    "native_surrogate",
    "native_bounded",
    "genn",
    "jax",
    "torch",
    "spikingjelly",
}
"""Exact integration, reset to zero in the step of the spike, arrival one step later."""


def made(name, **settings):
    """A peer; those that simulate event by event are given a tenth of the spikes."""
    given = {"topology": "recurrent", "hidden": 16, "n_steps": 200, "threads": 1}
    setting = Setting(**{**given, **settings})
    kind = load(name)
    batch = Batch.synthetic(kind.batch_size).through(setting)
    if LIBRARIES[name].method == "event-based":
        times, channels = batch.events.sample(0)
        batch = Batch(Events.of([(10 * times[:800], channels[:800])]), batch.labels)
    return kind(setting, kind.place(setting, batch)), setting


@pytest.fixture(autouse=True)
def eager(monkeypatch, request):
    """PyTorch computes the same without compiling, which takes half a minute a network."""
    name = request.node.callspec.params.get("name") if hasattr(request.node, "callspec") else ""
    if name in COMPILED and not LIBRARIES[name].missing:
        import torch

        monkeypatch.setattr(torch, "compile", lambda function=None, **_: function or (lambda f: f))


@pytest.mark.parametrize("topology", ["recurrent", "feedforward"])
@pytest.mark.parametrize("name", PEERS)
def test_it_is_as_active_as_wanted_and_learns(name, topology):
    if LIBRARIES[name].method == "event-based" and topology == "feedforward":
        pytest.skip("takes ten seconds to compile, and is the same code")
    peer, setting = made(name, topology=topology, learning_rate=3e-3, spikes_per_neuron=5)
    try:
        assert abs(match_activity(peer, setting, setting.network.initial_parameters(0)) - 5) < 0.25
        losses = [peer.train_batch() for _ in range(6)]
        assert np.isfinite(losses).all() and losses[-1] < losses[0]
    finally:
        peer.close()


@pytest.mark.parametrize("topology", ["recurrent", "feedforward"])
@pytest.mark.parametrize("name", [p for p in PEERS if p.values[0] in SAME_NEURONS - {"native"}])
def test_it_does_the_same_work_as_the_native_engine(name, topology):
    peer, setting = made(name, topology=topology, n_steps=100, hidden=32)
    native, _ = made("native", topology=topology, n_steps=100, hidden=32)
    weights = setting.network.initial_parameters(seed=1)
    try:
        peer.set_weights(weights)
        native.set_weights(weights)
        expected = native.spike_counts()
        if isinstance(peer, CompiledPeer):  # genn: one sample
            native._batch = peer._batch
            expected = native.spike_counts()
        # float32 sums in another order move a voltage across the threshold now and then, which a
        # recurrent network passes on: some spikes in a hundred thousand
        np.testing.assert_allclose(peer.spike_counts(), expected, atol=0.1)
        assert abs(peer.spike_counts().mean() / expected.mean() - 1) < 1e-3
        assert expected.mean() > 5
    finally:
        peer.close()
        native.close()


@pytest.mark.parametrize("copies", [0, 2])
@pytest.mark.parametrize("name", [p for p in PEERS if p.values[0] in {"jax", "torch"}])
def test_plain_peers_have_the_native_loss(name, copies):
    peer, setting = made(name, copies=copies)
    native, _ = made("native", copies=copies)
    try:
        match_activity(peer, setting, setting.network.initial_parameters(0))
        match_activity(native, setting, setting.network.initial_parameters(0))
        # the same weights, and float32 sums in another order
        assert peer.train_batch() == pytest.approx(native.train_batch(), rel=1e-3)
    finally:
        native.close()


def test_weights_of_spikes_are_the_output_filter_read_backwards():
    setting = Setting("feedforward", hidden=1, n_steps=40, threads=1)
    of_voltage = read_weights("avg_var_exp_weight", 40)
    expected = np.zeros(40)
    for fired in range(40):  # a spike in each step in turn, followed forward
        v = i = 0.0
        for step in range(40):
            i = setting.decay_syn * i + (step == fired + 1)
            v = setting.decay_mem * v + setting.gain * i
            expected[fired] += of_voltage[step] * v
    np.testing.assert_allclose(spike_weights(setting), expected, rtol=1e-5, atol=1e-9)
