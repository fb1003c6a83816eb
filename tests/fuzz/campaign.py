"""Read many files of random bytes: `python tests/fuzz/campaign.py toml --executions 1000`.

Every target of helpers/fuzzing.py reads files that are changed at random. Children of this program
do it, 500 files each: a crash, a hang (60 s) or more memory than 2 GB ends a child only. What was
found is printed and saved; `--replay FILE` reads it again.
"""

import argparse
import json
import mmap
import os
import resource
import signal
import struct
import sys
import tempfile
import time
import traceback
import warnings
from pathlib import Path

sys.path[:0] = [str(Path(__file__).parents[1]), str(Path(__file__).parents[2])]
from helpers import fuzzing  # noqa: E402 - found there

AT_A_TIME, SECONDS, BYTES = 500, 60, 2 << 30


class HangError(BaseException):
    """An execution has taken too long."""


def hang(*_):
    raise HangError


def execute(name: str, seed: int, numbers: range, shared: mmap.mmap, folder: Path) -> None:
    """Read files in this process; the number of the one that is being read is kept in `shared`."""
    warnings.simplefilter("ignore")
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    if "LD_PRELOAD" not in os.environ:  # sanitizers reserve terabytes
        resource.setrlimit(resource.RLIMIT_DATA, (BYTES, BYTES))
    signal.signal(signal.SIGALRM, hang)
    read = 0
    for number in numbers:
        struct.pack_into("qq", shared, 0, number, read)
        content = fuzzing.example(name, seed, number)
        signal.alarm(SECONDS)
        try:
            read += fuzzing.TARGETS[name].accepts(content, folder / "file")
        except BaseException:
            shared[16:4096] = traceback.format_exc()[-2000:].encode()[:4080].ljust(4080, b"\0")
            os._exit(1)
        signal.alarm(0)
    struct.pack_into("qq", shared, 0, numbers.stop, read)
    os._exit(0)


def campaign(name: str, executions: int, seed: int, findings: Path) -> dict[str, object]:
    """Read so many files; what happened."""
    fuzzing.seeds(name)
    if name in ("network", "engine"):  # compile before the children are forked
        for number in range(200):
            fuzzing.TARGETS[name].accepts(fuzzing.example(name, -1, number), Path())
    shared = mmap.mmap(-1, 4096)
    begin, done, read, found = time.monotonic(), 0, 0, 0
    with tempfile.TemporaryDirectory(
        dir="/dev/shm" if Path("/dev/shm").is_dir() else None
    ) as aside:
        while done < executions:
            numbers = range(done, min(done + AT_A_TIME, executions))
            shared[:] = bytes(4096)
            child = os.fork()
            if child == 0:
                execute(name, seed, numbers, shared, Path(aside))
            _, status = os.waitpid(child, 0)
            number, accepted = struct.unpack_from("qq", shared, 0)
            read += accepted
            done = number
            if status:
                found += 1
                done += 1
                findings.mkdir(parents=True, exist_ok=True)
                (findings / f"{name}-{seed}-{number}").write_bytes(
                    fuzzing.example(name, seed, number)
                )
                reason = bytes(shared[16:]).rstrip(b"\0").decode(errors="replace")
                print(f"{name} {seed} {number}: status {status}\n{reason}", flush=True)
    seconds = time.monotonic() - begin
    return {
        "target": name,
        "seed": seed,
        "executions": done,
        "read": read,
        "found": found,
        "seconds": round(seconds, 1),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("target", choices=fuzzing.TARGETS)
    parser.add_argument("--executions", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--findings", type=Path, default=Path("findings"))
    parser.add_argument("--replay", type=Path)
    options = parser.parse_args()
    if options.replay:
        with tempfile.TemporaryDirectory() as aside:
            print(
                fuzzing.TARGETS[options.target].accepts(
                    options.replay.read_bytes(), Path(aside) / "file"
                )
            )
        return
    result = campaign(options.target, options.executions, options.seed, options.findings)
    print(json.dumps(result), flush=True)


if __name__ == "__main__":
    main()
