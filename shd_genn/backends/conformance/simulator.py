"""What every `Simulator` has to do: its spikes, voltages and readouts are the reference's."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from shd_genn.backends.capabilities import ALL_KINDS
from shd_genn.backends.conformance.networks import (
    CONFIG,
    N_CLASSES,
    N_INPUTS,
    N_STEPS,
    READOUTS_OF_NETWORKS,
    TOLERANCE,
    assert_repeated,
    assert_same_spikes,
    compiled,
    config_of,
    layered_network,
    learned_network,
    network_with_spiking_outputs,
    random_events,
    random_labels,
)
from shd_genn.backends.protocols import Backend, CompileConfig, Simulator
from shd_genn.backends.reference.engine import Reference
from shd_genn.learning.methods import EventProp
from shd_genn.learning.objective import FirstSpikeLoss
from shd_genn.network import (
    Connection,
    Dense,
    Exponential,
    LeakyIntegrateFire,
    Network,
    Normal,
    Population,
    SpikeInput,
    Uniform,
)
from shd_genn.network.readouts import READOUTS, Readout
from shd_genn.spikes.events import Events
from shd_genn.support.errors import ConfigError

FIRST_SPIKES: list[Readout] = [name for name, kind in READOUTS.items() if kind.spiking]
FIRST_SPIKE_CONFIG = replace(
    CONFIG, objective=replace(CONFIG.objective, first_spike=FirstSpikeLoss(20.0, 50.0, 0.5))
)


def require_readout(backend: Backend, readout: Readout) -> None:
    """Skip a test of a readout that a backend does not have, once it has refused it."""
    if readout not in backend.CAPABILITIES.readouts:
        with pytest.raises(ConfigError, match=readout):
            backend.compile(layered_network(readout), EventProp(), CONFIG)
        pytest.skip(f"{backend.CAPABILITIES.title} has no {readout}, and refuses it")


def require_learned(backend: Backend, network: Network) -> None:
    """Skip a test of parameters that a backend does not learn, once it has refused them."""
    able = backend.CAPABILITIES
    kinds = {p.kind for p in network.parameters}
    trained = {p.kind for p in network.parameters if p.trained}
    if not (kinds <= set(able.varies) and trained <= set(able.learns)):
        with pytest.raises(ConfigError, match="cannot"):
            backend.compile(network, EventProp(), CONFIG)
        pytest.skip(f"{able.title} does not learn {', '.join(trained - set(able.learns))}")


class SimulatorConformance:
    """Tests of a `Simulator`; see `shd_genn.backends.conformance`."""

    @pytest.fixture
    def backend(self) -> Backend:
        """The backend that is tested; your class overrides this fixture.

        Raises:
            ConfigError: if it does not.
        """
        raise ConfigError(
            f"{type(self).__name__} does not say which backend it tests; give it a fixture "
            "`backend` that returns yours (see shd_genn.backends.conformance)"
        )

    def test_what_it_is(self, backend: Backend) -> None:
        """It has every method of the protocol, and its capabilities name what exists."""
        able = backend.CAPABILITIES
        with compiled(backend, layered_network()) as simulator:
            assert isinstance(simulator, Simulator)
            assert simulator.network == layered_network()
            assert all(seconds >= 0 for seconds in simulator.kernel_times().values())
        assert set(able.readouts) <= set(READOUTS) and set(able.varies) <= set(ALL_KINDS)
        assert set(able.learns) <= set(able.varies)

    @pytest.mark.parametrize(("readout", "recurrent"), READOUTS_OF_NETWORKS)
    def test_forward_pass(self, backend: Backend, readout: Readout, recurrent: bool) -> None:
        """Spikes are the reference's, readout and loss agree with it."""
        require_readout(backend, readout)
        network, config = layered_network(readout, recurrent=recurrent), config_of(readout)
        events, labels = random_events(6), random_labels(6)
        with compiled(backend, network, config) as simulator:
            got = simulator.evaluate(events, labels)
            unlabelled = simulator.evaluate(events)
        expected = Reference(network, config).evaluate(events, labels)
        assert_same_spikes(got, expected)
        np.testing.assert_array_equal(got.input_spikes, expected.input_spikes)
        scale = np.abs(expected.readout).max()
        np.testing.assert_allclose(got.readout, expected.readout, atol=TOLERANCE * scale)
        np.testing.assert_allclose(got.loss, expected.loss, rtol=10 * TOLERANCE, atol=TOLERANCE)
        assert np.isnan(unlabelled.loss).all()

    @pytest.mark.parametrize("readout", FIRST_SPIKES)
    def test_first_spikes_of_outputs(self, backend: Backend, readout: Readout) -> None:
        """Some outputs spike, once or often, others never."""
        require_readout(backend, readout)
        network, events = network_with_spiking_outputs(readout), random_events(6)
        reference = Reference(network, FIRST_SPIKE_CONFIG)
        first = -reference.evaluate(events).readout
        silent = first == N_STEPS
        assert silent.any(axis=1).sum() >= 2 and (~silent).any(axis=1).all()
        labels = first.argmax(axis=1)  # silent where there is one that is
        with compiled(backend, network, FIRST_SPIKE_CONFIG) as simulator:
            got, expected = simulator.evaluate(events, labels), reference.evaluate(events, labels)
            spikes = simulator.record(events).spikes["output"]
        np.testing.assert_allclose(got.readout, expected.readout, rtol=1e-6)
        np.testing.assert_allclose(got.loss, expected.loss, rtol=TOLERANCE)
        np.testing.assert_array_equal(got.predictions, first.argmin(axis=1))
        assert set(got.spike_counts) == {"hidden0", "hidden1"}
        for trial, (times, neurons) in enumerate(spikes.sample(i) for i in range(6)):
            for k in range(N_CLASSES):
                assert min(times[neurons == k], default=N_STEPS) == first[trial, k]

    def test_spikes_and_voltages_are_recorded(self, backend: Backend) -> None:
        """All spikes of input and hidden neurons, and the outputs' voltages."""
        network, events = layered_network(), random_events(3)
        with compiled(backend, network) as simulator:
            got, expected = simulator.record(events), Reference(network, CONFIG).record(events)
        assert set(got.spikes) == {"input", "hidden0", "hidden1"}
        for name, spikes in expected.spikes.items():
            np.testing.assert_array_equal(got.spikes[name].times_ms, spikes.times_ms)
            np.testing.assert_array_equal(got.spikes[name].channels, spikes.channels)
        scale = np.abs(expected.voltages).max()
        np.testing.assert_allclose(got.voltages, expected.voltages, atol=TOLERANCE * scale)

    def test_trials_are_independent(self, backend: Backend) -> None:
        """MlGeNN lets currents and spikes of one trial run on into the next."""
        events, exact = random_events(2), backend.status().exact
        with compiled(backend, layered_network()) as simulator:
            there = simulator.evaluate(events).readout
            back = simulator.evaluate(events.take(np.array([1, 0]))).readout
            alone = simulator.evaluate(events.take(np.array([1]))).readout
        assert_repeated(there, back[::-1], exact)
        assert_repeated(there[1:], alone, exact)

    def test_coincident_spikes_of_a_channel_queue(self, backend: Backend) -> None:
        """None is lost or merged: the others follow in the next steps, in whatever order."""
        burst = Events.of([(np.array([10.0, 10.0, 10.0, 11.0]), np.array([3, 3, 3, 4]))])
        with compiled(backend, layered_network()) as simulator:
            spikes = simulator.record(burst).spikes["input"]
        times = {c: spikes.times_ms[spikes.channels == c].tolist() for c in (3, 4)}
        assert times == {3: [10.0, 11.0, 12.0], 4: [11.0]}

    def test_spikes_between_steps_wait_for_the_next(self, backend: Backend) -> None:
        """Those after the last step are left out."""
        events = Events.of([(np.array([0.0, 0.2, 1.0, 149.0, 149.1, 5000.0]), np.arange(6))])
        with compiled(backend, layered_network()) as simulator:
            spikes = simulator.record(events).spikes["input"]
        got = dict(zip(spikes.channels.tolist(), spikes.times_ms.tolist(), strict=True))
        assert got == {0: 0.0, 1: 1.0, 2: 1.0, 3: 149.0}

    def test_more_spikes_than_any_buffer(self, backend: Backend) -> None:
        """Every neuron spikes in nearly every step."""
        network = layered_network(hidden_sizes=(20,), w_in=Normal(30.0, 0.3))
        events = random_events(2, 3000)
        with compiled(backend, network) as simulator:
            counts = simulator.evaluate(events).spike_counts["hidden0"]
        assert counts.mean() > 0.8 * N_STEPS
        expected = Reference(network, CONFIG).evaluate(events).spike_counts["hidden0"]
        np.testing.assert_array_equal(counts, expected)

    def test_delays_are_whole_steps_after_the_usual_one(self, backend: Backend) -> None:
        """Rounded, halves up; what would arrive after the trial does nothing."""
        source = Population("input", SpikeInput(), N_INPUTS)
        hidden = Population("hidden0", LeakyIntegrateFire(), 1)
        output = layered_network().output
        synapse, strong = Exponential(5.0), Dense(Normal(100.0, 0.0))
        late = Connection(source, hidden, strong, synapse, Uniform(0, 9), 200)
        network = Network(
            (source, hidden, output), (late, Connection(hidden, output, strong, synapse))
        )
        require_learned(backend, network)
        delays = np.zeros((N_INPUTS, 1), np.float32)
        delays[:5, 0] = [0.49, 0.5, 7, 138, 139]
        first = []
        with compiled(backend, network) as simulator:
            parameters = network.initial_parameters(0) | {"input_hidden0.delay": delays}
            simulator.set_parameters(parameters)
            for channel in range(5):
                recorded = simulator.record(Events.of([(np.array([10.0]), np.array([channel]))]))
                first.append(recorded.spikes["hidden0"].times_ms[:1].tolist())
        # one step to arrive, plus the delay; the last step of the trial is 149
        assert first == [[11.0], [12.0], [18.0], [149.0], []]

    def test_silent_networks_and_empty_samples(self, backend: Backend) -> None:
        """No spike is no error."""
        nothing = Events.of([(np.zeros(0), np.zeros(0, int)), (np.array([3.0]), np.array([1]))])
        with compiled(backend, layered_network(w_in=Normal(0.0, 0.0))) as simulator:
            got = simulator.evaluate(nothing, np.array([0, 1]))
            empty = simulator.evaluate(nothing.take(np.arange(0)))
        assert all((counts == 0).all() for counts in got.spike_counts.values())
        np.testing.assert_allclose(got.loss, np.log(N_CLASSES), rtol=1e-6)
        np.testing.assert_array_equal(got.input_spikes, [0, 1])
        assert empty.readout.shape == (0, N_CLASSES)

    def test_same_seed_same_weights(self, backend: Backend) -> None:
        """And another seed draws others."""
        network, draws = layered_network(), []
        for seed in (3, 3, 4):
            with compiled(backend, network, CompileConfig(N_STEPS, seed=seed)) as simulator:
                draws.append(simulator.parameters())
        for name in draws[0]:
            np.testing.assert_array_equal(draws[0][name], draws[1][name])
            np.testing.assert_array_equal(draws[0][name], network.initial_parameters(3)[name])
            assert (draws[0][name] != draws[2][name]).any()

    def test_channel_beyond_the_inputs_is_refused(self, backend: Backend) -> None:
        """The message says which."""
        events = Events.of([(np.array([1.0]), np.array([N_INPUTS]))])
        with (
            compiled(backend, layered_network()) as simulator,
            pytest.raises(ConfigError, match=r"channel < number of input .*channel 40 of 40"),
        ):
            simulator.evaluate(events)

    def test_weights_of_another_shape_are_refused(self, backend: Backend) -> None:
        """None of them is taken then."""
        other = layered_network(hidden_sizes=(70, 21)).initial_parameters(0)
        with compiled(backend, layered_network()) as simulator:
            before = simulator.parameters()
            with pytest.raises(ConfigError, match=r"network has parameters of shapes .*, but got"):
                simulator.set_parameters(other)
            for name, w in simulator.parameters().items():
                np.testing.assert_array_equal(w, before[name])

    def test_parameters_that_differ_from_neuron_to_neuron(self, backend: Backend) -> None:
        """Time constants, thresholds and delays, drawn or learned: spikes are the reference's."""
        network = learned_network(delays=True)
        require_learned(backend, network)
        events, labels = random_events(6), random_labels(6)
        with compiled(backend, network) as simulator:
            got = simulator.evaluate(events, labels)
        expected = Reference(network, CONFIG).evaluate(events, labels)
        assert_same_spikes(got, expected)
        scale = np.abs(expected.readout).max()
        np.testing.assert_allclose(got.readout, expected.readout, atol=TOLERANCE * scale)
