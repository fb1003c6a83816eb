"""What all tests share."""

import collections
import os
import signal
import sys

import pytest
from helpers import precompiled, tiny
from hypothesis import settings

# a shell that starts the tests in its background lets them ignore Ctrl-C, and their children, too
if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

# tests kill processes, but cause no power failure; to wait for the disk takes half of their time
os.environ["SHD_GENN_FSYNC"] = "off"

# how long an example takes depends on what else the machine is doing
settings.register_profile("any machine", deadline=None)
settings.load_profile("any machine")


def pytest_configure():
    """Before the workers start, which then find it in their environment."""
    # tests start hundreds of processes; each would compile all modules that it imports
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    sys.dont_write_bytecode = False
    precompiled.use_for_engines()


def pytest_collection_modifyitems(items):
    """Files with slow tests come first, then those with many tests.

    A worker takes whole files; if a long file came last, the other workers would wait for it.
    """
    slow = {item.path for item in items if item.get_closest_marker("slow")}
    number = collections.Counter(item.path for item in items)
    items.sort(key=lambda item: (item.path not in slow, -number[item.path]))


@pytest.fixture
def quick_engines(monkeypatch):
    """For tests of what a program does, not of its numbers: engines are compiled in less time."""
    if " -include " in os.environ.get("CXX", ""):
        command = precompiled.with_less_optimisation(os.environ["CXX"])
        monkeypatch.setenv("CXX", command)


@pytest.fixture(scope="session")
def data(tmp_path_factory):
    """The folder of the tiny dataset."""
    return tiny.write(tmp_path_factory.mktemp("data") / "tiny")
