"""What snnTorch, Norse and SpikingJelly make of our NIR files.

`python tests/helpers/nir_readers.py` writes `nir_readers.json` beside this file: the output
voltages by each of them, to which tests compare ours where the program is not installed. It needs
all of them (`pip install snntorch norse spikingjelly nirtorch`).
"""

import json
import warnings
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

RECORDED = Path(__file__).with_name("nir_readers.json")
KINDS = {
    "one layer": {"hidden_sizes": (30,)},
    "two layers": {},
    "thresholds": {"v_thresh_sd": 0.2},
    "time constants": {"train_tau": True, "tau_gamma": True},
}
"""Networks of `helpers.exporting`; all programs but SpikingJelly read the last one."""
EVERY = 7
"""Of so many steps one is recorded."""


def read_by(program: str, path: Path):
    """The module that a program makes of a file, and what gives the outputs' voltages.

    Args:
        program: snntorch, norse or spikingjelly.
        path: The file, in the form that is called torch.

    Returns:
        The module, and a function of the module and its state.
    """
    import nir

    graph = nir.read(path)
    if program == "snntorch":
        from snntorch.import_nir import import_from_nir

        return import_from_nir(graph), lambda module, _: module.output.mem
    if program == "spikingjelly":
        from spikingjelly.activation_based.nir_exchange import import_from_nir

        def voltage(module, state):
            return state["output"][list(module.output.module._memories).index("v")]

        return import_from_nir(graph), voltage
    from norse.torch import from_nir

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # Norse itself loads it so
        module = from_nir(graph, dt=1e-4)
    return module, lambda _, state: state.state["output"][0][1].v


def voltages(program: str, path: Path, inputs):
    """Output voltages, (samples, steps, outputs), given spikes (samples, steps, channels)."""
    import torch

    module, voltage = read_by(program, path)
    found, state = [], None
    with torch.no_grad():
        for spikes in torch.from_numpy(inputs).float().unbind(1):
            _, state = module(spikes, state)
            found.append(voltage(module, state).clone())
    return torch.stack(found, 1).numpy()


def network_of(kind: str):
    """A network of random weights as `helpers.exporting` gives it, and its input spikes."""
    from helpers.exporting import dense_input, trained_network
    from shd_genn.network.settings import GammaTau

    settings = dict(KINDS[kind])
    if settings.pop("tau_gamma", False):
        settings["tau_distribution"] = GammaTau()
    trained, events, reference = trained_network(**settings)
    return trained, reference.record(events).voltages, dense_input(reference, events)


def main() -> None:
    from shd_genn.export.nir_graph import write_nir

    recorded: dict[str, dict[str, list]] = {}
    with TemporaryDirectory() as folder:
        for kind in KINDS:
            trained, ours, inputs = network_of(kind)
            write_nir(trained, path := Path(folder) / "network.nir", "torch")
            for program in ("snntorch", "norse", "spikingjelly"):
                if kind == "time constants" and program == "spikingjelly":
                    continue
                theirs, late = voltages(program, path, inputs), len(trained.populations)
                gap = np.abs(theirs[:, :-late] - ours[:, late:]).max()
                print(kind, program, "largest difference", gap)
                part = np.round(theirs[:2, ::EVERY].astype(float), 5)
                recorded.setdefault(program, {})[kind] = part.tolist()
    RECORDED.write_text(json.dumps(recorded), encoding="utf-8")


if __name__ == "__main__":
    main()
