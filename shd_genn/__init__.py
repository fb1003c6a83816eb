"""shd_genn: spiking networks that learn spoken words with EventProp's exact gradients.

What a notebook needs:

    import shd_genn

    run = shd_genn.fit("my-words", epochs=20, hidden_sizes=(64,))
    run.epochs                        # pandas: a row per epoch and split
    run.predictions                   # pandas: a row per test sample
    run.parameters()["input_hidden0"]  # weights as an array
    recording = run.record(samples=[0])
    recording.voltages[0]             # output voltages, (steps, words)
    run.evaluate("other-words").accuracy
    run.listen("yes.wav").word
    run = shd_genn.open_run("runs/2026-…")

The functions `fit` and `open_run` and the class `Run` are in `shd_genn.api`; they are imported when
they are first used, so that ``import shd_genn`` takes no time. (The name is `fit`, because
``shd_genn.train`` is the package with the training loop.)
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from shd_genn.support.interruption import end_at_once_by_signals, is_command_about_to_start
from shd_genn.support.version import __version__

if is_command_about_to_start():
    end_at_once_by_signals()  # while it imports its modules
if TYPE_CHECKING:
    from shd_genn.api import Run, fit, open_run

__all__ = ["Run", "__version__", "fit", "open_run"]


def __getattr__(name: str) -> Any:
    """Import a public name when it is first used."""
    if name in __all__:
        from shd_genn import api

        return getattr(api, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
