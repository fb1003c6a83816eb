"""A picture of a network's answer to a recording: sound, spikes and output voltages."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from shd_genn.encode.cochlea import RATE
from shd_genn.train.inference import Answer

GREY, ACCENT = "0.7", "#0072B2"  # blue that the colour-blind see as well


def plot(answer: Answer, title: str) -> Figure:
    """Sound, spikes of every population, and output voltages, one below the other."""
    rasters = list(answer.recording.spikes.items())
    heights = [1, *([2.2] * len(rasters)), 1.6]
    figure = Figure(figsize=(7, 1.5 * sum(heights) ** 0.9), layout="constrained")
    axes = figure.subplots(len(heights), 1, sharex=True, height_ratios=heights)
    times_ms = np.arange(len(answer.audio)) / RATE * 1000
    axes[0].plot(times_ms, answer.audio, color="0.3", lw=0.4)
    axes[0].set_ylabel("sound")
    axes[0].set_yticks([])
    probability = answer.probabilities[answer.best]
    axes[0].set_title(f"{title}: {answer.word} ({probability:.0%})", loc="left")
    for ax, (name, events) in zip(axes[1:-1], rasters, strict=True):
        ax.scatter(events.times_ms, events.channels, s=0.4, color="0.1", lw=0, rasterized=True)
        ax.set_ylabel("input channel" if name == "input" else f"{name} neuron")
        ax.margins(y=0.02)
        if name == "input":
            ax.invert_yaxis()  # low channels are high tones: on top, as in a spectrogram
    _plot_voltages(axes[-1], answer)
    axes[-1].set_xlim(0, max(len(answer.audio) / RATE * 1000, 1))
    axes[-1].set_xlabel("time (ms)")
    return figure


def _plot_voltages(ax: Axes, answer: Answer) -> None:
    voltages = answer.recording.voltages[0]
    times = np.arange(1, len(voltages) + 1) * answer.dt_ms
    for i, voltage in enumerate(voltages.T):
        if i != answer.best:
            ax.plot(times, voltage, color=GREY, lw=0.7)
    ax.plot(times, voltages[:, answer.best], color=ACCENT, lw=1.6, label=answer.word)
    ax.plot([], [], color=GREY, lw=0.7, label="other words")
    ax.set_ylabel("output V")
    ax.legend(loc="lower right", bbox_to_anchor=(1, 0.96), frameon=False, ncols=2, fontsize="small")
