"""HDF5 files that declare more than they hold, lead out of themselves, or hold odd numbers."""

import resource
import subprocess
import sys
from pathlib import Path

import h5py
import numpy as np
import pytest
from helpers import small

from shd_genn.spikes.hdf5 import read_spikes, write_spikes
from shd_genn.support.errors import ConfigError, DataError

FAULTS = Path(__file__).resolve().parents[3] / "shared/faults/h5"
REFUSED = {
    "bomb_gzip": "must have one row for each sample",
    "huge_1e8": "declares 100000000 values, but holds 0 bytes",
    "huge_1e15": "declares 1000000000000000 values",
    "huge_labels": "declares 3000000000 values",
    "keys_huge_fill": "may hold 65536 names, but holds 1000000000",
    "soft_loop": "is reached through a link",
    "speaker_2e33": "extra/speaker <= 2147483647 must hold",
    "n_channels_float": "must be a whole number, but is 30.7",
    "n_channels_huge": "1 <= n_channels <= 65536 must hold",
    "units_float_frac": "spikes/units must be whole numbers",
    "units_i64_wrap": "0 <= unit < 30 channels must hold",
    "labels_2e31": "0 <= labels <= 65535 must hold",
    "labels_null": "holds no values",
    "keys_dup": "must name every class differently",
    "keys_latin1": "must be UTF-8",
    "lengths_differ": "as many times as units",
    "times_complex": "must be real numbers",
    "times_desc": "every sample must ascend, but those of sample 0 do not; give the spikes",
}
READ = ("ok", "hard_loop", "times_ms", "times_us_int", "labels_gap")
"""The last one is refused when a dataset is loaded, and times in ms are noted."""


@pytest.mark.parametrize("name", [*REFUSED, *READ])
def test_files_that_were_found_to_fail(name):
    path = FAULTS / f"{name}.h5"
    if not path.is_file():
        pytest.skip(f"the file is not in {FAULTS}")
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    if name in READ:
        assert len(read_spikes(path, "x")) == 6
    else:
        with pytest.raises(DataError, match=REFUSED[name]):
            read_spikes(path, "x")
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 100_000  # KiB


def write_good(path, n=3):
    return small.raw(path, [[0.0, 0.5]] * n, [[1, 2]] * n, [0] * n)


@pytest.mark.parametrize("key", ["spikes/times", "spikes/units", "labels"])
@pytest.mark.parametrize("n", [10**7, 10**12])
def test_more_samples_than_the_file_holds(tmp_path, key, n):
    path = write_good(tmp_path / "a.h5")
    with h5py.File(path, "a") as file:
        for name in ("spikes/times", "spikes/units", "labels"):
            kind = file[name].dtype
            if name == key or n == 10**7:
                del file[name]
                file.create_dataset(name, (n,), kind, chunks=(1024,))
    with pytest.raises(DataError, match=r"declares .* values|for every sample"):
        read_spikes(path, "x")


def test_names_that_are_declared_only(tmp_path):
    path = write_good(tmp_path / "a.h5")
    with h5py.File(path, "a") as file:
        file.create_dataset("extra/keys", (60_000,), "S1000", chunks=(1000,))
    with pytest.raises(DataError, match="declares 60000 values, but holds 0 bytes"):
        read_spikes(path, "x")


@pytest.mark.parametrize("key", ["spikes/times", "labels", "extra/keys", "extra/speaker"])
@pytest.mark.parametrize("kind", ["soft", "external", "raw", "virtual"])
def test_nothing_is_read_from_elsewhere(tmp_path, key, kind):
    other = tmp_path / "other.h5"
    with h5py.File(other, "w") as file:
        file["x"] = [0, 0, 0]
    (tmp_path / "secret.txt").write_bytes(b"\0" * 100)
    path = write_good(tmp_path / "a.h5")
    with h5py.File(path, "a") as file:
        if key in file:
            del file[key]
        if kind == "soft":
            file["elsewhere"] = [0, 0, 0]
            file[key] = h5py.SoftLink("/elsewhere")
        elif kind == "external":
            file[key] = h5py.ExternalLink(str(other), "/x")
        elif kind == "raw":
            file.create_dataset(key, (3,), "i4", external=[(tmp_path / "secret.txt", 0, 12)])
        else:
            layout = h5py.VirtualLayout((3,), "i4")
            layout[:] = h5py.VirtualSource(str(other), "x", (3,))
            file.create_virtual_dataset(key, layout)
    with pytest.raises(DataError, match=r"reached through a link|lie in another file"):
        read_spikes(path, "x")


def test_a_link_to_a_group_elsewhere(tmp_path):
    write_good(tmp_path / "other.h5")
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["spikes"] = h5py.ExternalLink(str(tmp_path / "other.h5"), "/spikes")
        file["labels"] = [0, 0, 0]
    with pytest.raises(DataError, match="spikes/times is reached through a link"):
        read_spikes(tmp_path / "a.h5", "x")


def test_samples_that_share_their_spikes(tmp_path):
    """A small file whose 1000 rows all point to the same 100,000 spikes."""
    path = tmp_path / "a.h5"
    n = 1000
    with h5py.File(path, "w") as file:
        places = []
        for key, kind in (("times", "f2"), ("units", "u2")):
            rows = file.create_dataset(f"spikes/{key}", (n,), h5py.vlen_dtype(np.dtype(kind)))
            rows[0] = np.zeros(100_000, kind)
            rows[n - 1] = np.zeros(1, kind)
            places.append(rows.id.get_offset())
        file["labels"] = np.zeros(n, int)
    content = bytearray(path.read_bytes())
    for place in places:
        content[place : place + 16 * n] = content[place : place + 16] * n
    path.write_bytes(content)
    with pytest.raises(DataError, match="its samples share the same spikes again and again"):
        read_spikes(path, "x")


@pytest.mark.parametrize("kind", ["S4", h5py.string_dtype()])
@pytest.mark.parametrize("names", [None, [b"eve", b"bob"]])
def test_speakers_as_strings(tmp_path, kind, names):
    path = write_good(tmp_path / "a.h5", 4)
    with h5py.File(path, "a") as file:
        file["extra/speaker"] = np.array([b"bob", b"ada", b"", b"bob"], kind)
        if names:
            file["extra/meta_info/speaker_names"] = names
    found = read_spikes(path, "x")
    assert found.speaker_names == (("eve", "bob", "ada") if names else ("ada", "bob"))
    assert found.speakers.tolist() == ([1, 2, -1, 1] if names else [1, 0, -1, 1])


def test_a_whole_number_as_a_float_is_one(tmp_path):
    path = write_good(tmp_path / "a.h5")
    with h5py.File(path, "a") as file:
        file.attrs["n_channels"] = np.array([30.0])
    assert read_spikes(path, "x").n_channels == 30


HOLD = """
import h5py, sys
with h5py.File(sys.argv[1], "a"):
    print("open", flush=True)
    sys.stdin.readline()
"""


def test_a_file_that_is_being_written(tmp_path):
    path = write_good(tmp_path / "a.h5")
    writer = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert writer.stdout.readline() == b"open\n"
    try:
        with pytest.raises(DataError, match=r"is being written by another program; wait"):
            read_spikes(path, "x")
    finally:
        writer.communicate(b"\n")
    assert len(read_spikes(path, "x")) == 3


FULL = """
import resource, sys
from pathlib import Path
sys.path.insert(0, sys.argv[3])
from helpers import small
from shd_genn.spikes.hdf5 import write_spikes
from shd_genn.support.errors import ConfigError
dataset = small.dataset([0, 1] * 2000)
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[2]), -1))
try:
    write_spikes(Path(sys.argv[1]), dataset)
except ConfigError as error:
    print(error)
"""


@pytest.mark.parametrize("limit", [0, 1, 100, 5000, 100_000, 300_000])
def test_a_disk_that_is_full_at_any_byte(tmp_path, limit):
    path = tmp_path / "a.h5"
    tests = str(Path(__file__).resolve().parents[1])
    result = subprocess.run(
        [sys.executable, "-c", FULL, str(path), str(limit), tests], capture_output=True, text=True
    )
    assert f"{path} cannot be written (File too large); raise the limit" in result.stdout
    assert result.stderr == ""
    assert list(tmp_path.iterdir()) == []


def test_the_device_is_full(tmp_path, monkeypatch):
    if not Path("/dev/full").exists():
        pytest.skip("needs /dev/full")
    opening = Path.open
    monkeypatch.setattr(
        Path,
        "open",
        lambda self, *args, **options: opening(
            Path("/dev/full") if args == ("r+b",) else self, *args, **options
        ),
    )
    with pytest.raises(ConfigError, match="No space left on device"):
        write_spikes(tmp_path / "a.h5", small.dataset([0, 1]))


@pytest.mark.parametrize("chunks", [None, (2,)])
@pytest.mark.parametrize("libver", ["earliest", "latest"])
@pytest.mark.parametrize("userblock", [0, 512])
def test_rows_are_found_in_every_layout(tmp_path, chunks, libver, userblock):
    path = tmp_path / "a.h5"
    with h5py.File(path, "w", libver=libver, userblock_size=userblock) as file:
        for key, kind in (("times", "f4"), ("units", "u2")):
            options = {"chunks": chunks, "maxshape": (None,) if chunks else None}
            rows = file.create_dataset(f"spikes/{key}", (5,), h5py.vlen_dtype(kind), **options)
            for i in range(5):
                n = 1000 * i
                rows[i] = np.linspace(0, 1, n) if key == "times" else np.arange(n) % 7
        file["labels"] = np.zeros(5, int)
    assert read_spikes(path, "x").events.counts.tolist() == [0, 1000, 2000, 3000, 4000]


# of a row in a file, or of the heap with its values: where, and which bytes instead
DAMAGE = {
    "a length": (0, 0, (2**31).to_bytes(4, "little")),
    "the address of a heap": (0, 4, (7).to_bytes(8, "little")),
    "an index": (0, 12, (9).to_bytes(4, "little")),
    "a heap's name": (1, 0, b"GCOR"),
    "a heap's size": (1, 8, (2**40).to_bytes(8, "little")),
    "the size of a value": (1, 16 + 8, (2**63).to_bytes(8, "little")),
    "a small size of a value": (1, 16 + 8, (1).to_bytes(8, "little")),
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_rows_that_point_to_nothing(tmp_path, damage):
    """HDF5 2.0 crashes at some of these, and searches for ever at others."""
    path = write_good(tmp_path / "a.h5")
    with h5py.File(path) as file:
        place = file["spikes/times"].id.get_offset()
    content = bytearray(path.read_bytes())
    heap = int.from_bytes(content[place + 4 : place + 12], "little")
    of_heap, offset, instead = DAMAGE[damage]
    begin = (heap if of_heap else place) + offset
    content[begin : begin + len(instead)] = instead
    path.write_bytes(content)
    with pytest.raises(DataError, match=r"row 0 of spikes/times must hold .* they are not in the"):
        read_spikes(path, "x")


def test_a_damaged_kind_of_variable_length(tmp_path):
    """Neither a sequence (0) nor a string (1): HDF5 2.0 ends by SIGSEGV when it reads the rows."""
    path = write_good(tmp_path / "a.h5")
    content = path.read_bytes()
    kind = bytes.fromhex("19000000100000001120")  # a sequence of 16 bytes a row, of floats
    assert content.count(kind) == 1
    path.write_bytes(content.replace(kind, b"\x19\x08" + kind[2:]))
    with pytest.raises(DataError, match="the type of spikes/times is damaged"):
        read_spikes(path, "x")
