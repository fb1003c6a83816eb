"""Bytes that nobody has checked, given to all that reads: an error of ours or a right result.

A target takes bytes. It returns whether they were read, checks what was read, and lets every
exception pass that is not a `ShdGennError`. What reads files is in fuzzed_files.py, what computes
in fuzzed_engine.py.
"""

import random
import re
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from helpers import fuzzed_engine, fuzzed_files
from shd_genn.support.errors import ShdGennError

VALUE = re.compile(rb"(?<=[=,:])[ ]*[^=,:\s]+")
"""A value in TOML, JSON or CSV."""
Draw = Callable[[int], int]
"""``draw(n)``: a whole number from 0 to n - 1."""
NUMBERS = [
    0,
    1,
    0x7F,
    0x80,
    0xFF,
    0x7FFF,
    0x8000,
    0xFFFF,
    2**31 - 1,
    2**31,
    2**32 - 1,
    2**63,
    2**64 - 1,
]
"""Numbers at which something begins or ends."""
WORDS = [
    *(b"nan", b"inf", b"-1", b"1e999", b"1e-46", b"99999999999999999999", b"true", b"null", b"[]"),
    *(b"{}", b'""', b"\x00", b"\xff", b"\xef\xbb\xbf", b",", b";", b"\n", b"\r", b'"', b"..", b"~"),
]
"""Text at which something begins or ends."""
VALUES = [
    *WORDS,
    *(str(n).encode() for n in NUMBERS),
    b" 0.5",
    b" -0.0",
    b' "step"',
    b" [3, 4]",
    b" 7",
]


def mutate(content: bytes, draw: Draw, others: list[bytes]) -> bytes:
    """Some bytes, changed in one to eight places, most often in one."""
    changed = bytearray(content)
    for _ in range(1 + draw(1 + draw(8))):
        at = draw(len(changed) + 1)
        match draw(10):
            case 8 | 9 if values := list(VALUE.finditer(changed)):
                value = values[draw(len(values))]
                word = VALUES[draw(len(VALUES))]
                changed[value.start() : value.end()] = word
            case 0:  # a bit
                if at < len(changed):
                    changed[at] ^= 1 << draw(8)
            case 1:
                changed[at:at] = bytes(draw(256) for _ in range(1 + draw(4)))
            case 2:
                del changed[at : at + 1 + draw(16)]
            case 3:
                number = NUMBERS[draw(len(NUMBERS))]
                size = (1, 2, 4, 8)[draw(4)]
                order = ("little", "big")[draw(2)]
                changed[at : at + size] = (number % 256**size).to_bytes(size, order)
            case 4:
                word = WORDS[draw(len(WORDS))]
                changed[at : at + (len(word) if draw(2) else 0)] = word
            case 5:  # a piece again, somewhere else
                start = draw(len(changed) + 1)
                changed[at:at] = changed[start : start + 1 + draw(32)]
            case 6:
                other = others[draw(len(others))]
                start = draw(len(other) + 1)
                changed[at:at] = other[start : start + 1 + draw(64)]
            case _:
                del changed[at:]
    return bytes(changed)


@dataclass(frozen=True)
class Target:
    """Something that reads.

    Attributes:
        seeds: Makes files that it reads, in a folder.
        read: Reads some bytes with the help of a path that may be written; checks the result.
    """

    seeds: Callable[[Path], list[bytes]]
    read: Callable[[bytes, Path], None]

    def accepts(self, content: bytes, path: Path) -> bool:
        """Whether bytes are read; False if they are refused in words."""
        try:
            self.read(content, path)
        except ShdGennError as error:
            assert str(error) and "; " in str(error), f"an error without a cure: {error}"
            return False
        return True


TARGETS = {
    "toml": Target(fuzzed_files.configs, fuzzed_files.read_config),
    "csv": Target(fuzzed_files.manifests, fuzzed_files.read_manifest),
    "tables": Target(fuzzed_files.tables, fuzzed_files.read_table),
    "summary": Target(fuzzed_files.summaries, fuzzed_files.read_one_summary),
    "environment": Target(fuzzed_files.summaries, fuzzed_files.read_environment),
    "checkpoints": Target(fuzzed_files.checkpoint_files, fuzzed_files.read_checkpoint),
    "hdf5": Target(fuzzed_files.datasets, fuzzed_files.read_dataset),
    "audio": Target(fuzzed_files.sounds, fuzzed_files.read_sound),
    "study": Target(fuzzed_files.studies, fuzzed_files.read_one_study),
    "network": Target(fuzzed_engine.numbers, fuzzed_engine.compute),
    "engine": Target(fuzzed_engine.numbers, fuzzed_engine.call_engine),
}
"""Name → what reads."""


@cache
def seeds(name: str) -> list[bytes]:
    """Files that a target reads."""
    with tempfile.TemporaryDirectory() as folder:
        return TARGETS[name].seeds(Path(folder))


def example(name: str, seed: int, number: int) -> bytes:
    """The bytes of an execution of the campaign: always the same."""
    rng = random.Random(f"{name} {seed} {number}")
    files = seeds(name)
    return mutate(files[rng.randrange(len(files))], rng.randrange, files)
