"""What the engine's C++ and its caller agree on: strips, structures, stages.

`INTERFACE` is the one table. The structures of `ctypes` are made from it, and the header
``interface.h`` with its static assertions (`shd_genn.support.interface`).
"""

from __future__ import annotations

import math

from shd_genn.backends.native.constants import CONSTANTS, SHARED
from shd_genn.backends.reference.sensitivities import DERIVATIVES
from shd_genn.support.interface import Enumeration, Field, Interface, Structure

STRIP = 64
"""Neurons that the kernels walk at a time (simd.h); arrays are padded to whole strips."""

GROUP = 8
"""Trials whose input is summed at a time (input_stage.h)."""

LINE_GROUP = 32
"""The same where the input is a delay line (delay_line.h); packing its weights takes long."""

STAGES = ("input", "forward", "adjoint", "gradient", "optimiser")
"""What the engine's time is spent on: putting input spikes on the grid, the three passes over a
trial, and updating what is learned."""

POPULATION = Structure(
    "Population",
    "A population: its size, and its constants where all neurons have the same.",
    (
        Field("int32_t", "size", "neurons"),
        Field("int32_t", "padded", "rounded up to whole strips"),
        *(Field("float", name, meaning) for name, meaning in SHARED.items()),
        Field("const float*", "per_neuron", "else [strip][Constant][neuron of the strip]"),
    ),
)

CONNECTION = Structure(
    "Connection",
    "Synapses from all neurons of one population to all of another.",
    (
        Field("const float*", "weights", "[source][stride]"),
        Field(
            "const int32_t*",
            "delay_steps",
            "likewise, or [source], or [target]; null without delays",
        ),
        Field("int64_t", "stride", "floats from one row to the next"),
    ),
)

LEARNED_ARRAY = Structure(
    "LearnedArray",
    "An array of parameters that are learned, padded, and its optimiser's state.",
    (
        Field("float*", "value"),
        Field("float*", "gradient"),
        Field("float*", "m"),
        Field("float*", "v"),
        Field("int64_t", "n", "numbers, padding included"),
        Field("float", "low", "updates keep values within low and high"),
        Field("float", "high"),
    ),
)

NEURON_GRADIENT = Structure(
    "NeuronGradient",
    "Gradients of what is learned of a population's neurons; null where it is not learned.",
    tuple(Field("float*", kind) for kind in DERIVATIVES),
)

ENGINE_ARGUMENTS = Structure(
    "EngineArguments",
    "What an engine is made of; arrays of parameters belong to the caller.",
    (
        Field("const Population*", "populations"),
        Field("const Connection*", "connections"),
        Field("const LearnedArray*", "learned"),
        Field("const float*", "read_weight", "[step]: of the output voltage in the readout"),
        Field("const float*", "drive_weight", "[step]: of the drive of the output's adjoint"),
        Field("int32_t", "n_steps"),
        Field("float", "dt_ms"),
        Field("int32_t", "n_threads"),
        Field(
            "float", "surrogate_slope", "of methods that have a surrogate; see surrogate_shapes.h"
        ),
        Field("float", "surrogate_scale"),
    ),
)

FORWARD_ARGUMENTS = Structure(
    "ForwardArguments",
    "A forward pass of some trials.",
    (
        Field("const float*", "times_ms", "of all input spikes, sorted within a trial"),
        Field("const uint16_t*", "channels", "of all input spikes"),
        Field("const int64_t*", "offsets", "[n_trials + 1]: where the spikes of a trial begin"),
        Field("int64_t", "n_spikes", "of all trials: length of times_ms and channels"),
        Field("int32_t", "n_trials"),
        Field("bool", "keep", "whether trials stay, to learn from them or to read their spikes"),
        Field("bool", "learn", "whether they keep what only learning needs"),
        Field("int32_t", "lag", "steps between copies, if all are taken at once; else 0"),
        Field("float*", "readout", "[trial][class]"),
        Field("int32_t* const*", "counts", "[population][trial][neuron]; of the input [trial]"),
        Field("float*", "voltages", "[trial][step][class], or null"),
        Field(
            "const uint8_t* const*", "silent", "[population][trial][neuron] or null; see dropout.h"
        ),
        Field("uint64_t", "noise_key", "of neurons that spike at random; see random_spikes.h"),
    ),
)

SPIKES_ARGUMENTS = Structure(
    "SpikesArguments",
    "Which spikes to copy, and to where.",
    (
        Field("int32_t", "trial"),
        Field("int32_t", "population"),
        Field("int32_t", "n", "how many there are"),
        Field("int32_t*", "neurons", "[n]"),
        Field("int32_t*", "begin", "[n_steps + 1]: where the spikes of a step begin"),
    ),
)

BACKWARD_ARGUMENTS = Structure(
    "BackwardArguments",
    "A backward pass of the trials that are kept.",
    (
        Field("int32_t", "n_trials"),
        Field("const float*", "drive", "[trial][class]; [trial][step][class] if steps differ"),
        Field("const float* const*", "regulariser", "[population][neuron]: the jump at a spike"),
        Field("const float* const*", "feedback", "[population][neuron][class, padded], or null"),
        Field("int64_t*", "near_steps", "[population][trial], or null; see surrogate.h"),
    ),
)

ADAM_ARGUMENTS = Structure(
    "AdamArguments",
    "One update; see adam.h.",
    (
        Field("float", "beta1"),
        Field("float", "beta2"),
        Field("float", "epsilon"),
        Field("float", "correction2", "1 / (1 - beta2^k)"),
        Field("const float*", "rates", "[array]: learning rate / (1 - beta1^k)"),
    ),
)

INTERFACE = Interface(
    structures=(
        POPULATION,
        CONNECTION,
        LEARNED_ARRAY,
        NEURON_GRADIENT,
        ENGINE_ARGUMENTS,
        FORWARD_ARGUMENTS,
        SPIKES_ARGUMENTS,
        BACKWARD_ARGUMENTS,
        ADAM_ARGUMENTS,
    ),
    enumerations=(
        Enumeration(
            "Constant",
            "Constants of neurons, in the order of Population::per_neuron.",
            tuple(name.upper() for name in CONSTANTS),
            "CONSTANTS",
        ),
        Enumeration(
            "NeuronParameter",
            "What can be learned of neurons.",
            tuple(f"PARAMETER_{kind.upper()}" for kind in DERIVATIVES),
            "NEURON_PARAMETERS",
        ),
        Enumeration(
            "Stage",
            "What time is spent on.",
            tuple(f"STAGE_{stage.upper()}" for stage in STAGES),
            "STAGES",
        ),
    ),
)


def padded(size: int) -> int:
    """A number of neurons, rounded up to whole strips."""
    return math.ceil(size / STRIP) * STRIP
