"""shd_genn: spiking networks that learn spoken words with EventProp's exact gradients."""

__version__ = "0.1.0"
