"""All our backends pass the suite that the package ships, and the suite notices what is wrong."""

import inspect
from types import SimpleNamespace

import numpy as np
import pytest
from helpers import networks

from shd_genn import backends
from shd_genn.backends import reference
from shd_genn.backends.conformance import DifferentiableConformance, SimulatorConformance
from shd_genn.backends.reference.engine import Reference
from shd_genn.support.errors import ConfigError


class TestBackends(DifferentiableConformance):
    @pytest.fixture(params=networks.backend_params())
    def backend(self, request):
        return networks.backend(request.param)


class ForgetsLateNeurons(Reference):
    """As mlGeNN, neurons that spike in the last step lose their gradient."""

    def gradient(self, events, labels):
        gradient = super().gradient(events, labels)
        recorded = self.record(events).spikes["hidden0"]
        late = recorded.channels[recorded.times_ms == self.config.n_steps - 1]
        for name, g in gradient.items():
            if name.startswith("hidden0_"):
                g[late] = 0
        return gradient


class LetsTheEndThrough(Reference):
    """A spike of the last step has an effect."""

    def gradient(self, events, labels):
        gradient = super().gradient(events, labels)
        n_late = np.sum(events.times_ms == self.config.n_steps - 1)
        return {name: g * np.float32(1 + 1e-6 * n_late) for name, g in gradient.items()}


class IsSlightlyOff(Reference):
    """Gradients are wrong by a thousandth."""

    def gradient(self, events, labels):
        return {name: 1.001 * g for name, g in super().gradient(events, labels).items()}


class KeepsNoMoments(Reference):
    """The optimiser starts anew from a saved state."""

    def set_optimiser_state(self, state):
        super().set_optimiser_state({"step": state["step"]})


class LearnsFromNothing(Reference):
    """An empty batch repeats the one before."""

    def train_batch(self, events, labels, learning_rate):
        if not len(labels):
            events, labels = self.before
        self.before = events, labels
        return super().train_batch(events, labels, learning_rate)


SUITE = DifferentiableConformance()


def test_a_suite_without_a_backend_is_told_what_it_needs():
    class TestNothing(DifferentiableConformance):
        """Overrides no fixture."""

    fixture = inspect.unwrap(vars(SimulatorConformance)["backend"])
    with pytest.raises(
        ConfigError,
        match=r"^TestNothing does not say which backend it tests; give it a fixture `backend` that",
    ):
        fixture(TestNothing())


@pytest.mark.parametrize(
    ("engine", "test", "arguments"),
    [
        (ForgetsLateNeurons, SUITE.test_spikes_until_the_last_step, ()),
        (LetsTheEndThrough, SUITE.test_the_last_spike_changes_nothing, ()),
        (IsSlightlyOff, SUITE.test_gradients_and_updates, ("avg_var", False)),
        (KeepsNoMoments, SUITE.test_state_goes_on_where_it_was, (False,)),
        (LearnsFromNothing, SUITE.test_nothing_is_learned_from_no_samples, ()),
    ],
)
def test_the_suite_notices_a_wrong_backend(engine, test, arguments):
    def compile(network, method, config):
        return engine(network, config)

    def backend(compile):
        return SimpleNamespace(
            CAPABILITIES=reference.CAPABILITIES, status=reference.status, compile=compile
        )

    test(backend(reference.compile), *arguments)
    with pytest.raises((AssertionError, pytest.fail.Exception)):
        test(backend(compile), *arguments)


def test_a_backend_asked_for_by_name_is_used_or_fails():
    with pytest.raises(
        ConfigError,
        match=r"there is no backend 'gpu'; choose one of cuda, genn, native, reference$",
    ):
        backends.get("gpu")
