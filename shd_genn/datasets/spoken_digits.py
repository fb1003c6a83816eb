"""The embedded dataset: spoken digits, English and German, synthesised by espeak-ng.

It lets the first run start on any machine without a download. It is much easier than SHD, and is
named in every result, so that the two are not mistaken for each other.
"""

from __future__ import annotations

import ctypes
import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

import espeakng_loader
import numpy as np
from numpy.typing import NDArray
from scipy.signal import resample_poly

from shd_genn.datasets.hdf5 import write_spikes
from shd_genn.datasets.spikes import SpikeDataset
from shd_genn.encode.cochlea import RATE, Cochlea
from shd_genn.errors import BuildError
from shd_genn.events import Events
from shd_genn.files import cache_dir
from shd_genn.progress import progress

NAME = "spoken-digits"
NOT_SHD = (
    "spoken-digits is synthesised speech, not SHD. The real SHD: "
    "python -m shd_genn.datasets shd, then --dataset shd (see the README)"
)

ENGLISH = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
GERMAN = ("null", "eins", "zwei", "drei", "vier", "fünf", "sechs", "sieben", "acht", "neun")


@dataclass(frozen=True)
class Voice:
    """A variant of espeak-ng's voice, its English (en: British) and its middle pitch (0–100)."""

    variant: str
    english: str
    pitch: int


@dataclass(frozen=True)
class Recipe:
    """What the dataset is made of; any change makes another dataset in the cache.

    Attributes:
        seen: Voices of the training set, and with new takes of the test set.
        unseen: Voices of the test set only.
        train_takes: Takes of each word by each seen voice.
        test_takes: The same in the test set.
        unseen_takes: Takes of each word by each unseen voice.
        pitch_sd: Spread of the pitch from take to take (espeak-ng's scale of 0–100).
        words_per_minute: Range of the speaking rate.
        level: Range of the peak level.
        noise: Standard deviation of the recording noise; full scale is 1.
        margin_ms: Silence kept at both ends, for the cochlea's ramps.
        seed: Of everything random in it.
    """

    seen: tuple[Voice, ...] = (
        Voice("m1", "en-us", 45),
        Voice("m2", "en", 40),
        Voice("m3", "en-us", 55),
        Voice("m4", "en", 35),
        Voice("m5", "en-us", 50),
        Voice("m6", "en", 45),
        Voice("m8", "en-us", 40),
        Voice("f1", "en", 55),
        Voice("f2", "en-us", 50),
        Voice("f3", "en", 60),
        Voice("f4", "en-us", 45),
        Voice("klatt2", "en", 50),
    )
    unseen: tuple[Voice, ...] = (Voice("m7", "en-us", 50), Voice("f5", "en", 55))
    train_takes: int = 4
    test_takes: int = 1
    unseen_takes: int = 2
    pitch_sd: float = 6.0
    words_per_minute: tuple[int, int] = (170, 240)
    level: tuple[float, float] = (0.2, 1.0)
    noise: float = 0.002
    margin_ms: float = 30.0
    seed: int = 700


@dataclass(frozen=True)
class Take:
    """One word, said once."""

    voice: Voice
    speaker: int
    label: int
    rng: np.random.Generator


def prepare(recipe: Recipe | None = None) -> Path:
    """The folder of the dataset's files, which are made if they are not in the cache yet.

    Args:
        recipe: What it is made of.

    Raises:
        BuildError: if espeak-ng does not work here.
    """
    recipe = recipe or Recipe()
    key = repr((recipe, Cochlea(), metadata.version("espeakng-loader")))
    folder = cache_dir(NAME, hashlib.sha256(key.encode()).hexdigest()[:12])
    # train.h5 is written last: once it is there, all is
    if not (folder / "train.h5").is_file():
        print(f"making the embedded dataset {NAME} (once, then it is in the cache)", flush=True)
        speaker = Speaker()
        for split in ("test", "train"):
            write_spikes(folder / f"{split}.h5", _make(recipe, split, speaker), {"recipe": key})
    return folder


def takes(recipe: Recipe, split: str) -> Iterator[Take]:
    """All takes of a split; each has random numbers of its own."""
    voices = (*recipe.seen, *recipe.unseen)
    for number, voice in enumerate(voices):
        if voice in recipe.unseen:
            count = recipe.unseen_takes if split == "test" else 0
        else:
            count = recipe.train_takes if split == "train" else recipe.test_takes
        for label in range(len(ENGLISH) + len(GERMAN)):
            for take in range(count):
                rng = np.random.default_rng([recipe.seed, *split.encode(), number, label, take])
                yield Take(voice, number, label, rng)


def _make(recipe: Recipe, split: str, speaker: Speaker) -> SpikeDataset:
    wanted = list(takes(recipe, split))
    # espeak-ng is one voice in one thread, but fast; the cochlea then uses all cores
    spoken = [speaker.say(recipe, take) for take in wanted]
    seeds = [int(take.rng.integers(2**32)) for take in wanted]
    noises = [int(take.rng.integers(2**32)) for take in wanted]
    sources = [
        lambda s=s, n=n: _record(recipe, s, speaker.rate, n)
        for s, n in zip(spoken, noises, strict=True)
    ]
    samples = []
    with progress(f"Encoding {split}", len(wanted), "words") as advance:
        for spikes in Cochlea().encode_many(sources, seeds):
            samples.append(spikes)
            advance()
    return SpikeDataset(
        name=NAME,
        events=Events.of(samples),
        labels=np.array([take.label for take in wanted], np.int32),
        speakers=np.array([take.speaker for take in wanted], np.int32),
        n_channels=Cochlea().membrane.n_places,
        class_names=ENGLISH + GERMAN,
        speaker_names=tuple(voice.variant for voice in (*recipe.seen, *recipe.unseen)),
    )


def _record(recipe: Recipe, speech: NDArray[np.int16], rate: int, seed: int) -> NDArray[np.float64]:
    """What a microphone makes of the speech: margins, level, noise, 48 kHz."""
    rng = np.random.default_rng(seed)
    sound = speech / np.abs(speech).max() * rng.uniform(*recipe.level)
    sound = np.pad(sound, round(recipe.margin_ms / 1000 * rate))
    sound = resample_poly(sound, RATE // 150, rate // 150)  # 22050 Hz : 48000 Hz = 147 : 320
    noisy: NDArray[np.float64] = sound + rng.normal(0, recipe.noise, len(sound))
    return noisy


class Speaker:
    """espeak-ng through its C API, which has one state for the whole process."""

    _RETRIEVAL, _RATE, _PITCH, _RANGE, _UTF8 = 1, 1, 3, 4, 1

    def __init__(self) -> None:
        data = Path(espeakng_loader.get_data_path())
        try:
            self._library = ctypes.CDLL(espeakng_loader.get_library_path())
        except OSError as error:
            raise BuildError(
                f"espeak-ng must be loadable, but {error}; pip install --force-reinstall "
                "espeakng-loader, or train on a dataset of your own with --dataset"
            ) from error
        self.rate: int = self._library.espeak_Initialize(
            self._RETRIEVAL, 500, str(data.parent).encode(), 0
        )
        if self.rate <= 0:
            raise BuildError(
                f"espeak-ng must find its voices in {data}, but does not; reinstall it"
            )
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

    def say(self, recipe: Recipe, take: Take) -> NDArray[np.int16]:
        """One word, without the silence around it, at espeak-ng's own sampling rate."""
        english = take.label < len(ENGLISH)
        word = (ENGLISH + GERMAN)[take.label]
        language = take.voice.english if english else "de"
        name = f"{language}+{take.voice.variant}"
        if self._library.espeak_SetVoiceByName(name.encode()) != 0:
            raise BuildError(f"espeak-ng must have the voice {name}, but has not; reinstall it")
        pitch = round(float(np.clip(take.rng.normal(take.voice.pitch, recipe.pitch_sd), 5, 95)))
        rate = int(take.rng.integers(*recipe.words_per_minute))
        self._library.espeak_SetParameter(self._PITCH, pitch, 0)
        self._library.espeak_SetParameter(self._RATE, rate, 0)
        self._library.espeak_SetParameter(self._RANGE, int(take.rng.integers(30, 70)), 0)
        self._chunks.clear()
        text = word.encode() + b"\0"
        self._library.espeak_Synth(text, len(text), 0, 1, 0, self._UTF8, None, None)
        self._library.espeak_Synchronize()
        speech = np.concatenate(self._chunks) if self._chunks else np.zeros(0, np.int16)
        loud = np.flatnonzero(np.abs(speech.astype(np.int32)) > 200)
        if len(loud) == 0:
            raise BuildError(f"espeak-ng must say {word!r} as {name}, but is silent; reinstall it")
        return speech[loud[0] : loud[-1] + 1]
