"""The embedded dataset: spoken digits, English and German, synthesised by espeak-ng.

With it the first run starts on any machine without a download. It is much easier than SHD. Every
result shows its name, so that nobody mistakes it for SHD.
"""

from __future__ import annotations

import hashlib
import math
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, replace
from importlib import metadata
from itertools import groupby
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from shd_genn.datasets import SPOKEN_DIGITS
from shd_genn.datasets.espeak import Espeak
from shd_genn.encode.cochlea import RATE, Cochlea
from shd_genn.encode.encoder import encode_many
from shd_genn.encode.transform import transform_length
from shd_genn.spikes.dataset import SpikeDataset
from shd_genn.spikes.events import Events
from shd_genn.spikes.hdf5 import read_spikes, write_spikes
from shd_genn.support.files import cache_dir, is_intact, write_checksum
from shd_genn.support.locks import locked
from shd_genn.support.progress import Advance, progress

ENGLISH = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
GERMAN = ("null", "eins", "zwei", "drei", "vier", "fünf", "sechs", "sieben", "acht", "neun")
WORDS = ENGLISH + GERMAN

SPLITS = ("test", "train")
MAKING = 2
"""Version of how the dataset is made: each has a folder of its own in the cache."""


@dataclass(frozen=True)
class Voice:
    """A variant of espeak-ng's voice, its English (en: British) and its middle pitch (0–100)."""

    variant: str
    english: str
    pitch: int


@dataclass(frozen=True)
class Recipe:
    """How the dataset is made; each recipe has a folder of its own in the cache.

    Attributes:
        seen: Voices of the training set; the test set has new takes of them.
        unseen: Voices that only the test set has.
        train_takes: Takes of each word by each seen voice.
        test_takes: The same in the test set.
        unseen_takes: Takes of each word by each unseen voice.
        pitch_sd: Spread of the pitch from take to take (espeak-ng's scale of 0–100).
        words_per_minute: Range of the speaking rate.
        level: Range of the peak level.
        noise: Standard deviation of the recording noise; full scale is 1.
        margin_ms: Silence kept at both ends, for the cochlea's ramps.
        seed: Seed of all random numbers.
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
    train_takes: int = 6
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


@dataclass(frozen=True)
class Spoken:
    """A take and its sound: int16, (n_samples,), at espeak-ng's own rate in Hz."""

    take: Take
    speech: NDArray[np.int16]
    rate: int


def prepare(recipe: Recipe | None = None) -> Path:
    """Make the dataset's files, unless the cache has them, and return their folder.

    Files that have changed since they were made are made again. Parts that an interrupted program
    completed are used. If two programs need the files, one waits for the other.

    Args:
        recipe: How the dataset is made.

    Returns:
        A folder that holds train.h5 and test.h5.

    Raises:
        BuildError: if espeak-ng does not work here.
        ConfigError: if the cache cannot be written to.
    """
    recipe = recipe or Recipe()
    key = repr((MAKING, recipe, Cochlea(), metadata.version("espeakng-loader")))
    folder = cache_dir(SPOKEN_DIGITS, hashlib.sha256(key.encode()).hexdigest()[:12])
    if not _complete(folder):
        print(
            f"making the embedded dataset {SPOKEN_DIGITS} (once, then it is in the cache)",
            flush=True,
        )
        with locked(folder):
            if not _complete(folder):
                _make(recipe, folder, key)
    return folder


def _complete(folder: Path) -> bool:
    """Whether both files exist and are intact."""
    return all(is_intact(folder / f"{split}.h5") for split in SPLITS)


def takes(recipe: Recipe, split: str) -> Iterator[Take]:
    """All takes of a split, voice by voice; each has a random generator of its own."""
    voices = (*recipe.seen, *recipe.unseen)
    for number, voice in enumerate(voices):
        if voice in recipe.unseen:
            count = recipe.unseen_takes if split == "test" else 0
        else:
            count = recipe.train_takes if split == "train" else recipe.test_takes
        for label in range(len(WORDS)):
            for take in range(count):
                rng = np.random.default_rng([recipe.seed, *split.encode(), number, label, take])
                yield Take(voice, number, label, rng)


def speak(recipe: Recipe) -> dict[str, list[Spoken]]:
    """Speak all takes of both splits, which takes a second.

    The order is always the same, because espeak-ng's sound depends on earlier calls; see `Espeak`.
    """
    espeak = Espeak()

    def say(take: Take) -> Spoken:
        pitch = take.rng.normal(take.voice.pitch, recipe.pitch_sd)
        language = take.voice.english if take.label < len(ENGLISH) else "de"
        speech = espeak.say(
            WORDS[take.label],
            f"{language}+{take.voice.variant}",
            pitch=round(float(np.clip(pitch, 5, 95))),
            pitch_range=int(take.rng.integers(30, 70)),
            words_per_minute=int(take.rng.integers(*recipe.words_per_minute)),
        )
        return Spoken(take, speech, espeak.rate)

    return {split: [say(take) for take in takes(recipe, split)] for split in SPLITS}


def _make(recipe: Recipe, folder: Path, key: str) -> None:
    """Write the files; finished voices are kept in files of their own until all are complete."""
    spoken = speak(recipe)
    parts = folder / "parts"
    _make_matrices(recipe, spoken)
    with progress(f"Encoding {SPOKEN_DIGITS}", sum(map(len, spoken.values())), "words") as advance:
        for split, words in spoken.items():
            voices = []
            for speaker, group in groupby(words, lambda word: word.take.speaker):
                part, words_of_it = parts / f"{split}-{speaker}.h5", list(group)
                if is_intact(part):
                    advance(len(words_of_it))
                else:
                    write_spikes(part, _encode(recipe, words_of_it, advance))
                    write_checksum(part)
                voices.append(read_spikes(part, SPOKEN_DIGITS))
            write_spikes(folder / f"{split}.h5", _join(voices), {"recipe": key})
            write_checksum(folder / f"{split}.h5")
    shutil.rmtree(parts, ignore_errors=True)  # NFS keeps files that are open elsewhere


def _make_matrices(recipe: Recipe, spoken: dict[str, list[Spoken]]) -> None:
    """Make the cochlea's matrices first, so that the remaining time is estimated well."""
    lengths = {_n_samples(recipe, word) for words in spoken.values() for word in words}
    sizes = {transform_length(n): n for n in lengths}
    for n in sizes.values():
        Cochlea().prepare(n)


def _encode(recipe: Recipe, words: list[Spoken], advance: Advance) -> SpikeDataset:
    seeds = [int(word.take.rng.integers(2**32)) for word in words]
    noises = [int(word.take.rng.integers(2**32)) for word in words]
    sources = [
        lambda w=word, n=noise: _record(recipe, w, n)
        for word, noise in zip(words, noises, strict=True)
    ]
    samples = []
    for spikes in encode_many(Cochlea(), sources, seeds):
        samples.append(spikes)
        advance()
    return SpikeDataset(
        name=SPOKEN_DIGITS,
        events=Events.of(samples),
        labels=np.array([word.take.label for word in words], np.int32),
        speakers=np.array([word.take.speaker for word in words], np.int32),
        n_channels=Cochlea().membrane.n_places,
        class_names=WORDS,
        speaker_names=tuple(voice.variant for voice in (*recipe.seen, *recipe.unseen)),
    )


def _n_samples(recipe: Recipe, word: Spoken) -> int:
    """The number of samples that the recording of a word will have."""
    n = len(word.speech) + 2 * round(recipe.margin_ms / 1000 * word.rate)
    return math.ceil(n * RATE / word.rate)


def _record(recipe: Recipe, word: Spoken, seed: int) -> NDArray[np.float64]:
    """The recording of a word by a microphone: margins, level, noise, 48 kHz."""
    from scipy.signal import resample_poly  # imported here because it takes a second

    rng = np.random.default_rng(seed)
    sound = word.speech / np.abs(word.speech).max() * rng.uniform(*recipe.level)
    sound = np.pad(sound, round(recipe.margin_ms / 1000 * word.rate))
    divisor = math.gcd(RATE, word.rate)  # 48000 Hz : 22050 Hz = 320 : 147
    sound = resample_poly(sound, RATE // divisor, word.rate // divisor)
    noisy: NDArray[np.float64] = sound + rng.normal(0, recipe.noise, len(sound))
    return noisy


def _join(parts: list[SpikeDataset]) -> SpikeDataset:
    counts = np.concatenate([part.events.counts for part in parts])
    blocks = [block for part in parts for block in part.events.blocks()]
    events = Events(
        np.concatenate([block.times_ms for block in blocks]),
        np.concatenate([block.channels for block in blocks]),
        np.concatenate([[0], np.cumsum(counts)]),
    )
    return replace(
        parts[0],
        events=events,
        labels=np.concatenate([part.labels for part in parts]),
        speakers=np.concatenate([part.speakers for part in parts]),
    )
