"""`python -m shd_genn.export RUN --to nir numpy c torch`: a trained network for other programs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import tyro

from shd_genn.backends.choice import BackendOption
from shd_genn.export.nir_graph import write_nir
from shd_genn.export.numpy_network import write_numpy
from shd_genn.export.torch_module import write_torch
from shd_genn.export.trained import TrainedNetwork, of_run
from shd_genn.record.run_folder import RunFolder
from shd_genn.support.cli import command, parse
from shd_genn.support.errors import refuse_unless
from shd_genn.support.files import require_writable

Target = Literal["nir", "numpy", "c", "torch"]


@dataclass(frozen=True)
class Options:
    """Export the chosen epoch of a run; the run stays as it is."""

    run: Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="RUN")]
    """The run's folder."""
    to: tuple[Target, ...]
    """nir: a file for chips and simulators; numpy: weights and a short file that runs them; c: one
    C99 file for microcontrollers; torch: a PyTorch module. Several may be given."""
    output: Annotated[Path | None, tyro.conf.arg(aliases=["-o"])] = None
    """The folder to write into; by default RUN/export."""
    backend: BackendOption | None = None
    """What builds the network; by default the backend that trained the run."""
    trust_model: bool = False
    """Execute the run's model.py although it was not used on this machine before."""


def _write_nir(trained: TrainedNetwork, folder: Path) -> list[Path]:
    path = folder / "network.nir"
    write_nir(trained, path)
    return [path]


WRITERS: dict[str, Callable[[TrainedNetwork, Path], list[Path]]] = {
    "nir": _write_nir,
    "numpy": write_numpy,
    "torch": write_torch,
}
"""Target → what writes its files into a folder."""


def main() -> None:
    """Export as the command line says."""
    options = parse(Options, prog="python -m shd_genn.export")
    refuse_unless(bool(options.to), "no target is given", "give --to nir, numpy, c or torch")
    output = options.output or options.run / "export"
    require_writable(output)
    trained = of_run(RunFolder.open(options.run), options.backend, options.trust_model)
    for target in dict.fromkeys(options.to):
        for path in WRITERS[target](trained, output):
            print(f"{path}: {path.stat().st_size / 1000:.0f} kB")


if __name__ == "__main__":
    command(main)
