"""A trained network as weights.npz and a short file that runs it with NumPy."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from shd_genn.export.render import render
from shd_genn.export.trained import TrainedNetwork, check_neurons, require_words
from shd_genn.network.readouts import READOUTS, read_weights
from shd_genn.record.checkpoints import write_arrays
from shd_genn.support.files import write_text

READ_OUT = {
    "weighted": 'return DATA["read_weights"] @ voltages',
    "each_step": 'return DATA["read_weights"] @ voltages',
    "max": "return np.maximum(voltages.max(axis=0), 0)",
    "first_spike": "return np.array([next((-GRID[n] for n in range(len(GRID)) if k in "
    'fired["{output}"][n]), -GRID[-1] - GRID[1]) for k in range(voltages.shape[1])])',
}
"""The last line of the function: from voltages or spikes to one number a word."""


def arrays_of(trained: TrainedNetwork) -> dict[str, NDArray[np.generic]]:
    """All numbers of a network, by names.

    Returns:
        ``populations`` (without the input), ``connections`` (name, source, target), ``words``,
        ``step_times_ms``, ``read_weights``; ``POPULATION.alpha``, ``.beta``, ``.gain`` and
        ``.v_thresh``, (neurons,); weights ``CONNECTION``, (sources, targets), and
        ``CONNECTION.delay`` in steps, (sources, targets) or (sources, 1) where it depends on the
        source only.
    """
    network, n_steps = trained.network, trained.n_steps
    arrays: dict[str, NDArray[np.generic]] = {
        "populations": np.array([p.name for p in trained.populations]),
        "connections": np.array(
            [(c.name, c.source.name, c.target.name) for c in network.connections]
        ),
        "words": np.array(require_words(trained)),
        "step_times_ms": (np.arange(n_steps) * np.float32(trained.dt_ms)).astype(np.float32),
    }
    if READOUTS[network.readout].form in ("weighted", "each_step"):
        arrays["read_weights"] = read_weights(network.readout, n_steps).astype(np.float32)
    for p in trained.populations:
        k = trained.constants(p)
        arrays |= {
            f"{p.name}.alpha": k.alpha.astype(np.float32),
            f"{p.name}.beta": k.beta.astype(np.float32),
            f"{p.name}.gain": ((1 - k.alpha) * k.scale).astype(np.float32),
            f"{p.name}.v_thresh": k.v_thresh.astype(np.float32),
        }
    for c in network.connections:
        steps = trained.delay_steps(c)
        steps = steps[:, :1] if (steps == steps[:, :1]).all() else steps
        arrays[c.name] = trained.parameters[c.name].astype(np.float32)
        arrays[f"{c.name}.delay"] = steps.astype(np.uint16)
    return arrays


def write_numpy(trained: TrainedNetwork, folder: Path) -> list[Path]:
    """Write ``weights.npz`` and ``network.py``.

    Returns:
        The files.

    Raises:
        ConfigError: if the network has neurons that the file cannot run.
    """
    check_neurons(trained.network, "numpy")
    weights, code = folder / "weights.npz", folder / "network.py"
    write_arrays(weights, arrays_of(trained))
    write_text(code, source_of(trained))
    return [weights, code]


def source_of(trained: TrainedNetwork) -> str:
    """The text of ``network.py``."""
    network = trained.network
    line = READ_OUT[READOUTS[network.readout].form]
    return render(
        "numpy_network.py.j2",
        name=trained.name,
        input=network.input.name,
        output=network.output.name,
        readout="    " + line.replace("{output}", network.output.name),
    )
