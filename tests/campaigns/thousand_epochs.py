"""Train a tiny network for 1000 epochs, and print its memory, open files and time on the way.

python tests/campaigns/thousand_epochs.py [--epochs 1000]
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import psutil

sys.path[:0] = [str(Path(__file__).parents[1]), str(Path(__file__).parents[2])]
from helpers import tiny  # noqa: E402 - found there

from shd_genn.config import Config  # noqa: E402
from shd_genn.config.flat import update  # noqa: E402
from shd_genn.train import loop  # noqa: E402


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--epochs", type=int, default=1000)
    given = parser.parse_args()
    process, seen = psutil.Process(), []
    begin = time.perf_counter()

    def on_epoch(folder, rows) -> None:
        """Note what the process holds."""
        seen.append((process.memory_info().rss / 2**20, process.num_fds(), process.num_threads()))
        if len(seen) % max(1, given.epochs // 10) == 0:
            memory, files, threads = seen[-1]
            print(
                f"epoch {len(seen)}: {memory:.1f} MiB, {files} open files, {threads} threads, "
                f"{time.perf_counter() - begin:.0f} s, CPU {sum(process.cpu_times()[:2]):.0f} s",
                flush=True,
            )

    with tempfile.TemporaryDirectory() as place:
        data = Path(place) / "data"
        data.mkdir()
        tiny.write(data, n_train=24, n_test=6)
        settings = {
            "dataset": str(data), "hidden_sizes": (8,), "trial_ms": 120.0, "batch_size": 8,
            "shift_channels": 0.0, "w_in_mean": 0.2, "w_in_sd": 0.1, "learning_rate": 0.01,
            "epochs": given.epochs, "n_threads": 1, "backend": "native",
        }  # fmt: skip
        loop.start(update(Config(), settings), Path(place) / "runs", on_epoch)
    memory, files, threads = np.array(seen[given.epochs // 10 :]).T
    grown = np.polyfit(np.arange(len(memory)), memory, 1)[0] * 1000
    print(
        f"after the first tenth: {memory.min():.1f} to {memory.max():.1f} MiB ({grown:+.2f} MiB in "
        f"1000 epochs), {files.min():.0f} to {files.max():.0f} open files, {threads.min():.0f} to "
        f"{threads.max():.0f} threads"
    )


if __name__ == "__main__":
    main()
