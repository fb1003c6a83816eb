"""`python -m shd_genn.bench`: measure this machine and the engine; one subcommand a question."""

from __future__ import annotations

import importlib
import sys

from shd_genn.support.cli import command
from shd_genn.support.errors import ConfigError

COMMANDS = {
    "speed": ("shd_genn.bench.speed", "how fast this machine trains and evaluates"),
    "peers": ("shd_genn.bench.peers.command", "the same work through other libraries"),
    "roofline": ("shd_genn.bench.roofline", "how far each kernel is from the machine's limits"),
    "scaling": (
        "shd_genn.bench.scaling",
        "how training time grows, beside the law it should follow",
    ),
    "gpu": (
        "shd_genn.bench.gpu.command",
        "whether the cuda backend is right on this GPU, and how fast",
    ),
    "neurons": ("shd_genn.bench.neurons", "what each neuron costs, beside the leaky one"),
    "recipes": ("shd_genn.bench.recipes", "what whole recipes cost: presets and methods"),
    "noise": ("shd_genn.bench.noise", "write a dataset of random spikes, as large as SHD"),
}
"""Subcommand → the module whose ``main`` runs it, and what it measures."""

USAGE = "\n".join(
    (
        "usage: python -m shd_genn.bench SUBCOMMAND [OPTIONS]",
        "       python -m shd_genn.bench SUBCOMMAND --help explains its options",
        "",
        *(f"  {name:10} {about}" for name, (_, about) in COMMANDS.items()),
    )
)


def main() -> None:
    """Run the subcommand that the command line names."""
    name, *arguments = sys.argv[1:] or ["--help"]
    if name in ("-h", "--help"):
        print(USAGE)
        return
    if name not in COMMANDS:
        raise ConfigError(
            f"the subcommand must be one of {', '.join(COMMANDS)}, but got {name!r}; "
            "see python -m shd_genn.bench --help"
        )
    module, _ = COMMANDS[name]
    importlib.import_module(module).main(arguments)


if __name__ == "__main__":
    command(main)
