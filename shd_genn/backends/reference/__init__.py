"""NumPy, equation by equation: the specification of every backend."""

from shd_genn.backends.reference.engine import compile

__all__ = ["compile"]
