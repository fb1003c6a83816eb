"""From the name of a model file to the network that it builds."""

from __future__ import annotations

from pathlib import Path

from shd_genn.network.description import Network
from shd_genn.network.settings import NetworkSettings
from shd_genn.support import user_files
from shd_genn.support.errors import ConfigError


def find_model(name: str) -> Path:
    """The file of a model: one of the project's by its name, or any by its path.

    Raises:
        ConfigError: if there is no such file.
    """
    return user_files.find("model", name, user_files.project_folder("models"))


def build_network(config: NetworkSettings, path: Path | None = None) -> Network:
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
    network = user_files.call("model", path, lambda: build(config))
    if not isinstance(network, Network):
        raise ConfigError(
            f"build of model {path} must return a Network, but got {network!r}; return one, as "
            "the files of models/ do"
        )
    return network
