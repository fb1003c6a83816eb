"""Training starts from a network of rates: its units' activities are rates of spikes."""

import itertools
import shutil

import numpy as np
import pytest
from helpers import tiny
from helpers.running import same_weights, settings

from shd_genn.backends import reference
from shd_genn.backends.protocols import CompileConfig
from shd_genn.backends.reference import conversion
from shd_genn.config.flat import update
from shd_genn.learning.methods import Conversion, Surrogate
from shd_genn.network import (
    Connection,
    Dense,
    Exponential,
    LeakyIntegrate,
    LeakyIntegrateFire,
    Network,
    Normal,
    Population,
    SpikeInput,
)
from shd_genn.spikes.events import Events
from shd_genn.support.errors import ConfigError
from shd_genn.train import loop
from shd_genn.train.starting import spiking_weights


def test_neurons_spike_as_often_as_their_units_are_active():
    """Without leak, and with weights above 0, counts are whole parts of n a/s: 1 spike apart."""
    rng, n_steps, n_spikes = np.random.default_rng(0), 800, 40
    hidden = LeakyIntegrateFire(1e6, reset="subtract")
    chain = [Population("input", SpikeInput(), 10), Population("hidden0", hidden, 8)]
    chain += [
        Population("hidden1", hidden, 6),
        Population("output", LeakyIntegrate(5.0, "avg_var"), 3),
    ]
    pairs = itertools.pairwise(chain)
    dense = Dense(Normal(0.0, 0.1))
    network = Network(
        tuple(chain), tuple(Connection(a, b, dense, Exponential(3.0)) for a, b in pairs)
    )
    rates = {c.name: rng.uniform(0.2, 1, c.shape).astype(np.float32) for c in network.connections}
    rates["input.scale"] = np.array([20.0], np.float32)
    counts = rng.integers(5, 25, 10)
    channels = np.repeat(np.arange(10), counts)
    spikes = Events.of([(rng.uniform(0, 500, len(channels)), channels)])
    activity, active = counts / 20.0, {}
    for p, c in zip(chain[1:], network.connections, strict=True):
        activity = activity @ rates[c.name]
        active[p.name] = activity
        rates[f"{p.name}.scale"] = np.array([1.1 * activity.max()], np.float32)
    engine = reference.compile(network, Surrogate(), CompileConfig(n_steps))
    own = engine.parameters()
    engine.set_parameters(own | spiking_weights(network, own, rates, n_spikes, 1.0, n_steps))
    result = engine.evaluate(spikes)
    for name in ("hidden0", "hidden1"):
        expected = n_spikes * active[name] / rates[f"{name}.scale"][0]
        assert np.abs(result.spike_counts[name][0] - expected).max() <= 2, name
        assert expected.max() > 30 > expected.min()
    np.testing.assert_allclose(result.readout[0], active["output"], rtol=0.1)


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return tiny.write(tmp_path_factory.mktemp("data"), 24, 6)


def config(data, **changes):
    given = settings(data, epochs=1, method=changes.pop("method", Surrogate("triangle")))
    plain = {"backend": "reference", "dt_ms": 4.0, "hidden_sizes": (8,), "model": "feedforward"}
    return update(given, plain | changes)


@pytest.fixture(scope="module")
def rates(data, tmp_path_factory):
    """A run of conversion without PyTorch, whose weights stay as drawn; the same with biases."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(conversion, "import_torch", lambda: None)
        patched.setattr(
            conversion,
            "gradient",
            lambda layers, parameters, *_: {k: np.zeros_like(a) for k, a in parameters.items()},
        )
        runs = tmp_path_factory.mktemp("rates")
        given = config(data, method=Conversion(bin_ms=120.0, bin_channels=1, rate_bias=False))
        run = loop.start(given, runs, name="whole")
    shutil.copytree(run.path, runs / "biases")
    type(run)(runs / "biases").write_config(update(given, {"rate_bias": True}))
    return runs


def test_a_run_starts_from_a_run_of_rates(data, rates, tmp_path):
    given = config(
        data,
        start_from=str(rates / "whole"),
        train_tau=True,
        train_v_thresh=True,
        v_thresh=0.3,
        keep_epochs=(0,),
    )
    run = loop.start(given, tmp_path, name="run")
    with np.load(rates / "whole" / "best.npz") as file:
        converted = {k.removeprefix("parameter_"): a for k, a in file.items()}
    with np.load(next((run.path / "epochs").glob("*0.npz"))) as file:
        start = {k.removeprefix("parameter_"): a for k, a in file.items()}
    for key in ("input_hidden0", "hidden0_output"):
        ratio = start[key] / converted[key]
        np.testing.assert_allclose(ratio, ratio[0, 0], rtol=1e-5)
        assert ratio[0, 0] > 0
    np.testing.assert_array_equal(start["hidden0.v_thresh"], np.float32(0.3))

    killed = tmp_path / "killed"  # before its first epoch was complete
    shutil.copytree(run.path, killed)
    for name in ("last.npz", "best.npz", "metrics.csv", "summary.json"):
        (killed / name).unlink()
    loop.resume(type(run)(killed), run.config)
    assert same_weights(run.path, killed)


@pytest.mark.parametrize(
    ("start", "changes", "message"),
    [
        ("whole", {"model": "recurrent"}, "the connections .* take model=feedforward"),
        ("whole", {"hidden_sizes": (9,)}, r"shape \(9, 3\), but \(8, 3\) in .* --bin-channels 1"),
        ("whole", {"synapse": "delta"}, "exponential synapses .* the network has others"),
        ("whole", {"neuron": "alif"}, "leaky integrate-and-fire .* the network has others"),
        (
            "whole",
            {"validation": "random", "validation_fraction": 0.5, "batch_size": 4},
            r"has learned 2\d samples of .* not the 12 training",
        ),
        ("biases", {}, "no biases, but .* train one with --method conversion --no-rate-bias"),
        ("none", {}, "must be the folder of a run"),
    ],
)
def test_what_cannot_start_is_refused(start, changes, message, data, rates, tmp_path):
    given = config(data, start_from=str(rates / start), **changes)
    with pytest.raises(ConfigError, match=message):
        loop.start(given, tmp_path)
    assert not list(tmp_path.iterdir())
