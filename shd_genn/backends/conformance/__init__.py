"""A suite of tests that every backend must pass; you can run it on a backend of your own.

A test module runs the suite by a class with a fixture that returns the backend (a module, or any
object that has what `shd_genn.backends.Backend` lists):

    class TestMyBackend(DifferentiableConformance):
        @pytest.fixture
        def backend(self):
            return my_backend

There is a class for each protocol: `SimulatorConformance` for a backend that only simulates,
`LearnerConformance` for one that also learns, and `DifferentiableConformance` for one that has
EventProp's gradient. What a backend's `Capabilities` list must agree with the reference; what they
do not list must be refused.

This package needs pytest; no other part of shd_genn does.
"""

import pytest

# so that pytest shows the values of an assertion that fails
for _module in ("networks", "simulator", "learner", "derived", "differentiable"):
    pytest.register_assert_rewrite(f"{__name__}.{_module}")

from shd_genn.backends.conformance.differentiable import DifferentiableConformance  # noqa: E402
from shd_genn.backends.conformance.learner import LearnerConformance  # noqa: E402
from shd_genn.backends.conformance.simulator import SimulatorConformance  # noqa: E402

__all__ = ["DifferentiableConformance", "LearnerConformance", "SimulatorConformance"]
