"""The native engine: a network becomes C++ source, a shared library, and a `Differentiable`.

`limits` refuses what the kernels cannot compute; `lower` lists what the source depends on, and
`render` writes it from the templates and headers of `kernels/`. `library` compiles it, `store`
holds all parameters, `engine` runs it. What C++ and Python must agree on is in `layout` and
`constants`.
"""

from __future__ import annotations

from typing import Any

from shd_genn.backends.capabilities import REGULARISATION, Capabilities, Status
from shd_genn.backends.native.engine import NativeEngine
from shd_genn.backends.native.methods import EPropEngine, SurrogateEngine
from shd_genn.backends.native.winner_take_all import WinnerTakeAllNative
from shd_genn.backends.protocols import CompileConfig
from shd_genn.backends.reference.sensitivities import DERIVATIVES
from shd_genn.backends.winner_take_all import WinnerTakeAll
from shd_genn.learning.methods import (
    STDP,
    EProp,
    EPropOnline,
    EventProp,
    Method,
    RewardSTDP,
    Surrogate,
)
from shd_genn.network import (
    Delta,
    Exponential,
    LeakyIntegrate,
    LeakyIntegrateFire,
    Network,
    SpikeInput,
)
from shd_genn.support.builder import compiler_version, find_compiler, flags
from shd_genn.support.errors import BuildError

__all__ = ["CAPABILITIES", "compile", "describe", "status"]

ENGINES: dict[type[Method], type[NativeEngine]] = {
    EventProp: NativeEngine,
    Surrogate: SurrogateEngine,
    EProp: EPropEngine,
    EPropOnline: EPropEngine,
}
"""What computes each training method that has a gradient."""
LAYERS: tuple[type[Method], ...] = (STDP, RewardSTDP)
"""Those that `WinnerTakeAllNative` computes."""

CAPABILITIES = Capabilities(
    title="the native engine",
    summary="generated C++, samples in parallel over the cores",
    needs="a C++ compiler",
    neurons=(SpikeInput, LeakyIntegrateFire, LeakyIntegrate),
    synapses=(Exponential, Delta),
    methods=(*ENGINES, *LAYERS),
    varies=("weight", "delay", *DERIVATIVES),
    learns=("weight", "delay", *DERIVATIVES),
    threads=True,
    kernel_times=True,
    derives=True,
    derives_by=tuple(ENGINES),
    shares_delays_by=(EventProp,),
    regularises=REGULARISATION,
)


def status() -> Status:
    """It can be used everywhere; the compiler is looked for when it is needed."""
    return Status("generated C++ computes on all cores")


def describe() -> dict[str, Any]:
    """The compiler, with its version and flags; without one all libraries are in the cache."""
    try:
        compiler = find_compiler()
        command, version = " ".join(compiler), compiler_version(compiler)
    except BuildError:
        command, version = "none", "unknown: all libraries were in the cache"
    return {"compiler": {"command": command, "version": version, "flags": " ".join(flags())}}


def compile(
    network: Network, method: Method, config: CompileConfig
) -> NativeEngine | WinnerTakeAll:
    """Make a network ready to run, its weights as drawn from the seed.

    Raises:
        ConfigError: if it has no such method, neuron or synapse.
        BuildError: if there is no C++ compiler, or it fails.
    """
    CAPABILITIES.check(network, method, config)
    if isinstance(method, LAYERS):
        return WinnerTakeAllNative(network, config, method)
    return ENGINES[type(method)](network, config, method)
