"""The Optuna dashboard, served by the process that owns the study's database."""

from __future__ import annotations

import socketserver
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

from optuna.storages import BaseStorage

from shd_genn.support.errors import ConfigError


class _Server(socketserver.ThreadingMixIn, WSGIServer):
    daemon_threads = True


class _Quiet(WSGIRequestHandler):
    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing of each request."""


@contextmanager
def served(storage: BaseStorage, host: str, port: int) -> Iterator[str]:
    """Serve the dashboard in a thread.

    Args:
        storage: The database.
        host: Whose requests to answer; localhost: only this machine's.
        port: Where; 0: where there is room.

    Yields:
        Its address.

    Raises:
        ConfigError: if it is not installed, or the port is not free.
    """
    try:
        from optuna_dashboard import wsgi
    except ImportError as error:
        raise ConfigError(
            f"dashboard needs optuna-dashboard, which is not installed ({error}); "
            "pip install 'shd_genn[sweep]', or leave --dashboard out"
        ) from error
    try:
        server = make_server(host, port, wsgi(storage), server_class=_Server, handler_class=_Quiet)
    except OSError as error:
        raise ConfigError(
            f"dashboard_port {port} of {host} must be free, but {error.strerror}; "
            "choose another one, e.g. --dashboard-port 8081"
        ) from error
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://{host}:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
