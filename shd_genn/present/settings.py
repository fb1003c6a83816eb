"""Settings of the network's input: the delay line, and augmentation."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from annotated_types import Ge, Gt, Le, Lt

from shd_genn.support.settings import Cure, Settings

CHANNELS_MAX = 65535
"""Channels are 16-bit numbers."""


@dataclass(frozen=True)
class PresentConfig(Settings):
    """How recordings become the network's input, in training, validation and test."""

    binarise: bool = False
    """Merge spikes of a channel that fall into one time step, as the papers' own code does. If
    not, the second spike enters in the next step, as in mlGeNN."""
    delay_copies: Annotated[
        int, Ge(0), Le(CHANNELS_MAX), Cure("0 means no delay line; the papers use 10")
    ] = 0
    """Delay line: number of delayed copies that are added to the input, each on channels of its
    own. The papers use 10."""
    delay_step_ms: Annotated[float, Gt(0), Cure("the papers use 30 ms")] = 30.0
    """Delay in ms of each copy of the delay line against the copy before."""


@dataclass(frozen=True)
class AugmentConfig(Settings):
    """Random changes of the training samples, drawn anew in every epoch, in this order."""

    blend: Annotated[float, Ge(0), Le(100), Cure("the papers use 1")] = 0.0
    """Number of blends, as a part of the training set, that are added to it: 1 doubles the set, as
    in the papers. A blend is made of two samples of the same word. 0: none."""
    blend_keep: Annotated[float, Gt(0), Le(1), Cure("the papers use 0.5")] = 0.5
    """Probability that a spike of either sample is kept in their blend."""
    dilation: Annotated[float, Ge(1), Le(100), Cure("1 means no dilation")] = 1.0
    """Time is stretched by a random factor between 1/dilation and dilation, evenly distributed on
    a logarithmic scale. 1: none."""
    shift_channels: Annotated[
        float, Ge(0), Le(CHANNELS_MAX), Cure("0 means no shift; the papers use 40")
    ] = 20.0
    """Each sample is shifted by a random whole number of channels, up to this many in either
    direction; the papers use 40 on SHD. 0: no shift."""
    jitter_channels: Annotated[
        float, Ge(0), Le(CHANNELS_MAX), Cure("0 means no jitter; the papers tried 5 to 20")
    ] = 0.0
    """Each spike is shifted by a normally distributed number of channels with this standard
    deviation. 0: no jitter."""
    dropout: Annotated[float, Ge(0), Lt(1), Cure("0 means no dropout")] = 0.0
    """Probability that a spike is left out. 0: none."""
    normalise_spikes: bool = False
    """Thin every sample at random to about as many spikes as the training sample with the fewest
    spikes has."""
