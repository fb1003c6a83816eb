"""Tables of measurements, each known by its columns."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from shd_genn.support.errors import DataError

KINDS = {
    "bench": {"hidden", "topology", "shd_epoch_s"},
    "peers": {"hidden", "topology", "peer", "train_ms", "n_steps"},
    "roofline": {"hidden", "topology", "stage", "gflop_s"},
    "scaling": {"quantity", "value", "batch_ms", "law_ms"},
}
"""Of python -m shd_genn.bench speed, compare, roofline and scaling; columns that each has."""


def read_measured(path: Path) -> list[tuple[str, pd.DataFrame]]:
    """A table and its kind (of `KINDS`); nothing if it has no rows.

    Raises:
        DataError: if it cannot be read, or is no table of measurements.
    """
    try:
        table = pd.read_csv(path)
    except (OSError, ValueError) as error:
        raise DataError(f"{path} cannot be read: {error}") from error
    kinds = [kind for kind, columns in KINDS.items() if columns <= set(table)]
    if not kinds:
        commands = "bench, compare, roofline and scaling"
        raise DataError(
            f"{path} must be what -o of shd_genn.{commands} writes, but is not; leave it out"
        )
    return [(kind, table) for kind in kinds if len(table)]
