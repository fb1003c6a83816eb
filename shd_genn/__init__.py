"""shd_genn: spiking networks that learn spoken words with EventProp's exact gradients."""

from shd_genn.support.version import __version__

__all__ = ["__version__"]
