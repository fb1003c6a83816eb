"""NumPy, equation by equation: the specification of every backend."""

from __future__ import annotations

from typing import Any

from shd_genn.backends.capabilities import REGULARISATION, Capabilities, Status
from shd_genn.backends.protocols import CompileConfig
from shd_genn.backends.reference.conversion import ConvertedNetwork
from shd_genn.backends.reference.engine import Reference
from shd_genn.backends.reference.methods import (
    EPropOnlineReference,
    EPropReference,
    SurrogateReference,
)
from shd_genn.backends.reference.neurons import EQUATIONS
from shd_genn.backends.reference.sensitivities import DERIVATIVES
from shd_genn.backends.reference.winner_take_all import WinnerTakeAllReference
from shd_genn.backends.winner_take_all import WinnerTakeAll
from shd_genn.learning.methods import (
    STDP,
    Conversion,
    EProp,
    EPropOnline,
    EventProp,
    Method,
    RewardSTDP,
    Surrogate,
)
from shd_genn.network import Delta, Exponential, Network, SpikeInput

__all__ = ["CAPABILITIES", "compile", "describe", "status"]

ENGINES: dict[type[Method], type[Reference]] = {
    EventProp: Reference,
    Surrogate: SurrogateReference,
    EProp: EPropReference,
    EPropOnline: EPropOnlineReference,
}
"""What computes each training method that has a gradient."""
LAYERS: tuple[type[Method], ...] = (STDP, RewardSTDP)
"""Those that `WinnerTakeAllReference` computes."""

CAPABILITIES = Capabilities(
    title="the reference",
    summary="NumPy, equation by equation: the specification of the others, for tests",
    needs="nothing else",
    neurons=(SpikeInput, *EQUATIONS),
    synapses=(Exponential, Delta),
    methods=(*ENGINES, *LAYERS, Conversion),
    varies=("weight", "delay", *DERIVATIVES),
    learns=("weight", "delay", *DERIVATIVES),
    derives=True,
    derives_by=tuple(ENGINES),
    shares_delays_by=(EventProp, Surrogate, EProp),
    batched=False,
    precision="float64",
    regularises=REGULARISATION,
)


def status() -> Status:
    """It can be used everywhere."""
    return Status("NumPy computes on one core")


def describe() -> dict[str, Any]:
    """Nothing: a run records NumPy's version anyway."""
    return {}


def compile(
    network: Network, method: Method, config: CompileConfig
) -> Reference | WinnerTakeAll | ConvertedNetwork:
    """Make a network ready to run, its weights as drawn from the seed.

    Raises:
        ConfigError: if it has no such method, neuron or synapse.
    """
    CAPABILITIES.check(network, method, config)
    if isinstance(method, LAYERS):
        return WinnerTakeAllReference(network, config, method)
    if isinstance(method, Conversion):
        return ConvertedNetwork(network, config, method)
    return ENGINES[type(method)](network, config, method=method)
