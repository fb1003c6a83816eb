"""Fine-tuning for the move: training goes on with rounded weights, or on several grids of time.

With few bits the network computes with rounded weights; their gradient changes the weights that are
not rounded (straight-through estimator, Bengio et al. 2013; Jacob et al. 2018). On several grids
each batch has steps of a length that is drawn, so that the network does not adapt to one.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from shd_genn.backends.choice import BackendOption
from shd_genn.backends.protocols import Differentiable, Parameters
from shd_genn.config import Config
from shd_genn.export.quantise import Bits, rounded
from shd_genn.export.trained import TrainedNetwork
from shd_genn.record.run_folder import RunFolder
from shd_genn.support.errors import ConfigError, refuse_unless
from shd_genn.support.progress import progress
from shd_genn.train.compile import compile_learner
from shd_genn.train.prepare import prepare


@dataclass(frozen=True)
class FineTuning:
    """How weights learn to be rounded, or not to depend on the grid.

    Attributes:
        epochs: Epochs over the run's training samples.
        learning_rate: Of Adam; a tenth of the run's by default.
        dt_ms: Lengths of a step in ms, of which one is drawn for each batch; none: the run's.
    """

    epochs: int
    learning_rate: float | None = None
    dt_ms: tuple[float, ...] = ()


def fine_tune(
    folder: RunFolder,
    trained: TrainedNetwork,
    bits: Bits,
    tuning: FineTuning,
    backend: BackendOption | None = None,
    trust_model: bool = False,
) -> TrainedNetwork:
    """Train a run's network on with rounded weights, on one grid or several.

    Args:
        folder: The run, whose training samples and settings are used.
        trained: Its network.
        bits: Of a weight.
        tuning: For how long.
        backend: What computes; None: the backend that trained the run.
        trust_model: The user consents to execute the folder's model file.

    Returns:
        The network with the weights that are best to be rounded; they are not rounded yet.

    Raises:
        ConfigError: if the backend gives no gradients, or delays would differ between the grids.
        DataError: if the run's dataset is not there.
    """
    config = replace(folder.config, backend=backend or folder.config.backend)
    train = prepare(replace(config, data=replace(config.data, test=False))).train
    rate = tuning.learning_rate or config.train.learning_rate / 10
    batch_size = config.train.batch_size
    parameters: dict[str, NDArray[np.floating]] = {
        key: array.astype(np.float64) for key, array in trained.parameters.items()
    }
    grids = tuple(dict.fromkeys(tuning.dt_ms)) or (config.dt_ms,)
    refuse_unless(
        grids == (config.dt_ms,) or not any(c.delayed for c in trained.network.connections),
        "the network has delays, which are whole steps, but it is to be trained with other steps",
        "leave the lengths of a step out",
    )
    with ExitStack() as stack:
        learners = [
            stack.enter_context(
                _differentiable(replace(config, dt_ms=dt_ms), folder.model_file(trust_model))
            )
            for dt_ms in grids
        ]
        weights = [c.name for c in trained.network.connections]
        m = {key: np.zeros_like(parameters[key]) for key in weights}
        v = {key: np.zeros_like(parameters[key]) for key in weights}
        step, rng = 0, np.random.default_rng([config.train.seed, *b"fine-tune"])
        with progress(f"Fine-tuning to {bits} bits", tuning.epochs, "epochs") as advance:
            for _ in range(tuning.epochs):
                order = rng.permutation(len(train))
                for begin in range(0, len(order), batch_size):
                    chosen, step = order[begin : begin + batch_size], step + 1
                    drawn = int(rng.integers(len(learners))) if len(learners) > 1 else 0
                    learner, now = learners[drawn], _float32(parameters)
                    learner.set_parameters(rounded(trained.network, now, bits))
                    gradient = learner.gradient(train.presented(chosen), train.labels[chosen])
                    for key in weights:
                        parameters[key], m[key], v[key] = learner.config.adam.update(
                            parameters[key], gradient[key], m[key], v[key], step, rate
                        )
                advance()
    return replace(trained, parameters=_float32(parameters))


@contextmanager
def _differentiable(config: Config, model_file: Path) -> Iterator[Differentiable]:
    """A compiled network that gives gradients."""
    with compile_learner(config, model_file) as learner:
        if not isinstance(learner, Differentiable):
            raise ConfigError(
                f"backend {config.backend} gives no gradients, which fine-tuning needs; use "
                "--backend native"
            )
        yield learner


def _float32(parameters: dict[str, NDArray[np.floating]]) -> Parameters:
    return {key: array.astype(np.float32) for key, array in parameters.items()}
