"""What Python and C++ must agree on: one table, from which both sides and a check are made.

An `Interface` lists structures and enumerations. Python gets `ctypes` structures from it, C++ a
header ``interface.h`` with the declarations and a ``static_assert`` for each size and offset, so
that a difference does not compile. `EntryPoint` calls a C++ function whose last argument is a
`Failure`, and raises what that reports.
"""

from __future__ import annotations

import ctypes
import functools
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jinja2

from shd_genn.support.errors import DivergedError, EngineError, OutOfMemoryError

INCLUDE = Path(__file__).parent / "include"
"""Headers that all kernels share."""

C_TYPES: dict[str, Any] = {
    "bool": ctypes.c_bool,
    "char": ctypes.c_char,
    "int32_t": ctypes.c_int32,
    "uint32_t": ctypes.c_uint32,
    "int64_t": ctypes.c_int64,
    "uint64_t": ctypes.c_uint64,
    "float": ctypes.c_float,
    "double": ctypes.c_double,
}
"""C++ type → ctypes type; every pointer is a ``c_void_p``."""


@dataclass(frozen=True)
class Field:
    """A field of a structure: its C++ type, its name and what it is; ``length`` is of arrays."""

    c_type: str
    name: str
    comment: str = ""
    length: int = 0

    @property
    def ctype(self) -> Any:
        """The type for ctypes."""
        if self.c_type.endswith("*"):
            return ctypes.c_void_p
        ctype = C_TYPES[self.c_type]
        return ctype * self.length if self.length else ctype

    @property
    def declaration(self) -> str:
        """The field in C++."""
        return f"{self.c_type} {self.name}" + (f"[{self.length}]" if self.length else "")

    @property
    def size(self) -> int:
        """Bytes."""
        return ctypes.sizeof(self.ctype)


@dataclass(frozen=True)
class Structure:
    """A structure that Python hands to C++."""

    name: str
    comment: str
    fields: tuple[Field, ...]

    @functools.cached_property
    def ctype(self) -> Any:
        """The `ctypes.Structure`."""
        fields = [(field.name, field.ctype) for field in self.fields]
        return type(self.name, (ctypes.Structure,), {"_fields_": fields, "__doc__": self.comment})

    @functools.cached_property
    def _names(self) -> frozenset[str]:
        return frozenset(field.name for field in self.fields)

    @property
    def size(self) -> int:
        """Bytes, padding between fields included."""
        return ctypes.sizeof(self.ctype)

    def offset(self, field: Field) -> int:
        """Bytes before a field."""
        return int(getattr(self.ctype, field.name).offset)

    def __call__(self, **values: Any) -> Any:
        """A filled structure; every field must be given.

        Raises:
            TypeError: if a field is missing or unknown.
        """
        if values.keys() != self._names:
            raise TypeError(f"fields of {self.name}: {[f.name for f in self.fields]}; got {values}")
        return self.ctype(**values)


@functools.cache  # an environment keeps its templates, which take longer to read than to fill in
def templates(folder: Path) -> jinja2.Environment:
    """The templates (Jinja2) of a folder; a name that is not defined in one is an error."""
    return jinja2.Environment(
        loader=jinja2.FileSystemLoader(folder),
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )


@dataclass(frozen=True)
class Enumeration:
    """Names of numbers from 0 on; ``count`` is the C++ name of their number."""

    name: str
    comment: str
    values: tuple[str, ...]
    count: str


@dataclass(frozen=True)
class Interface:
    """All that one C++ library and its caller agree on, `Failure` besides."""

    structures: tuple[Structure, ...] = ()
    enumerations: tuple[Enumeration, ...] = ()

    def header(self) -> str:
        """The text of ``interface.h``."""
        everything = Interface((FAILURE, *self.structures), (FAILURE_CODES, *self.enumerations))
        return templates(INCLUDE).get_template("interface.h.j2").render(interface=everything)


FAILURE_CODES = Enumeration(
    "FailureCode",
    "Why an entry point failed.",
    ("SUCCESS", "OUT_OF_MEMORY", "NO_THREAD", "INVALID_ARGUMENT", "DIVERGED", "UNEXPECTED"),
    "FAILURE_CODES",
)

SUCCESS = FAILURE_CODES.values.index("SUCCESS")

FAILURE = Structure(
    "Failure",
    "What an entry point reports to its caller; see failure.h.",
    (
        Field("int32_t", "code", "a FailureCode"),
        Field("int64_t", "bytes", "that could not be had, if that is why, and if it is known"),
        Field("char", "message", length=240),
    ),
)

ERRORS: dict[str, tuple[type[Exception], str]] = {
    "OUT_OF_MEMORY": (
        OutOfMemoryError,
        "use fewer threads, a smaller batch or a smaller network",
    ),
    "NO_THREAD": (
        EngineError,
        "use fewer threads, or raise the limits on processes and memory (ulimit -u, ulimit -v)",
    ),
    "INVALID_ARGUMENT": (EngineError, "report this: shd_genn should have noticed it before"),
    "DIVERGED": (
        DivergedError,
        "take shorter steps (dt_ms or substep_ms), smaller weights, or a reset that ends the "
        "growth",
    ),
    "UNEXPECTED": (EngineError, "report this: it is an error of shd_genn"),
}
"""Failure code → the error that is raised, and its cure."""


class EntryPoint:
    """A function of a C++ library whose last argument is a `Failure*`.

    Args:
        library: The library.
        name: Name of an ``extern "C"`` function.
        argument_types: ctypes types of its arguments before the last.
        result: ctypes type of what it returns.
    """

    def __init__(
        self, library: ctypes.CDLL, name: str, argument_types: Sequence[Any], result: Any = None
    ) -> None:
        self._function = getattr(library, name)
        self._function.argtypes = [*argument_types, ctypes.c_void_p]
        self._function.restype = result

    def __call__(self, *arguments: Any) -> Any:
        """Call it.

        Raises:
            OutOfMemoryError: if it runs out of memory.
            DivergedError: if a state variable of a neuron grows without bound.
            EngineError: if it fails for another reason.
        """
        failure = FAILURE.ctype()
        passed = [ctypes.byref(a) if isinstance(a, ctypes.Structure) else a for a in arguments]
        result = self._function(*passed, ctypes.byref(failure))
        if failure.code != SUCCESS:
            error, cure = ERRORS[FAILURE_CODES.values[failure.code]]
            raise error(f"{failure.message.decode(errors='replace')}; {cure}")
        return result
