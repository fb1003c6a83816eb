"""Notes appear where training cannot go well, with the cure, and nowhere else."""

from dataclasses import replace

import numpy as np
import pytest
from helpers import tiny
from helpers.running import settings

import shd_genn
from shd_genn.present.augment import shift_channels
from shd_genn.present.settings import AugmentConfig
from shd_genn.record.run_folder import RunFolder
from shd_genn.spikes.dataset import SpikeDataset
from shd_genn.spikes.events import Events
from shd_genn.spikes.hdf5 import write_spikes
from shd_genn.support.errors import ConfigError
from shd_genn.train import loop, notes
from shd_genn.train.prepare import prepare


def changed(dataset, **values):
    return type(dataset)(**{**vars(dataset), **values})


def slower(dataset, factor):
    events = dataset.events
    times = (events.times_ms * np.float32(factor)).astype(np.float32)
    return changed(dataset, events=Events(times, events.channels, events.offsets))


def words(dataset, *kept):
    return dataset.subset(np.flatnonzero(np.isin(dataset.labels, kept)))


def run(folder, train, test=None, **train_settings):
    write_spikes(folder / "data" / "train.h5", train)
    if test is not None:
        write_spikes(folder / "data" / "test.h5", test)
    config = settings(folder / "data", **{"epochs": 1} | train_settings)
    return loop.start(replace(config, augment=AugmentConfig(shift_channels=0)), folder / "runs")


def noted(capsys):
    """The notes on stderr."""
    lines = capsys.readouterr().err.splitlines()
    return [line.removeprefix("note: ") for line in lines if line.startswith("note")]


TRAIN, TEST = tiny.dataset(50, 0), tiny.dataset(12, 1)


def test_what_is_usual_is_not_noted(tmp_path, capsys):
    folder = run(tmp_path, TRAIN, TEST, epochs=15)
    assert folder.summary.notes == () and "note" not in capsys.readouterr().err


@pytest.mark.parametrize(
    ("factor", "part", "message"),
    [
        (1e3, 0.99, "divide them by 1000 if they are in ms, by 1e6 if they are in µs"),
        (3, 0.6, "Raise trial_ms to 300"),
    ],
)
def test_spikes_after_the_trial(tmp_path, capsys, factor, part, message):
    folder = run(tmp_path, slower(TRAIN, factor), slower(TEST, factor))
    found = folder.summary.notes
    assert folder.result.spikes_after_trial == pytest.approx(part, abs=0.02)
    assert "of the training spikes come after the trial's end at 120 ms" in found[0]
    assert message in found[0] and "test spikes" in found[1]
    assert noted(capsys) == list(found)  # each once
    evaluation = shd_genn.open_run(folder.path).evaluate(str(tmp_path / "data"))
    assert "of the evaluated spikes come after" in evaluation.notes[0]


def test_microseconds():
    (note,) = notes.after_trial(slower(TRAIN, 1e6), 1000.0, "training")
    assert "100% of the training spikes" in note and "by 1e6 if they are in µs" in note


@pytest.mark.parametrize(
    ("shift", "n_channels", "lost"), [(20, 16, 58), (2, 16, 0), (40, 700, 0), (400, 700, 29)]
)
def test_shifts_that_lose_spikes(shift, n_channels, lost):
    """The part that is lost is that of the augmentation itself."""
    rng = np.random.default_rng(0)
    samples = [(rng.uniform(0, 100, 20), rng.integers(0, n_channels, 20)) for _ in range(9000)]
    labels = np.zeros(len(samples), np.int32)
    data = SpikeDataset("noise", Events.of(samples), labels, labels - 1, n_channels, ("a",))
    found = notes._shift(data, shift)
    if not lost:
        assert found == ()
        return
    kept = shift_channels(data.events, shift, n_channels, rng)
    measured = 1 - len(kept.channels) / len(data.events.channels)
    assert measured == pytest.approx(lost / 100, abs=0.015)
    assert f"moves {lost}% of the training spikes out of the {n_channels} channels" in found[0]
    assert f"use shift_channels = {round(40 * n_channels / 700)} " in found[0]


def test_a_shift_that_loses_spikes_is_never_raised():
    """All spikes lie in one channel, where the papers' shift would lose more than this one."""
    labels = np.zeros(9, np.int32)
    samples = [(np.arange(20.0), np.full(20, 3)) for _ in labels]
    data = SpikeDataset("edge", Events.of(samples), labels, labels - 1, 700, ("a",))
    for shift, better in ((20, 10), (40, 20), (100, 40)):
        assert f"use shift_channels = {better} " in notes._shift(data, shift)[0]


def test_silent_neurons(tmp_path):
    folder = run(tmp_path / "born", TRAIN, TEST, learning_rate=1e-9)
    config = settings(tmp_path / "born" / "data", epochs=2)
    weak = replace(config, model=replace(config.model, w_in_mean=0.0, w_in_sd=1e-6))
    (note,) = loop.start(weak, tmp_path / "runs").summary.notes
    assert note.startswith("no hidden neuron spiked in epoch 1, so that nothing can be learned;")
    assert "raise w_in_mean (0) or w_in_sd (1e-06)" in note
    assert folder.summary.notes == ()


def test_neurons_that_fall_silent(tmp_path):
    folder = run(tmp_path, TRAIN, TEST, epochs=2)
    experiment = prepare(folder.config)
    rows = [row for row in folder.epochs if row.split == "train"]
    lost = [rows[0], replace(rows[1], silent_neurons=20)]
    (note,) = notes.after_epoch(lost, 20, experiment)
    assert note.startswith("no hidden neuron spiked in epoch 2") and "lower learning_rate" in note
    assert notes.after_epoch(lost, 21, experiment) == ()
    assert notes.after_epoch([*lost, lost[1]], 20, experiment) == ()  # noted once


def test_one_word_and_words_without_samples(tmp_path):
    one = changed(words(TRAIN, 0), class_names=("ja",))
    folder = run(tmp_path / "one", one, changed(words(TEST, 0), class_names=("ja",)), batch_size=8)
    assert "have only one word, ja, so that every answer is right" in folder.summary.notes[0]
    folder = run(tmp_path / "two", words(TRAIN, 0, 1), words(TEST, 0, 1))
    assert "no training samples of doch" in folder.summary.notes[0]


def test_accuracy_that_stays_at_chance(tmp_path):
    rng = np.random.default_rng(0)
    noise = changed(TRAIN, labels=rng.permutation(TRAIN.labels))
    epochs = notes.EPOCHS_AT_CHANCE
    stuck = {"learning_rate": 1e-9}
    short = run(tmp_path / "a", noise, TEST, epochs=epochs - 1, **stuck)
    assert short.summary.notes == ()
    folder = run(tmp_path / "b", noise, TEST, epochs=epochs + 2, **stuck)
    (note,) = folder.summary.notes
    assert f"after {epochs} epochs the training accuracy" in note
    assert "try another learning_rate (now 1e-09) or softmax_temperature = 0.1 (now 1)" in note
    # as long as the rate is eased in, nothing need have been learned: 4 batches an epoch
    eased = run(tmp_path / "c", noise, TEST, epochs=epochs + 2, ease_in=0.5, **stuck)
    assert eased.summary.notes == ()


@pytest.fixture
def more_words():
    """A test set with a word that is never trained, which comes first in its list."""
    names = ("also", *tiny.CLASSES)
    labels = (TEST.labels + 1).astype(np.int32)
    labels[[2, 5]] = 0
    return changed(TEST, labels=labels, class_names=names)


def test_words_that_were_never_trained_are_reported_apart(tmp_path, more_words):
    plain = shd_genn.open_run(run(tmp_path / "plain", TRAIN, TEST, epochs=3).path)
    evaluation = plain.evaluate(more_words)
    assert evaluation.untrained == {"also": 2} and len(evaluation.predictions) == 10
    expected = [row for row in plain.evaluate(TEST).predictions if row.sample not in (2, 5)]
    assert evaluation.predictions == expected
    assert "2 samples of also are left out of the evaluation" in evaluation.notes[0]
    with pytest.raises(ConfigError, match=r"must have words that the network was trained on, ja,"):
        plain.evaluate(changed(TEST, class_names=("a", "b", "c")))


def test_the_loop_leaves_words_out_that_were_never_trained(tmp_path):
    folder = run(tmp_path, words(TRAIN, 0, 1), TEST, epochs=3)
    test = folder.result.test
    assert (test.samples, test.untrained_samples) == (8, 4)
    assert {row.word for row in folder.predictions} == {"ja", "nein"}
    assert any("4 samples of doch are left out" in note for note in folder.summary.notes)


MODEL = """
from dataclasses import replace
from shd_genn.support.user_files import project_folder, run
feedforward = run("model", project_folder("models") / "feedforward.py")["build"]


def build(config):
    return feedforward(replace(config, model=replace(config.model, {})))
"""


@pytest.mark.parametrize(
    ("sizes", "message"),
    [
        ("n_classes=7", "the model has 7 outputs for 3 words, so that 4 have no use"),
        ("n_inputs=40", "the model has 40 inputs for 30 channels, so that 10 have no use"),
    ],
)
def test_a_model_with_more_outputs_or_inputs(tmp_path, data, sizes, message):
    (tmp_path / "mine.py").write_text(MODEL.format(sizes))
    config = settings(data, epochs=1)
    config = replace(config, model=replace(config.model, model=str(tmp_path / "mine.py")))
    folder = loop.start(config, tmp_path / "runs")
    assert message in folder.summary.notes[0]
    assert set(RunFolder.open(folder.path).read_arrays("best")) > {"parameter_input_hidden0"}


@pytest.mark.parametrize(
    ("sizes", "message"),
    [
        ("n_classes=2", "the model has 2 outputs, but the dataset has 3 words"),
        ("n_inputs=4", "the model has 4 inputs, but the dataset has 30 channels"),
    ],
)
def test_a_model_with_fewer_is_refused_and_leaves_nothing(tmp_path, data, sizes, message):
    (tmp_path / "mine.py").write_text(MODEL.format(sizes))
    config = settings(data, epochs=1)
    config = replace(config, model=replace(config.model, model=str(tmp_path / "mine.py")))
    with pytest.raises(ConfigError, match=message):
        loop.start(config, tmp_path / "runs")
    assert not (tmp_path / "runs").exists()
