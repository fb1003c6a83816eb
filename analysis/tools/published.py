"""Published results that figures show as reference marks."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Published:
    """Test accuracy of a network in the literature; all chose epochs without the test set.

    Attributes:
        name: Authors, year and method.
        hidden: Hidden neurons.
        accuracy: Mean, 0 to 1.
        sd: Standard deviation over repetitions.
    """

    name: str
    hidden: int
    accuracy: float
    sd: float


PUBLISHED = {
    "shd": (
        Published("Nowotny et al. 2025, EventProp, delay line", 512, 0.935, 0.007),
        Published("Nowotny et al. 2022, EventProp", 256, 0.848, 0.015),
        Published("Cramer et al. 2020, surrogate gradients", 1024, 0.832, 0.013),
    ),
    "ssc": (Published("Nowotny et al. 2025, EventProp, delay line", 1024, 0.741, 0.009),),
}
"""By dataset: Nowotny, Turner & Knight, arXiv 2212.01232 (first and last version); Cramer et al.,
doi.org/10.1109/TNNLS.2020.3044364."""

SHD_EPOCH_S = {256: 7.77, 1024: 18.88}
"""Hidden neurons → seconds for an epoch of SHD's 8156 samples by GeNN on a data-centre GPU, batches
of 32, 1000 steps of 1 ms: a hundredth of the 777 s and 1888 s for 100 epochs in spyx_genn.csv of
github.com/tnowotny/genn_eventprop."""
