"""A trained network as one C99 file for microcontrollers: no heap, no libraries, streaming."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from shd_genn.export.c_front_end import FrontEnd
from shd_genn.export.quantise import Bits, quantise
from shd_genn.export.render import render
from shd_genn.export.trained import TrainedNetwork, check_neurons, require_words
from shd_genn.network import Population
from shd_genn.network.readouts import READOUTS, read_weights
from shd_genn.support.errors import refuse_unless
from shd_genn.support.files import write_text

A_LINE = 96
"""Letters of a line of numbers."""


@dataclass(frozen=True)
class ConstantArray:
    """A ``static const`` array of the file.

    Attributes:
        type: C's name of its numbers.
        name: Its name.
        size: How many numbers it has.
        text: The numbers, as C has them between braces.
        bytes: What it takes in flash.
    """

    type: str
    name: str
    size: int
    text: str
    bytes: int


@dataclass(frozen=True)
class Memory:
    """What a network takes on a microcontroller, in bytes.

    Attributes:
        flash: Weights and constants, without code.
        ram: The state of one network.
    """

    flash: int
    ram: int


def write_c(
    trained: TrainedNetwork, folder: Path, bits: Bits = 32, front: FrontEnd | None = None
) -> Path:
    """Write ``network.c``, or ``network_8_bits.c``, ``network_4_bits.c``.

    Args:
        trained: The network.
        folder: Where.
        bits: Of a weight.
        front: What makes spikes of a microphone's samples; None: the file begins with spikes.

    Returns:
        The file.

    Raises:
        ConfigError: if the network has neurons or delays that the file cannot run.
    """
    path = folder / ("network.c" if bits == 32 else f"network_{bits}_bits.c")
    write_text(path, source_of(trained, bits, front))
    return path


def source_of(trained: TrainedNetwork, bits: Bits = 32, front: FrontEnd | None = None) -> str:
    """The text of ``network.c``; see `write_c`."""
    network = trained.network
    check_neurons(network, "C")
    for c in network.connections:
        refuse_unless(
            not trained.delay_steps(c).any(),
            f"connection {c.name} has delays, but the C file keeps no spikes for later",
            "export to numpy, or train without delays",
        )
    arrays = list(_arrays(trained, bits))
    needed = memory(trained, bits)
    return render(
        "network.c.j2",
        name=_comment(trained.name),
        bits=bits,
        dt_ms=float(trained.dt_ms),
        n_steps=trained.n_steps,
        n_inputs=network.input.size,
        n_words=network.output.size,
        input=network.input.name,
        words=", ".join(_quoted(word) for word in require_words(trained)),
        populations=[_population(trained, p) for p in trained.populations],
        connections=[
            {
                "name": c.name,
                "source": c.source.name,
                "target": c.target.name,
                "targets": c.target.size,
            }
            for c in network.connections
        ],
        largest_target=max(c.target.size for c in network.connections),
        arrays=arrays,
        form=READOUTS[network.readout].form,
        start=_start(trained),
        flash=needed.flash,
        ram=needed.ram,
        front=front,
    )


def memory(trained: TrainedNetwork, bits: Bits = 32) -> Memory:
    """What the network takes on a microcontroller."""
    flash = sum(array.bytes for array in _arrays(trained, bits))
    n_inputs = trained.network.input.size
    ram = 2 * (2 * n_inputs + 2) + n_inputs + 4 * trained.network.output.size + 8
    for p in trained.populations:
        ram += 8 * p.size + (2 * p.size + 2 if p.neuron.description.spikes else 0)
    if bits != 32:
        ram += 4 * max(c.target.size for c in trained.network.connections)
    return Memory(flash, 4 * -(-ram // 4))


def _start(trained: TrainedNetwork) -> str:
    """What a word's number is before the first step."""
    if READOUTS[trained.network.readout].form == "first_spike":
        return _literal(-trained.n_steps * trained.dt_ms)
    return "0.0f"


def _population(trained: TrainedNetwork, population: Population) -> dict[str, Any]:
    constants = [
        (kind, _literal(values[0]) if _same(values) else f"{population.name}_{kind}_of[j]")
        for kind, values in _constants(trained, population).items()
    ]
    return {
        "name": population.name,
        "size": population.size,
        "spikes": population.neuron.description.spikes,
        "is_output": population == trained.network.output,
        "constants": constants,
    }


def _constants(trained: TrainedNetwork, population: Population) -> dict[str, NDArray[np.float32]]:
    k = trained.constants(population)
    values = {"alpha": k.alpha, "beta": k.beta, "gain": (1 - k.alpha) * k.scale}
    if population.neuron.description.spikes:
        values["v_thresh"] = k.v_thresh
    return {kind: array.astype(np.float32) for kind, array in values.items()}


def _arrays(trained: TrainedNetwork, bits: Bits) -> Iterator[ConstantArray]:
    """All arrays that are in flash."""
    network = trained.network
    for c in network.connections:
        weights = trained.parameters[c.name]
        if bits == 32:
            yield _floats(f"w_{c.name}", weights)
            continue
        few = quantise(weights, bits)
        values = few.values if bits == 8 else packed(few.values)
        yield ConstantArray(
            "int8_t" if bits == 8 else "uint8_t",
            f"w_{c.name}",
            values.size,
            _lines(str(x) for x in values.ravel().tolist()),
            values.size,
        )
        yield _floats(f"scale_{c.name}", few.scale)
    for p in trained.populations:
        for kind, array in _constants(trained, p).items():
            if not _same(array):
                yield _floats(f"{p.name}_{kind}_of", array)
    if READOUTS[network.readout].form in ("weighted", "each_step"):
        yield _floats("read_weights", read_weights(network.readout, trained.n_steps))


def packed(values: NDArray[np.int8]) -> NDArray[np.uint8]:
    """Two numbers a byte, each plus 8; the earlier one in the lower half.

    Args:
        values: (sources, targets), from -8 to 7.

    Returns:
        uint8, (sources, targets rounded up to pairs).
    """
    wide = np.pad(values, ((0, 0), (0, values.shape[1] % 2))).astype(np.int16) + 8
    return (wide[:, ::2] | wide[:, 1::2] << 4).astype(np.uint8)


def _same(values: NDArray[np.float32]) -> bool:
    return bool((values == values[0]).all())


def _floats(name: str, values: NDArray[np.floating]) -> ConstantArray:
    flat = values.astype(np.float32).ravel()
    return ConstantArray(
        "float", name, flat.size, _lines(_literal(x) for x in flat.tolist()), 4 * flat.size
    )


def _literal(value: float) -> str:
    """A float32 as C writes it: nine digits give it back to the bit."""
    text = f"{np.float32(value):.9g}"
    return f"{text}f" if any(letter in text for letter in ".e") else f"{text}.0f"


def _lines(numbers: Iterator[str]) -> str:
    lines, line = [], ""
    for number in numbers:
        if len(line) + len(number) > A_LINE:
            lines.append(line)
            line = ""
        line += f"{number},"
    return "\n".join([*lines, line])


def _quoted(word: str) -> str:
    """A word as a string of C: UTF-8, all but plain letters as octal numbers."""
    plain = "".join(
        byte if byte.isascii() and (byte.isalnum() or byte in " _-.,") else f"\\{ord(byte):03o}"
        for byte in word.encode().decode("latin-1")
    )
    return f'"{plain}"'


def _comment(name: str) -> str:
    """A name as it may stand in a comment of C."""
    return name.replace("*/", "* /").replace("/*", "/ *").replace("??", "? ?")
