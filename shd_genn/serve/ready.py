"""A run that is ready to answer."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from shd_genn.backends.protocols import Simulator
from shd_genn.encode.encoder import Encoder, Spikes
from shd_genn.learning.objective import probabilities
from shd_genn.record.run_folder import RunFolder
from shd_genn.spikes.events import Events


@dataclass(frozen=True)
class Ready:
    """A run whose network is compiled.

    Attributes:
        name: The run's name.
        folder: Its folder.
        simulator: Its network, with the parameters of the chosen epoch.
        words: The word of each class.
        encoder: What makes spikes of a recording.
    """

    name: str
    folder: RunFolder
    simulator: Simulator
    words: tuple[str, ...]
    encoder: Encoder

    def presented(self, spikes: Spikes) -> Events:
        """The spikes of a recording as the network is given them."""
        return self.folder.config.presentation(self.encoder.n_channels)(Events.of([spikes]))

    def probabilities(self, events: Events) -> NDArray[np.floating]:
        """Of every word, (words,), for presented spikes."""
        result = self.simulator.evaluate(events)
        p = probabilities(self.simulator.network, self.simulator.config, result.readout)
        of_words: NDArray[np.floating] = p[0, : len(self.words)]
        return of_words
