"""Workers that are processes of this machine; each has its share of the cores.

No pool of a library does all that a study needs: concurrent.futures and loky lose all tasks when
one worker dies, and neither ends one trial nor lets all save what they have; Dask's LocalCluster
(`cluster.py` does the same on any cluster) needs another package and polls for every message.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from multiprocessing.context import SpawnProcess
from pathlib import Path
from typing import Any

from shd_genn.datasets.kept_files import KeptFiles
from shd_genn.support.interruption import held_back
from shd_genn.support.machine import available_cores
from shd_genn.sweep.worker import Job, work

SECONDS_TO_STOP = 20.0
"""Seconds that an interrupted worker may take to save its run."""


@dataclass
class _Worker:
    process: SpawnProcess
    connection: Connection
    job: Job | None = None


class ProcessWorkers:
    """A pool of processes; one that dies is replaced, and its death is reported."""

    def __init__(self, n_workers: int, folder: Path) -> None:
        """Start them.

        Args:
            n_workers: How many.
            folder: The folder of ``worker_0.log`` …: the output of each worker.
        """
        self._folder = folder
        self.n_threads = max(1, available_cores() // n_workers)
        self._workers = [self._start(i) for i in range(n_workers)]

    def __enter__(self) -> ProcessWorkers:
        return self

    def __exit__(self, *error: object) -> None:
        for worker in self._workers:
            worker.process.kill()  # it has nothing to do, or nothing that is not saved
            worker.process.join()
            worker.connection.close()

    def __len__(self) -> int:
        return len(self._workers)

    def submit(self, i: int, job: Job) -> None:
        """Give an idle worker a trial."""
        self._workers[i].job = job
        self._send(i, job)

    def answer(self, i: int, content: Any) -> None:
        """Answer a worker's question."""
        self._send(i, content)

    def events(self, timeout: float) -> Iterator[tuple[int, str, int, Any]]:
        """Messages of the workers: (worker, what, run, content).

        ``what`` is what `Ask` lists, or ``end`` with the outcome of a trial, or ``died`` with the
        reason.
        """
        numbers = {w.connection: i for i, w in enumerate(self._workers)}
        for connection in wait(list(numbers), timeout):
            i = numbers[connection]  # type: ignore[index]
            try:
                what, run, content = self._workers[i].connection.recv()
            except (EOFError, OSError):
                reason, busy = self._replace(i), self._workers[i].job is not None
                if busy:
                    self._workers[i].job = None
                    yield i, "died", 0, reason
                continue
            if what == "end":
                self._workers[i].job = None
            yield i, what, run, content

    def abandon(self, i: int) -> None:
        """End a worker's trial at once."""
        self._workers[i].process.kill()
        self._replace(i)
        self._workers[i].job = None

    def interrupt(self) -> None:
        """Let all workers save what they have, and stop."""
        for worker in self._workers:
            if worker.process.pid is not None and worker.process.is_alive():
                os.kill(worker.process.pid, signal.SIGINT)
        for worker in self._workers:
            if worker.job is not None:
                _until_the_end(worker.connection)

    def _send(self, i: int, content: Any) -> None:
        with suppress(OSError):  # it has died, which `events` reports
            self._workers[i].connection.send(content)

    def _replace(self, i: int) -> str:
        dead = self._workers[i]
        dead.process.join()
        dead.connection.close()
        self._workers[i] = self._start(i)
        self._workers[i].job = dead.job
        code = dead.process.exitcode or 0
        how = (
            f"by signal {-code} ({signal.Signals(-code).name})" if code < 0 else f"with code {code}"
        )
        return f"its worker ended {how}; see worker_{i}.log"

    def _start(self, i: int) -> _Worker:
        # spawned, not forked: a fork would inherit threads' locks and the database's connection
        context = multiprocessing.get_context("spawn")
        ours, theirs = context.Pipe()
        process = context.Process(
            target=_serve,
            args=(theirs, self._folder / f"worker_{i}.log", self.n_threads),
            name=f"sweep worker {i}",
        )
        with held_back():
            process.start()
        theirs.close()
        return _Worker(process, ours)


def _until_the_end(connection: Connection) -> None:
    try:
        while connection.poll(SECONDS_TO_STOP):
            if connection.recv()[0] == "end":
                return
    except (EOFError, OSError):
        return


def _serve(connection: Connection, log: Path, n_threads: int) -> None:
    """Train trials until the main process closes the connection."""
    if hasattr(os, "setsid"):
        os.setsid()  # Ctrl-C is for the main process, which then interrupts its workers once
    with log.open("a", encoding="utf-8") as file:
        os.dup2(file.fileno(), 1)
        os.dup2(file.fileno(), 2)
    if hasattr(signal, "pthread_sigmask"):
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
    threading.Thread(target=_die_with_parent, daemon=True).start()

    def ask(what: str, run: int, content: Any) -> Any:
        connection.send((what, run, content))
        return connection.recv()

    kept = KeptFiles()
    try:
        while True:
            job = connection.recv()
            connection.send(("end", 0, work(job, ask, n_threads, kept)))
    except (EOFError, OSError, KeyboardInterrupt):
        sys.exit(0)


def _die_with_parent() -> None:
    parent = multiprocessing.parent_process()
    assert parent is not None
    parent.join()
    os._exit(1)  # at once, so that whoever goes on with the study finds the run folder free
