"""Spike rasters, one trial right and one wrong.

Spikes of input and hidden neurons, and output voltages. The run with the best validation accuracy
is shown. By default the trials are the first that it got right and the first that it got wrong; the
dataset must still be where the run found it.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from analysis.tools import script, style
from analysis.tools.configurations import best, datasets
from analysis.tools.load import Results
from shd_genn.backends.protocols import Recording
from shd_genn.datasets.load import load_dataset
from shd_genn.record.environment import digest
from shd_genn.record.run_folder import RunFolder
from shd_genn.support.errors import ConfigError, DataError
from shd_genn.train.compile import compile_network

EACH = "dataset"


@dataclass(frozen=True)
class Options(script.Options):
    """Which runs to read, which part of them to draw, and the file to write."""

    dataset: str | None = None
    """Which dataset's run; the first if not given."""
    samples: tuple[int, ...] = ()
    """Test samples to show, as numbered in predictions.csv."""
    trust_model: bool = False
    """Execute a run's model.py although it was not used on this machine before; read it first."""


@dataclass(frozen=True)
class Trial:
    """A test trial.

    Attributes:
        title: The word that was spoken, and the word that the network chose.
        recording: Spikes and voltages.
        spoken: Class of the word.
        predicted: Class that the network chose.
    """

    title: str
    recording: Recording
    spoken: int
    predicted: int


@dataclass(frozen=True)
class Numbers:
    """What the figure shows.

    Attributes:
        network: The configuration.
        run: The run.
        trials: One or more.
        words: All words.
        dt_ms: Length of a step.
    """

    network: str
    run: str
    trials: tuple[Trial, ...]
    words: tuple[str, ...]
    dt_ms: float


def load(results: Results, options: Options) -> Numbers:
    """Run the network on the chosen trials.

    Raises:
        DataError: if the dataset is not there any more, or has changed.
        ConfigError: if a sample is not in the test set.
    """
    dataset = options.dataset or datasets(results.tested())[0]
    runs = best(results, dataset)
    run = runs.sort_values("best_accuracy").iloc[-1]
    predictions = results.predictions(runs[runs["run"] == run["run"]]).set_index("sample")
    chosen = options.samples or _right_and_wrong(predictions["correct"])
    folder = RunFolder.open(Path(run["path"]))
    config = folder.config
    splits = load_dataset(config.data, config.train.seed)
    test = splits.presented_by(config.presentation(splits.train.n_channels)).test
    if test is None or digest(test) != run["test_digest"]:
        raise DataError(
            f"the test set of {run['run']} must be the one that it was tested on, but "
            f"{config.data.dataset} has changed; restore it"
        )
    for sample in chosen:
        if not 0 <= sample < len(test):
            raise ConfigError(
                f"0 <= sample < {len(test)} must hold, but got {sample}; see predictions.csv"
            )
    trials = []
    with compile_network(config, folder.model_file(results.trust_model)) as compiled:
        folder.load_checkpoint("best", compiled)
        for sample in chosen:
            recording = compiled.record(test.presented(np.array([sample])))
            if config.present.delay_copies:  # copies of the input would only hide it
                inputs = {"input": test.events.take(np.array([sample]))}
                recording = replace(recording, spikes=recording.spikes | inputs)
            row = predictions.loc[[sample]].iloc[0]
            heard = "right" if row["correct"] else f"wrong, “{row['predicted_word']}”"
            title = f"“{row['word']}” (sample {sample}): {heard}"
            trials.append(Trial(title, recording, int(row["label"]), int(row["predicted"])))
    words = test.class_names
    return Numbers(run["configuration"], run["run"], tuple(trials), words, config.dt_ms)


def _right_and_wrong(correct: object) -> tuple[int, ...]:
    """The first sample that is right, and the first that is wrong, where there are such."""
    found = []
    for kind in (True, False):
        same = correct.index[correct == kind]  # type: ignore[attr-defined]
        found += [int(same[0])] if len(same) else []
    return tuple(found)


def plot(numbers: Numbers) -> Figure:
    """A column for each trial: a panel for each population, and the output voltages."""
    populations = list(numbers.trials[0].recording.spikes)
    heights = [1.5] * len(populations) + [1.2]
    figure = style.figure(sum(heights) + 0.9)
    axes = figure.subplots(
        len(heights),
        len(numbers.trials),
        squeeze=False,
        sharex=True,
        sharey="row",
        height_ratios=heights,
    )
    for column, trial in zip(axes.T, numbers.trials, strict=True):
        for ax, events in zip(column[:-1], trial.recording.spikes.values(), strict=True):
            ax.plot(
                *(events.times_ms, events.channels, "."),
                ms=np.clip(60 / np.sqrt(len(events.channels) + 1), 0.7, 3.0),  # few can be seen
                mew=0,
                color="0.1",
                rasterized=True,
            )
            ax.margins(y=0.02)
            ax.grid(False)
        column[0].set_title(trial.title)
        _plot_voltages(column[-1], trial, numbers)
        column[-1].set_xlabel("time (ms)")
        column[-1].set_xlim(0, len(trial.recording.voltages[0]) * numbers.dt_ms)
    for ax, name in zip(axes[:, 0], populations, strict=False):
        ax.set_ylabel("input channel" if name == "input" else f"{name} neuron")
    axes[0, 0].invert_yaxis()  # low channels are high tones: on top, as in a spectrogram
    axes[-1, 0].set_ylabel("output voltage\n(thresholds)")
    style.note(
        figure,
        f"{numbers.network} ({numbers.run})",
        "blue: the word spoken, orange: the word understood instead, grey: other words",
    )
    return figure


def _plot_voltages(ax: Axes, trial: Trial, numbers: Numbers) -> None:
    voltages = trial.recording.voltages[0]
    times = np.arange(1, len(voltages) + 1) * numbers.dt_ms
    ax.plot(times, voltages, color="0.75", lw=0.5)
    if trial.predicted != trial.spoken:
        name = numbers.words[trial.predicted]
        ax.plot(times, voltages[:, trial.predicted], color=style.COLOURS[1], label=name)
    name = numbers.words[trial.spoken]
    ax.plot(times, voltages[:, trial.spoken], color=style.COLOURS[0], label=name)
    ax.legend(loc="best", ncols=2)


if __name__ == "__main__":
    script.draw(Options, load, plot)
