"""Training methods against recorded gradients of other libraries: SpikingJelly, mlGeNN."""

import numpy as np
import pytest
from helpers import autodiff, mlgenn_eprop, spikingjelly_layers

from shd_genn.backends import reference
from shd_genn.backends.protocols import CompileConfig
from shd_genn.learning.methods import EProp, EPropOnline
from shd_genn.spikes.events import Events


def assert_is_spikingjelly(name, expected):
    """1e-5 of each array's largest number, and the same spikes."""
    layer = spikingjelly_layers.LAYERS[name]
    network = spikingjelly_layers.network(layer)
    engine = reference.compile(network, layer.method, spikingjelly_layers.CONFIG)
    events, labels = autodiff.samples()
    counts = engine.evaluate(events, labels).spike_counts["layer"].sum(axis=0)
    np.testing.assert_array_equal(counts, expected["spikes"])
    assert counts.sum() > 30
    gradient = engine.gradient(events, labels)
    found = spikingjelly_layers.like_spikingjelly(name, gradient)
    assert {*found, "spikes"} == {*expected}
    for key, array in found.items():
        assert np.abs(expected[key]).max() > 0, key
        assert np.abs(array - expected[key]).max() < 1e-5 * np.abs(expected[key]).max(), key


@pytest.mark.parametrize("name", spikingjelly_layers.LAYERS)
def test_neurons_of_steps_are_those_of_spikingjelly(name):
    """`python tests/helpers/spikingjelly_layers.py` recorded them: spikingjelly 2.0, float64.

    Learned: PLIF's time constant; KLIF's k with both resets, scaled or not; the weights and the
    threshold of SlidingPSN; time constant and threshold of neurons without a reset.
    """
    with np.load(spikingjelly_layers.RECORDED) as recorded:
        start = f"{name}/"
        expected = {k.removeprefix(start): recorded[k] for k in recorded if k.startswith(start)}
    assert_is_spikingjelly(name, expected)


@pytest.mark.slow
@pytest.mark.parametrize("name", spikingjelly_layers.LAYERS)
def test_neurons_of_steps_are_those_of_spikingjelly_now(name):
    reason = "spikingjelly is not installed; its recorded gradients are compared"
    pytest.importorskip("spikingjelly", reason=reason)
    assert_is_spikingjelly(name, spikingjelly_layers.gradients(name))


def assert_is_mlgenn(recorded):
    """`by_hand` in mlGeNN's convention has its states and gradients.

    float32 against float64, over 80 steps: 1e-5 of the largest number, and for gradients, which are
    sums of some hundred products, 1e-4.
    """
    _, v, a, z, v_out = mlgenn_eprop.forward()
    after = {"V": v - mlgenn_eprop.V_THRESH * z, "A": a + z, "V_out": v_out}
    for name, array in after.items():
        scale = np.abs(array).max()
        np.testing.assert_allclose(recorded[name], array, rtol=0, atol=1e-5 * scale)
    assert z.sum() > 100
    for name, array in mlgenn_eprop.by_hand(mlgenn_eprop.MLGENN).items():
        got = recorded[f"gradient_{name}"].reshape(array.shape)
        assert np.abs(got - array).max() < 1e-4 * np.abs(array).max(), name


def test_eprop_of_mlgenn_is_understood():
    """`python tests/helpers/mlgenn_eprop.py` recorded it: mlGeNN 2.3.1, GeNN 5.4.0, float32."""
    with np.load(mlgenn_eprop.RECORDED) as recorded:
        assert_is_mlgenn(dict(recorded))


@pytest.mark.genn
def test_eprop_of_mlgenn_is_understood_now(tmp_path, monkeypatch):
    pytest.importorskip("ml_genn", reason="mlGeNN is not installed; its recording is compared")
    monkeypatch.chdir(tmp_path)
    assert_is_mlgenn(mlgenn_eprop.run_mlgenn())


@pytest.mark.parametrize("method", [EProp(), EPropOnline()], ids=lambda m: m.kind)
def test_eprop_is_that_of_mlgenn_in_our_convention(method):
    """The same loops with our convention have our gradients, to 1e-5 of the largest number."""
    gain = mlgenn_eprop.GAIN
    config = CompileConfig(mlgenn_eprop.N_STEPS)
    engine = reference.compile(mlgenn_eprop.network(), method, config)
    start = {name: (w / gain).astype(np.float32) for name, w in mlgenn_eprop.weights().items()}
    engine.set_parameters(start)
    steps, channels = mlgenn_eprop.spikes()
    events = Events.of([(steps.astype(float), channels)])
    got = engine.gradient(events, np.array([mlgenn_eprop.LABEL]))
    assert (
        engine.evaluate(events).spike_counts["hidden"] == mlgenn_eprop.forward()[3].sum(0)
    ).all()
    expected = mlgenn_eprop.by_hand(mlgenn_eprop.OURS)
    for name, array in expected.items():
        array = array * gain / mlgenn_eprop.N_STEPS
        assert np.abs(got[name] - array).max() < 1e-5 * np.abs(array).max(), name
    theirs = mlgenn_eprop.by_hand(mlgenn_eprop.MLGENN)
    for name, array in expected.items():  # three steps of 20 ms matter little for the direction
        alike = (array * theirs[name]).sum() / np.linalg.norm(array) / np.linalg.norm(theirs[name])
        assert alike > 0.98, (name, alike)
