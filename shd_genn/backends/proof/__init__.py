"""The proof that what is derived of a neuron is right, for any neuron.

A small random recurrent network of it, in which all parameters differ from neuron to neuron
(`network`), is solved event by event (`event_exact`), and so are copies of it with slightly other
weights and parameters (`perturbed`). `comparisons` says what must agree.
"""

from shd_genn.backends.proof.comparisons import Convergence, Finding, Proof, SubSteps
from shd_genn.backends.proof.network import STEPS_MS

__all__ = ["STEPS_MS", "Convergence", "Finding", "Proof", "SubSteps"]
