"""Quantisation-aware fine-tuning: training goes on with weights as few bits hold them.

The network computes with rounded weights; their gradient changes the weights that are not rounded
(straight-through estimator, Bengio et al. 2013; Jacob et al. 2018).
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from shd_genn.backends.choice import BackendOption
from shd_genn.backends.protocols import Differentiable, Parameters
from shd_genn.export.quantise import Bits, rounded
from shd_genn.export.trained import TrainedNetwork
from shd_genn.record.run_folder import RunFolder
from shd_genn.support.errors import refuse_unless
from shd_genn.support.progress import progress
from shd_genn.train.compile import compile_learner
from shd_genn.train.prepare import prepare


@dataclass(frozen=True)
class FineTuning:
    """How weights learn to be rounded.

    Attributes:
        epochs: Epochs over the run's training samples.
        learning_rate: Of Adam; a tenth of the run's by default.
    """

    epochs: int
    learning_rate: float | None = None


def fine_tune(
    folder: RunFolder,
    trained: TrainedNetwork,
    bits: Bits,
    tuning: FineTuning,
    backend: BackendOption | None = None,
    trust_model: bool = False,
) -> TrainedNetwork:
    """Train a run's network on with rounded weights.

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
        ConfigError: if the backend gives no gradients.
        DataError: if the run's dataset is not there.
    """
    config = replace(folder.config, backend=backend or folder.config.backend)
    train = prepare(replace(config, data=replace(config.data, test=False))).train
    rate = tuning.learning_rate or config.train.learning_rate / 10
    batch_size = config.train.batch_size
    parameters: dict[str, NDArray[np.floating]] = {
        key: array.astype(np.float64) for key, array in trained.parameters.items()
    }
    with compile_learner(config, folder.model_file(trust_model)) as learner:
        refuse_unless(
            isinstance(learner, Differentiable),
            f"backend {config.backend} gives no gradients, which fine-tuning needs",
            "use --backend native",
        )
        assert isinstance(learner, Differentiable)
        weights = [c.name for c in trained.network.connections]
        m = {key: np.zeros_like(parameters[key]) for key in weights}
        v = {key: np.zeros_like(parameters[key]) for key in weights}
        step, rng = 0, np.random.default_rng([config.train.seed, *b"fine-tune"])
        with progress(f"Fine-tuning to {bits} bits", tuning.epochs, "epochs") as advance:
            for _ in range(tuning.epochs):
                order = rng.permutation(len(train))
                for begin in range(0, len(order), batch_size):
                    chosen, step = order[begin : begin + batch_size], step + 1
                    now = _float32(parameters)
                    learner.set_parameters(rounded(trained.network, now, bits))
                    gradient = learner.gradient(train.presented(chosen), train.labels[chosen])
                    for key in weights:
                        parameters[key], m[key], v[key] = learner.config.adam.update(
                            parameters[key], gradient[key], m[key], v[key], step, rate
                        )
                advance()
    return replace(trained, parameters=_float32(parameters))


def _float32(parameters: dict[str, NDArray[np.floating]]) -> Parameters:
    return {key: array.astype(np.float32) for key, array in parameters.items()}
