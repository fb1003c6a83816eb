"""`python -m shd_genn.bench peers`: the same work through this engine and through other libraries.

700 input channels, 8000 input spikes a sample, one second in steps of 1, 4 or 10 ms, 20 classes,
batches of 32: forward, backward and a step of Adam. Each library runs as its own documentation
recommends for speed, in a process of its own; all of a setting take turns, batch by batch.
"""

from __future__ import annotations

import itertools
import math
import sys
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Annotated

import tyro

from shd_genn.bench.activity import SPIKES_PER_NEURON, Topology
from shd_genn.bench.peers import table
from shd_genn.bench.peers.case import Setting
from shd_genn.bench.peers.harness import Limits, measure
from shd_genn.bench.peers.libraries import LIBRARIES, PeerName
from shd_genn.datasets.noise import TRIAL_MS
from shd_genn.record import environment
from shd_genn.support.cli import parse
from shd_genn.support.errors import ConfigError, refuse_unless, require
from shd_genn.support.machine import available_cores
from shd_genn.support.progress import progress


@dataclass(frozen=True)
class Options:
    """Compare speed and memory on this machine; leave it alone meanwhile."""

    peers: tuple[PeerName, ...] = ()
    """What is compared; all that is installed if not given."""
    n_steps: tuple[int, ...] = (1000, 250, 100)
    """Time steps in the trial's second."""
    hidden_sizes: tuple[int, ...] = (64, 256, 1024)
    """Hidden neurons."""
    topologies: tuple[Topology, ...] = ("recurrent", "feedforward")
    """Whether hidden neurons feed each other."""
    threads: tuple[int, ...] = (available_cores(),)
    """Numbers of cores; genn on a CPU uses one in any case."""
    spikes_per_neuron: float = SPIKES_PER_NEURON
    """Hidden spikes per neuron and sample that input weights are scaled for."""
    repetitions: int = 5
    """Turns that are timed, each a quarter of a second or a batch, after one batch to warm up."""
    limit_s: float = 120.0
    """Seconds that a peer may take in a setting, compiling included."""
    limit_gb: float = 8.0
    """Memory that a peer's process may take."""
    output: Annotated[Path | None, tyro.conf.arg(aliases=["-o"])] = None
    """A CSV file for the table, written after each setting."""
    resume: bool = False
    """Go on with the CSV file: measure only the settings that are not in it."""
    markdown: bool = False
    """Print one table in Markdown instead of one a setting."""

    def __post_init__(self) -> None:
        require(1 <= self.repetitions, "1 <= repetitions", self.repetitions, "5 are usual")
        require(0 < self.limit_s, "0 < limit_s", self.limit_s, "120 are usual")
        require(0 < self.limit_gb, "0 < limit_gb", self.limit_gb, "8 are usual")
        wanted = self.spikes_per_neuron
        require(0 < wanted < math.inf, "0 < spikes_per_neuron < inf", wanted, "9 are usual")
        for n in self.n_steps:
            require(1 <= n <= TRIAL_MS, f"1 <= n_steps <= {TRIAL_MS}", n, "steps are 1 ms or more")
        for n in self.hidden_sizes:
            require(1 <= n, "1 <= hidden_sizes", n, "give the network a neuron")
        for n in self.threads:
            cores = available_cores()
            require(
                1 <= n <= cores, f"1 <= threads <= {cores}", n, "this machine has no more cores"
            )


def main(arguments: list[str]) -> None:
    """Measure as the command line says."""
    options = parse(Options, arguments, prog="python -m shd_genn.bench peers")
    peers = chosen(options.peers)
    rows = _so_far(options)
    settings = [
        Setting(topology, hidden, n_steps, threads, spikes_per_neuron=options.spikes_per_neuron)
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

                def tell(steps: int = 1, note: str = "", where: str = where) -> None:
                    advance(steps, f"{where}: {note}")

                started = datetime.now()
                measured = measure(setting, peers, limits, tell)
                rows = [row for row in rows if row.setting != setting]
                rows += table.rows_of(setting, measured, started)
                if options.output is not None:
                    table.write(options.output, rows)
    finally:  # at Ctrl-C, too: what has been measured
        if rows:
            print(table.markdown(rows)) if options.markdown else table.show(rows)


def chosen(names: tuple[PeerName, ...]) -> list[PeerName]:
    """The peers that are asked for, or all that are installed.

    Raises:
        ConfigError: if one that is asked for is not installed.
    """
    absent = {name: library.missing for name, library in LIBRARIES.items() if library.missing}
    for name in names:
        if name in absent:
            raise ConfigError(
                f"peer {name} needs {' and '.join(absent[name])}, which must be installed, but got "
                "none; pip install -e '.[compare]' (genn: see the README), or leave it out"
            )
    if names:
        return list(dict.fromkeys(names))
    for name, packages in absent.items():
        print(f"note: {name} is left out: {' and '.join(packages)} not installed", file=sys.stderr)
    return [name for name in LIBRARIES if name not in absent]


def _so_far(options: Options) -> list[table.Row]:
    if options.resume:
        if options.output is None:
            raise ConfigError("output must be given with resume, but was not; name the CSV file")
        rows = table.read(options.output) if options.output.exists() else []
        for row in rows:
            refuse_unless(
                row.cpu == environment.cpu_name(),
                f"{options.output} has measurements of {row.cpu}, but this machine is "
                f"{environment.cpu_name()}",
                "name another file",
            )
        return rows
    if options.output is not None and options.output.exists():
        raise ConfigError(
            f"output must be a new file, but {options.output} is there; "
            "go on with it (--resume), or name another"
        )
    return []


def _is_done(setting: Setting, peers: list[PeerName], rows: list[table.Row]) -> bool:
    """Whether all peers were measured in it, beside each other."""
    have = {row.peer for row in rows if row.setting == setting}
    return set(peers) <= have


def _require_nothing_lost(
    todo: list[Setting], peers: list[PeerName], rows: list[table.Row]
) -> None:
    """Refuse to measure a setting anew without peers that were measured in it."""
    for setting in todo:
        lost = {row.peer for row in rows if row.setting == setting} - set(peers)
        if lost:
            raise ConfigError(
                f"peers must be all that the file has of {table.named(setting)}, because all of a "
                f"setting take turns, but {', '.join(sorted(lost))} would be lost; name them, too, "
                "or another file"
            )
