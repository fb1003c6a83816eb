"""Neurons by the names of the command line, or from a user's file."""

from __future__ import annotations

from pathlib import Path

from shd_genn.network.neurons.adaptive_leaky_integrate_fire import AdaptiveLeakyIntegrateFire
from shd_genn.network.neurons.adlif import AdLIF
from shd_genn.network.neurons.description import NeuronModel
from shd_genn.network.neurons.hodgkin_huxley import HodgkinHuxley
from shd_genn.network.neurons.izhikevich import Izhikevich
from shd_genn.network.neurons.klif import KLIF
from shd_genn.network.neurons.leaky_integrate_fire import LeakyIntegrateFire
from shd_genn.network.neurons.ltmd import LTMD
from shd_genn.network.neurons.paralif import ParaLIF
from shd_genn.network.neurons.quadratic_integrate_fire import QuadraticIntegrateFire
from shd_genn.network.neurons.sliding_psn import SlidingPSN
from shd_genn.support import user_files
from shd_genn.support.errors import refuse_unless

NAMES: dict[str, type[NeuronModel]] = {
    "lif": LeakyIntegrateFire,
    "alif": AdaptiveLeakyIntegrateFire,
    "adlif": AdLIF,
    "qif": QuadraticIntegrateFire,
    "izhikevich": Izhikevich,
    "hodgkin_huxley": HodgkinHuxley,
    "klif": KLIF,
    "ltmd": LTMD,
    "paralif": ParaLIF,
    "sliding_psn": SlidingPSN,
}
"""Name on the command line → neuron."""


def neurons_of(name: str) -> dict[str, NeuronModel]:
    """The built-in neuron of a name, or all neurons that a file defines, by their names.

    Args:
        name: A name, or the path of a Python file whose variables are neurons.

    Raises:
        ConfigError: if there is no such neuron, or the file defines none.
    """
    if name in NAMES:
        return {name: NAMES[name]()}
    refuse_unless(
        name.endswith(".py") and Path(name).is_file(),
        f"there is no neuron {name}, and no such file",
        f"choose one of {', '.join(NAMES)}, or give the path of a Python file",
    )
    variables = user_files.run("neuron", Path(name))
    found = {key: v for key, v in variables.items() if isinstance(v, NeuronModel)}
    refuse_unless(
        len(found) > 0,
        f"the file {name} defines no neuron",
        "write MY_NEURON = Neuron(…) in it",
    )
    return found
