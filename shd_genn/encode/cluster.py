"""Encoding on the workers of a Dask cluster, whatever it runs on: SSH, Slurm, Kubernetes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from shd_genn.encode.corpus import Corpus, Encoding
from shd_genn.encode.options import EncoderOptions
from shd_genn.encode.task import encode_on_worker
from shd_genn.spikes.events import Events
from shd_genn.support.dask import connect
from shd_genn.support.errors import refuse_unless

if TYPE_CHECKING:
    from distributed import Client

AHEAD = 2
"""Parts that are given to each thread of the cluster at a time: one is encoded, others wait."""


def on_cluster(address: str, options: EncoderOptions) -> Encoding:
    """The workers of a cluster, which all see the recordings under the same paths.

    Dask gives the parts of a lost worker to another one.

    Args:
        address: The scheduler's, e.g. ``tcp://head:8786``.
        options: What makes the encoder on each worker.

    Raises:
        ConfigError: if the cluster cannot be reached, or has no workers.
    """

    def encode(corpus: Corpus, parts: Sequence[range]) -> Iterator[tuple[int, Events]]:
        from distributed import as_completed

        with connect(address) as client:
            n_threads = _threads(client, address)

            def submit(number: int) -> Any:
                part = parts[number]
                paths = [str(corpus.recordings[i].path.resolve()) for i in part]
                seeds = [int(corpus.seeds[i]) for i in part]
                given = (vars(options), paths, seeds, corpus.cut_s)
                return client.submit(encode_on_worker, *given, pure=False)

            waiting = iter(range(len(parts)))
            running = {}
            for number in waiting:
                running[submit(number)] = number
                if len(running) == AHEAD * n_threads:
                    break
            done = as_completed(list(running))
            try:
                for future in done:
                    number = running.pop(future)
                    yield number, Events(*future.result())
                    following = next(waiting, None)
                    if following is not None:
                        new = submit(following)
                        running[new] = following
                        done.add(new)
            finally:
                client.cancel(list(running))

    return encode


def _threads(client: Client, address: str) -> int:
    workers = client.scheduler_info(n_workers=-1)["workers"]
    refuse_unless(
        bool(workers),
        f"the Dask scheduler at {address} must have workers, but has none",
        "start some with dask worker",
    )
    return sum(worker["nthreads"] for worker in workers.values())
