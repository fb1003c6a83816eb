"""`python -m shd_genn` or `shd-genn`: list the commands, or start one of them."""

from __future__ import annotations

import runpy
import sys

from shd_genn.support.interruption import end_at_once_by_signals
from shd_genn.support.names import similar_name

COMMANDS = {
    "run": "train a network",
    "evaluate": "test a trained network on a dataset",
    "listen": "recognise the word in a recording",
    "readout": "draw a weight of output voltages over time",
    "list": "list runs: state, accuracy, settings that differ",
    "compare": "compare runs side by side",
    "neuron": "draw what a neuron does",
    "check": "prove the gradient of a neuron, built-in or your own",
    "encode": "turn recordings into a dataset of spikes",
    "datasets": "fetch SHD or SSC",
    "sweep": "search for good settings, with many runs",
    "cache": "show or empty the cache",
    "export": "write a trained network for chips, C, NumPy or PyTorch",
    "serve": "open a page to speak into",
    "bench": "measure speed, here and beside other libraries",
}
USAGE = "\n".join(
    (
        "usage: shd-genn COMMAND [OPTIONS]   (or python -m shd_genn.COMMAND [OPTIONS])",
        "",
        *(f"  {name:<10}{about}" for name, about in COMMANDS.items()),
        "",
        "shd-genn COMMAND --help explains a command's options.",
    )
)


def main() -> None:
    """Start the command that the command line names."""
    name, *arguments = sys.argv[1:] or ["--help"]
    if name in ("-h", "--help"):
        print(USAGE)
    elif name in COMMANDS:
        end_at_once_by_signals()  # while it imports its modules
        sys.argv = [f"python -m shd_genn.{name}", *arguments]
        runpy.run_module(f"shd_genn.{name}", run_name="__main__", alter_sys=True)
    else:
        similar = similar_name(name, COMMANDS)
        cure = f"use {similar} if you mean that" if similar else "use one of those below"
        print(f"error: there is no command {name}; {cure}\n\n{USAGE}", file=sys.stderr)
        sys.exit(2)


if __name__ == "__main__":
    main()
