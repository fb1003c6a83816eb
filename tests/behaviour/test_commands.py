"""`python -m shd_genn.evaluate`, `.listen` and `.bench`, on a small trained network."""

import csv
import shutil
from dataclasses import replace

import numpy as np
import pytest
import soundfile
from helpers import tiny
from helpers.calling import call as run
from helpers.running import rows
from PIL import Image

from shd_genn.config import Config
from shd_genn.datasets.settings import DataConfig, SpeakerValidation
from shd_genn.learning.settings import TrainConfig
from shd_genn.network.settings import ModelConfig
from shd_genn.present.settings import PresentConfig
from shd_genn.record.run_folder import RunFolder
from shd_genn.spikes.hdf5 import write_spikes
from shd_genn.support.errors import ConfigError
from shd_genn.train import crossval, loop
from shd_genn.train.ensemble import evaluate_together
from shd_genn.train.inference import evaluate_run, listen_to


@pytest.fixture(scope="module")
def trained(data, tmp_path_factory):
    config = Config(
        data=DataConfig(dataset=str(data), trial_ms=120.0),
        model=ModelConfig(hidden_sizes=(20,), w_in_mean=0.2, w_in_sd=0.1),
        train=TrainConfig(epochs=5, batch_size=16, learning_rate=0.01),
    )
    return loop.start(config, tmp_path_factory.mktemp("runs"))


def test_evaluate_repeats_the_runs_own_numbers(trained, data, tmp_path):
    table = tmp_path / "said.csv"
    result = run("evaluate", trained.path, "--dataset", data, "-o", table)
    assert result.returncode == 0, result.stderr
    accuracy = trained.result.test.accuracy
    assert f"accuracy {accuracy:.2%} of 12 samples" in " ".join(result.stdout.split())
    assert "cleo" in result.stdout and "nein" in result.stdout
    with table.open(newline="") as file:
        assert list(csv.DictReader(file)) == rows(trained.path, "predictions")


def test_evaluate_takes_the_runs_own_dataset(trained, data, tmp_path):
    result = run("evaluate", trained.path)
    assert result.returncode == 0, result.stderr
    printed = " ".join(result.stdout.split())
    accuracy = trained.result.test.accuracy
    assert f"on {data} (test): accuracy {accuracy:.2%} of 12" in printed
    other = RunFolder(tmp_path / "other")
    shutil.copytree(trained.path, other.path)
    settings = replace(trained.config.data, dataset="elsewhere")
    other.write_config(replace(trained.config, data=settings))
    result = run("evaluate", trained.path, other.path)
    assert result.returncode == 2
    assert "these are of" in result.stderr and "name the dataset with --dataset" in result.stderr


def test_several_runs_are_listed_beside_their_ensemble(trained, data, tmp_path):
    config = replace(trained.config, train=replace(trained.config.train, epochs=1, seed=1))
    other = loop.start(config, tmp_path / "runs")
    table = tmp_path / "answers.csv"
    result = run("evaluate", trained.path, other.path, "--dataset", data, "-o", table)
    assert result.returncode == 0, result.stderr
    one, two = (100 * folder.result.test.accuracy for folder in (trained, other))
    printed = " ".join(result.stdout.split())
    for number in (f"{one:.2f}% ", f"{two:.2f}% ", f"{(one + two) / 2:.2f}% ± "):
        assert number in printed
    both = [evaluate_run(folder, str(data)) for folder in (trained, other)]
    p = (both[0].probabilities + both[1].probabilities) / 2
    with table.open(newline="") as file:
        answers = list(csv.DictReader(file))
    assert [int(row["predicted"]) for row in answers] == p.argmax(axis=1).tolist()
    losses = [-np.log(p[i, int(row["label"])]) for i, row in enumerate(answers)]
    np.testing.assert_allclose([float(row["loss"]) for row in answers], losses, rtol=1e-5)
    right = np.mean([row["correct"] == "True" for row in answers])
    assert f"(test): accuracy {right:.2%}" in printed


def test_what_is_no_trained_run_is_left_out_of_several(trained, data, tmp_path):
    """A folder of runs holds studies, runs without a whole epoch, and files, too."""
    run_copy = tmp_path / "a_run"
    shutil.copytree(trained.path, run_copy)
    (tmp_path / "study").mkdir()
    (tmp_path / "study" / "study.db").touch()
    (tmp_path / "table.csv").touch()
    RunFolder(tmp_path / "killed").begin(trained.config)
    result = run("evaluate", *sorted(tmp_path.iterdir()), "--dataset", data)
    assert result.returncode == 0, result.stderr
    assert f"accuracy {trained.result.test.accuracy:.2%} of 12" in " ".join(result.stdout.split())
    for name, why in (
        ("study", "it is not the folder of a run"),
        ("table.csv", "it is not the folder of a run"),
        ("killed", "no epoch of it is complete"),
    ):
        assert f"note: {tmp_path / name} is left out, because {why}\n" in result.stderr
    result = run("evaluate", tmp_path / "study", tmp_path / "killed")
    assert result.returncode == 2 and "none of 2 paths is a run with a network: " in result.stderr
    result = run("evaluate", trained.path, tmp_path / "missing")
    assert result.returncode == 2 and f"there is no folder {tmp_path / 'missing'}" in result.stderr


def test_runs_of_other_words_make_no_ensemble(trained, tmp_path):
    dataset = tiny.dataset(32, 0)
    other = replace(dataset, class_names=("yes", "no", "still"))
    write_spikes(tmp_path / "train.h5", other)
    write_spikes(tmp_path / "test.h5", other)
    data = DataConfig(dataset=str(tmp_path), trial_ms=120.0)
    config = replace(trained.config, data=data, train=replace(trained.config.train, epochs=1))
    folder = loop.start(replace(config, model=replace(config.model, n_classes=None)), tmp_path)
    with pytest.raises(ConfigError, match="same words in all runs, but"):
        evaluate_together([trained, folder], str(tmp_path))


def test_evaluate_refuses_other_words(trained, tmp_path):
    dataset = tiny.dataset(6, 0)
    other = type(dataset)(**{**vars(dataset), "class_names": ("yes", "no", "still")})
    write_spikes(tmp_path / "test.h5", other)
    result = run("evaluate", trained.path, "--dataset", tmp_path)
    assert result.returncode == 2
    assert (
        "must have words that the network was trained on, ja, nein, doch, but has yes, no, still"
        in result.stderr
    )


def test_evaluate_names_splits_and_folders_that_are_not_there(trained, data, tmp_path):
    result = run("evaluate", trained.path, "--dataset", data, "--split", "valid")
    assert result.returncode == 2 and "must be one of train, test" in result.stderr
    result = run("evaluate", tmp_path, "--dataset", data)
    assert result.returncode == 2 and "must be the folder of a run" in result.stderr


def test_listen_needs_the_cochleas_channels(trained, tmp_path):
    sound = tmp_path / "a.wav"
    soundfile.write(sound, np.sin(np.arange(9600) / 10), 48_000)
    result = run("listen", trained.path, sound)
    assert result.returncode == 2
    assert "must have the cochlea's 700 channels, but has 30" in result.stderr


@pytest.fixture(scope="module")
def hearing(tmp_path_factory):
    """A network for the cochlea's channels and a delay line, trained for one epoch."""
    folder = tmp_path_factory.mktemp("wide") / "wide"
    dataset = tiny.dataset(20, 0)
    write_spikes(folder / "train.h5", type(dataset)(**{**vars(dataset), "n_channels": 700}))
    config = Config(
        data=DataConfig(dataset=str(folder), trial_ms=400.0),
        present=PresentConfig(delay_copies=2),
        model=ModelConfig(hidden_sizes=(30,)),
        train=TrainConfig(epochs=1, batch_size=9),
    )
    return loop.start(config, tmp_path_factory.mktemp("runs"))


def test_a_dataset_without_test_file_trains_all_the_same(hearing):
    assert hearing.summary.complete and hearing.result.test is None
    assert "has no test.h5" in hearing.summary.notes[0]


def test_listen_says_a_word_and_draws_it(hearing, tmp_path):
    sound, picture = tmp_path / "a.wav", tmp_path / "raster.png"
    rng = np.random.default_rng(0)
    soundfile.write(sound, 0.1 * rng.normal(size=8000), 16_000)
    result = run("listen", hearing.path, sound, "-o", picture)
    assert result.returncode == 0, result.stderr
    said = [line.split() for line in result.stdout.splitlines()]
    assert {word for word, _ in said} == set(tiny.CLASSES)
    chances = [float(chance.rstrip("%")) for _, chance in said]
    assert chances == sorted(chances, reverse=True) and abs(sum(chances) - 100) < 0.3
    with Image.open(picture) as image:
        pixels = np.asarray(image.convert("L"))
    assert min(pixels.shape) > 500 and (pixels < 128).mean() > 0.001


def test_listen_to_many_sounds(hearing, tmp_path):
    """Files and folders of them: a line each, in order, and a table; the answers of each alone."""
    rng = np.random.default_rng(1)
    (tmp_path / "more").mkdir()
    sounds = [tmp_path / "b.wav", tmp_path / "more" / "a.wav", tmp_path / "more" / "c.flac"]
    for sound in sounds:
        soundfile.write(sound, 0.1 * rng.normal(size=4000), 16_000)
    (tmp_path / "more" / "list.txt").write_text("no sound")
    (tmp_path / "more" / "._a.wav").write_text("of another system")
    table = tmp_path / "answers.csv"
    result = run("listen", hearing.path, sounds[0], tmp_path / "more", "-o", table)
    assert result.returncode == 0, result.stderr
    lines = [line.split() for line in result.stdout.splitlines()]
    assert [name for _, _, name in lines] == list(map(str, sounds))
    rows = [line.split(",") for line in table.read_text().splitlines()]
    assert rows[0] == ["file", "word", "probability"] and len(rows) == 4
    answers = [listen_to(hearing, sound) for sound in sounds]
    assert [(word, float(p)) for _, word, p in rows[1:]] == [a.ranking(1)[0] for a in answers]
    result = run("listen", hearing.path, tmp_path / "more", "-o", tmp_path / "a.png")
    assert result.returncode == 2 and "output must end in .csv" in result.stderr
    (tmp_path / "more" / "bad.wav").write_text("no sound")
    result = run("listen", hearing.path, tmp_path / "more")
    assert result.returncode == 2 and "bad.wav must be a sound file" in result.stderr
    assert not result.stdout  # before the first one is answered


def test_listen_refuses_what_it_cannot_use(hearing, tmp_path):
    text = tmp_path / "text.wav"
    text.write_text("no sound")
    result = run("listen", hearing.path, text)
    assert result.returncode == 2 and "must be a sound file" in result.stderr
    sound = tmp_path / "a.wav"
    soundfile.write(sound, np.sin(np.arange(9600) / 10), 48_000)
    result = run("listen", hearing.path, sound, "-o", tmp_path / "a.xyz")
    assert result.returncode == 2 and "must end in .pdf, .svg, .png" in result.stderr


def test_bench_measures_and_writes_a_table(tmp_path):
    table = tmp_path / "bench.csv"
    arguments = ["--hidden-sizes", 64, "--topologies", "recurrent", "--threads", 1]
    result = run("bench", "speed", *arguments, "--repetitions", 1, "-o", table)
    assert result.returncode == 0, result.stderr
    with table.open(newline="") as file:
        (row,) = csv.DictReader(file)
    assert row["hidden"] == "64" and 8 < float(row["spikes_per_neuron"]) < 10
    for column in ("train_ms", "inference_ms", "bandwidth_gb_s", "limit_gb_s"):
        assert float(row[column]) > 0
    assert row["backend"] == "native" and row["device"] == "CPU" and row["batch"] == "32"
    assert "ms/sample" in result.stdout  # no column is cut off, however narrow the terminal
    assert float(row["shd_epoch_s"]) == pytest.approx(8.156 * float(row["train_ms"]))


def test_listen_says_what_it_does_not_hear(hearing, tmp_path):
    """Of a recording of 0.5 s a trial of 0.4 s hears the begin."""
    sound = tmp_path / "long.wav"
    soundfile.write(sound, 0.1 * np.random.default_rng(0).normal(size=8000), 16_000)
    result = run("listen", hearing.path, sound)
    assert result.returncode == 0, result.stderr
    assert "the recording lasts 0.50 s, but the network hears only its first 0.40 s" in (
        result.stderr
    )


def test_a_cross_validation_is_not_evaluated_as_a_whole(data, tmp_path):
    validation = SpeakerValidation()
    config = Config(
        data=DataConfig(dataset=str(data), trial_ms=120.0, validation=validation, test=False),
        model=ModelConfig(hidden_sizes=(5,)),
        train=TrainConfig(epochs=1, batch_size=16),
    )
    folder = crossval.start(config, tmp_path)
    result = run("evaluate", folder.path, "--dataset", data)
    assert result.returncode == 2 and "is a cross-validation, which has a network" in result.stderr
    fold = folder.path / "fold-00_anna"
    assert f"give one of them, e.g. {fold}" in result.stderr
    assert run("evaluate", fold, "--dataset", data).returncode == 0
