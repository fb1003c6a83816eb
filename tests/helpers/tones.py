"""Recordings of two words: low and high tones."""

import numpy as np
import soundfile

from shd_genn.encode.cochlea import RATE

WORDS = ("high", "low")


def tone(word, seconds=0.3, seed=0):
    """A recording of a word: a tone with some noise."""
    t = np.arange(int(seconds * RATE)) / RATE
    pitch = {"low": 250, "high": 3000}[word] * (1 + 0.02 * seed)
    noise = np.random.default_rng(seed).normal(size=len(t))
    return 0.3 * np.sin(2 * np.pi * pitch * t) + 0.002 * noise


def wav(path, sound):
    soundfile.write(path, sound, RATE, subtype="PCM_16")
    return path
