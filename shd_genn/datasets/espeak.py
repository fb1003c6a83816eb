"""espeak-ng through its C API: words to sound, the same sound every time."""

from __future__ import annotations

import ctypes
import os
import shutil
import tempfile
import weakref
from pathlib import Path

import espeakng_loader
import numpy as np
from numpy.typing import NDArray

from shd_genn.support.builder import load_from_memory
from shd_genn.support.errors import BuildError, refuse_unless
from shd_genn.support.files import cache_dir

SYNCHRONOUS = 2  # the alternative, RETRIEVAL, polls threads and is sixteen times slower
RATE, PITCH, RANGE = 1, 3, 4  # espeak_PARAMETER
UTF8 = 1
DONT_EXIT = 0x8000  # without its voices the library would end the whole program
LONGEST_PATH = 150
"""Largest length in bytes of the path of the voices that espeak-ng accepts."""
REINSTALL = (
    "pip install --force-reinstall espeakng-loader, or train on a dataset of your own "
    "with --dataset"
)
BUFFER_MS = 500
SILENCE = 200
"""Samples of at most this size (of 32767) at both ends are silence and are cut off."""


class Espeak:
    """One speaker with espeak-ng's voices.

    Its sound depends on all earlier calls: the library keeps the phase of its jitter and has no
    call that resets it. So the same sequence of calls on a new object gives the same sound.
    """

    def __init__(self) -> None:
        data = Path(espeakng_loader.get_data_path())
        try:
            self._library = _private_copy(Path(espeakng_loader.get_library_path()))
        except OSError as error:
            raise BuildError(f"espeak-ng cannot be loaded ({error}); {REINSTALL}") from error
        self.rate: int = self._library.espeak_Initialize(
            SYNCHRONOUS, BUFFER_MS, os.fsencode(self._folder_of(data)), DONT_EXIT
        )
        refuse_unless(
            self.rate > 0,
            f"espeak-ng does not find its voices in {data}",
            REINSTALL,
            BuildError,
        )
        self._library.espeak_ng_SetRandSeed(ctypes.c_long(1))  # else the time of day
        self._chunks: list[NDArray[np.int16]] = []
        self._stopped: BaseException | None = None
        kind = ctypes.CFUNCTYPE(
            ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.c_void_p
        )
        self._callback = kind(self._collect)  # kept: the library calls it later
        self._library.espeak_SetSynthCallback(self._callback)

    def _folder_of(self, data: Path) -> Path:
        """The folder that contains the voices, by a path that is short enough for the library."""
        if len(os.fsencode(data)) <= LONGEST_PATH:
            return data.parent
        folder = _temporary_folder()
        weakref.finalize(self, shutil.rmtree, folder, ignore_errors=True)
        link = Path(folder) / data.name
        try:
            link.symlink_to(data, target_is_directory=True)
        except OSError:  # Windows needs a right for links
            shutil.copytree(data, link)
        return Path(folder)

    def _collect(self, samples: ctypes._Pointer[ctypes.c_short], n: int, _events: int) -> int:
        try:
            if samples and n > 0:
                self._chunks.append(np.ctypeslib.as_array(samples, (n,)).copy())
        except BaseException as error:  # Ctrl-C: ctypes would print it and go on
            self._stopped = error
            return 1
        return 0

    def say(
        self, word: str, voice: str, pitch: int, pitch_range: int, words_per_minute: int
    ) -> NDArray[np.int16]:
        """Say a word.

        Args:
            word: The word.
            voice: espeak-ng's name of language and variant, e.g. ``de+f3``.
            pitch: 0 to 100; 50 is the voice's own.
            pitch_range: 0 (monotonous) to 100; 50 is the voice's own.
            words_per_minute: 80 to 450.

        Returns:
            int16, (n_samples,), at ``rate`` Hz, without the silence before and after.

        Raises:
            BuildError: if there is no such voice, or the sound is silent.
        """
        refuse_unless(
            self._library.espeak_SetVoiceByName(voice.encode()) == 0,
            f"espeak-ng has no voice {voice}",
            REINSTALL,
            BuildError,
        )
        for parameter, value in ((PITCH, pitch), (RANGE, pitch_range), (RATE, words_per_minute)):
            self._library.espeak_SetParameter(parameter, value, 0)
        self._chunks.clear()
        text = word.encode() + b"\0"
        self._library.espeak_Synth(text, ctypes.c_size_t(len(text)), 0, 1, 0, UTF8, None, None)
        if self._stopped is not None:
            stopped, self._stopped = self._stopped, None
            raise stopped
        speech = np.concatenate(self._chunks) if self._chunks else np.zeros(0, np.int16)
        loud = np.flatnonzero(np.abs(speech.astype(np.int32)) > SILENCE)
        refuse_unless(
            len(loud) > 0,
            f"espeak-ng is silent instead of saying {word!r} with the voice {voice}",
            REINSTALL,
            BuildError,
        )
        return speech[loud[0] : loud[-1] + 1]


def _private_copy(path: Path) -> ctypes.CDLL:
    """Load a copy of a library, so that it has a state of its own.

    The system's loader would return the same library for the same file.

    Raises:
        OSError: if no copy can be made or loaded.
    """
    problem = OSError(f"{path} cannot be copied")
    for parent in (cache_dir(), None):  # None: the system's folder of temporary files
        try:
            # errors are ignored: NFS and Windows keep a file that is in use
            with tempfile.TemporaryDirectory(dir=parent, ignore_cleanup_errors=True) as folder:
                return ctypes.CDLL(shutil.copy(path, folder))
        except OSError as error:
            problem = error
    try:
        return load_from_memory(path)
    except (AttributeError, OSError):
        raise problem from None


def _temporary_folder() -> str:
    """A new folder whose path is short, even if that of the system's temporary files is long."""
    places = [place for place in (tempfile.gettempdir(), "/tmp") if Path(place).is_dir()]
    return tempfile.mkdtemp(dir=min(places, key=lambda place: len(place) > LONGEST_PATH // 2))
