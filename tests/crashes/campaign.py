"""End commands at random moments, go on, and compare with ones that nobody ended, to the bit.

`python tests/crashes/campaign.py --kills 250 --seed 0` prints a line for each kill and a table.
A kill is SIGKILL, SIGTERM or SIGINT, after a random time or inside the n-th operation on a file:
write (half of it), fsync, rename, unlink, mkdir, truncate. One kill in three is followed by another
while the command goes on. Modules are imported once, and each command runs in a fork: so 250 kills
take minutes.
"""

import argparse
import collections
import contextlib
import ctypes
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE), str(HERE.parent), str(HERE.parents[1])]
SIGNALS = (signal.SIGKILL, signal.SIGKILL, signal.SIGTERM, signal.SIGINT)
CODES = {signal.SIGKILL: {-9, 0}, signal.SIGTERM: {143, -15, 0}, signal.SIGINT: {130, -2, 0}}
"""How a command may end that got a signal; 0: it had just come to its end."""
SECONDS = 300.0
"""A command that takes longer hangs."""


def preloaded() -> Path:
    """Start this program again with kill_at.c in it, if it is not; the folder to work in."""
    if "kill_at" in (library := os.environ.pop("LD_PRELOAD", "")):
        return Path(library).parent
    made = Path(tempfile.mkdtemp(prefix="crashes-")) / "kill_at.so"
    command = ["cc", "-shared", "-fPIC", "-O1", "-o", made, HERE / "kill_at.c", "-ldl"]
    subprocess.run(command, check=True)
    os.environ["LD_PRELOAD"] = str(made)
    os.execv(sys.executable, [sys.executable, *sys.argv])
    raise AssertionError("the program goes on from its begin")


@dataclass
class Ended:
    """How a command ended: its exit code, output, seconds, and operations on files."""

    code: int
    output: str
    seconds: float
    operations: int


def perform(
    work: Callable[[], None],
    folder: Path,
    number: int = 0,
    *,
    after_s: float | None = None,
    at: int = -1,
) -> Ended:
    """Run a command in a fork, which gets a signal.

    Args:
        work: The command.
        folder: Where it works.
        number: The signal.
        after_s: When it comes, in s.
        at: Inside of which operation on a file it comes instead.
    """
    output = folder.with_suffix(".output")
    begin = time.monotonic()
    # until the command has begun: what Python itself does before is not tried here
    signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
    child = os.fork()
    if child == 0:
        _child(work, folder, output, number, at)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS)
    if after_s is not None:
        time.sleep(after_s)
        os.kill(child, number)
    while True:
        pid, status = os.waitpid(child, os.WNOHANG)
        if pid:
            break
        if time.monotonic() - begin > SECONDS:
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
            return Ended(-1000, "it hangs\n" + output.read_text(), SECONDS, 0)
        time.sleep(0.005)
    text = output.read_text(errors="replace")
    count = text.rpartition("OPERATIONS ")[2].strip()
    done = int(count) if count.isdigit() else 0
    return Ended(os.waitstatus_to_exitcode(status), text, time.monotonic() - begin, done)


def _child(work: Callable[[], None], folder: Path, output: Path, number: int, at: int) -> None:
    code = 1
    try:
        with output.open("w") as file:
            os.dup2(file.fileno(), 1)
            os.dup2(file.fileno(), 2)
        os.chdir(folder)
        shim = ctypes.CDLL(None)
        shim.kill_at(ctypes.c_long(at), number)
        code = _exit_code(work)
        with contextlib.suppress(Exception):
            print(f"OPERATIONS {shim.operations()}", flush=True)
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def _exit_code(work: Callable[[], None]) -> int:
    """What `python -m shd_genn.…` would end with."""
    import traceback

    from shd_genn.support.cli import command

    def main() -> None:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS)
        work()

    try:
        command(main)
    except SystemExit as end:
        return int(end.code or 0)
    except BaseException:
        traceback.print_exc()
        return 1
    return 0


class Campaign:
    """All kills of a seed.

    Args:
        names: The commands to end.
        seed: Of everything that is random.
        folder: Where they work.
    """

    def __init__(self, names: list[str], seed: int, folder: Path) -> None:
        from cases import CASES, prepare

        self.cases = {name: CASES[name] for name in names}
        self.rng = random.Random(seed)
        self.folder = folder
        self.inputs = folder / "inputs"
        self.problems: list[str] = []
        self.table: collections.Counter[tuple[str, str, str]] = collections.Counter()
        self.kills = 0
        made = perform(lambda: prepare(self.inputs), self._new("preparing"))
        assert made.code == 0, made.output
        self.expected, self.measured = {}, {}
        for name, case in self.cases.items():
            whole = self._new(name)
            perform(case.begin, whole)  # what only the first one compiles is not measured
            whole = self._new(name)
            ended = perform(case.begin, whole)
            assert ended.code == 0, f"{name}: {ended.output}"
            self.expected[name], self.measured[name] = self._outcome(name, whole), ended
            print(f"{name}: {ended.seconds:.1f} s, {ended.operations} operations", flush=True)

    def _new(self, name: str) -> Path:
        folder = Path(tempfile.mkdtemp(prefix=f"{name}-", dir=self.folder))
        (folder / "inputs").symlink_to(self.inputs)
        return folder

    def _outcome(self, name: str, folder: Path) -> dict[str, str]:
        before = Path.cwd()
        os.chdir(folder)
        try:
            return self.cases[name].outcome()
        finally:
            os.chdir(before)

    def chain(self) -> None:
        """End one command once, or again and again; then let it come to its end."""
        names = list(self.cases)
        name = self.rng.choices(names, [self.cases[n].weight for n in names])[0]
        case, folder, work = self.cases[name], self._new(name), self.cases[name].begin
        history = []
        while True:
            number = self.rng.choice(SIGNALS)
            measured = self.measured[name]
            if self.rng.random() < 0.5 and measured.operations:
                how = {"at": self.rng.randrange(measured.operations)}
                kind = "inside an operation on a file"
            else:
                how = {"after_s": self.rng.uniform(0.0, measured.seconds)}
                kind = "after a random time"
            ended = perform(work, folder, number, **how)
            self.kills += 1
            history.append(f"{number.name} {how} → {ended.code}")
            came = "ended by it" if ended.code else "was at its end"
            self.table[name, f"{number.name} {kind}", came] += 1
            # Python prints what it ignores in a destructor; it is raised again later
            failed = "Traceback" in ended.output and "Exception ignored in" not in ended.output
            if ended.code not in CODES[number] or failed:
                self._problem(name, history, f"exit code {ended.code}: {ended.output[-2000:]}")
            work = case.go_on
            if self.rng.random() > 0.33:
                break
        ended = perform(case.go_on, folder)
        if ended.code != 0:
            self._problem(name, history, f"cannot go on: {ended.output[-2000:]}")
        else:
            self._compare(name, folder, history)
        print(f"{self.kills:4} {name}: {'; '.join(history)}", flush=True)
        shutil.rmtree(folder, ignore_errors=True)

    def _compare(self, name: str, folder: Path, history: list[str]) -> None:
        try:
            found = self._outcome(name, folder)
        except Exception as error:
            self._problem(name, history, f"nothing to compare: {error!r}")
            return
        expected = self.expected[name]
        for key in expected.keys() | found.keys():
            if expected.get(key) != found.get(key):
                self._problem(name, history, f"{key}: {expected.get(key)} became {found.get(key)}")
        left = [
            str(path)
            for path in folder.rglob(".*part-*")
            # a run that was killed before it was whole is not gone on with
            if (path.parent / "environment.json").exists()
            or not path.is_relative_to(folder / "runs")
        ]
        if left:
            self._problem(name, history, f"left behind: {left}")

    def _problem(self, name: str, history: list[str], what: str) -> None:
        self.problems.append(f"{name}: {'; '.join(history)}: {what}")
        print("PROBLEM", self.problems[-1], flush=True)

    def report(self) -> str:
        """The table, in Markdown."""
        columns = ("ended by it", "was at its end")
        lines = ["| command | kill | ended by it | had just come to its end |", "|---|---|---|---|"]
        for name, kind in sorted({key[:2] for key in self.table}):
            counts = [self.table[name, kind, column] for column in columns]
            lines.append(f"| {name} | {kind} | {counts[0]} | {counts[1]} |")
        return "\n".join(lines)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--kills", type=int, default=250)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--cases", nargs="*", default=[])
    options = parser.parse_args()
    folder = preloaded()
    try:
        # a shell that starts programs in its background lets them ignore Ctrl-C
        signal.signal(signal.SIGINT, signal.default_int_handler)
        from cases import CASES

        campaign = Campaign(options.cases or list(CASES), options.seed, folder)
        while campaign.kills < options.kills:
            campaign.chain()
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    print(campaign.report())
    print(
        json.dumps({"kills": campaign.kills, "seed": options.seed, "problems": campaign.problems})
    )
    return 1 if campaign.problems else 0


if __name__ == "__main__":
    sys.exit(main())
