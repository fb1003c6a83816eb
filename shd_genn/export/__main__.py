"""`python -m shd_genn.export RUN --to nir numpy c torch`: a trained network for other programs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
import tyro

from shd_genn.backends.choice import BackendOption
from shd_genn.export import report
from shd_genn.export.c_front_end import front_end_of
from shd_genn.export.c_source import memory, write_c
from shd_genn.export.costs import Costs, measure
from shd_genn.export.fine_tune import FineTuning, fine_tune
from shd_genn.export.nir_forms import Form
from shd_genn.export.nir_graph import write_nir
from shd_genn.export.numpy_network import write_numpy
from shd_genn.export.off_grid import Accuracy, off_grid
from shd_genn.export.quantise import Bits
from shd_genn.export.torch_module import write_torch
from shd_genn.export.trained import TrainedNetwork, of_run
from shd_genn.record.run_folder import RunFolder
from shd_genn.spikes.dataset import SpikeDataset
from shd_genn.support.cli import command, parse
from shd_genn.support.errors import ConfigError, refuse_unless, require
from shd_genn.support.files import require_writable, write_text
from shd_genn.train.inference import samples_for

Target = Literal["nir", "numpy", "c", "torch"]
COUNTED = 100
"""Samples that operations are counted on, at most."""


@dataclass(frozen=True)
class Options:
    """Export the chosen epoch of a run, and report what it costs; the run stays as it is."""

    run: Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="RUN")]
    """The run's folder."""
    to: tuple[Target, ...] = ()
    """nir: a file for chips and simulators; numpy: weights and a short file that runs them; c: one
    C99 file for microcontrollers; torch: a PyTorch module. Several may be given."""
    output: Annotated[Path | None, tyro.conf.arg(aliases=["-o"])] = None
    """The folder to write into; by default RUN/export."""
    bits: tuple[Bits, ...] = (32,)
    """Bits of a weight in C: 32 (float), 8 or 4; several make a file each."""
    front_end: bool = False
    """C: with the filter bank that makes spikes of a microphone's samples. The network must have
    been trained on recordings that were encoded with --code filterbank."""
    fine_tune_epochs: int = 0
    """Epochs of training with rounded weights before they are written with 8 or 4 bits."""
    fine_tune_rate: float | None = None
    """Learning rate of it; by default a tenth of the run's."""
    fine_tune_dt_ms: tuple[float, ...] = ()
    """Lengths of a step in ms, one of which is drawn for each batch of fine-tuning, so that the
    network does not adapt to one; by default the run's step."""
    nir_form: Form = "steps"
    """torch: for snnTorch, Norse and SpikingJelly; steps: for other programs that integrate in
    steps of dt; continuous: the equations of the NIR paper."""
    report: bool = False
    """Count operations and test the network on the test set; writes report.md, bits.csv
    and, with dt_ms or delay_ms, steps.csv."""
    dt_ms: tuple[float | Literal["exact"], ...] = ()
    """For the report: other lengths of a step in ms, and exact for none; each is tested."""
    delay_ms: tuple[float, ...] = ()
    """For the report: times in ms that every spike takes to arrive; by default one step."""
    dataset: str | None = None
    """For the report: spoken-digits, shd, ssc or a folder; by default the run's own dataset."""
    samples: int | None = None
    """For the report: so many test samples, evenly spread; by default all."""
    backend: BackendOption | None = None
    """What computes; by default the backend that trained the run."""
    trust_model: bool = False
    """Execute the run's model.py although it was not used on this machine before."""


def main() -> None:
    """Export as the command line says."""
    options = parse(Options, prog="python -m shd_genn.export")
    _check(options)
    output = options.output or options.run / "export"
    require_writable(output)
    folder = RunFolder.open(options.run)
    trained = of_run(folder, options.backend, options.trust_model)
    if options.front_end:  # refused before anything is computed
        front_end_of(trained, folder.config.present.binarise)
    networks = _networks(options, folder, trained)
    for target in dict.fromkeys(options.to):
        for path in WRITERS[target](options, networks, output):
            print(f"{path}: {path.stat().st_size / 1000:.0f} kB")
    if "c" in options.to:
        print(_on_a_chip(folder, networks, options.bits))
    if _reports(options):
        files = _report(options, folder, trained, networks)
        for name, text in files.items():
            write_text(output / name, text)
        print(f"{output / 'report.md'}:\n\n{files['report.md']}")


def _reports(options: Options) -> bool:
    return options.report or bool(options.dt_ms or options.delay_ms)


def _check(options: Options) -> None:
    refuse_unless(
        bool(options.to) or _reports(options),
        "neither a target nor a report is given",
        "give --to nir, numpy, c or torch, or --report",
    )
    require(
        0 <= options.fine_tune_epochs, "0 <= fine_tune_epochs", options.fine_tune_epochs, "give 5"
    )
    rate = options.fine_tune_rate
    require(rate is None or 0 < rate < 1, "0 < fine_tune_rate < 1", rate, "1e-4 is usual")
    require(
        options.samples is None or options.samples >= 1, "1 <= samples", options.samples, "give 100"
    )
    refuse_unless(
        not options.front_end or "c" in options.to,
        "front_end is part of the C file, but no C file is to be written",
        "give --to c too",
    )
    refuse_unless(
        options.fine_tune_epochs == 0
        or bool(options.fine_tune_dt_ms)
        or any(b != 32 for b in options.bits),
        "fine_tune_epochs are given, but no weight is to be rounded, and no steps are to be varied",
        "give --bits 8 or 4, or --fine-tune-dt-ms 0.5 1 2 too",
    )
    refuse_unless(
        options.fine_tune_epochs > 0 or not options.fine_tune_dt_ms,
        "fine_tune_dt_ms are given, but fine_tune_epochs = 0",
        "give --fine-tune-epochs 10 too",
    )


def _networks(
    options: Options, folder: RunFolder, trained: TrainedNetwork
) -> dict[Bits, TrainedNetwork]:
    """The network for each number of bits, fine-tuned if that is asked for."""
    tuning = FineTuning(options.fine_tune_epochs, options.fine_tune_rate, options.fine_tune_dt_ms)
    return {
        bits: trained
        if tuning.epochs == 0 or (bits == 32 and not tuning.dt_ms)
        else fine_tune(folder, trained, bits, tuning, options.backend, options.trust_model)
        for bits in dict.fromkeys((32, *options.bits))
    }


Networks = dict[Bits, TrainedNetwork]


def _on_a_chip(folder: RunFolder, networks: Networks, precisions: tuple[Bits, ...]) -> str:
    """Memory of the C files, and additions per ms of speech on the run's test set."""
    lines = []
    for bits in dict.fromkeys(precisions):
        needed = memory(networks[bits], bits)
        lines.append(
            f"{bits} bits: {needed.flash:,} bytes of weights and constants, {needed.ram:,} bytes "
            "of RAM"
        )
    summary = folder.summary
    test = None if summary is None or summary.result is None else summary.result.test
    if test is not None:
        trial_ms = networks[32].n_steps * networks[32].dt_ms
        lines.append(f"{test.synaptic_operations / trial_ms:,.0f} additions per ms of speech")
    return "\n".join(lines)


def _nir(options: Options, networks: Networks, output: Path) -> list[Path]:
    path = output / "network.nir"
    write_nir(networks[32], path, options.nir_form)
    return [path]


def _c(options: Options, networks: Networks, output: Path) -> list[Path]:
    front = front_end_of(networks[32]) if options.front_end else None
    return [write_c(networks[bits], output, bits, front) for bits in dict.fromkeys(options.bits)]


WRITERS: dict[Target, Callable[[Options, Networks, Path], list[Path]]] = {
    "nir": _nir,
    "numpy": lambda options, networks, output: write_numpy(networks[32], output),
    "c": _c,
    "torch": lambda options, networks, output: write_torch(networks[32], output),
}
"""Target → what writes its files into a folder."""


def _report(
    options: Options, folder: RunFolder, trained: TrainedNetwork, networks: Networks
) -> dict[str, str]:
    """Name → text of the report and of its tables."""
    data, backend = folder.config.data, options.backend or folder.config.backend
    name = options.dataset or data.dataset
    dataset = _spread(samples_for(folder, name, "test", data.data_dir).dataset, options.samples)
    places = _places(options, trained, networks[32], dataset, backend)
    rows = [report.bits_row(trained, dataset, bits, backend) for bits in networks]
    rows += [
        report.bits_row(network, dataset, bits, backend, tuned=True)
        for bits, network in networks.items()
        if network is not trained
    ]
    costs = _counted(networks[32], dataset)
    files = {
        "report.md": report.text(networks[32], dataset, costs, rows, places),
        "bits.csv": report.bits_table(rows, dataset, costs),
    }
    return files | ({"steps.csv": report.steps_table(trained, dataset, places)} if places else {})


def _places(
    options: Options,
    trained: TrainedNetwork,
    tuned: TrainedNetwork,
    dataset: SpikeDataset,
    backend: BackendOption,
) -> list[Accuracy]:
    """What becomes of a network off its grid, before and after fine-tuning."""
    if not options.dt_ms and not options.delay_ms:
        return []
    steps = options.dt_ms or (trained.dt_ms,)
    rows = off_grid(trained, dataset, steps, options.delay_ms, backend)
    if tuned is not trained:
        after = off_grid(tuned, dataset, steps, options.delay_ms, backend)
        rows += [replace(row, tuned=True) for row in after]
    return rows


def _counted(trained: TrainedNetwork, dataset: SpikeDataset) -> Costs | None:
    """What it costs, on some of the samples; None if its neurons cannot be counted."""
    part = _spread(dataset, COUNTED)
    try:
        return measure(trained, part.presented(np.arange(len(part))))
    except ConfigError as error:
        print(f"note: {error}")
        return None


def _spread(dataset: SpikeDataset, samples: int | None) -> SpikeDataset:
    """So many samples of a dataset, evenly spread; None: all."""
    count = len(dataset) if samples is None else min(samples, len(dataset))
    chosen = np.linspace(0, len(dataset), count, endpoint=False).astype(np.int64)
    return replace(dataset.subset(chosen), presentation=dataset.presentation)


if __name__ == "__main__":
    command(main)
