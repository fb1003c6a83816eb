"""From a whole configuration to a compiled network."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from shd_genn import backends
from shd_genn.backends.protocols import CompileConfig, Compiled
from shd_genn.config import Config
from shd_genn.learning.objective import FirstSpikeLoss, Regulariser
from shd_genn.learning.optimisers import Adam
from shd_genn.network.model_files import build_network
from shd_genn.network.settings import FirstSpikeTime, FirstSpikeTimeExp, ReadoutChoice


def compile_network(
    config: Config, model_file: Path | None = None, learns: bool = False
) -> Compiled:
    """Build the network of a resolved configuration and compile it for its backend.

    Args:
        config: Settings.
        model_file: The model file; by default that of ``config.model.model``.
        learns: Whether it will be trained, in batches of ``config.train.batch_size``.
    """
    train = config.train
    strength = train.reg_lambda
    return backends.get(backends.choose(config.backend).name).compile(
        build_network(config, model_file),
        CompileConfig(
            n_steps=config.n_steps,
            dt_ms=config.dt_ms,
            seed=train.seed,
            n_threads=config.n_threads,
            batch_size=train.batch_size if learns else None,
            kernel_times=config.kernel_times,
            adam=Adam(train.beta1, train.beta2, train.epsilon),
            regulariser=Regulariser(strength, strength, train.reg_nu),
            **_loss_constants(config.model.readout),
        ),
    )


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
