"""What is written for NumPy and PyTorch gives our outputs; the command, its sizes and refusals."""

import importlib.util
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
from helpers.exporting import dense_input, trained_network

from shd_genn.export.c_source import write_c
from shd_genn.export.nir_graph import to_nir
from shd_genn.export.numpy_network import write_numpy
from shd_genn.export.torch_module import write_torch
from shd_genn.network.formulas import Formula
from shd_genn.network.settings import FirstSpikeTime, GammaTau, MaxVar
from shd_genn.support.errors import ConfigError

KINDS = {
    "two layers": {},
    "time constants": {"train_tau": True, "tau_distribution": GammaTau()},
    "delays": {"delay_in_ms": 9.0, "delay_rec_ms": 5.0},
    "max": {"readout": MaxVar()},
    "first spike": {"readout": FirstSpikeTime(), "w_out_mean": 1.0},
}


def loaded(path):
    """A file as a module that leaves nothing behind."""
    spec = importlib.util.spec_from_file_location("exported", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("kind", KINDS)
def test_numpy_gives_our_outputs(kind, tmp_path):
    trained, events, reference = trained_network(**KINDS[kind])
    write_numpy(trained, tmp_path)
    module = loaded(tmp_path / "network.py")
    theirs = [module.run(*events.sample(i)) for i in range(len(events))]
    # float32 instead of float64
    np.testing.assert_allclose(theirs, reference.evaluate(events).readout, rtol=1e-5, atol=1e-5)


def test_the_numpy_file_is_short_and_runs_alone(tmp_path):
    trained, events, reference = trained_network()
    write_numpy(trained, tmp_path)
    code = (tmp_path / "network.py").read_text().split("def run")[1].split("if __name__")[0]
    assert len(code.strip().splitlines()) <= 32
    times_ms, channels = events.sample(0)
    np.savez(tmp_path / "spikes.npz", times_ms=times_ms, channels=channels)
    done = subprocess.run(
        [sys.executable, "-I", tmp_path / "network.py", tmp_path / "spikes.npz"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.strip() == trained.words[reference.evaluate(events).predictions[0]]


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "delays"])
def test_torch_gives_our_outputs_and_gradients(kind, tmp_path):
    torch = pytest.importorskip("torch", reason="torch is not installed (the extra gp)")
    trained, events, reference = trained_network(**KINDS[kind])
    write_torch(trained, tmp_path)
    network = loaded(tmp_path / "network_torch.py").Network()
    spikes = torch.from_numpy(dense_input(reference, events))
    theirs = network(spikes)
    ours = reference.evaluate(events).readout
    np.testing.assert_allclose(theirs.detach().numpy(), ours, rtol=1e-4, atol=1e-5)
    if kind != "first spike":  # a time in steps has no derivative
        theirs.square().sum().backward()
        assert all(w.grad.abs().sum() > 0 for w in network.weights.values())


def test_torch_refuses_delays_that_differ(tmp_path):
    trained, _, _ = trained_network(delay_in_ms=9.0)
    with pytest.raises(ConfigError, match="shifts whole connections"):
        write_torch(trained, tmp_path)


@pytest.mark.parametrize(
    ("population", "changes", "message"),
    [
        (1, {"reset": "subtract"}, "have reset subtract"),
        (1, {"tau_refrac": 2.0}, "tau_refrac 2"),
        (-1, {"readout": "weighted", "weight": Formula("1 - s")}, "has a weight of its own"),
    ],
)
def test_what_would_compute_something_else_is_refused(population, changes, message, tmp_path):
    trained, _, _ = trained_network(hidden_sizes=(9,))
    network = trained.network
    old = network.populations[population]
    new = replace(old, neuron=replace(old.neuron, **changes))
    swap = {old.name: new}
    connections = tuple(
        replace(
            c,
            source=swap.get(c.source.name, c.source),
            target=swap.get(c.target.name, c.target),
        )
        for c in network.connections
    )
    populations = tuple(swap.get(p.name, p) for p in network.populations)
    network = replace(network, populations=populations, connections=connections)
    other = replace(trained, network=network)
    for write in (write_numpy, write_torch, write_c):
        with pytest.raises(ConfigError, match=message):
            write(other, tmp_path)
    with pytest.raises(ConfigError, match=message):
        to_nir(other)
    assert not list(tmp_path.iterdir())
