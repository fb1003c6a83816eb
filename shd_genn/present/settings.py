"""Settings of augmentation."""

from __future__ import annotations

import math
from dataclasses import dataclass

from shd_genn.support.errors import require


@dataclass(frozen=True)
class AugmentConfig:
    """What is done to training samples only, anew in every epoch, in the order of the options."""

    blend: float = 0.0
    """Samples that are added by blending two of the same word, as a part of the training set: 1
    doubles it, as in the papers. 0: none."""
    blend_keep: float = 0.5
    """Probability that a spike of either sample is kept in their blend."""
    dilation: float = 1.0
    """Time is stretched by a random factor between 1/dilation and dilation, evenly on a logarithmic
    scale. 1: none."""
    shift_channels: float = 20.0
    """Each sample is shifted by a random whole number of channels, up to this many either way; the
    papers use 40 on SHD. 0: no shift."""
    jitter_channels: float = 0.0
    """Standard deviation, in channels, of a normal shift of each single spike. 0: none."""
    dropout: float = 0.0
    """Probability that a spike is left out. 0: none."""
    normalise_spikes: bool = False
    """Thin every sample at random to about as many spikes as the training sample with fewest
    has."""

    def __post_init__(self) -> None:
        for name, cure in (
            ("shift_channels", "0 means no shift, 40 is the papers' value"),
            ("jitter_channels", "0 means none, the papers tried 5 to 20"),
        ):
            value = getattr(self, name)
            require(0 <= value < math.inf, f"0 <= {name} < inf", value, cure)
        require(0 <= self.blend <= 100, "0 <= blend <= 100", self.blend, "the papers use 1")
        require(0 < self.blend_keep <= 1, "0 < blend_keep <= 1", self.blend_keep, "usual: 0.5")
        require(1 <= self.dilation < math.inf, "1 <= dilation < inf", self.dilation, "1 means none")
        require(0 <= self.dropout < 1, "0 <= dropout < 1", self.dropout, "0 means none")
