"""The study's database: SQLite, or a server such as PostgreSQL."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import sqlalchemy
from optuna.exceptions import StorageInternalError
from optuna.storages import RDBStorage, RetryHeartbeatStaleTrialCallback
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import (
    ArgumentError,
    IntegrityError,
    NoSuchModuleError,
    ProgrammingError,
    SQLAlchemyError,
)

from shd_genn.support.errors import BusyError, ConfigError
from shd_genn.support.locks import claimed

Result = TypeVar("Result")

BUSY_TIMEOUT = 60
"""Seconds that SQLite waits for another connection, e.g. a dashboard's, to release the file."""
PATIENCE = 600.0
"""Seconds that a lost database is waited for."""
ATTEMPTS = 5
"""So often a new database is opened while others make its tables."""
MISSED_HEARTBEATS = 3
"""After so many missed heartbeats a trial's process is taken for dead."""


@contextmanager
def opened(url: str, heartbeat_s: int) -> Iterator[RDBStorage]:
    """Open a study's database for as long as a study runs.

    A file of SQLite is one program's at a time. A server is shared by any number of machines; each
    notices by heartbeat that another one has died.

    Args:
        url: As SQLAlchemy and Optuna write it.
        heartbeat_s: Seconds between heartbeats.

    Raises:
        ConfigError: if it cannot be opened.
    """
    try:
        address = make_url(url)
    except ArgumentError as error:
        raise ConfigError(
            f"storage must be a URL, but got {url!r}; write sqlite:///study.db or "
            "postgresql://user@host/database"
        ) from error
    if address.get_backend_name() != "sqlite":
        with _connected(address, heartbeat_s) as storage:
            yield storage
        return
    if not address.database or address.database == ":memory:":
        raise ConfigError(f"storage must name a file, but got {url}; write sqlite:///study.db")
    lock = Path(f"{address.database}.lock")
    try:
        lock.parent.mkdir(parents=True, exist_ok=True)
        lock.touch()
    except OSError as error:
        raise ConfigError(
            f"{lock} cannot be written ({error.strerror}); name a folder that you may write to"
        ) from error
    try:
        with claimed(lock), _connected(address, heartbeat_s) as storage:
            yield storage
    except BusyError as error:
        if error.path != lock:
            raise
        raise BusyError(
            lock,
            f"{address.database} must have a single writer, but another sweep is working on it; "
            "stop it and give it more --workers, or use a PostgreSQL --storage",
        ) from error


@contextmanager
def _connected(address: URL, heartbeat_s: int) -> Iterator[RDBStorage]:
    storage = _connect(address, heartbeat_s)
    try:
        yield storage
    finally:
        storage.remove_session()
        storage.engine.dispose()


def _connect(address: URL, heartbeat_s: int) -> RDBStorage:
    sqlite = address.get_backend_name() == "sqlite"
    if address.drivername in ("postgresql", "postgres"):
        address = address.set(drivername="postgresql+psycopg")  # what [distributed] installs
    shown = address.render_as_string()
    try:
        storage = _created(
            address.render_as_string(hide_password=False),
            {"connect_args": {"timeout": BUSY_TIMEOUT}} if sqlite else {"pool_pre_ping": True},
            heartbeat_s,
        )
        if sqlite:  # written into the file: readers do not block the writer, nor it them
            with storage.engine.connect() as connection:
                connection.exec_driver_sql("PRAGMA journal_mode=WAL")
    except (ImportError, NoSuchModuleError) as error:
        raise ConfigError(
            f"storage {shown} needs a driver that is not installed ({error}); for PostgreSQL "
            "install shd_genn[distributed]"
        ) from error
    except (SQLAlchemyError, StorageInternalError, RuntimeError) as error:
        cause = str(getattr(error, "orig", None) or error.__cause__ or error).strip()
        raise ConfigError(
            f"storage {shown} must be reachable, but {cause.splitlines()[0]}; correct the URL, or "
            "start its server"
        ) from error
    return storage


def _created(url: str, engine: dict[str, Any], heartbeat_s: int) -> RDBStorage:
    """Open a database, and make Optuna's tables if it has none."""
    for attempt in range(ATTEMPTS):
        try:
            return RDBStorage(
                url,
                engine_kwargs=engine,
                heartbeat_interval=heartbeat_s,
                grace_period=MISSED_HEARTBEATS * heartbeat_s,
                heartbeat_stale_trial_callback=RetryHeartbeatStaleTrialCallback(),
            )
        except (IntegrityError, ProgrammingError):
            # another machine is making the tables at this very moment
            if attempt == ATTEMPTS - 1:
                raise
            time.sleep(1.0)
    raise AssertionError("the last attempt has returned or raised")


def shown(url: str) -> str:
    """A URL without its password."""
    return make_url(url).render_as_string()


def patiently(call: Callable[[], Result], seconds: float = PATIENCE) -> Result:
    """Call something that may be called twice, until the database is there.

    Raises:
        ConfigError: if it does not come back.
    """
    end, pause = time.monotonic() + seconds, 0.1
    while True:
        try:
            return call()
        except (StorageInternalError, SQLAlchemyError) as error:
            if time.monotonic() > end:
                raise ConfigError(
                    f"the database must answer, but {error.__cause__ or error}; start it, then "
                    "give the same command again: it goes on"
                ) from error
            time.sleep(pause)
            pause = min(2 * pause, 5.0)


def first_heartbeats(storage: RDBStorage, study_id: int) -> None:
    """Give a heartbeat to running trials that have none.

    A process that was killed between asking for a trial and its first heartbeat leaves one that
    Optuna would take for running for ever; from now on its heartbeats are missed.
    """
    query = sqlalchemy.text(
        "SELECT t.trial_id FROM trials t LEFT JOIN trial_heartbeats h ON h.trial_id = t.trial_id "
        "WHERE t.study_id = :study AND t.state = 'RUNNING' AND h.trial_id IS NULL"
    )
    with storage.engine.connect() as connection:
        silent = [row[0] for row in connection.execute(query, {"study": study_id})]
    for trial_id in silent:
        storage.record_heartbeat(trial_id)
