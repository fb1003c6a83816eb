"""From a whole configuration to a compiled network."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from shd_genn import backends
from shd_genn.backends.protocols import CompileConfig, Learner, Simulator, require_learner
from shd_genn.config import Config
from shd_genn.learning.dropout import Dropout
from shd_genn.learning.objective import FirstSpikeLoss, Objective, Regulariser
from shd_genn.learning.optimisers import Adam
from shd_genn.network.model_files import build_network
from shd_genn.network.settings import FirstSpikeTime, FirstSpikeTimeExp, ReadoutChoice
from shd_genn.present.delay_line import DelayLine


def compile_network(config: Config, model_file: Path | None = None) -> Simulator:
    """Build the network of a resolved configuration and compile it to be evaluated.

    Args:
        config: Settings.
        model_file: The model file; by default that of ``config.model.model``.
    """
    return _compile(config, model_file, None)


def compile_learner(config: Config, model_file: Path | None = None) -> Learner:
    """Build the network of a resolved configuration and compile it to be trained.

    Args:
        config: Settings; no batch is larger than ``config.train.batch_size``.
        model_file: The model file; by default that of ``config.model.model``.
    """
    return require_learner(_compile(config, model_file, config.train.batch_size))


def _compile(config: Config, model_file: Path | None, batch_size: int | None) -> Simulator:
    train = config.train
    objective = Objective(
        regulariser=Regulariser(train.reg_lambda, train.reg_lambda, train.reg_nu),
        label_smoothing=train.label_smoothing,
        dropout=Dropout(train.hidden_dropout),
        **_loss_constants(config.model.readout),
    )
    return backends.get(backends.choose(config.backend).name).compile(
        build_network(config, model_file),
        train.method,
        CompileConfig(
            n_steps=config.n_steps,
            dt_ms=config.dt_ms,
            seed=train.seed,
            n_threads=config.n_threads,
            batch_size=batch_size,
            kernel_times=config.kernel_times,
            adam=Adam(
                *(train.beta1, train.beta2, train.epsilon),
                *(train.weight_decay, train.clip_gradient),
            ),
            objective=objective,
            delay_line=_delay_line(config),
        ),
    )


def _delay_line(config: Config) -> DelayLine | None:
    """The delay line of the input, if its spikes are on the time grid."""
    n_inputs = config.model.n_inputs
    if n_inputs is None or not config.present.binarise:
        return None
    n_channels = n_inputs // (1 + config.present.delay_copies)
    return config.presentation(n_channels).delay_line


def _loss_constants(readout: ReadoutChoice) -> dict[str, Any]:
    """The constants of the loss: of a softmax of voltages, or of first spikes."""
    if isinstance(readout, FirstSpikeTimeExp):
        constants = FirstSpikeLoss(
            readout.first_spike_tau0_ms, readout.first_spike_tau1_ms, readout.first_spike_alpha
        )
        return {"first_spike": constants}
    if isinstance(readout, FirstSpikeTime):
        constants = FirstSpikeLoss(
            tau0_ms=readout.first_spike_tau0_ms, alpha=readout.first_spike_alpha
        )
        return {"first_spike": constants}
    return {"temperature": readout.softmax_temperature}
