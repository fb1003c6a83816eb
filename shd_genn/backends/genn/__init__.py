"""GeNN: networks become generated code of mlGeNN's EventProp compiler, on a GPU or one CPU core.

The only place that imports pygenn and ml_genn. `translate` says a network in mlGeNN's words,
`simulation` builds and steps one, `engine` trains with it.
"""

from __future__ import annotations

from shd_genn.backends.genn.installation import HOW_TO_INSTALL, require_installed
from shd_genn.backends.protocols import CompileConfig, Compiled
from shd_genn.network import Network
from shd_genn.support.errors import ConfigError

__all__ = ["compile"]


def compile(network: Network, config: CompileConfig) -> Compiled:
    """Make a network ready to run, its weights as drawn from the seed.

    Raises:
        ConfigError: if GeNN is not installed, or cannot run this network.
    """
    require_installed()
    try:
        from shd_genn.backends.genn.engine import GennEngine
    except ImportError as error:
        raise ConfigError(f"GeNN cannot be imported ({error}); {HOW_TO_INSTALL}") from error
    return GennEngine(network, config)
