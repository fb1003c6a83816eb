"""What reads files: settings, tables, run folders, checkpoints, datasets, sounds and studies."""

import io
import os
import sqlite3
from pathlib import Path

import numpy as np
import optuna

from analysis.tools.studies import read_study
from helpers import fakes, small
from shd_genn.config import Config
from shd_genn.config.toml import from_toml, load_toml, to_toml
from shd_genn.encode.audio import check_audio, read_audio
from shd_genn.encode.recordings import find_recordings
from shd_genn.record import checkpoints
from shd_genn.record.rows import EpochRow, read_rows, write_rows
from shd_genn.record.run_folder import RunFolder
from shd_genn.record.summary import read_summary, write_summary
from shd_genn.spikes.hdf5 import read_spikes, write_spikes
from shd_genn.sweep.storage import opened, patiently


class Payload:
    """What unpickling would execute."""

    def __reduce__(self):
        return os.abort, ()


def _file(path: Path, content: bytes) -> Path:
    path.write_bytes(content)
    return path


def configs(folder: Path) -> list[bytes]:
    from shd_genn.config.presets import PRESETS

    return [to_toml(Config()).encode(), *(to_toml(p.config).encode() for p in PRESETS.values())]


def read_config(content: bytes, path: Path) -> None:
    config = load_toml(_file(path, content))
    assert from_toml(to_toml(config)) == config


def manifests(folder: Path) -> list[bytes]:
    return [
        b"file,word,speaker\nx.wav,yes,anna\nx.wav,no,\n",
        b"\xef\xbb\xbffile;word\r\nx.wav;ja\r\n",
        b'"file"\t"word"\n"x.wav"\t"a\nb"\n',
    ]


def read_manifest(content: bytes, path: Path) -> None:
    found = find_recordings(_file(path.with_suffix(".csv"), content))
    assert found.recordings or found.bad
    assert all(recording.word for recording in found.recordings)


def tables(folder: Path) -> list[bytes]:
    runs = fakes.write(folder)
    return [(runs / "metrics.csv").read_bytes(), (runs / "predictions.csv").read_bytes()]


def read_table(content: bytes, path: Path) -> None:
    rows = read_rows(_file(path, content), EpochRow)
    write_rows(path, rows)
    assert str(read_rows(path, EpochRow)) == str(rows)  # NaN is not itself


def summaries(folder: Path) -> list[bytes]:
    runs = fakes.write(folder)
    return [(runs / name).read_bytes() for name in ("summary.json", "environment.json")]


def read_one_summary(content: bytes, path: Path) -> None:
    summary = read_summary(_file(path, content))
    assert summary is not None
    write_summary(path, summary)
    assert str(read_summary(path)) == str(summary)


def read_environment(content: bytes, path: Path) -> None:
    folder = RunFolder(path.parent)
    _file(path.parent / "environment.json", content)
    assert folder.environment.dataset


class _Net:
    """As much of a learner as a checkpoint needs."""

    def __init__(self) -> None:
        self.weights = {"a_b": np.zeros((3, 4), np.float32), "b.tau_mem": np.ones(4, np.float32)}
        self.state = {"step": np.array(3), "m_a_b": np.zeros((3, 4), np.float32)}

    def parameters(self):
        return self.weights

    def optimiser_state(self):
        return self.state

    def set_parameters(self, parameters):
        assert {k: a.shape for k, a in parameters.items()} == {
            k: a.shape for k, a in self.weights.items()
        }
        assert all(np.isfinite(a).all() for a in parameters.values())

    def set_optimiser_state(self, state):
        assert int(state["step"]) == state["step"]


def checkpoint_files(folder: Path) -> list[bytes]:
    checkpoints.save(folder / "a.npz", _Net(), 3, "0123456789abcdef")
    compressed, objects = io.BytesIO(), io.BytesIO()
    np.savez_compressed(compressed, epoch=np.array(3), a=np.zeros(1000))
    np.savez(objects, epoch=np.array([Payload()], object), metrics_digest=np.array("x"))
    return [(folder / "a.npz").read_bytes(), compressed.getvalue(), objects.getvalue()]


def read_checkpoint(content: bytes, path: Path) -> None:
    assert checkpoints.restore(_file(path.with_suffix(".npz"), content), _Net()).epoch >= 1


def datasets(folder: Path) -> list[bytes]:
    write_spikes(folder / "a.h5", small.dataset([0, 1, 0], [0, 1, 0], speaker_names=("a", "b")))
    small.raw(folder / "b.h5", [[0.0, 0.5]] * 2, [[1, 2]] * 2, [0, 1], n_channels=8)
    return [(folder / name).read_bytes() for name in ("a.h5", "b.h5")]


def read_dataset(content: bytes, path: Path) -> None:
    dataset = read_spikes(_file(path.with_suffix(".h5"), content), "x")
    events, n = dataset.events, len(dataset)
    assert n == len(events) == len(dataset.labels) == len(dataset.speakers) > 0
    assert events.channels.max(initial=0) < dataset.n_channels
    assert np.isfinite(events.times_ms).all() and events.times_ms.min(initial=0) >= 0
    falls = np.flatnonzero(np.diff(events.times_ms) < 0) + 1
    assert np.isin(falls, events.offsets).all()
    assert 0 <= dataset.labels.min() and dataset.labels.max() < dataset.n_classes


def sounds(folder: Path) -> list[bytes]:
    import soundfile

    tone = 0.1 * np.sin(np.arange(800) / 5)
    kinds = [("WAV", "PCM_16"), ("WAV", "FLOAT"), ("FLAC", "PCM_16"), ("OGG", "VORBIS")]
    kinds += [("AIFF", "PCM_24"), ("AU", "ULAW"), ("W64", "PCM_16"), ("CAF", "ALAW")]
    sounds = []
    for kind, coding in kinds:
        buffer = io.BytesIO()
        soundfile.write(buffer, tone, 16000, coding, format=kind)
        sounds.append(buffer.getvalue())
    return sounds


def read_sound(content: bytes, path: Path) -> None:
    check_audio(_file(path.with_suffix(".wav"), content), 0.001, 10.0, cut=True)
    sound = read_audio(path.with_suffix(".wav"), 16000, 10.0)
    assert sound.ndim == 1 and np.isfinite(sound).all() and len(sound) <= 16000 * 10 + 1


def studies(folder: Path) -> list[bytes]:
    storage = optuna.storages.RDBStorage(f"sqlite:///{folder / 'study.db'}")
    study = optuna.create_study(study_name="study", storage=storage)
    study.optimize(lambda trial: trial.suggest_float("x", 0, 1), n_trials=2)
    storage.remove_session()
    storage.engine.dispose()
    with sqlite3.connect(folder / "study.db") as connection:
        connection.execute("VACUUM")
    connection.close()
    return [(folder / "study.db").read_bytes()]


def read_one_study(content: bytes, path: Path) -> None:
    """As a figure reads it, then as a sweep that goes on with it."""
    path = path.with_suffix(".db")
    for beside in path.parent.glob(f"{path.name}*"):
        beside.unlink()
    for study in read_study(_file(path, content)):
        assert study.objectives
    with opened(path, 20) as storage:
        for summary in patiently(storage.get_all_studies, 0.0):
            study = optuna.load_study(study_name=summary.study_name, storage=storage)
            patiently(lambda study=study: study.get_trials(deepcopy=False), 0.0)
