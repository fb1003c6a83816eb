"""Reads the trials that were recorded from mlGeNN (tests/gradient_chain/data)."""

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from shd_genn.backends.protocols import CompileConfig
from shd_genn.learning.objective import Objective, Regulariser
from shd_genn.network import (
    Connection,
    Dense,
    Exponential,
    LeakyIntegrate,
    LeakyIntegrateFire,
    Network,
    Normal,
    Population,
    SpikeInput,
)
from shd_genn.spikes.events import Events

FOLDER = Path(__file__).resolve().parents[1] / "gradient_chain" / "data"
FULL = Path(__file__).resolve().parents[3] / "shared" / "golden"
"""The recordings before they were reduced; not in the tree."""
CONNECTIONS = {"ih": "input_hidden", "hh": "hidden_hidden", "ho": "hidden_output"}


@dataclass(frozen=True)
class Golden:
    """One recorded file: arrays, settings, and the network in our words."""

    arrays: dict[str, np.ndarray]
    settings: dict
    network: Network
    config: CompileConfig

    @property
    def n_trials(self) -> int:
        return self.settings["n_trials"]

    @property
    def short_names(self) -> list[str]:
        return [short for short in CONNECTIONS if f"W_{short}0" in self.arrays]

    def parameters(self) -> dict[str, np.ndarray]:
        parameters = {CONNECTIONS[s]: self.arrays[f"W_{s}0"] for s in self.short_names}
        if "D_ih" in self.arrays:
            parameters["input_hidden.delay"] = self.arrays["D_ih"].astype(np.float32)
        return parameters

    def events(self) -> Events:
        return Events.of(
            [
                (self.arrays["raw_time_ms"][mine], self.arrays["raw_id"][mine])
                for mine in (self.arrays["raw_trial"] == t for t in range(self.n_trials))
            ]
        )

    def spikes(self, population: str, trial: int) -> list[np.ndarray]:
        """Recorded neurons of each step, ascending; population is ``in`` or ``hid``."""
        mine = self.arrays[f"{population}_trial"] == trial
        ids, steps = self.arrays[f"{population}_id"][mine], self.arrays[f"{population}_step"][mine]
        return [np.sort(ids[steps == n]).astype(np.intp) for n in range(self.config.n_steps)]

    def gradient(self, trial: int) -> dict[str, np.ndarray]:
        """Recorded gradient of a trial: mlGeNN has it ready one batch later."""
        gradient = {CONNECTIONS[s]: self.arrays[f"grad_{s}"][trial + 1] for s in self.short_names}
        if "delaygrad_ih" in self.arrays:
            gradient["input_hidden.delay"] = self.arrays["delaygrad_ih"][trial + 1]
        return gradient

    def has_spikes_in_last_step(self, trial: int) -> bool:
        """Such a spike stalls mlGeNN's backward pass; its recorded gradient is wrong."""
        last = self.config.n_steps - 1
        return any(len(self.spikes(population, trial)[last]) for population in ("in", "hid"))


def arrays_of(path: Path) -> dict[str, np.ndarray]:
    with np.load(path, allow_pickle=False) as file:
        return {key: file[key] for key in file}


def load(name: str) -> Golden:
    arrays = arrays_of(FOLDER / f"{name}.npz")
    s = json.loads(str(arrays["config_json"]))
    synapse, drawn = Exponential(s["tau_syn"]), Dense(Normal())
    inputs = Population("input", SpikeInput(), s["NI"])
    hidden = Population("hidden", LeakyIntegrateFire(s["tau_mem"], s["v_thresh"]), s["NH"])
    output = Population("output", LeakyIntegrate(s["tau_mem_out"], s["readout"]), s["NO"])
    late = {"max_delay_steps": 12, "train_delay": True} if "D_ih" in arrays else {}
    connections = [Connection(inputs, hidden, drawn, synapse, **late)]
    if s["recurrent"]:
        connections.append(Connection(hidden, hidden, drawn, synapse))
    connections.append(Connection(hidden, output, drawn, synapse))
    network = Network((inputs, hidden, output), tuple(connections))
    regulariser = Regulariser(s["reg_lambda_upper"], s["reg_lambda_lower"], s["reg_nu_upper"])
    config = CompileConfig(
        n_steps=s["T"], dt_ms=s["dt"], objective=Objective(regulariser=regulariser)
    )
    return Golden(arrays, s, network, config)
