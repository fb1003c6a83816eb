"""From the name of a model file to the network that it builds, compiled."""

from __future__ import annotations

from pathlib import Path

from shd_genn import backends, user_files
from shd_genn.backends import Adam, CompileConfig, Compiled, FirstSpikeLoss, Regulariser
from shd_genn.config import Config
from shd_genn.errors import ConfigError
from shd_genn.network import Network


def find_model(name: str) -> Path:
    """The file of a model: one of the project's own by its name, or any by its path.

    Raises:
        ConfigError: if there is no such file.
    """
    return user_files.find("model", name, user_files.project_folder("models"))


def build_network(config: Config, path: Path | None = None) -> Network:
    """Run a model file's ``build(config)``.

    Args:
        config: Its ``model.n_inputs`` and ``model.n_classes`` must be given.
        path: The model file; by default that of ``config.model.model``.

    Raises:
        ConfigError: if the file cannot be run, or does not build a `Network`.
    """
    path = path or find_model(config.model.model)
    build = user_files.run("model", path).get("build")
    if not callable(build):
        raise ConfigError(f"model {path} must define build(config) -> Network; copy one of models/")
    network = build(config)
    if not isinstance(network, Network):
        raise ConfigError(f"build of model {path} must return a Network, but got {network!r}")
    return network


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
            temperature=train.softmax_temperature,
            first_spike=FirstSpikeLoss(
                train.first_spike_tau0_ms, train.first_spike_tau1_ms, train.first_spike_alpha
            ),
        ),
    )
