"""The task that runs on a worker of a Dask cluster.

Its arguments are plain values, and it imports only when it runs: Dask's scheduler reads each task
that it passes on, and should not import the package for that.
"""

from __future__ import annotations

import time
import uuid
from pathlib import Path
from typing import Any

from distributed import Queue, get_client, get_worker

LOOK = 0.02
"""Seconds between looks into an empty queue: Dask logs each timeout of a queue as an error."""


def train_on_worker(
    i: int, configs: list[str], runs: str, command: list[str], questions: str
) -> dict[str, str]:
    """Train a trial's networks.

    Args:
        i: The trial's slot.
        configs: The settings of its runs, as TOML.
        runs: The folder that run folders go into.
        command: The command that their ``environment.json`` names.
        questions: The name of the queue that the study reads.

    Returns:
        The outcome; see `work`.
    """
    from shd_genn.config.toml import from_toml
    from shd_genn.sweep.worker import Job, work

    job = Job(tuple(from_toml(text) for text in configs), Path(runs), tuple(command))
    worker, client = get_worker(), get_client()
    key = str(worker.get_current_task())
    # of this attempt alone: a lost worker's answers are not for the next one
    answers = Queue(f"sweep-answers-{uuid.uuid4().hex}", client=client)
    asked = Queue(questions, client=client)

    def ask(what: str, run: int, content: Any) -> Any:
        asked.put([i, key, answers.name, what, run, content])
        while not (answer := answers.get(batch=True)):
            state = worker.state.tasks.get(key)
            if state is None or state.state != "executing":
                raise KeyboardInterrupt  # the study has ended, or has cancelled the trial
            time.sleep(LOOK)
        return answer[0]

    try:
        return work(job, ask, worker.state.nthreads)
    finally:
        answers.close()
