"""A connection in the forward pass: its current, and the spikes that delays keep under way."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from shd_genn.network import Connection

Array = NDArray[np.floating]


def whole_steps(delay: Array) -> NDArray[np.intp]:
    """Delays as they are used: rounded to whole steps, halves away from 0 (as mlGeNN)."""
    steps: NDArray[np.intp] = np.floor(delay.astype(np.float64) + 0.5).astype(np.intp)
    return steps


def delays_of(connection: Connection, parameters: Mapping[str, Array]) -> NDArray[np.intp]:
    """Whole steps that each synapse delays spikes, (source neurons, target neurons)."""
    return connection.of_synapses(whole_steps(parameters[f"{connection.name}.delay"]))


class Synapses:
    """A connection's weights and delays, its current, and the spikes that are under way.

    A spike that takes d steps longer arrives d steps later.

    Args:
        connection: The connection.
        parameters: All `Parameters`; the dtype of its weights is that of all else.
        n_steps: Steps of a trial.

    Attributes:
        x: (target neurons,): synaptic current before scaling.
    """

    def __init__(self, connection: Connection, parameters: Mapping[str, Array], n_steps: int):
        self._w, self._n_steps = parameters[connection.name], n_steps
        self.x: Array = np.zeros_like(self._w[0])
        self._targets = np.arange(connection.target.size)
        self._delay = None
        if connection.delayed:
            self._delay = delays_of(connection, parameters)
            self._under_way = np.zeros((n_steps + 1, connection.target.size), self._w.dtype)

    def receive(self, step: int, fired: NDArray[np.intp]) -> None:
        """Add what arrives in a step, given who spiked in the step before."""
        if self._delay is None:
            if not len(fired):
                return
            arriving = np.zeros(self.x.shape, self.x.dtype)
            for i in fired:
                arriving += self._w[i]
        else:
            # what would come after the last step goes into a row that nobody reads
            arrival = np.minimum(step + self._delay[fired], self._n_steps)
            np.add.at(self._under_way, (arrival, self._targets), self._w[fired])
            arriving = self._under_way[step]
        self.x += arriving

    def forget(self) -> None:
        """Drop the current, and what is under way."""
        self.x[:] = 0
        if self._delay is not None:
            self._under_way[:] = 0
