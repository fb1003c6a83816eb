"""The basilar membrane: a linear transmission line, solved in the frequency domain.

Sieroka, Dosch & Rupp (JASA 120, 297, 2006; doi 10.1121/1.2204438), long-wave approximation. All
quantities in cgs units; angular frequency w in 1/s, place c in cm from the base.
"""

from __future__ import annotations

import functools
import hashlib
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import astuple, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import hankel1, j0, j1, y0, y1

from shd_genn.support.errors import require
from shd_genn.support.files import cache_dir, is_intact, write_checksum, written_aside
from shd_genn.support.machine import available_cores
from shd_genn.support.progress import progress

Complex = NDArray[np.complex128]

_making = threading.Lock()  # one thread makes a matrix, while others that need it wait


@dataclass(frozen=True)
class BasilarMembrane:
    """Constants of the membrane; the defaults made SHD.

    Attributes:
        n_places: Number of places at equal distances from base to apex.
        length: Length of the membrane, cm.
        alpha: Decay of stiffness with place, 1/cm.
        a: Offset of the stiffness, g/(cm² s²).
        stiffness: Stiffness at the base, g/(cm² s²).
        mass: Mass of the membrane, g/cm².
        density: Density of the fluid, g/cm³.
        height: Height of the scala, cm.
        damping: Damping constant without unit.
    """

    n_places: int = 700
    length: float = 3.5
    alpha: float = 3.0
    a: float = 3500.0
    stiffness: float = 1e9
    mass: float = 0.05
    density: float = 1.0
    height: float = 0.1
    damping: float = 0.15

    def __post_init__(self) -> None:
        require(
            1 <= self.n_places <= 65_535, "1 <= n_places <= 65535", self.n_places, "SHD has 700"
        )

    @property
    def places(self) -> NDArray[np.float64]:
        """Distances from the base in cm, (n_places,)."""
        return np.linspace(0, self.length, self.n_places)

    def impedance(self, w: NDArray[np.float64], c: NDArray[np.float64]) -> Complex:
        """xi(w, c) = S(c) - m w² - i w R(c)."""
        stiffness = self.stiffness * np.exp(-self.alpha * c) - self.a
        resistance = self._base_resistance * np.exp(-self.alpha * c / 2)
        impedance: Complex = stiffness - self.mass * w**2 - 1j * w * resistance
        return impedance

    def transfer(self, w: NDArray[np.float64], c: NDArray[np.float64]) -> Complex:
        """Membrane velocity at places c per sound pressure of angular frequency w.

        Args:
            w: (n,), 1/s.
            c: (n_places, 1), cm.

        Returns:
            (n_places, n).
        """
        base = np.zeros((1, 1))
        p_ratio = self._pressure(w, c) / self._pressure(w, base)
        result: Complex = 2 * w / self.impedance(w, c) * p_ratio * self._input_impedance(w)
        return result

    @property
    def _base_resistance(self) -> float:
        return float(self.damping * np.sqrt(self.stiffness * self.mass))

    def _wave_number(self, w: NDArray[np.float64], c: NDArray[np.float64]) -> Complex:
        squared: Complex = w**2 * self.density / (self.height * self.impedance(w, c))
        return np.sqrt(squared)

    def _phase(self, w: NDArray[np.float64], c: NDArray[np.float64]) -> Complex:
        """(2/alpha) g(w, 0) + the wave number's integral from the base to c, in closed form."""
        base = np.zeros((1, 1))
        q = np.sqrt(self.a + self.mass * w**2)
        e = np.exp(-self.alpha * c / 2)

        def end(place: NDArray[np.float64], decay: NDArray[np.float64] | float) -> Any:
            curve = 2 * self.a + 2 * self.mass * w**2 + 1j * w * self._base_resistance * decay
            value = -2 * np.sqrt(self.impedance(w, place)) + 1j * curve / q
            return self.alpha / (2 * decay) * value

        logarithm = np.log(end(base, 1.0) / end(c, e))
        travelled = 2j * w / (self.alpha * np.sqrt(self.height) * q) * logarithm
        phase: Complex = 2 / self.alpha * self._wave_number(w, base) - travelled
        return phase

    def _pressure(self, w: NDArray[np.float64], c: NDArray[np.float64]) -> Complex:
        phase = self._phase(w, c)
        pressure: Complex = np.sqrt(phase / self._wave_number(w, c)) * hankel1(0, phase)
        return pressure

    def _input_impedance(self, w: NDArray[np.float64]) -> Complex:
        u = 2 * w / self.alpha * np.sqrt(2 / (self.height * self.stiffness))
        ratio = (y0(u) + 1j * j0(u)) / (j1(u) - 1j * y1(u))
        impedance: Complex = np.sqrt(2 * self.stiffness / self.height) * ratio
        return impedance


def transfer_matrix(membrane: BasilarMembrane, n: int, rate: int) -> NDArray[np.complex64]:
    """The transfer function at the frequencies of a transform, from the cache if it is there.

    Args:
        membrane: The membrane.
        n: Number of frequencies from 1 Hz to half the sampling rate, as in lauscher.
        rate: Sampling rate in Hz.

    Returns:
        complex64, (n_places, n), mapped from a file of the cache.
    """
    key = hashlib.sha256(repr((astuple(membrane), n, rate)).encode()).hexdigest()[:16]
    path = cache_dir("cochlea") / f"transfer-{n}-{key}.npy"
    with _making:
        if not (path.exists() and _is_intact(path, path.stat().st_mtime_ns, path.stat().st_size)):
            _make_matrix(membrane, n, rate, path)
    matrix: NDArray[np.complex64] = np.load(path, mmap_mode="r", allow_pickle=False)
    return matrix


@functools.lru_cache(maxsize=64)
def _is_intact(path: Path, time_ns: int, size: int) -> bool:
    """Whether a matrix is intact; checked once for each modification time and size of its file."""
    return is_intact(path)


def _make_matrix(membrane: BasilarMembrane, n: int, rate: int, path: Path) -> None:
    w = 2 * np.pi * np.linspace(1, rate / 2, n)
    blocks = np.array_split(membrane.places[:, np.newaxis], 70)
    n_workers = available_cores()
    description = f"Cochlea for {2 * (n - 1) / rate:.2f} s"
    with (
        written_aside(path) as aside,
        progress(description, len(blocks), "parts") as advance,
        ThreadPoolExecutor(n_workers) as pool,
        aside.open("r+b") as file,
    ):
        kind = np.dtype(np.complex64)
        header = {"descr": kind.str, "fortran_order": False, "shape": (membrane.n_places, n)}
        np.lib.format.write_array_header_1_0(file, header)
        for part in pool.map(lambda c: membrane.transfer(w, c).astype(kind), blocks):
            file.write(np.ascontiguousarray(part).data)
            advance()
    write_checksum(path)
