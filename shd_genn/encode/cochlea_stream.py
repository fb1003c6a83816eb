"""The cochlea for sound that comes piece by piece: the spikes of a block when it is complete.

A block is 1.5 s long, and needs 0.35 s after it, because the model's filters look ahead; see
`blocks`. So spikes come up to 1.85 s after their sound. For less delay use the filter bank.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from shd_genn.encode import blocks
from shd_genn.encode.cochlea import RATE, Cochlea, StepsAndPlaces
from shd_genn.support.errors import refuse_unless, require

NOTHING: StepsAndPlaces = (np.empty(0, np.int32), np.empty(0, np.int32))


class CochleaStream:
    """A cochlea that takes sound piece by piece, in memory that does not grow with its length.

    Pieces of any lengths give the same spikes. They are those of `Cochlea.encode` for a recording
    of more than 4 s and of the same level. A shorter one `encode` filters as a whole, so that its
    spikes differ from those of a stream as with another seed.

    Args:
        cochlea: Its settings.
        level: Root mean square of the speech (full scale is 1), which is scaled to the cochlea's.
            `Cochlea.encode` computes it from the whole recording.
        seed: Of the nerve fibres' random numbers.
    """

    def __init__(self, cochlea: Cochlea, level: float, seed: int = 0) -> None:
        require(0 < level < np.inf, "0 < level < inf", level, "speech has about 0.05")
        self._cochlea, self._seed, self._gain = cochlea, seed, cochlea.rms / level
        self._matrix = cochlea.prepare(blocks.WHOLE + 1)
        self._state = cochlea.state()
        self._ramp = round(cochlea.ramp_ms / 1000 * RATE)
        self._taken = 0  # samples that have come
        self._held = np.empty(0)  # the last ones, which may be the end that is to be ramped
        self._sound, self._begin = np.empty(0), 0  # what later blocks need, and where it begins
        self._first = 0  # step of the next block
        self._finished = False

    def push(self, audio: NDArray[np.floating]) -> StepsAndPlaces:
        """Take a piece of sound.

        Args:
            audio: Mono at 48 kHz, (n_samples,).

        Returns:
            Steps of 1/24000 s since the stream began, and places, of the spikes of all blocks that
            are complete now, in order.

        Raises:
            DataError: if the piece is not finite.
        """
        refuse_unless(
            not self._finished,
            "a stream of sound has been finished, but more sound comes",
            "make a new one",
        )
        piece = self._cochlea.check(np.asarray(audio, np.float64)) * self._gain
        begin = max(self._ramp - self._taken, 0)
        piece[:begin] *= self._cochlea.window[self._taken :][: len(piece)]
        self._taken += len(piece)
        held = np.concatenate([self._held, piece])
        ready = max(len(held) - self._ramp, 0)
        self._sound, self._held = np.concatenate([self._sound, held[:ready]]), held[ready:]
        return self._fire(last=False)

    def finish(self) -> StepsAndPlaces:
        """The sound is over: its end is ramped. Returns the spikes that are left."""
        self._finished = True
        end = self._cochlea.window[::-1][self._ramp - len(self._held) :]
        self._sound = np.concatenate([self._sound, self._held * end])
        return self._fire(last=True)

    def _fire(self, last: bool) -> StepsAndPlaces:
        """The spikes of the blocks that can be computed; drops the sound that no other needs."""
        parts = [NOTHING]
        n_steps = (self._begin + len(self._sound) + 1) // 2
        while self._first < n_steps if last else self._first + blocks.KEPT + blocks.AFTER < n_steps:
            block = blocks.block(self._sound, self._begin, self._first, n_steps)
            parts += self._cochlea.fire_block(self._matrix, block, self._state, self._seed)
            self._first += blocks.KEPT
            needed = max(2 * (self._first - blocks.BEFORE), 0)
            self._sound, self._begin = (
                self._sound[max(needed - self._begin, 0) :],
                max(needed, self._begin),
            )
        steps = np.concatenate([step for step, _ in parts])
        places = np.concatenate([place for _, place in parts])
        order = np.lexsort((places, steps))
        return steps[order], places[order]
