"""Fetching SHD and SSC: with a stand-in for tonic, and with tonic from a server of our own."""

import hashlib
import sys
import threading
import zipfile
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from types import SimpleNamespace

import numpy as np
import pytest
from helpers import small

from shd_genn.datasets import __main__, official
from shd_genn.spikes.hdf5 import read_spikes, write_spikes
from shd_genn.support.errors import DataError

TRAIN, TEST = small.dataset([0, 1] * 4, [1] * 8), small.dataset([1, 0, 1], [4, 4, 5], seed=1)


@pytest.fixture(autouse=True)
def little(monkeypatch):
    """Published datasets, had they a few samples only."""
    shd, ssc = official.DATASETS["shd"], official.DATASETS["ssc"]
    monkeypatch.setitem(
        official.DATASETS, "shd", official.Official("SHD", shd.files, {"train": 8, "test": 3})
    )
    samples = {"train": 8, "valid": 3, "test": 3}
    monkeypatch.setitem(official.DATASETS, "ssc", official.Official("SSC", ssc.files, samples))


class Tonic:
    """Does what tonic.datasets does, and counts it."""

    def __init__(self):
        self.fetched, self.before = [], lambda path: None
        self.SHD = lambda save_to, train: self.fetch(
            f"{save_to}/SHD", "shd", "train" if train else "test"
        )
        self.SSC = lambda save_to, split: self.fetch(f"{save_to}/SSC", "ssc", split)

    def fetch(self, folder, name, split):
        path = official.Path(folder) / f"{name}_{split}.h5"
        path.parent.mkdir(exist_ok=True)
        assert not path.exists(), "tonic takes a file that is there for the dataset"
        self.before(path)
        write_spikes(path, TRAIN if split == "train" else TEST)
        self.fetched.append(path.name)


@pytest.fixture
def tonic(monkeypatch):
    tonic = Tonic()
    monkeypatch.setitem(sys.modules, "tonic", SimpleNamespace(datasets=tonic))
    monkeypatch.setitem(sys.modules, "tonic.datasets", tonic)
    return tonic


def names(folder):
    return sorted(path.name for path in folder.iterdir())


WHOLE = ["shd_test.h5", "shd_test.sha256", "shd_train.h5", "shd_train.sha256"]


def test_fetched_once(tmp_path, tonic, capsys):
    assert official.fetch("shd", str(tmp_path / "new")) == tmp_path / "new"
    assert tonic.fetched == ["shd_train.h5", "shd_test.h5"]
    assert names(tmp_path / "new") == WHOLE
    official.fetch("shd", str(tmp_path / "new"))
    assert len(tonic.fetched) == 2
    assert "shd_test.h5: complete" in capsys.readouterr().out
    files = official.find("shd", str(tmp_path / "new"))
    assert len(read_spikes(files["test"], "shd")) == 3


def test_ssc_has_three_files(tmp_path, tonic):
    official.fetch("ssc", str(tmp_path))
    assert tonic.fetched == ["ssc_train.h5", "ssc_valid.h5", "ssc_test.h5"]


def test_a_file_that_has_changed_is_fetched_again(tmp_path, tonic):
    official.fetch("shd", str(tmp_path))
    content = bytearray((tmp_path / "shd_test.h5").read_bytes())
    content[-1] ^= 1
    (tmp_path / "shd_test.h5").write_bytes(content)
    official.fetch("shd", str(tmp_path))
    assert tonic.fetched == ["shd_train.h5", "shd_test.h5", "shd_test.h5"]


def test_the_users_own_copy_is_kept_if_it_is_whole(tmp_path, tonic):
    small.write(tmp_path / "SHD", shd_train=TRAIN)
    (tmp_path / "SHD" / "shd_test.h5").write_bytes(b"half")
    official.fetch("shd", str(tmp_path))
    assert tonic.fetched == ["shd_test.h5"]


def test_what_goes_wrong_is_said_and_replaces_nothing(tmp_path, tonic):
    (tmp_path / "shd_train.h5").write_bytes(b"half")

    def fail(_path):
        raise RuntimeError("File not found or corrupted.")

    tonic.before = fail
    message = (
        r"download of shd failed \(RuntimeError: File not found or corrupted.\); try again, or"
    )
    with pytest.raises(DataError, match=message):
        official.fetch("shd", str(tmp_path))
    assert (tmp_path / "shd_train.h5").read_bytes() == b"half"


def test_a_fetch_goes_on_after_an_interruption(tmp_path, tonic):
    def stop_at_test(path):
        if "test" in path.name:
            path.write_bytes(b"half unpacked")
            raise KeyboardInterrupt

    tonic.before = stop_at_test
    with pytest.raises(KeyboardInterrupt):
        official.fetch("shd", str(tmp_path))
    assert "shd_test.h5" not in names(tmp_path)
    tonic.before = lambda path: None
    official.fetch("shd", str(tmp_path))
    assert tonic.fetched == ["shd_train.h5", "shd_test.h5"]
    assert names(tmp_path) == WHOLE


def test_tonic_is_not_installed(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "tonic", None)
    with pytest.raises(DataError, match=r"needs tonic, .* pip install 'shd_genn\[shd\]'"):
        official.fetch("shd", str(tmp_path))
    assert names(tmp_path) == []


def test_the_command(tmp_path, tonic, monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["datasets", "shd", "--data-dir", str(tmp_path)])
    __main__.main()
    assert f"{tmp_path}; train on it with" in capsys.readouterr().out
    assert names(tmp_path) == WHOLE


class Handler(SimpleHTTPRequestHandler):
    def log_message(self, *_arguments):
        pass

    def do_GET(self):
        self.server.asked.append(self.path)
        super().do_GET()


@pytest.fixture
def server(tmp_path, monkeypatch):
    """A server of archives that tonic takes for the published ones."""
    pytest.importorskip("tonic", reason="tonic (the extra shd) is not installed")
    import tonic.datasets

    archives = tmp_path / "archives"
    archives.mkdir()
    for split, part in (("train", TRAIN), ("test", TEST)):
        file = f"shd_{split}.h5"
        write_spikes(tmp_path / file, part)
        with zipfile.ZipFile(archives / f"{file}.zip", "w") as archive:
            archive.write(tmp_path / file, file)
        digest = hashlib.md5((archives / f"{file}.zip").read_bytes()).hexdigest()
        monkeypatch.setattr(tonic.datasets.SHD, f"{split}_md5", digest)
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Handler, directory=str(archives)))
    server.asked = []
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    url = f"http://127.0.0.1:{server.server_port}/"
    monkeypatch.setattr(tonic.datasets.SHD, "base_url", url)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.mark.filterwarnings("ignore::ResourceWarning")  # tonic leaves its HDF5 files open
def test_with_tonic_itself(tmp_path, server):
    folder = tmp_path / "data"
    half = folder / ".fetching-shd_test" / "SHD" / "shd_test.h5.zip"
    half.parent.mkdir(parents=True)
    half.write_bytes((tmp_path / "archives" / "shd_test.h5.zip").read_bytes()[:100])
    official.fetch("shd", str(folder))
    assert names(folder) == WHOLE
    files = official.find("shd", str(folder))
    test = read_spikes(files["test"], "shd")
    np.testing.assert_array_equal(test.events.channels, TEST.events.channels)
    n_asked = len(server.asked)
    official.fetch("shd", str(folder))
    assert len(server.asked) == n_asked


@pytest.mark.filterwarnings("ignore::ResourceWarning")
def test_tonic_finds_what_does_not_match_its_checksum(tmp_path, server, monkeypatch):
    import tonic.datasets

    monkeypatch.setattr(tonic.datasets.SHD, "train_md5", "0" * 32)
    with pytest.raises(
        DataError, match="the download of shd failed \\(RuntimeError: File not found or co"
    ):
        official.fetch("shd", str(tmp_path / "data"))
    assert not (tmp_path / "data" / "shd_train.h5").exists()
