"""`python -m shd_genn.listen RUN sound.wav`: what word is in a recording."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated

import numpy as np
import tyro
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from shd_genn.backends.choice import BackendOption
from shd_genn.backends.protocols import Recording
from shd_genn.encode.audio import read_audio
from shd_genn.encode.cochlea import RATE, Cochlea
from shd_genn.learning.objective import probabilities
from shd_genn.record.run_folder import RunFolder
from shd_genn.spikes.events import Events
from shd_genn.support.cli import command, parse
from shd_genn.support.errors import ConfigError
from shd_genn.support.files import require_ending, written_aside
from shd_genn.train.compile import compile_network

GREY, ACCENT = "0.7", "#0072B2"  # blue that the colour-blind see as well


@dataclass(frozen=True)
class Options:
    """Say what word is in a recording."""

    run: Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="RUN")]
    """The folder of a run."""
    sound: Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="SOUND")]
    """A WAV or FLAC file with one word in it."""
    output: Annotated[Path | None, tyro.conf.arg(aliases=["-o"])] = None
    """A picture to make of sound, spikes and output voltages: .png, .pdf or .svg."""
    seed: int = 0
    """Of the cochlea's nerve fibres."""
    backend: BackendOption | None = None
    """What computes; by default what trained the run."""


@dataclass(frozen=True)
class Heard:
    """What a network made of a recording.

    Attributes:
        audio: (n_samples,), 48 kHz.
        words: All words.
        probabilities: (n_classes,).
        recording: Spikes and output voltages.
        dt_ms: Length of a step.
    """

    audio: NDArray[np.float64]
    words: tuple[str, ...]
    probabilities: NDArray[np.float32]
    recording: Recording
    dt_ms: float

    @property
    def best(self) -> int:
        """The most probable class."""
        return int(self.probabilities.argmax())


def main() -> None:
    """Listen as the command line says."""
    options = parse(Options, prog="python -m shd_genn.listen")
    if options.output is not None:
        require_ending(options.output)
    heard = listen(RunFolder.open(options.run), options.sound, options.seed, options.backend)
    for i in np.argsort(-heard.probabilities)[:5]:
        print(f"{heard.words[i]:12} {heard.probabilities[i]:6.1%}")
    if options.output is not None:
        figure = plot(heard, options.sound.name)
        with written_aside(options.output) as aside:
            figure.savefig(aside, dpi=150)


def listen(
    folder: RunFolder, sound: Path, seed: int = 0, backend: BackendOption | None = None
) -> Heard:
    """Run a recording through the cochlea and a run's chosen network.

    Raises:
        DataError: if the recording cannot be used.
        ConfigError: if the network does not listen to the cochlea's channels.
    """
    cochlea = Cochlea()
    trained_on = folder.read_json("environment")["dataset"]
    if (code := trained_on.get("code", cochlea.code)) != cochlea.code:
        raise ConfigError(
            f"the network must listen to the {cochlea.code}, but was trained on the {code} "
            f"code; encode the recording and judge it with "
            "python -m shd_genn.evaluate"
        )
    presentation = folder.config.presentation(cochlea.n_channels)
    if folder.config.model.n_inputs != presentation.n_inputs:
        raise ConfigError(
            f"the network must have the cochlea's {presentation.n_inputs} inputs, "
            f"but has {folder.config.model.n_inputs}; listen with a network trained on recordings"
        )
    audio = read_audio(sound, RATE)
    heard = Events.of([cochlea.encode(audio, seed)])
    events = presentation(heard)
    config = replace(folder.config, backend=backend or folder.config.backend)
    with compile_network(config, folder.path / "model.py") as compiled:
        folder.load_checkpoint("best", compiled)
        readout = compiled.evaluate(events).readout
        recording = compiled.record(events)
    if presentation.delay_copies:  # copies of what was heard would only hide it in a picture
        recording = replace(recording, spikes=recording.spikes | {"input": heard})
    words = tuple(trained_on["words"])
    p = probabilities(compiled.network, compiled.config, readout)[0]
    return Heard(audio, words, p, recording, folder.config.dt_ms)


def plot(heard: Heard, title: str) -> Figure:
    """Sound, spikes of every population, and output voltages, one below the other."""
    rasters = list(heard.recording.spikes.items())
    heights = [1, *([2.2] * len(rasters)), 1.6]
    figure = Figure(figsize=(7, 1.5 * sum(heights) ** 0.9), layout="constrained")
    axes = figure.subplots(len(heights), 1, sharex=True, height_ratios=heights)
    end_ms = len(heard.audio) / RATE * 1000
    axes[0].plot(np.arange(len(heard.audio)) / RATE * 1000, heard.audio, color="0.3", lw=0.4)
    axes[0].set_ylabel("sound")
    axes[0].set_yticks([])
    said = f"{heard.words[heard.best]} ({heard.probabilities[heard.best]:.0%})"
    axes[0].set_title(f"{title}: {said}", loc="left")
    for ax, (name, events) in zip(axes[1:-1], rasters, strict=True):
        ax.scatter(events.times_ms, events.channels, s=0.4, color="0.1", lw=0, rasterized=True)
        ax.set_ylabel("cochlea channel" if name == "input" else f"{name} neuron")
        ax.margins(y=0.02)
        if name == "input":
            ax.invert_yaxis()  # low channels are high tones: on top, as in a spectrogram
    _plot_voltages(axes[-1], heard)
    axes[-1].set_xlim(0, max(end_ms, 1))
    axes[-1].set_xlabel("time (ms)")
    return figure


def _plot_voltages(ax: Axes, heard: Heard) -> None:
    voltages = heard.recording.voltages[0]
    times = np.arange(1, len(voltages) + 1) * heard.dt_ms
    for i, voltage in enumerate(voltages.T):
        if i != heard.best:
            ax.plot(times, voltage, color=GREY, lw=0.7)
    ax.plot(times, voltages[:, heard.best], color=ACCENT, lw=1.6, label=heard.words[heard.best])
    ax.plot([], [], color=GREY, lw=0.7, label="other words")
    ax.set_ylabel("output V")
    ax.legend(loc="lower right", bbox_to_anchor=(1, 0.96), frameon=False, ncols=2, fontsize="small")


if __name__ == "__main__":
    command(main)
