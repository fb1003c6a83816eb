"""GeNN: networks become generated code of mlGeNN's EventProp compiler, on a GPU or one CPU core.

The only place that imports pygenn and ml_genn. `translate` says a network in mlGeNN's words,
`simulation` builds and steps one, `engine` trains with it.
"""

from __future__ import annotations

from shd_genn.backends import CompileConfig, Compiled
from shd_genn.backends.installation import HOW_TO_INSTALL, require_installed
from shd_genn.errors import ConfigError, require
from shd_genn.network import Network, SpikeInput

__all__ = ["compile"]


def compile(network: Network, config: CompileConfig) -> Compiled:
    """Make a network ready to run, its weights as drawn from the seed.

    Raises:
        ConfigError: if GeNN is not installed, or cannot run this network.
    """
    _check(network)
    require_installed()
    try:
        from shd_genn.backends.genn.engine import GennEngine
    except ImportError as error:
        raise ConfigError(f"GeNN cannot be imported ({error}); {HOW_TO_INSTALL}") from error
    return GennEngine(network, config)


def _check(network: Network) -> None:
    """Refuse what mlGeNN's EventProp compiler cannot do, or what is not translated."""
    others = [p.key for p in network.parameters if p.kind != "weight"]
    require(
        not others,
        "nothing but weights that is learned or differs between neurons on backend genn",
        others,
        "use backend native for time constants, thresholds and delays",
    )
    for population in network.populations:
        if isinstance(population.neuron, SpikeInput):
            continue
        taus = population.neuron.tau_mem, network.tau_syn(population)
        require(
            taus[0] != taus[1],
            f"tau_mem != tau_syn of population {population.name} on backend genn",
            f"tau_mem {taus[0]}, tau_syn {taus[1]}",
            "mlGeNN divides by their difference; change one, or use backend native",
        )
