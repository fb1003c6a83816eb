"""espeak-ng through its C API: words to sound, the same sound every time."""

from __future__ import annotations

import ctypes
import shutil
import tempfile
from pathlib import Path

import espeakng_loader
import numpy as np
from numpy.typing import NDArray

from shd_genn.support.errors import BuildError
from shd_genn.support.files import cache_dir

SYNCHRONOUS = 2  # the other way, RETRIEVAL, polls its own threads: sixteen times slower
RATE, PITCH, RANGE = 1, 3, 4  # espeak_PARAMETER
UTF8 = 1
DONT_EXIT = 0x8000  # without its voices the library would end the whole program
BUFFER_MS = 500
SILENCE = 200
"""Samples up to this (of 32767) at both ends are not part of the word."""


class Espeak:
    """One speaker with espeak-ng's voices.

    What it says depends on all that it has said before: the library keeps the phase of its jitter
    and has no call that resets it. So the same calls on a new object give the same sound, and
    only those.
    """

    def __init__(self) -> None:
        data = Path(espeakng_loader.get_data_path())
        try:
            self._library = _private_copy(Path(espeakng_loader.get_library_path()))
        except OSError as error:
            raise BuildError(
                f"espeak-ng must be loadable, but {error}; pip install --force-reinstall "
                "espeakng-loader, or train on a dataset of your own with --dataset"
            ) from error
        self.rate: int = self._library.espeak_Initialize(
            SYNCHRONOUS, BUFFER_MS, str(data.parent).encode(), DONT_EXIT
        )
        if self.rate <= 0:
            raise BuildError(
                f"espeak-ng must find its voices in {data}, but does not; pip install "
                "--force-reinstall espeakng-loader"
            )
        self._library.espeak_ng_SetRandSeed(ctypes.c_long(1))  # else the time of day
        self._chunks: list[NDArray[np.int16]] = []
        kind = ctypes.CFUNCTYPE(
            ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.c_void_p
        )
        self._callback = kind(self._collect)  # kept: the library calls it later
        self._library.espeak_SetSynthCallback(self._callback)

    def _collect(self, samples: ctypes._Pointer[ctypes.c_short], n: int, _events: int) -> int:
        if samples and n > 0:
            self._chunks.append(np.ctypeslib.as_array(samples, (n,)).copy())
        return 0

    def say(
        self, word: str, voice: str, pitch: int, pitch_range: int, words_per_minute: int
    ) -> NDArray[np.int16]:
        """Say a word.

        Args:
            word: What is said.
            voice: espeak-ng's name of language and variant, e.g. ``de+f3``.
            pitch: 0 to 100; 50 is the voice's own.
            pitch_range: 0 (monotonous) to 100; 50 is the voice's own.
            words_per_minute: 80 to 450.

        Returns:
            int16, (n_samples,), at ``rate`` Hz, without the silence before and after.

        Raises:
            BuildError: if there is no such voice, or nothing is heard.
        """
        if self._library.espeak_SetVoiceByName(voice.encode()) != 0:
            raise BuildError(
                f"espeak-ng must have the voice {voice}, but has not; pip install "
                "--force-reinstall espeakng-loader"
            )
        for parameter, value in ((PITCH, pitch), (RANGE, pitch_range), (RATE, words_per_minute)):
            self._library.espeak_SetParameter(parameter, value, 0)
        self._chunks.clear()
        text = word.encode() + b"\0"
        self._library.espeak_Synth(text, ctypes.c_size_t(len(text)), 0, 1, 0, UTF8, None, None)
        speech = np.concatenate(self._chunks) if self._chunks else np.zeros(0, np.int16)
        loud = np.flatnonzero(np.abs(speech.astype(np.int32)) > SILENCE)
        if len(loud) == 0:
            raise BuildError(
                f"espeak-ng must say {word!r} as {voice}, but is silent; pip install "
                "--force-reinstall espeakng-loader"
            )
        return speech[loud[0] : loud[-1] + 1]


def _private_copy(path: Path) -> ctypes.CDLL:
    """A library with a state of its own: the loader shares a file that it has loaded before."""
    # in the cache, as libraries must be loadable from there anyway: not so from every /tmp
    with tempfile.TemporaryDirectory(dir=cache_dir()) as folder:
        return ctypes.CDLL(shutil.copy(path, folder))
