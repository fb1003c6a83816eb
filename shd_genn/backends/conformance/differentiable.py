"""What every `Differentiable` has to do: its gradients are the reference's, and so are updates."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from shd_genn.backends.capabilities import REGULARISATION
from shd_genn.backends.conformance.derived import DerivedConformance
from shd_genn.backends.conformance.learner import LearnerConformance
from shd_genn.backends.conformance.networks import (
    CONFIG,
    N_INPUTS,
    N_STEPS,
    RATES,
    READOUTS_OF_NETWORKS,
    TOLERANCE,
    assert_repeated,
    assert_same_spikes,
    batches,
    compiled,
    config_of,
    largest_batch,
    largest_error,
    layered_network,
    learned_network,
    network_with_spiking_outputs,
    random_events,
    random_labels,
)
from shd_genn.backends.conformance.simulator import (
    FIRST_SPIKE_CONFIG,
    FIRST_SPIKES,
    require_learned,
    require_readout,
)
from shd_genn.backends.protocols import (
    Backend,
    CompileConfig,
    Differentiable,
    require_gradient,
)
from shd_genn.backends.reference.engine import Reference
from shd_genn.learning.dropout import Dropout
from shd_genn.learning.methods import EventProp
from shd_genn.learning.optimisers import Adam
from shd_genn.network import Network, Normal
from shd_genn.network.parts import DelayKind
from shd_genn.network.readouts import Readout
from shd_genn.spikes.events import Events
from shd_genn.support.errors import ConfigError

# one readout for each way that the loss acts on the output
LEARNED: list[tuple[Readout, bool]] = [
    ("avg_var_exp_weight", False),
    ("avg_var_exp_weight", True),
    ("max_var", False),
    ("var", False),
    ("first_spike_time", True),
]


def differentiable(backend: Backend, network: Network, *config: CompileConfig) -> Differentiable:
    """A network, compiled for EventProp's gradient."""
    return require_gradient(compiled(backend, network, *config))


class DifferentiableConformance(DerivedConformance, LearnerConformance):
    """Tests of a `Differentiable`; see `shd_genn.backends.conformance`."""

    @pytest.mark.parametrize(("readout", "recurrent"), READOUTS_OF_NETWORKS)
    def test_gradients_and_updates(
        self, backend: Backend, readout: Readout, recurrent: bool
    ) -> None:
        """Every readout."""
        require_readout(backend, readout)
        network, config = layered_network(readout, recurrent=recurrent), config_of(readout)
        samples = batches(backend, random_events(4), random_labels(4))
        expected = Reference(network, config)
        with differentiable(backend, network, config) as got:
            for batch in samples:
                error = largest_error(got.gradient(*batch), expected.gradient(*batch))
                assert error < TOLERANCE
            for batch in samples * 2:
                got.train_batch(*batch, 1e-3)
                expected.train_batch(*batch, 1e-3)
            # Adam divides gradients by their own size: each weight moves by about the rate, 1e-3.
            # In batches of one sample some gradients are but rounding, and so is where Adam goes.
            strays = 0 if largest_batch(backend) > 1 else 1e-3
            for name, w in expected.parameters().items():
                assert np.mean(np.abs(got.parameters()[name] - w) > 1e-5) <= strays

    def test_regularised_updates(self, backend: Backend) -> None:
        """Drop-out, weight decay, gradient clipping and label smoothing, all at once."""
        if set(backend.CAPABILITIES.regularises) != set(REGULARISATION):
            pytest.skip(f"{backend.CAPABILITIES.title} has not all of {', '.join(REGULARISATION)}")
        network = layered_network()
        objective = replace(CONFIG.objective, label_smoothing=0.1, dropout=Dropout(0.3))
        adam = Adam(weight_decay=0.1, clip_gradient=0.01)
        config = replace(CONFIG, objective=objective, adam=adam)
        events, labels = random_events(6), random_labels(6)
        expected = Reference(network, config)
        plain = Reference(network, replace(config, adam=Adam(weight_decay=0.1)))
        with differentiable(backend, network, config) as got:
            for _ in range(3):
                result, reference = (x.train_batch(events, labels, 1e-3) for x in (got, expected))
                plain.train_batch(events, labels, 1e-3)
                assert all(
                    (counts == 0).any(axis=1).all() for counts in result.spike_counts.values()
                )
                for name, counts in reference.spike_counts.items():
                    np.testing.assert_array_equal(result.spike_counts[name], counts)
                np.testing.assert_allclose(result.loss, reference.loss, rtol=1e-3)
            for name, w in expected.parameters().items():
                assert np.abs(got.parameters()[name] - w).max() < 1e-5
            moments = got.optimiser_state()
            unclipped = plain.optimiser_state()
            assert all(
                np.abs(moments[f"m_{name}"]).max() < np.abs(unclipped[f"m_{name}"]).max()
                for name in got.parameters()
            )
            whole = got.evaluate(events, labels)  # silences nothing
            assert all(counts.mean() > 3 for counts in whole.spike_counts.values())

    @pytest.mark.parametrize("readout", FIRST_SPIKES)
    def test_first_spikes_and_silent_outputs_learn(
        self, backend: Backend, readout: Readout
    ) -> None:
        """Labels are outputs that never spike, where there are some."""
        require_readout(backend, readout)
        network, events = network_with_spiking_outputs(readout), random_events(6)
        expected = Reference(network, FIRST_SPIKE_CONFIG)
        labels = (-expected.evaluate(events).readout).argmax(axis=1)
        with differentiable(backend, network, FIRST_SPIKE_CONFIG) as got:
            for batch in batches(backend, events, labels):
                error = largest_error(got.gradient(*batch), expected.gradient(*batch))
                assert error < TOLERANCE

    @pytest.mark.parametrize(("readout", "delays"), LEARNED)
    def test_all_that_is_learned(self, backend: Backend, readout: Readout, delays: bool) -> None:
        """Time constants, thresholds and delays, too."""
        require_readout(backend, readout)
        self.check_learned(backend, learned_network(readout, delays))

    @pytest.mark.parametrize("delay_kind", ["axonal", "dendritic"])
    def test_delays_that_neurons_share(self, backend: Backend, delay_kind: DelayKind) -> None:
        """From the input, inside a layer, between layers and into the output."""
        network = learned_network(delays=True, delay_kind=delay_kind)
        if EventProp not in backend.CAPABILITIES.shares_delays_by:
            with pytest.raises(ConfigError, match=f"has no {delay_kind} delays"):
                differentiable(backend, network)
            pytest.skip(f"{backend.CAPABILITIES.title} has no {delay_kind} delays")
        self.check_learned(backend, network)

    def check_learned(self, backend: Backend, network: Network) -> None:
        """Spikes, gradients and updates of all that is learned are the reference's."""
        require_learned(backend, network)
        events, labels = random_events(4), random_labels(4)
        expected = Reference(network, CONFIG)
        with differentiable(backend, network) as got:
            assert_same_spikes(got.evaluate(events, labels), expected.evaluate(events, labels))
            samples = batches(backend, events, labels)
            for batch in samples:
                error = largest_error(got.gradient(*batch), expected.gradient(*batch))
                assert error < TOLERANCE
            for batch in samples * 2:
                got.train_batch(*batch, RATES)
                expected.train_batch(*batch, RATES)
            initial = network.initial_parameters(0)
            for p in network.parameters:
                after, reference = got.parameters()[p.key], expected.parameters()[p.key]
                # Adam moves everything by about its rate, whatever the gradient's size
                np.testing.assert_allclose(after, reference, rtol=0, atol=1e-2 * RATES[p.kind])
                assert (after != initial[p.key]).any() == p.trained
                assert after.min() >= p.low and after.max() <= p.high

    def test_spikes_until_the_last_step(self, backend: Backend) -> None:
        """A spike in mlGeNN's last step takes its neuron's whole gradient away."""
        network = layered_network()
        rng = np.random.default_rng(1)
        times = np.concatenate([rng.uniform(0, N_STEPS, 400), np.full(40, 149.0)])
        channels = np.concatenate([rng.integers(0, N_INPUTS, 400), np.arange(40)])
        events, labels = Events.of([(times, channels)]), np.array([2])
        # hidden spikes in the last step too: the current does not stop before it
        recorded = Reference(network, CONFIG).record(events).spikes
        late = recorded["hidden0"].channels[recorded["hidden0"].times_ms == 149]
        assert len(late) > 0 and (recorded["input"].times_ms == 149).sum() == 40
        with differentiable(backend, network) as got:
            gradient = got.gradient(events, labels)
        expected = Reference(network, CONFIG).gradient(events, labels)
        assert largest_error(gradient, expected) < TOLERANCE
        assert (np.abs(gradient["input_hidden0"]).sum(axis=1) > 0).all()
        # what these neurons did before their last spike still counts
        for name in ("hidden0_hidden0", "hidden0_hidden1"):
            assert (np.abs(gradient[name][late]).sum(axis=1) > 0).all(), name
        assert (np.abs(gradient["input_hidden0"][:, late]).sum(axis=0) > 0).all()

    def test_the_last_spike_changes_nothing(self, backend: Backend) -> None:
        """A spike of the last step would arrive after the trial: gradients stay as without it."""
        labels = np.array([0])
        times, channels = random_events(1, 200).sample(0)
        early = times < 140
        without = Events.of([(times[early], channels[early])])
        late = Events.of([(np.append(times[early], 149.0), np.append(channels[early], 7))])
        with differentiable(backend, layered_network()) as got:
            expected, gradient = got.gradient(without, labels), got.gradient(late, labels)
        for name in expected:
            assert_repeated(gradient[name], expected[name], backend.status().exact)

    def test_no_spike_is_left_out_of_the_gradient(self, backend: Backend) -> None:
        """Every neuron spikes in nearly every step."""
        network = layered_network(hidden_sizes=(20,), w_in=Normal(30.0, 0.3))
        samples = batches(backend, random_events(2, 3000), np.array([0, 1]))
        expected = Reference(network, CONFIG)
        with differentiable(backend, network) as got:
            for batch in samples:
                error = largest_error(got.gradient(*batch), expected.gradient(*batch))
                assert error < TOLERANCE

    def test_equal_time_constants(self, backend: Backend) -> None:
        """τ_mem/(τ_mem - τ_syn) has a limit where the two meet; or equal ones are refused."""
        samples = batches(backend, random_events(3), random_labels(3))
        near, equal = (
            layered_network(tau_syn=tau, w_in=Normal(0.1, 0.3)) for tau in (20.0001, 20.0)
        )
        if not backend.CAPABILITIES.equal_time_constants:
            with pytest.raises(ConfigError, match="tau_mem != tau_syn"):
                differentiable(backend, equal)
            pytest.skip(f"{backend.CAPABILITIES.title} refuses equal time constants")
        with differentiable(backend, near) as one, differentiable(backend, equal) as other:
            for batch in samples:
                # the constants differ by 5e-6, which spikes on the grid multiply
                assert largest_error(other.gradient(*batch), one.gradient(*batch)) < 1e-3

    def test_there_is_no_gradient_of_no_samples(self, backend: Backend) -> None:
        """Their mean loss is no number."""
        events = random_events(1)
        with differentiable(backend, layered_network()) as got:
            got.gradient(events, np.array([0]))
            with pytest.raises(ConfigError, match="1 <= samples of a batch must hold, but got 0"):
                got.gradient(events.take(np.arange(0)), np.arange(0))
