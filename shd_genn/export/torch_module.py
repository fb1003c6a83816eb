"""A trained network as a PyTorch module that gives the same outputs."""

from __future__ import annotations

from pathlib import Path

from shd_genn.export.numpy_network import arrays_of
from shd_genn.export.render import render
from shd_genn.export.trained import TrainedNetwork, check_neurons
from shd_genn.network.readouts import READOUTS
from shd_genn.record.checkpoints import write_arrays
from shd_genn.support.errors import refuse_unless
from shd_genn.support.files import write_text


def write_torch(trained: TrainedNetwork, folder: Path) -> list[Path]:
    """Write ``weights.npz`` and ``network_torch.py``.

    Returns:
        The files.

    Raises:
        ConfigError: if the module cannot run the network: other neurons, or delays that differ.
    """
    network = trained.network
    check_neurons(network, "torch")
    for c in network.connections:
        steps = trained.delay_steps(c)
        refuse_unless(
            bool((steps == steps[0, 0]).all()),
            f"the delays of connection {c.name} differ, but the torch module shifts whole "
            "connections in time",
            "export to numpy, or train with one delay for all synapses of a connection",
        )
    weights, code = folder / "weights.npz", folder / "network_torch.py"
    write_arrays(weights, arrays_of(trained))
    text = render(
        "torch_network.py.j2",
        name=trained.name,
        input=network.input.name,
        output=network.output.name,
        n_inputs=network.input.size,
        form=READOUTS[network.readout].form,
        dt_ms=trained.dt_ms,
    )
    write_text(code, text)
    return [weights, code]
