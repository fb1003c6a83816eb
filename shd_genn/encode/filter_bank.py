"""A filter bank that makes spikes of sound as it comes: for streams and for microcontrollers.

It works as silicon cochleas do (Liu et al., IEEE TBioCAS 2014, doi 10.1109/TBCAS.2013.2281834):
band-pass filters, the envelope of each one's output, and an integrate-and-fire neuron that the
envelope's logarithm drives. A channel's drive is 1 at the level of the strongest channel, and 0
`range_db` below it. That level rises at once and falls slowly, so that loud and quiet speakers give
similar spikes. In silence there are no spikes.

All computations are in whole numbers and look at the past only. kernels/filter_bank.h has them in
C99; python -m shd_genn.export puts the same text into its C file.
"""

from __future__ import annotations

import ctypes
import functools
import math
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from shd_genn.encode.cochlea import RATE
from shd_genn.encode.encoder import Spikes, finite
from shd_genn.support.builder import assemble, load_library
from shd_genn.support.errors import require
from shd_genn.support.interface import EntryPoint, Field, Interface, Structure

KERNELS = Path(__file__).parent / "kernels"
SOURCE = KERNELS / "filter_bank.cpp"
HEADER = KERNELS / "filter_bank.h"
STREAM_RATE = 16_000
"""Sampling rate in Hz of the stream."""
TICK_SAMPLES = 16
"""Samples of a tick of 1 ms; spikes come at the ends of ticks."""
BEFORE_TICK_MS = 0.25
"""SHD's layout has times in half precision, to 0.25 ms in the first second. So far before the end
of its tick a spike stays in the time step that it belongs to."""
POINT = 29
"""Bits behind the point of the filters' coefficients."""
FULL_SCALE = 2 / math.pi * 32_768 * 1024
"""Envelope of the loudest sine, as the kernel counts it."""
LONGEST_S = 600.0
PUSH_ARGUMENTS = Structure(
    "PushArguments",
    "A piece of a stream, the filter bank with its state, and room for spikes.",
    (
        Field("const void*", "sound", "int16_t, of n_samples"),
        Field("const void*", "bands", "filter_band_t, of n_channels"),
        Field("const void*", "levels", "filter_levels_t"),
        Field("void*", "common", "filter_common_t"),
        Field("void*", "channels", "filter_channel_t, of n_channels"),
        Field("void*", "fired", "uint16_t, of n_channels"),
        Field("int64_t*", "ticks", "of the spikes"),
        Field("int32_t*", "spiking", "channels of the spikes"),
        Field("int64_t", "capacity", "spikes that there is room for"),
        Field("int64_t", "n_samples"),
        Field("int64_t", "first_tick", "number of the first tick that ends in this piece"),
        Field("int32_t", "n_channels"),
    ),
)
"""Arguments of the kernel."""


@dataclass(frozen=True)
class FilterBank:
    """The encoder; see the module's docstring.

    Attributes:
        n_channels: Number of channels, evenly spaced on the mel scale; channel 0 is the highest.
        low_hz: Centre of the lowest channel.
        high_hz: Centre of the highest channel.
        range_db: A channel is silent this far below the strongest one.
        highest_rate_hz: Spikes a second of the strongest channel.
        lowest_peak_db: The strongest channel counts at least as a sine of this level would (0 is
            full scale).
        release_db: By which the level of the strongest channel falls in a second.
    """

    n_channels: int = 64
    low_hz: float = 100.0
    high_hz: float = 6500.0
    range_db: float = 40.0
    highest_rate_hz: float = 200.0
    lowest_peak_db: float = -30.0
    release_db: float = 12.0
    code = "filterbank"
    shortest_s = 0.0
    longest_s = LONGEST_S

    def __post_init__(self) -> None:
        require(1 <= self.n_channels <= 1024, "1 <= n_channels <= 1024", self.n_channels, "use 64")
        require(
            20 <= self.low_hz < self.high_hz <= 7500,
            "20 <= low_hz < high_hz <= 7500",
            f"low_hz {self.low_hz}, high_hz {self.high_hz}",
            "speech lies between 100 and 6500 Hz",
        )
        require(1 <= self.range_db <= 90, "1 <= range_db <= 90", self.range_db, "40 is usual")
        rate = self.highest_rate_hz
        require(0 < rate <= 1000, "0 < highest_rate_hz <= 1000", rate, "200 is usual")
        peak = self.lowest_peak_db
        require(-60 <= peak <= 0, "-60 <= lowest_peak_db <= 0", peak, "-30 is usual")
        fall = self.release_db
        require(0 <= fall <= 1000, "0 <= release_db <= 1000", fall, "12 is usual")

    @cached_property
    def bands(self) -> NDArray[np.int32]:
        """gain, a1 and a2 of each channel's resonators, (n_channels, 3), 29 bits behind the point.

        A resonator is the band-pass of 0 dB at its centre of the bilinear transform. Its bandwidth
        is twice the distance to the next channel, but from 60 to 4000 Hz; two in a row have 0.64 of
        it.
        """
        low, high = (2595 * math.log10(1 + f / 700) for f in (self.low_hz, self.high_hz))
        distance = (high - low) / max(self.n_channels - 1, 1)
        mels = np.linspace(high, low, self.n_channels)
        centre, above = (700 * (10 ** (m / 2595) - 1) for m in (mels, mels + distance))
        width = np.clip(2 * (above - centre), 60.0, 4000.0)
        w = 2 * np.pi * centre / STREAM_RATE
        alpha = np.tan(np.pi * width / STREAM_RATE)
        rows = [alpha / (1 + alpha), 2 * np.cos(w) / (1 + alpha), -(1 - alpha) / (1 + alpha)]
        return np.asarray(np.rint(np.stack(rows, 1) * 2**POINT), np.int32)

    @cached_property
    def levels(self) -> NDArray[np.int32]:
        """lowest_peak, release, range and threshold as the kernel has them, (4,)."""
        octave_db = 20 * math.log10(2)
        lowest = math.log2(FULL_SCALE) + self.lowest_peak_db / octave_db
        release = self.release_db / octave_db / 1000
        span = self.range_db / octave_db
        each = (lowest, release, span, span * 1000 / self.highest_rate_hz)
        return np.array([round(level * 65_536) for level in each], np.int32)

    def condition(self, audio: NDArray[np.floating]) -> NDArray[np.float64]:
        """Check a recording and return it unchanged; see `Encoder`."""
        return finite(audio)

    def pcm(self, audio: NDArray[np.floating]) -> NDArray[np.int16]:
        """A recording at 48 kHz as the stream's whole numbers at 16 kHz."""
        from scipy.signal import resample_poly  # takes a second

        slower: NDArray[np.float64] = resample_poly(self.condition(audio), 1, RATE // STREAM_RATE)
        whole: NDArray[np.int16] = np.rint(np.clip(slower * 32_767, -32_768, 32_767)).astype(
            np.int16
        )
        return whole

    def stream(self) -> FilterBankStream:
        """The filter bank at rest, for sound as it comes."""
        return FilterBankStream(self)

    def encode(self, audio: NDArray[np.floating], seed: int) -> Spikes:
        """Spikes of one recording; the seed has no effect. See `Encoder`.

        Spikes lie `BEFORE_TICK_MS` before the ends of their ticks.
        """
        ticks, channels = self.stream().push(self.pcm(audio))
        times_ms = ticks - (ticks[0] if len(ticks) else 0) - BEFORE_TICK_MS
        return np.maximum(times_ms, 0).astype(np.float32), channels


class FilterBankStream:
    """A filter bank that takes sound piece by piece.

    Pieces of any lengths give the same spikes as the whole sound.

    Args:
        bank: Its settings.
    """

    def __init__(self, bank: FilterBank) -> None:
        self._bank = bank
        self._channels = np.zeros((bank.n_channels, 7), np.int32)
        self._common = np.array([0, 0, bank.levels[0], 0], np.int32)
        self._samples = 0

    def push(self, sound: NDArray[np.int16]) -> tuple[NDArray[np.int64], NDArray[np.uint16]]:
        """Take a piece of sound.

        Args:
            sound: (n_samples,), at 16 kHz.

        Returns:
            The ticks (ms since the stream began) and the channels of all spikes, in order.
        """
        sound = np.ascontiguousarray(sound, np.int16)
        first, n = self._samples // TICK_SAMPLES, self._bank.n_channels
        self._samples += len(sound)
        capacity = n * (self._samples // TICK_SAMPLES - first)
        ticks, channels = np.empty(capacity, np.int64), np.empty(capacity, np.int32)
        fired = np.empty(n, np.uint16)
        count = _push()(
            PUSH_ARGUMENTS(
                sound=sound.ctypes.data,
                bands=self._bank.bands.ctypes.data,
                levels=self._bank.levels.ctypes.data,
                common=self._common.ctypes.data,
                channels=self._channels.ctypes.data,
                fired=fired.ctypes.data,
                ticks=ticks.ctypes.data,
                spiking=channels.ctypes.data,
                capacity=capacity,
                n_samples=len(sound),
                first_tick=first,
                n_channels=n,
            )
        )
        return ticks[:count].copy(), channels[:count].astype(np.uint16)


@functools.cache
def _push() -> EntryPoint:
    interface = Interface((PUSH_ARGUMENTS,))
    source = assemble(
        SOURCE.read_text(encoding="utf-8"), "filter_bank.cpp", KERNELS, interface=interface
    )
    library = load_library(source, "filter_bank")
    return EntryPoint(library, "filter_bank_push", [ctypes.c_void_p], ctypes.c_int64)
