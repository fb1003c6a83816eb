"""`python -m shd_genn.serve RUN`: a local page to speak into."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro

from shd_genn.backends.choice import BackendOption
from shd_genn.serve.listener import Listener
from shd_genn.serve.takes import Takes
from shd_genn.support.cli import command, parse
from shd_genn.support.errors import ConfigError, require

LOOPBACK = ("127.0.0.1", "localhost", "::1")


@dataclass(frozen=True)
class Options:
    """Open a page to speak into; the runs answer side by side."""

    runs: Annotated[tuple[Path, ...], tyro.conf.Positional, tyro.conf.arg(metavar="RUN")]
    """Folders of one or more runs."""
    port: int = 8123
    """Port of the page."""
    host: str = "127.0.0.1"
    """Address to listen on. Any other than this machine's own lets others on the network use it."""
    recordings: Path = Path("recordings")
    """Where labelled recordings are saved."""
    backend: BackendOption | None = None
    """What computes; by default the backend that trained each run."""
    trust_model: bool = False
    """Execute the runs' model.py although it was not used on this machine before."""


def main() -> None:
    """Serve as the command line says."""
    options = parse(Options, prog="python -m shd_genn.serve")
    require(1 <= options.port <= 65_535, "1 <= port <= 65535", options.port, "8123 is usual")
    try:
        import uvicorn

        from shd_genn.serve.app import application
    except ImportError as error:
        raise ConfigError(
            f"the page needs {error.name}, which is not installed; install it with "
            "pip install -e '.[serve]'"
        ) from error
    with Listener(options.runs, options.backend, options.trust_model) as listener:
        app = application(listener, Takes(options.recordings), (*LOOPBACK, options.host))
        print(f"http://{options.host}:{options.port}/  (Ctrl-C ends it)", flush=True)
        uvicorn.run(app, host=options.host, port=options.port, log_level="warning")


if __name__ == "__main__":
    command(main)
