"""`python -m shd_genn.bench peers`: the same training step in this engine and other libraries.

A sample has 700 input channels, 8000 input spikes and one second in steps of 1, 4 or 10 ms. There
are 20 classes. A step trains on a batch of 32 samples: forward pass, backward pass and an update by
Adam. Each library runs in a process of its own and is used as its documentation recommends for
speed. All libraries of a setting take turns, batch by batch.
"""

from __future__ import annotations

import itertools
import sys
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Annotated

import tyro

from shd_genn.bench.activity import SPIKES_PER_NEURON, Topology
from shd_genn.bench.peers import table
from shd_genn.bench.peers.case import LAG_MS, Setting
from shd_genn.bench.peers.harness import Limits, measure
from shd_genn.bench.peers.libraries import LIBRARIES, PeerName
from shd_genn.datasets.noise import TRIAL_MS
from shd_genn.record import environment
from shd_genn.support.cli import parse
from shd_genn.support.errors import ConfigError, refuse_unless, require, require_positive
from shd_genn.support.machine import available_cores
from shd_genn.support.progress import progress


@dataclass(frozen=True)
class Options:
    """Compare speed and memory on this machine. Let nothing else run on it meanwhile."""

    peers: tuple[PeerName, ...] = ()
    """Libraries to compare; by default all that are installed."""
    n_steps: tuple[int, ...] = (1000, 250, 100)
    """Numbers of time steps in the trial of one second."""
    hidden_sizes: tuple[int, ...] = (64, 256, 1024)
    """Numbers of hidden neurons."""
    topologies: tuple[Topology, ...] = ("recurrent", "feedforward")
    """Whether hidden neurons feed each other."""
    threads: tuple[int, ...] = (available_cores(),)
    """Numbers of cores; genn on a CPU uses one in any case."""
    spikes_per_neuron: float = SPIKES_PER_NEURON
    """Input weights are scaled until each hidden neuron spikes this often in a sample."""
    copies: int = 0
    """Delayed copies of each input channel, 30 ms apart, each with weights of its own: 10 is the
    delay line of nowotny2025-best-shd."""
    repetitions: int = 5
    """Number of turns that are timed, after one batch to warm up. A turn lasts a quarter of a
    second or one batch, whichever is longer."""
    limit_s: float = 120.0
    """Time limit of a peer in a setting, in s, compiling included."""
    limit_gb: float = 8.0
    """Memory limit of a peer's process, in GB."""
    output: Annotated[Path | None, tyro.conf.arg(aliases=["-o"])] = None
    """A CSV file for the table, written after each setting."""
    resume: bool = False
    """Continue the CSV file: measure only the settings that are not in it."""
    markdown: bool = False
    """Print a single table in Markdown instead of a table for each setting."""

    def __post_init__(self) -> None:
        require(1 <= self.repetitions, "1 <= repetitions", self.repetitions, "5 are usual")
        require(0 < self.limit_s, "0 < limit_s", self.limit_s, "120 are usual")
        require(0 < self.limit_gb, "0 < limit_gb", self.limit_gb, "8 are usual")
        require_positive("spikes_per_neuron", self.spikes_per_neuron, "9 are usual")
        require(0 <= self.copies <= 30, "0 <= copies <= 30", self.copies, "the papers use 10")
        refuse_unless(
            not self.copies or all(TRIAL_MS / n <= LAG_MS for n in self.n_steps),
            f"copies are {LAG_MS:g} ms apart, but a step lasts longer with --n-steps "
            f"{' '.join(map(str, self.n_steps))}",
            "take more steps",
        )
        for n in self.n_steps:
            require(
                1 <= n <= TRIAL_MS,
                f"1 <= n_steps <= {TRIAL_MS}",
                n,
                "a step must last at least 1 ms",
            )
        for n in self.hidden_sizes:
            require(1 <= n, "1 <= hidden_sizes", n, "give the network a neuron")
        for n in self.threads:
            cores = available_cores()
            require(
                1 <= n <= cores, f"1 <= threads <= {cores}", n, "this machine has no more cores"
            )


def main(arguments: list[str]) -> None:
    """Run the command."""
    options = parse(Options, arguments, prog="python -m shd_genn.bench peers")
    peers = chosen(options.peers)
    if options.copies:
        peers = [name for name in peers if can_delay(name, asked=name in options.peers)]
    rows = _so_far(options)
    settings = [
        Setting(
            *(topology, hidden, n_steps, threads),
            spikes_per_neuron=options.spikes_per_neuron,
            copies=options.copies,
        )
        for n_steps, hidden, topology, threads in itertools.product(
            options.n_steps, options.hidden_sizes, options.topologies, options.threads
        )
    ]
    todo = [setting for setting in settings if not _is_done(setting, peers, rows)]
    _require_nothing_lost(todo, peers, rows)
    limits = Limits(options.repetitions, options.limit_s, options.limit_gb)
    turns = len(todo) * len(peers) * (1 + options.repetitions)
    try:
        with progress("Comparing", turns, "turns") as advance:
            for setting in todo:
                where = table.named(setting)

                def report(steps: int = 1, note: str = "", where: str = where) -> None:
                    advance(steps, f"{where}: {note}")

                started = datetime.now()
                measured = measure(setting, peers, limits, report)
                rows = [row for row in rows if row.setting != setting]
                rows += table.rows_of(setting, measured, started)
                if options.output is not None:
                    table.write(options.output, rows)
    finally:  # after Ctrl-C, too: print what has been measured
        if rows:
            print(table.markdown(rows)) if options.markdown else table.show(rows)


def can_delay(name: PeerName, *, asked: bool) -> bool:
    """Whether a peer's network has any number of inputs.

    Raises:
        ConfigError: if it has not, but the user chose it.
    """
    able = LIBRARIES[name].method != "event-based" and name != "spyx"
    refuse_unless(
        able or not asked,
        f"peer {name} has no delay line, but --copies is set",
        "leave the peer or the copies out",
    )
    return able


def chosen(names: tuple[PeerName, ...]) -> list[PeerName]:
    """The peers that the user chose; by default all that are installed.

    Raises:
        ConfigError: if a chosen peer is not installed.
    """
    absent = {name: library.missing for name, library in LIBRARIES.items() if library.missing}
    for name in names:
        if name in absent:
            raise ConfigError(
                f"peer {name} needs {' and '.join(absent[name])}, which is not installed; "
                "install it with pip install -e '.[compare]' (genn: see docs/backends.md), or "
                "leave the peer out"
            )
    if names:
        return list(dict.fromkeys(names))
    for name, packages in absent.items():
        print(f"note: {name} is left out: {' and '.join(packages)} not installed", file=sys.stderr)
    return [name for name in LIBRARIES if name not in absent]


def _so_far(options: Options) -> list[table.Row]:
    if options.resume:
        if options.output is None:
            raise ConfigError("--resume needs --output, but got none; name the CSV file with -o")
        rows = table.read(options.output) if options.output.exists() else []
        for row in rows:
            refuse_unless(
                row.cpu == environment.cpu_name(),
                f"{options.output} has measurements of {row.cpu}, but this machine is "
                f"{environment.cpu_name()}",
                "choose another file",
            )
        return rows
    if options.output is not None and options.output.exists():
        raise ConfigError(
            f"output must be a new file, but {options.output} exists; "
            "continue it with --resume, or choose another file"
        )
    return []


def _is_done(setting: Setting, peers: list[PeerName], rows: list[table.Row]) -> bool:
    """Whether all peers have been measured in this setting."""
    have = {row.peer for row in rows if row.setting == setting}
    return set(peers) <= have


def _require_nothing_lost(
    todo: list[Setting], peers: list[PeerName], rows: list[table.Row]
) -> None:
    """Refuse to measure a setting again without all peers that the file has for it."""
    for setting in todo:
        lost = {row.peer for row in rows if row.setting == setting} - set(peers)
        if lost:
            raise ConfigError(
                "the peers of a setting are measured together, and measuring "
                f"{table.named(setting)} again without {', '.join(sorted(lost))} would delete "
                "their rows; add them to --peers, or choose another file"
            )
