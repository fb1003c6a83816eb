"""The convolutional network sees the spikes in bins, learns from others' voices, and repeats."""

import numpy as np
import pytest
from helpers import tiny

pytest.importorskip("torch", reason="torch is not installed (the extra convolution)")

from analysis import convolution
from shd_genn.spikes.events import Events
from shd_genn.support.errors import ConfigError

SMALL = {"trial_ms": 100.0, "bin_ms": 10.0, "bin_channels": 2, "widths": (8,), "dropout": 0.0}
SMALL |= {"shift_channels": 1.0, "epochs": 12, "batch_size": 8, "average_decay": 0.5}


@pytest.fixture(scope="module")
def options(tmp_path_factory):
    return convolution.Options(str(tiny.write(tmp_path_factory.mktemp("tiny"))), **SMALL)


def test_bins_count_the_spikes_of_a_trial():
    events = Events.of([([1.0, 9.0, 99.0, 150.0], [0, 1, 6, 0]), ([], []), ([20.0], [2])])
    counts = np.expm1(convolution.binned(events, 7, convolution.Options("unused", **SMALL)).numpy())
    expected = np.zeros((3, 1, 4, 10))
    expected[0, 0, 0, 0], expected[0, 0, 3, 9], expected[2, 0, 1, 2] = 2, 1, 1
    np.testing.assert_allclose(counts, expected, atol=1e-6)


def test_it_learns_the_words_and_repeats(options, capsys):
    train, tested = convolution.divided(options)
    answers = convolution.learn(train, tested, options)
    assert (answers.argmax(1) == tested.labels).mean() > 0.9
    np.testing.assert_array_equal(answers, convolution.learn(train, tested, options))
    assert "left-out" not in capsys.readouterr().out


def test_the_test_set_is_not_read_while_speakers_are_left_out(
    options, tmp_path, monkeypatch, capsys
):
    tiny.write(tmp_path)
    (tmp_path / "test.h5").write_text("never read")
    given = f"{tmp_path} --validation-speaker anna --epochs 5 --batch-size 8 --widths 4"
    monkeypatch.setattr("sys.argv", ["convolution.py", *given.split(), "-o", f"{tmp_path}/a.npz"])
    convolution.main()
    printed = capsys.readouterr().out
    assert "left-out speakers" in printed and "anna: " in printed and "ben: " not in printed
    with np.load(tmp_path / "a.npz") as saved:
        assert saved["probabilities"].shape == (len(saved["labels"]), len(tiny.CLASSES))


def test_masks_and_delays_move_and_silence_spikes_only(options):
    train, _ = convolution.divided(options)
    changed = convolution.Options("unused", **SMALL | {"mask": 0.5, "shift_ms": 30.0})
    plain, other = (
        next(convolution.augmented_batches(train, given, 1)) for given in (options, changed)
    )
    assert plain[1].tolist() == other[1].tolist()
    assert other[0].expm1().sum() < 0.9 * plain[0].expm1().sum()


def test_an_unknown_speaker_is_refused(options):
    given = convolution.Options(options.dataset, validation_speaker="nobody")
    with pytest.raises(ConfigError, match="choose one of anna, ben"):
        convolution.divided(given)
