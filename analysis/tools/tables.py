"""Numbers as text, and tables in LaTeX."""

from __future__ import annotations

import numpy as np
import pandas as pd


def p_value(p: float) -> str:
    """``p = 0.03``, ``p < 0.001``; "" where nothing was tested."""
    if not np.isfinite(p):
        return ""
    return "p < 0.001" if p < 0.001 else f"p = {p:.2g}"


def accuracy(mean: float, sd: float) -> str:
    """``85.1 ± 0.7`` in per cent; the spread is left out where there is none."""
    return f"{100 * mean:.1f}" + (f" ± {100 * sd:.1f}" if np.isfinite(sd) else "")


def latex(columns: pd.DataFrame, caption: str, label: str) -> str:
    """A table for booktabs, text escaped, with caption and label."""
    styler = (
        columns.style.hide(axis="index").format(escape="latex").format_index(escape="latex", axis=1)
    )
    left = sum(
        column in ("dataset", "configuration", "method", "change", "test") for column in columns
    )
    text: str = styler.to_latex(
        hrules=True,
        caption=caption.replace("%", r"\%").replace("_", r"\_") + ".",
        label=label,
        position="tbp",
        position_float="centering",
        column_format="l" * left + "r" * (columns.shape[1] - left),
    )
    return text.replace("±", r"$\pm$").replace("–", "--").replace("−", "$-$").replace("→", r"$\to$")
