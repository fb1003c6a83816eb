"""The options that say which encoder turns recordings into spikes."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from shd_genn.encode.cochlea import Cochlea
from shd_genn.encode.encoder import Encoder
from shd_genn.encode.filter_bank import FilterBank
from shd_genn.encode.mel import LatencyCode, MelSpectrogram, RateCode


@dataclass(frozen=True)
class EncoderOptions:
    """Which encoder, and its settings."""

    code: Literal["cochlea", "rate", "latency", "filterbank"] = "cochlea"
    """cochlea: the model that made SHD, with 700 channels; rate: Poisson spikes, whose rate grows
    with the power of a mel band; latency: one spike in each band and frame, which comes earlier if
    the band is stronger; filterbank: filters and integrate-and-fire neurons that work sample by
    sample, for streams and microcontrollers."""
    rms: float = field(default=Cochlea.rms)
    """Cochlea: level to which every recording is scaled (full scale is 1)."""
    ramp_ms: float = field(default=Cochlea.ramp_ms)
    """Cochlea: length of the Hann ramps at both ends, in ms."""
    channels: int | None = None
    """Channels of the other codes; by default 700 mel bands (rate, latency) or 64 filters
    (filterbank)."""
    highest_rate_hz: float = field(default=RateCode.highest_rate_hz)
    """Rate code: rate of the strongest band in Hz."""
    frame_ms: float = field(default=LatencyCode.frame_ms)
    """Latency code: length of a frame in ms; each band spikes once in it."""

    def make(self) -> Encoder:
        """The encoder.

        Raises:
            ConfigError: if a setting is out of range.
        """
        if self.code == "cochlea":
            return Cochlea(rms=self.rms, ramp_ms=self.ramp_ms)
        if self.code == "filterbank":
            return FilterBank() if self.channels is None else FilterBank(self.channels)
        n = MelSpectrogram.n_channels if self.channels is None else self.channels
        spectrogram = MelSpectrogram(n_channels=n)
        if self.code == "rate":
            return RateCode(spectrogram, self.highest_rate_hz)
        return LatencyCode(spectrogram, self.frame_ms)


def usual_encoder(code: str, channels: int) -> Encoder | None:
    """The encoder of a dataset with its usual settings, for recordings that come later.

    Args:
        code: That of the dataset.
        channels: Likewise.

    Returns:
        The encoder; None if that code cannot be made of recordings.
    """
    if code == "cochlea":
        return Cochlea() if channels == Cochlea().n_channels else None
    if code == "rate":
        return RateCode(MelSpectrogram(channels))
    if code == "latency":
        return LatencyCode(MelSpectrogram(channels))
    return FilterBank(channels) if code == "filterbank" else None
