"""Input through a delay line (delay_line.h): as if each copy were an input of its own."""

import numpy as np
import pytest
from helpers import networks

from shd_genn.backends.choice import get
from shd_genn.backends.conformance.networks import TOLERANCE
from shd_genn.backends.native import lower as lower_module
from shd_genn.backends.protocols import CompileConfig
from shd_genn.backends.reference.engine import Reference
from shd_genn.learning.methods import EventProp, Surrogate
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
from shd_genn.present.delay_line import DelayedEvents, DelayLine
from shd_genn.present.presentation import Presentation
from shd_genn.spikes.events import Events

N_CHANNELS, N_TRIALS, DT_MS = 12, 35, 2.0  # two groups of trials, the last smaller


@pytest.fixture(autouse=True)
def every_connection_is_large(monkeypatch):
    monkeypatch.setattr(lower_module, "LARGE", 0)


def fed(n_inputs):
    """Two populations that receive the input, of 65 and of 10 neurons."""
    source = Population("input", SpikeInput(), n_inputs)
    one = Population("one", LeakyIntegrateFire(15.0), 65)
    two = Population("two", LeakyIntegrateFire(30.0, 0.7), 10)
    output = Population("output", LeakyIntegrate(20.0), networks.N_CLASSES)
    pairs = [(source, one), (source, two), (one, two), (two, one), (one, output), (two, output)]
    drawn, synapse = Dense(Normal(0.2, 0.5)), Exponential(5.0)
    return Network(
        (source, one, two, output), tuple(Connection(a, b, drawn, synapse) for a, b in pairs)
    )


def samples(n_trials, trial_ms, seed=0):
    """Samples of 30 to 80 spikes; one is empty."""
    rng = np.random.default_rng(seed)
    sizes = [0, *rng.integers(30, 81, n_trials - 1)]
    return Events.of([(rng.uniform(0, trial_ms, n), rng.integers(0, N_CHANNELS, n)) for n in sizes])


def case(n_steps, n_copies, lag, n_trials=N_TRIALS):
    """Events, labels and the configuration without threads."""
    presentation = Presentation(N_CHANNELS, n_steps * DT_MS, DT_MS, n_copies, lag * DT_MS)
    events = presentation(samples(n_trials, n_steps * DT_MS))
    labels = np.arange(n_trials) % networks.N_CLASSES
    return (
        events,
        labels,
        {"n_steps": n_steps, "dt_ms": DT_MS, "delay_line": presentation.delay_line},
    )


def plain(events):
    """The same spikes, each copy for itself."""
    return Events(events.times_ms, events.channels, events.offsets)


# the last trials are shorter than the line, or than one lag
@pytest.mark.parametrize(("n_steps", "n_copies", "lag"), [(60, 3, 7), (40, 1, 1), (20, 4, 9)])
def test_gradients_are_those_of_the_reference_for_any_number_of_threads(n_steps, n_copies, lag):
    events, labels, settings = case(n_steps, n_copies, lag)
    network = fed(events.line.n_inputs)
    expected = Reference(network, CompileConfig(**settings)).gradient(events, labels)
    gradients = []
    for n_threads in (1, 2, 5):
        config = CompileConfig(**settings, n_threads=n_threads)
        with get("native").compile(network, EventProp(), config) as engine:
            assert engine._calls.lag_of(events) == lag
            gradients.append(engine.gradient(events, labels))
    for name, value in expected.items():
        np.testing.assert_array_equal(gradients[0][name], gradients[1][name])
        np.testing.assert_array_equal(gradients[0][name], gradients[2][name])
        assert np.abs(value).max() > 0
        assert np.abs(gradients[0][name] - value).max() < TOLERANCE * np.abs(value).max()


def test_passes_with_and_without_the_line_agree():
    """Spike counts, of the input too, what is recorded, and a gradient after each kind of pass."""
    events, labels, settings = case(60, 3, 7)
    config = CompileConfig(**settings, n_threads=2)
    with get("native").compile(fed(events.line.n_inputs), EventProp(), config) as engine:
        for some in (events, plain(events)):
            result, recorded = engine.evaluate(some, labels), engine.record(some)
            trained = engine.train_batch(some, labels, 0.0)
            np.testing.assert_array_equal(trained.readout, result.readout)
            np.testing.assert_array_equal(result.input_spikes, events.counts)
            np.testing.assert_array_equal(recorded.spikes["input"].offsets, events.offsets)
            np.testing.assert_array_equal(recorded.spikes["input"].times_ms, events.times_ms)
            np.testing.assert_array_equal(recorded.spikes["input"].channels, events.channels)
            assert result.spike_counts["one"].sum() > N_TRIALS
            np.testing.assert_array_equal(
                result.spike_counts["one"].sum(axis=1), recorded.spikes["one"].counts
            )
        one, other = engine.gradient(events, labels), engine.gradient(plain(events), labels)
    for name, value in one.items():
        assert np.abs(other[name] - value).max() < TOLERANCE * np.abs(value).max()


def test_silent_neurons_learn_nothing_from_the_line():
    events, labels, settings = case(60, 3, 7)
    with get("native").compile(
        fed(events.line.n_inputs), EventProp(), CompileConfig(**settings, n_threads=1)
    ) as engine:
        engine.set_parameters({k: -np.abs(w) for k, w in engine.parameters().items()})
        gradient = engine.gradient(events, labels)
    assert not gradient["input_one"].any()


def test_other_lines_and_methods_take_copies_one_by_one():
    events, labels, settings = case(60, 3, 7)
    other = DelayedEvents(events.recorded, DelayLine(3, 12.0, N_CHANNELS, 120.0))
    network = fed(events.line.n_inputs)
    with get("native").compile(network, EventProp(), CompileConfig(**settings)) as engine:
        assert engine._calls.lag_of(other) == engine._calls.lag_of(plain(events)) == 0
        engine.train_batch(other, labels, 0.0)
    with get("native").compile(network, Surrogate(), CompileConfig(**settings)) as engine:
        assert engine._calls.lag_of(events) == 0


@pytest.mark.parametrize(
    ("step_ms", "dt_ms", "trial_ms", "lag"),
    [
        (30.0, 2.0, 1000.0, 15),
        (30.0, 1.0, 1000.0, 30),
        (3.0, 2.0, 1000.0, None),  # copies are between steps
        (30.0, 2.0, 900.0, None),  # the line ends before the trial
    ],
)
def test_lags_that_are_whole_steps(step_ms, dt_ms, trial_ms, lag):
    line = DelayLine(10, step_ms, 700, trial_ms)
    assert line.lag_steps(round(1000 / dt_ms), dt_ms) == lag


def test_copies_are_made_when_they_are_asked_for():
    events, _, _ = case(60, 3, 7, n_trials=4)
    expected = events.line(events.recorded)
    assert len(events) == 4
    np.testing.assert_array_equal(events.counts, expected.counts)
    for i in range(4):
        for mine, theirs in zip(events.sample(i), expected.sample(i), strict=True):
            np.testing.assert_array_equal(mine, theirs)
    few = events.take(np.array([2, 0]))
    assert isinstance(few, DelayedEvents)
    np.testing.assert_array_equal(few.sample(0)[0], events.sample(2)[0])
