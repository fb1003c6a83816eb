"""What every `Learner` has to do: it learns the same from the same state, and from no nonsense."""

from __future__ import annotations

import numpy as np
import pytest

from shd_genn.backends.conformance.networks import (
    N_CLASSES,
    RATES,
    assert_weights_repeated,
    batches,
    compiled,
    layered_network,
    learned_network,
    random_events,
    random_labels,
)
from shd_genn.backends.conformance.simulator import SimulatorConformance, require_learned
from shd_genn.backends.protocols import Backend, CompileConfig, Learner, require_learner
from shd_genn.network import Network, Normal
from shd_genn.spikes.events import Events
from shd_genn.support.errors import ConfigError


def learner(backend: Backend, network: Network, *config: CompileConfig) -> Learner:
    """A network, compiled to be trained with EventProp."""
    return require_learner(compiled(backend, network, *config))


class LearnerConformance(SimulatorConformance):
    """Tests of a `Learner`; see `shd_genn.backends.conformance`."""

    @pytest.mark.parametrize("learned", [False, True])
    def test_state_goes_on_where_it_was(self, backend: Backend, learned: bool) -> None:
        """Parameters and optimiser state in another engine lead to the same ones."""
        network = learned_network(delays=True) if learned else layered_network()
        require_learned(backend, network)
        samples = batches(backend, random_events(4), random_labels(4))
        with learner(backend, network) as one, learner(backend, network) as other:
            for batch in samples:
                one.train_batch(*batch, RATES)
            other.set_parameters(one.parameters())
            other.set_optimiser_state(one.optimiser_state())
            for each in (one, other):
                for batch in samples:
                    each.train_batch(*batch, RATES)
            exact = backend.status().exact
            assert_weights_repeated(other.parameters(), one.parameters(), exact)

    def test_learning_rates_by_kind(self, backend: Backend) -> None:
        """One number is a rate for every kind; a kind that is learned must not be left out."""
        network = layered_network()
        batch = random_events(1), random_labels(1)
        with learner(backend, network) as one, learner(backend, network) as other:
            one.train_batch(*batch, 1e-3)
            other.train_batch(*batch, {"weight": 1e-3, "delay": 0.1})
            before = one.parameters()
            assert_weights_repeated(other.parameters(), before, backend.status().exact)
            for name, w in network.initial_parameters(0).items():
                assert (before[name] != w).any()
            with pytest.raises(ConfigError, match=r"learning rates .* have none for weight"):
                one.train_batch(*batch, {"delay": 0.1})
            for name, w in one.parameters().items():  # the batch that was refused changed nothing
                np.testing.assert_array_equal(w, before[name])

    def test_nothing_is_learned_from_silence(self, backend: Backend) -> None:
        """Where no hidden neuron spikes, EventProp has no gradient."""
        network = layered_network(w_in=Normal(0.0, 0.0))
        nothing = Events.of([(np.zeros(0), np.zeros(0, int)), (np.array([3.0]), np.array([1]))])
        with learner(backend, network) as silent:
            samples = batches(backend, nothing, np.array([0, 1]))
            for result in [silent.train_batch(*batch, 1e-3) for batch in samples]:
                np.testing.assert_allclose(result.loss, np.log(N_CLASSES), rtol=1e-6)
            for name, w in silent.parameters().items():
                np.testing.assert_array_equal(w, network.initial_parameters(0)[name])

    def test_nothing_is_learned_from_no_samples(self, backend: Backend) -> None:
        """Least of all from the batch before."""
        events = random_events(1)
        nothing = events.take(np.arange(0)), np.arange(0)
        with learner(backend, layered_network()) as trained:
            trained.train_batch(events, np.array([0]), 1e-3)
            before = trained.parameters()
            with pytest.raises(ConfigError, match="1 <= samples of a batch must hold, but got 0"):
                trained.train_batch(*nothing, 0.1)
            for key, array in trained.parameters().items():
                np.testing.assert_array_equal(array, before[key])
            assert len(trained.evaluate(*nothing).loss) == 0

    def test_updates_stay_within_bounds(self, backend: Backend) -> None:
        """Rates that are much too large lead to the bounds, and no further."""
        network = learned_network(delays=True)
        require_learned(backend, network)
        events, labels = random_events(4), random_labels(4)
        with learner(backend, network) as trained:
            for _ in range(5):
                for batch in batches(backend, events, labels):
                    trained.train_batch(*batch, dict.fromkeys(RATES, 50.0))
            for p in network.parameters:
                if p.trained and p.kind != "weight":
                    array, low, high = trained.parameters()[p.key], p.low, p.high
                    assert np.isfinite(array).all() and (array >= np.float32(low)).all(), p.key
                    assert (array <= np.float32(high)).all(), p.key
                    # some would have gone further
                    assert np.isin(array, [np.float32(low), np.float32(high)]).any(), p.key
            assert np.isfinite(trained.evaluate(events, labels).loss).all()
