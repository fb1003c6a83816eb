"""The cochlea that made SHD: sound → basilar membrane → hair cells → nerve → bushy cells.

The model is that of Cramer, Stradmann, Schemmel & Zenke (IEEE TNNLS 2020, doi
10.1109/TNNLS.2020.3044364). Its settings were inferred from the published SHD samples: 48 kHz, RMS
0.3, ramps of 30 ms, Meddis' fibres of high spontaneous rate. Channel 0 is the base of the cochlea
(high frequencies), channel 699 its apex.
"""

from __future__ import annotations

import ctypes
import math
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from shd_genn.encode import blocks
from shd_genn.encode.basilar_membrane import BasilarMembrane, transfer_matrix
from shd_genn.encode.encoder import Spikes
from shd_genn.encode.transform import padded_spectrum, transform_length, velocity
from shd_genn.support.builder import assemble, load_library
from shd_genn.support.errors import DataError, refuse_unless, require
from shd_genn.support.interface import EntryPoint, Field, Interface, Structure
from shd_genn.support.interruption import check_interrupted

SOURCE = Path(__file__).parent / "kernels" / "cochlea.cpp"
RATE = 48_000
"""Sampling rate in Hz of the model's input; the hair cells run at half of it."""
StepsAndPlaces = tuple[NDArray[np.int32], NDArray[np.int32]]
"""Steps and places of spikes."""
BLOCK = 64
"""Number of places that are computed together, so that their transforms fit the cache."""

CONSTANTS = Structure(
    "Constants",
    "Constants of the hair cells, fibres and bushy cells; rates are per step.",
    (
        *(Field("double", name) for name in ("replenish", "release")),
        Field("double", "gone", "loss and reuptake"),
        *(Field("double", name) for name in ("reuptake", "reprocess", "a", "b", "pool", "firing")),
        *(
            Field("double", name, "in silence")
            for name in ("rest_free", "rest_cleft", "rest_store")
        ),
        Field("double", "n_fibres", "of a place"),
        Field("double", "dead_steps", "in which a fibre that has fired cannot fire again"),
        *(Field("double", name, "of a bushy cell") for name in ("decay_mem", "decay_syn")),
        *(Field("double", name, "of a bushy cell") for name in ("refractory_steps", "weight")),
    ),
)
"""Constants of a `Cochlea` that kernels/cochlea.cpp needs."""

FIRE_ARGUMENTS = Structure(
    "FireArguments",
    "Places of the basilar membrane, and room for their spikes.",
    (
        Field("const float*", "velocity", "[place][stride]"),
        Field("const Constants*", "constants"),
        Field("int32_t", "n_places"),
        Field("int32_t", "n_steps"),
        Field("int32_t", "first_step", "number of the first step in the recording"),
        Field("int32_t", "stride"),
        Field("int32_t", "first_place"),
        Field("uint32_t", "seed"),
        Field("int64_t", "capacity", "numbers that steps and places have room for"),
        Field("int32_t*", "steps", "of the spikes"),
        Field("int32_t*", "places", "of the spikes"),
        Field("double*", "probability", "[place][stride], of a fibre's spike; null for spikes"),
        Field("double*", "state", "[place][state_numbers], read if first_step > 0; null for none"),
        Field("int32_t", "state_numbers", "of the cells of a place"),
    ),
)
"""Arguments of the kernel."""


@dataclass(frozen=True)
class HairCell:
    """Meddis' inner hair cell (JASA 79, 702; high spontaneous rate: Meddis et al. 1990).

    Rates in 1/s; ``a`` and ``b`` in the units of membrane velocity.
    """

    replenish: float = 5.05
    release: float = 2000.0
    loss: float = 2500.0
    reuptake: float = 6580.0
    reprocess: float = 66.3
    a: float = 5.0
    b: float = 300.0
    pool: float = 1.0
    firing: float = 50_000.0


@dataclass(frozen=True)
class BushyCell:
    """The nerve fibres of a place, and the leaky integrate-and-fire cell that they connect to."""

    n_fibres: int = 40
    dead_time_ms: float = 1.0
    tau_mem_ms: float = 1.0
    tau_syn_ms: float = 0.5
    refractory_ms: float = 1.0
    weight: float = 13_000.0
    """Summed weight of all fibres in 1/s; the threshold is 1."""

    def __post_init__(self) -> None:
        step = 2000 / RATE
        require(self.n_fibres >= 1, "1 <= n_fibres", self.n_fibres, "SHD has 40")
        require(
            self.dead_time_ms >= step, "1/24 <= dead_time_ms", self.dead_time_ms, "SHD has 1 ms"
        )
        require(self.tau_mem_ms > 0, "0 < tau_mem_ms", self.tau_mem_ms, "SHD has 1 ms")
        require(self.tau_syn_ms > 0, "0 < tau_syn_ms", self.tau_syn_ms, "SHD has 0.5 ms")
        require(self.refractory_ms >= 0, "0 <= refractory_ms", self.refractory_ms, "SHD has 1 ms")


@dataclass(frozen=True)
class Cochlea:
    """The whole model; the defaults are those that made SHD.

    Attributes:
        rms: Level to which recordings are scaled (full scale is 1).
        ramp_ms: Length of the Hann ramps at both ends, in ms.
        membrane: The basilar membrane.
        hair_cell: The inner hair cells.
        bushy_cell: Fibres and bushy cells.
    """

    rms: float = 0.3
    ramp_ms: float = 30.0
    membrane: BasilarMembrane = field(default_factory=BasilarMembrane)
    hair_cell: HairCell = field(default_factory=HairCell)
    bushy_cell: BushyCell = field(default_factory=BushyCell)
    code = "cochlea"
    longest_s = 600.0  # filtered block by block in about two minutes, with less than 1.5 GB

    def __post_init__(self) -> None:
        require(0 < self.rms < math.inf, "0 < rms < inf", self.rms, "SHD was made with 0.3")
        require(0 <= self.ramp_ms < math.inf, "0 <= ramp_ms", self.ramp_ms, "SHD has 30 ms")

    @property
    def n_channels(self) -> int:
        """Number of channels: places of the basilar membrane."""
        return self.membrane.n_places

    @property
    def shortest_s(self) -> float:
        """Duration in s of the shortest recording that can be encoded: that of both ramps."""
        return 2 * self.ramp_ms / 1000

    def prepare(self, n_samples: int) -> NDArray[np.complex64]:
        """The transfer matrix for recordings of ``n_samples``; made once and kept in the cache."""
        if n_samples > blocks.WHOLE:
            matrix = transfer_matrix(self.membrane, blocks.N_STEPS + 1, RATE)
            return matrix[:, : blocks.N_STEPS]
        return transfer_matrix(self.membrane, transform_length(n_samples), RATE)

    def condition(self, audio: NDArray[np.floating]) -> NDArray[np.float64]:
        """Scale a recording to the model's level and ramp its ends.

        Raises:
            DataError: if the recording is silent, not finite, too long, or too short for the ramps.
        """
        ramp = round(self.ramp_ms / 1000 * RATE)
        if len(audio) < max(2 * ramp, 2):
            raise DataError(
                f"a recording must last at least {2 * self.ramp_ms:g} ms, but got "
                f"{len(audio) / RATE * 1000:.1f} ms; leave it out or join it with silence"
            )
        seconds = len(audio) / RATE
        refuse_unless(
            seconds <= self.longest_s,
            f"a recording must last at most {self.longest_s:g} s, but lasts {seconds:.1f} s",
            "cut it into words, or encode its beginning with --cut-s",
            DataError,
        )
        self.check(audio)
        refuse_unless(
            np.ptp(audio) > 0,
            f"a recording must not be silent, but all its samples are {audio[0]:g}",
            "leave it out",
            DataError,
        )
        level = math.sqrt(np.mean(np.square(audio, dtype=np.float64)))
        sound = np.asarray(audio, np.float64) * (self.rms / level)
        if ramp:
            sound[:ramp] *= self.window
            sound[-ramp:] *= self.window[::-1]
        return sound

    @property
    def window(self) -> NDArray[np.float64]:
        """The rising ramp, a number for each sample."""
        ramp = round(self.ramp_ms / 1000 * RATE)
        return 0.5 * (1 - np.cos(2 * np.pi * np.arange(ramp) / max(2 * ramp - 1, 1)))

    @staticmethod
    def check(audio: NDArray[np.floating]) -> NDArray[np.floating]:
        """Refuse sound that is not finite; returns it.

        Raises:
            DataError: if it is not.
        """
        refuse_unless(
            bool(np.isfinite(audio).all()),
            "a recording must be finite, but has NaN or infinite samples",
            "record it again",
            DataError,
        )
        return audio

    def encode(self, audio: NDArray[np.floating], seed: int) -> Spikes:
        """Encode one recording.

        Args:
            audio: Mono at 48 kHz, (n_samples,).
            seed: Seed of the nerve fibres' random numbers; the same seed gives the same spikes.

        Returns:
            Times in ms after the first spike, ascending (float32), and channels (uint16).

        Raises:
            DataError: if the recording cannot be used; see `condition`.
        """
        sound = self.condition(audio)
        long = len(sound) > blocks.WHOLE
        parts = self._fire_by_blocks(sound, seed) if long else self._fire_whole(sound, seed)
        steps = np.concatenate([step for step, _ in parts])
        places = np.concatenate([place for _, place in parts])
        order = np.lexsort((places, steps))
        steps = steps[order] - steps.min(initial=steps[0] if len(steps) else 0)
        return (steps * (1000 / (RATE // 2))).astype(np.float32), places[order].astype(np.uint16)

    def _fire_whole(self, sound: NDArray[np.float64], seed: int) -> list[StepsAndPlaces]:
        """Spikes of a recording that is transformed as a whole."""
        n_steps = (len(sound) + 1) // 2
        spectrum, matrix = padded_spectrum(sound), self.prepare(len(sound))
        return [
            self.fire(velocity(matrix[first : first + BLOCK], spectrum), n_steps, first, seed)
            for first in range(0, len(matrix), BLOCK)
        ]

    def _fire_by_blocks(self, sound: NDArray[np.float64], seed: int) -> list[StepsAndPlaces]:
        """Spikes of a long recording; the cells' state is carried from block to block."""
        matrix, state = self.prepare(len(sound)), self.state()
        return [
            part
            for block in blocks.blocks(sound)
            for part in self.fire_block(matrix, block, state, seed)
        ]

    def state(self) -> NDArray[np.float64]:
        """Room for the state of all places' cells between blocks, (n_places, numbers)."""
        return np.zeros((self.n_channels, 7 + int(self._constants.dead_steps)))

    def fire_block(
        self,
        matrix: NDArray[np.complex64],
        block: blocks.Block,
        state: NDArray[np.float64],
        seed: int,
    ) -> list[StepsAndPlaces]:
        """Spikes of a block of a long recording; the cells' state is changed in place.

        Args:
            matrix: The transfer matrix of `prepare`.
            block: It.
            state: What `state` has made, and earlier blocks have changed.
            seed: Seed of the nerve fibres' random numbers.
        """
        parts = []
        for first in range(0, len(matrix), BLOCK):
            places = slice(first, first + BLOCK)
            moving = velocity(matrix[places], block.spectrum)
            moving = moving[:, blocks.BEFORE : blocks.BEFORE + block.n_steps]
            parts.append(
                self._run(moving, block.n_steps, first, seed, None, block.first_step, state[places])
            )
        return parts

    def hair_cell_probability(self, velocity: NDArray[np.float32]) -> NDArray[np.float64]:
        """Probability that a fibre fires, for each place and step, (n_places, n_steps)."""
        probability = np.empty(velocity.shape, np.float64)
        self._run(velocity, velocity.shape[1], 0, 0, probability)
        return probability

    def fire(
        self, velocity: NDArray[np.float32], n_steps: int, first_place: int, seed: int
    ) -> StepsAndPlaces:
        """Spikes of places whose membrane moves with given velocities.

        Args:
            velocity: Membrane velocity at 24 kHz, (n_places, n).
            n_steps: Number of steps to compute, at most n.
            first_place: Number of the first place.
            seed: Seed of the nerve fibres' random numbers.

        Returns:
            Steps and places of the spikes.
        """
        return self._run(velocity, n_steps, first_place, seed, None)

    def _run(
        self,
        velocity: NDArray[np.float32],
        n_steps: int,
        first_place: int,
        seed: int,
        probability: NDArray[np.float64] | None,
        first_step: int = 0,
        state: NDArray[np.float64] | None = None,
    ) -> StepsAndPlaces:
        check_interrupted()
        n_places, stride = velocity.shape
        capacity = n_places * n_steps  # more than there can be: a spike in every step
        steps, places = np.empty(capacity, np.int32), np.empty(capacity, np.int32)
        velocity = np.ascontiguousarray(velocity, np.float32)
        constants = self._constants
        count = self._fire(
            FIRE_ARGUMENTS(
                velocity=velocity.ctypes.data,
                constants=ctypes.addressof(constants),
                n_places=n_places,
                n_steps=n_steps,
                first_step=first_step,
                stride=stride,
                first_place=first_place,
                seed=seed & 0xFFFFFFFF,
                capacity=capacity,
                steps=steps.ctypes.data,
                places=places.ctypes.data,
                probability=None if probability is None else probability.ctypes.data,
                state=None if state is None else state.ctypes.data,
                state_numbers=0 if state is None else state.shape[1],
            )
        )
        return steps[:count].copy(), places[:count].copy()

    @cached_property
    def _fire(self) -> EntryPoint:
        interface = Interface((CONSTANTS, FIRE_ARGUMENTS))
        source = assemble(SOURCE.read_text(encoding="utf-8"), "cochlea.cpp", interface=interface)
        library = load_library(source, "cochlea")
        return EntryPoint(library, "cochlea_fire", [ctypes.c_void_p], ctypes.c_int32)

    @cached_property
    def _constants(self) -> Any:
        cell, bushy, dt = self.hair_cell, self.bushy_cell, 2 / RATE
        rest_free, rest_cleft, rest_store = self._rest
        return CONSTANTS(
            replenish=cell.replenish * dt,
            release=cell.release * dt,
            gone=(cell.loss + cell.reuptake) * dt,
            reuptake=cell.reuptake * dt,
            reprocess=cell.reprocess * dt,
            a=cell.a,
            b=cell.b,
            pool=cell.pool,
            firing=cell.firing * dt,
            rest_free=rest_free,
            rest_cleft=rest_cleft,
            rest_store=rest_store,
            n_fibres=bushy.n_fibres,
            dead_steps=round(bushy.dead_time_ms / 1000 / dt),
            decay_mem=math.exp(-dt * 1000 / bushy.tau_mem_ms),
            decay_syn=math.exp(-dt * 1000 / bushy.tau_syn_ms),
            refractory_steps=round(bushy.refractory_ms / 1000 / dt),
            weight=bushy.weight / bushy.n_fibres * dt,
        )

    @property
    def _rest(self) -> tuple[float, float, float]:
        """Free transmitter, cleft and reprocessing store in silence."""
        cell = self.hair_cell
        k = cell.release * cell.a / (cell.a + cell.b)
        away = cell.loss + cell.reuptake
        cleft = cell.pool * cell.replenish * k / (cell.loss * k + cell.replenish * away)
        return cleft * away / k, cleft, cleft * cell.reuptake / cell.reprocess
