"""The study's database: a file of SQLite, or a server such as PostgreSQL."""

from __future__ import annotations

import json
import os
import re
import shutil
import sqlite3
import sys
import tempfile
import time
import weakref
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import quote

import sqlalchemy
from optuna.exceptions import StorageInternalError
from optuna.storages import RDBStorage, RetryHeartbeatStaleTrialCallback
from optuna.trial import TrialState
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import (
    ArgumentError,
    IntegrityError,
    NoSuchModuleError,
    ProgrammingError,
    SQLAlchemyError,
)
from sqlalchemy.pool import QueuePool

from shd_genn.support.errors import BusyError, ConfigError, DataError
from shd_genn.support.files import waits_for_disk, write_error
from shd_genn.support.locks import claimed
from shd_genn.support.paths import user_path

Result = TypeVar("Result")
Location = Path | URL
"""A file of SQLite, or the URL of a server."""

BUSY_TIMEOUT = 60
"""Seconds that SQLite waits for another connection, e.g. a dashboard's, to release the file."""
PATIENCE = 600.0
"""Seconds that a study waits for a database that does not answer."""
ATTEMPTS = 5
"""How often a new database is opened while other machines make its tables."""
MISSED_HEARTBEATS = 3
"""After so many missed heartbeats a trial's process counts as dead."""
LASTING = frozenset(
    {
        sqlite3.SQLITE_FULL,
        sqlite3.SQLITE_READONLY,
        sqlite3.SQLITE_IOERR,
        sqlite3.SQLITE_CORRUPT,
        sqlite3.SQLITE_NOTADB,
        sqlite3.SQLITE_PERM,
    }
)
"""Errors of SQLite that waiting does not end."""
WAL_BYTES = slice(18, 20)
"""Two bytes of an SQLite file that are 2 where new rows may still be in a file ``-wal``."""
ENGINE_URL = "sqlite:///study.db"
"""Names the kind of database only: a path in a URL would have to be escaped."""
TRIALS = sqlalchemy.table("trials", *map(sqlalchemy.column, ("trial_id", "state")))
"""Optuna's table of trials."""
USER_ATTRIBUTES = sqlalchemy.table(
    "trial_user_attributes", *map(sqlalchemy.column, ("trial_id", "key", "value_json"))
)
"""Optuna's table of what a trial remembers."""


def parse_location(text: str) -> Location:
    """Where a study's database is, from the option ``--storage``.

    Args:
        text: ``sqlite:///FILE`` or the URL of a server, as SQLAlchemy writes it.

    Raises:
        ConfigError: if it is no URL, or names no file; the message has no password in it.
    """
    try:
        url = make_url(text)
    except (ArgumentError, ValueError):
        scheme = re.match(r"[\w+]*://", text)
        begin = f"one that begins with {scheme[0]}" if scheme else "no URL"
        # not chained: SQLAlchemy's message would have the password in it
        raise ConfigError(
            f"storage must be a URL that can be read, but is {begin}; write sqlite:///study.db or "
            "postgresql://user@host/database, with %40 for @ and %2F for / in a password"
        ) from None
    if url.get_backend_name() != "sqlite":
        return url
    if not url.database or url.database == ":memory:" or url.query:
        raise ConfigError(
            f"storage must name a file, but is {address(url)}; write sqlite:///study.db"
        )
    return user_path(url.database)


def address(location: Location) -> str:
    """A database's address as it is printed: without a password."""
    if isinstance(location, Path):
        return f"sqlite:///{location}"
    return location.render_as_string()


@contextmanager
def opened(location: Location, heartbeat_s: int) -> Iterator[RDBStorage]:
    """Open a study's database for as long as a study runs.

    A file of SQLite belongs to one program at a time. A server is shared by any number of machines;
    each notices by heartbeats that another one has died.

    Args:
        location: See `parse_location`.
        heartbeat_s: Seconds between heartbeats.

    Raises:
        ConfigError: if it cannot be opened.
    """
    if not isinstance(location, Path):
        with _connected(location, heartbeat_s) as storage:
            yield storage
        return
    try:
        location.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise write_error(location, error) from error
    if location.exists():
        check_file(location)
    try:
        with claimed(location), _connected(location, heartbeat_s) as storage:
            yield storage
    except BusyError as error:
        if error.path != location:
            raise
        raise BusyError(
            location,
            f"{location} is written by another sweep, and it can have one writer only; stop that "
            "sweep and give it more --workers, or use a PostgreSQL --storage",
        ) from error


def check_file(path: Path) -> None:
    """Refuse a file that is no study, or that was copied without what belongs to it.

    Args:
        path: A file of SQLite.

    Raises:
        DataError: if it is one of these.
    """
    try:
        with path.open("rb") as file:
            header = file.read(100)
    except OSError as error:
        raise DataError(
            f"{path} cannot be read ({error.strerror}); choose a file that you may read"
        ) from error
    if not header:
        return  # just made
    if not header.startswith(b"SQLite format 3\0"):
        raise DataError(f"{path} is no SQLite database; choose the file of a study")
    wal = path.with_name(f"{path.name}-wal")
    alone = not wal.exists()  # seen before SQLite makes one
    uri, copied = _for_reading(path, alone)
    try:
        with closing(sqlite3.connect(uri, uri=True)) as connection:
            tables = connection.execute("SELECT name FROM sqlite_master").fetchall()
    except sqlite3.DatabaseError as error:
        raise DataError(f"{path} cannot be read ({error}); restore a copy of it") from error
    finally:
        if copied is not None:
            shutil.rmtree(copied, ignore_errors=True)
    if not tables and header[WAL_BYTES] == b"\2\2" and alone:
        raise DataError(
            f"{path} holds no study, because it was copied without {wal.name}, which had the "
            "trials in it; copy both files, or stop the sweep before you copy"
        )


def read_file(path: Path) -> RDBStorage:
    """Open a study's file only to read from it, also where nothing may be written.

    Args:
        path: A file of SQLite.

    Raises:
        DataError: if it is no study.
    """
    check_file(path)
    uri, copied = _for_reading(path)
    storage = RDBStorage(
        ENGINE_URL,
        engine_kwargs={
            "creator": lambda: sqlite3.connect(uri, uri=True, check_same_thread=False),
            "poolclass": QueuePool,
        },
        skip_table_creation=True,
    )
    if copied is not None:
        weakref.finalize(storage, shutil.rmtree, copied, ignore_errors=True)
    return storage


def _for_reading(path: Path, still: bool = False) -> tuple[str, Path | None]:
    """A file's URI for reading only, and the folder of its copy, if it had to be copied.

    Args:
        path: The file.
        still: Nothing is written to it meanwhile, so that no file is needed beside it.

    SQLite needs a file beside the database to read one whose newest rows are in ``-wal``. Where
    that file cannot be written, both are copied.
    """
    path, folder = path.resolve(), None
    wal = path.with_name(f"{path.name}-wal")
    mode = "immutable=1" if still else "mode=ro"
    if not still and not os.access(path.parent, os.W_OK):
        if wal.exists() and wal.stat().st_size:
            folder = Path(tempfile.mkdtemp(prefix="shd_genn-study-"))
            for file in (path, wal):
                shutil.copyfile(file, folder / file.name)
            path = folder / path.name
        else:
            mode = "immutable=1"
    return f"file:{quote(os.fsencode(path))}?{mode}", folder


@contextmanager
def _connected(location: Location, heartbeat_s: int) -> Iterator[RDBStorage]:
    storage = _connect(location, heartbeat_s)
    try:
        yield storage
    finally:
        storage.remove_session()
        storage.engine.dispose()


def _connect(location: Location, heartbeat_s: int) -> RDBStorage:
    options: dict[str, Any]
    if isinstance(location, Path):
        url = ENGINE_URL
        options = {"creator": lambda: _connect_file(location), "poolclass": QueuePool}
    else:
        if location.drivername in ("postgresql", "postgres"):
            location = location.set(drivername="postgresql+psycopg")  # what [distributed] installs
        url, options = location.render_as_string(hide_password=False), {"pool_pre_ping": True}
    where = address(location)
    try:
        return _created(url, options, heartbeat_s)
    except (ImportError, NoSuchModuleError) as error:
        raise ConfigError(
            f"storage {where} needs a driver that is not installed ({error}); for PostgreSQL "
            "install shd_genn[distributed]"
        ) from error
    except RuntimeError as error:  # Optuna's, of tables that another version of it has made
        raise ConfigError(
            f"storage {where} cannot be used by this version of Optuna ({error}); update Optuna, "
            "or upgrade the database with optuna storage upgrade"
        ) from error
    except (SQLAlchemyError, StorageInternalError) as error:
        if isinstance(location, Path):
            raise ConfigError(
                f"{location} cannot be opened ({_cause(error)}); choose another folder, or free "
                "space on its disk"
            ) from error
        raise ConfigError(
            f"storage {where} does not answer ({_cause(error)}); correct the URL, or start its "
            "server"
        ) from error


def _connect_file(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(path, timeout=BUSY_TIMEOUT, check_same_thread=False)
    # noted in the file: readers do not block the writer, nor the writer them
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute(f"PRAGMA synchronous={'FULL' if waits_for_disk() else 'OFF'}")
    return connection


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


def patiently(call: Callable[[], Result], seconds: float = PATIENCE) -> Result:
    """Call something until the database answers; what is called may be called twice.

    Args:
        call: What is called.
        seconds: How long to wait.

    Raises:
        ConfigError: if the database does not answer, or has an error that waiting does not end.
    """
    end, pause = time.monotonic() + seconds, 0.1
    while True:
        try:
            return call()
        except (StorageInternalError, SQLAlchemyError) as error:
            if _lasts(error):
                raise ConfigError(
                    f"the study's database cannot be written ({_cause(error)}); free space on its "
                    "disk or correct its rights, then give the same command again: it goes on"
                ) from error
            if time.monotonic() > end:
                raise ConfigError(
                    f"the study's database does not answer ({_cause(error)}); start its server, "
                    "then give the same command again: it goes on"
                ) from error
            if pause == 0.1:
                print(f"note: waiting for the database ({_cause(error)})", file=sys.stderr)
            time.sleep(pause)
            pause = min(2 * pause, 5.0)


def _cause(error: BaseException) -> str:
    """The first line of what the database said."""
    cause = getattr(error, "orig", None) or error.__cause__ or error
    cause = getattr(cause, "orig", None) or cause
    return (str(cause).strip().splitlines() or [type(error).__name__])[0]


def _lasts(error: BaseException | None) -> bool:
    """Whether an error of SQLite does not end by waiting."""
    while error is not None:
        code = getattr(getattr(error, "orig", error), "sqlite_errorcode", None)
        if code is not None:
            return (code & 0xFF) in LASTING  # the rest of it says more of the same error
        error = error.__cause__
    return False


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


def set_user_attributes(storage: RDBStorage, trial_id: int, values: dict[str, Any]) -> None:
    """Let a trial remember values, all in one transaction.

    Optuna writes each value in a transaction of its own, and a disk or a server takes its time for
    every one: a trial of one run would wait for nine.

    Args:
        storage: The study's database.
        trial_id: Optuna's id of the trial.
        values: What to remember, by name.

    Raises:
        UpdateFinishedTrialError: if the trial has ended.
    """
    mine, rows = USER_ATTRIBUTES.c, []
    for key, value in values.items():
        rows.append({"trial_id": trial_id, "key": key, "value_json": json.dumps(value)})
    with storage.engine.begin() as connection:
        state = connection.execute(
            sqlalchemy.select(TRIALS.c.state).where(TRIALS.c.trial_id == trial_id)
        ).scalar_one()
        storage.check_trial_is_updatable(trial_id, TrialState[state])
        connection.execute(
            sqlalchemy.delete(USER_ATTRIBUTES).where(
                mine.trial_id == trial_id, mine.key.in_(list(values))
            )
        )
        connection.execute(sqlalchemy.insert(USER_ATTRIBUTES), rows)
