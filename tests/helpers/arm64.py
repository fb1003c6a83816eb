"""The conformance suite on 64-bit Arm (NEON), emulated by qemu-user; slow.

Usage, from the folder tests: `python -m helpers.arm64 ROOT [PYTEST-ARGUMENT ...]`

It needs qemu-aarch64, aarch64-linux-gnu-g++, and in the folder ROOT the files of Debian's arm64
packages python3, python3-numpy, python3-scipy and python3-psutil with what they depend on, and Arm
builds of other compiled packages (msgspec) in ROOT/usr/lib/python3/dist-packages. Packages of pure
Python are taken from the running interpreter. Its version must be that of ROOT's.
"""

import os
import subprocess
import sys
import sysconfig
import tempfile
from pathlib import Path


def main(root: str, *arguments: str) -> int:
    """Run the suite for the native engine; pytest's exit code."""
    repository = Path(__file__).parents[2]
    places = [f"{root}/usr/lib/python3/dist-packages", repository, sysconfig.get_path("purelib")]
    chosen = arguments or ("tests/backends/test_conformance.py", "-k", "native")
    python = f"{root}/usr/bin/python3.{sys.version_info.minor}"
    with tempfile.TemporaryDirectory() as cache:
        environment = {
            "PYTHONPATH": os.pathsep.join(map(str, places)),
            "PYTHONDONTWRITEBYTECODE": "1",
            "CXX": "aarch64-linux-gnu-g++",
            "SHD_GENN_MARCH": "armv8-a",
            "SHD_GENN_CACHE": cache,
        }
        command = ["qemu-aarch64", "-L", root, python, "-m", "pytest", "-n", "0", *chosen]
        return subprocess.run(
            command, cwd=repository, env=os.environ | environment, check=False
        ).returncode


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
