"""The native engine: a network becomes C++ source, a shared library, and a `Compiled`."""
