"""The native engine: a network becomes C++ source, a shared library, and a `Compiled`.

`lower` numbers the network's parts, `render` writes the source around the files of `kernels/`,
`build` compiles it once and keeps it, `engine` runs it.
"""

from shd_genn.backends.native.engine import compile

__all__ = ["compile"]
