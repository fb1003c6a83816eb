"""Workers of a Dask cluster, whatever it runs on: this machine, SSH, Slurm, Kubernetes."""

from __future__ import annotations

import time
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from distributed import Future, Queue

from shd_genn.config.toml import to_toml
from shd_genn.support.dask import connect
from shd_genn.support.errors import ConfigError
from shd_genn.sweep.task import LOOK, train_on_worker
from shd_genn.sweep.worker import Job


@dataclass
class _Task:
    future: Future[dict[str, str]]
    answers: str = ""


class DaskWorkers:
    """Trials as Dask tasks, at most one for each slot.

    Tasks ask through Dask's queues: one queue for all questions, and one for each task's answers.
    Dask gives the task of a lost worker to another worker.
    """

    def __init__(self, address: str, n_workers: int | None) -> None:
        """Connect to a scheduler.

        Args:
            address: The scheduler's, e.g. ``tcp://head:8786``.
            n_workers: Trials at a time; by default as many as there are workers.

        Raises:
            ConfigError: if it cannot be reached, or has no workers.
        """
        self._client = connect(address)
        found = len(self._client.scheduler_info(n_workers=-1)["workers"])
        if not found and n_workers is None:
            raise ConfigError(
                f"the Dask scheduler at {address} must have workers, but has none; start some, or "
                "give their number with --workers"
            )
        self._n = n_workers or found
        self._session = uuid.uuid4().hex
        self._questions = Queue(f"sweep-{self._session}", client=self._client)
        self._tasks: dict[int, _Task] = {}

    def __enter__(self) -> DaskWorkers:
        return self

    def __exit__(self, *error: object) -> None:
        for task in self._tasks.values():
            task.future.cancel()
        self._questions.close()
        self._client.close()

    def __len__(self) -> int:
        return self._n

    def submit(self, i: int, job: Job) -> None:
        """Give an idle slot a trial."""
        key = f"trial-{uuid.uuid4().hex}"
        configs = [to_toml(config) for config in job.configs]
        given = (i, configs, str(job.runs), list(job.command), self._questions.name)
        future = self._client.submit(train_on_worker, *given, key=key, pure=False)
        self._tasks[i] = _Task(future)

    def answer(self, i: int, content: Any) -> None:
        """Answer a task's question."""
        Queue(self._tasks[i].answers, client=self._client).put(content)

    def events(self, timeout: float) -> Iterator[tuple[int, str, int, Any]]:
        """Messages of the tasks; see `ProcessWorkers.events`."""
        end = time.monotonic() + timeout
        while time.monotonic() < end:
            # ended tasks are looked for first and reported last: their messages come before
            done = [i for i, task in self._tasks.items() if task.future.done()]
            messages = self._questions.get(batch=True)
            for i, key, answers, what, run, content in messages:
                if i in self._tasks and self._tasks[i].future.key == key:
                    self._tasks[i].answers = answers
                    yield i, what, run, content
            for i in done:
                if i in self._tasks:
                    yield i, *self._came_of(self._tasks.pop(i).future)
            if messages or done:
                return
            time.sleep(LOOK)

    def abandon(self, i: int) -> None:
        """Cancel a task whose result does not matter."""
        self._tasks.pop(i).future.cancel()

    def interrupt(self) -> None:
        """Cancel all tasks; each stops after its current epoch."""
        for task in self._tasks.values():
            task.future.cancel()
        self._tasks.clear()

    @staticmethod
    def _came_of(future: Future[dict[str, str]]) -> tuple[str, int, Any]:
        if future.status == "finished":
            return "end", 0, future.result()
        error = future.exception() if future.status == "error" else "it was cancelled"
        return "died", 0, f"Dask lost the task: {error}"
