"""Spike times of Izhikevich's and Hodgkin and Huxley's neurons in Brian2.

`python tests/helpers/brian2_spikes.py` writes `brian2_spikes.json` beside this file and needs
Brian2 (`pip install shd_genn[brian2]`). The equations are written here in Brian2's notation, not
taken from ours. A constant current begins at 10 ms.
"""

import json
from pathlib import Path

RECORDED = Path(__file__).with_name("brian2_spikes.json")
ONSET_MS, IZHIKEVICH_MS, HODGKIN_HUXLEY_MS = 10.0, 100.0, 50.0
STEP_MS = {"izhikevich": 0.001, "hodgkin_huxley": 0.005}
"""Brian2's time steps, with its Runge-Kutta scheme of order 4."""
CELLS = {
    "RS": (0.02, 0.2, -65.0, 8.0),
    "IB": (0.02, 0.2, -55.0, 4.0),
    "CH": (0.02, 0.2, -50.0, 2.0),
    "FS": (0.1, 0.2, -65.0, 2.0),
    "LTS": (0.02, 0.25, -65.0, 2.0),
}
"""a, b, c and d of Izhikevich (2003)."""
CURRENTS = {"izhikevich": [6.0, 10.0, 14.0], "hodgkin_huxley": [8.0, 12.0, 20.0]}


def izhikevich(until_ms: float = IZHIKEVICH_MS) -> list[list[float]]:
    """Spike times in ms of each cell at each current, cell by cell."""
    import brian2 as b2

    b2.prefs.codegen.target = "numpy"
    cells = [(*cell, current) for cell in CELLS.values() for current in CURRENTS["izhikevich"]]
    group = b2.NeuronGroup(
        len(cells),
        """
        dv/dt = (0.04*v**2 + 5*v + 140 - u + drive*int(t >= 10*ms))/ms : 1
        du/dt = a*(b*v - u)/ms : 1
        a : 1
        b : 1
        c : 1
        d : 1
        drive : 1
        """,
        threshold="v >= 30",
        reset="v = c; u += d",
        method="rk4",
        dt=STEP_MS["izhikevich"] * b2.ms,
    )
    for name, values in zip(("a", "b", "c", "d", "drive"), zip(*cells, strict=True), strict=True):
        setattr(group, name, list(values))
    group.v, group.u = -65, "-65*b"
    return _run(b2, group, until_ms)


def hodgkin_huxley(until_ms: float = HODGKIN_HUXLEY_MS) -> list[list[float]]:
    """Spike times in ms at each current."""
    import brian2 as b2

    b2.prefs.codegen.target = "numpy"
    group = b2.NeuronGroup(
        len(CURRENTS["hodgkin_huxley"]),
        """
        dv/dt = (drive*int(t >= 10*ms) - 120*m**3*h*(v - 50) - 36*n**4*(v + 77)
                 - 0.3*(v + 54.387))/ms : 1
        dm/dt = (a_m*(1 - m) - b_m*m)/ms : 1
        dh/dt = (a_h*(1 - h) - b_h*h)/ms : 1
        dn/dt = (a_n*(1 - n) - b_n*n)/ms : 1
        a_m = 0.1*(v + 40)/(1 - exp(-(v + 40)/10)) : 1
        b_m = 4*exp(-(v + 65)/18) : 1
        a_h = 0.07*exp(-(v + 65)/20) : 1
        b_h = 1/(1 + exp(-(v + 35)/10)) : 1
        a_n = 0.01*(v + 55)/(1 - exp(-(v + 55)/10)) : 1
        b_n = 0.125*exp(-(v + 65)/80) : 1
        drive : 1
        """,
        threshold="v >= 0",
        refractory="v >= 0",
        method="rk4",
        dt=STEP_MS["hodgkin_huxley"] * b2.ms,
    )
    group.v, group.m, group.h, group.n = -65, 0.0529325, 0.5961208, 0.3176769
    group.drive = CURRENTS["hodgkin_huxley"]
    return _run(b2, group, until_ms)


def _run(b2, group, until_ms):
    spikes = b2.SpikeMonitor(group)
    b2.Network(group, spikes).run(until_ms * b2.ms)
    trains = spikes.spike_trains()
    return [[round(float(t / b2.ms), 4) for t in trains[j]] for j in range(len(group))]


if __name__ == "__main__":
    import brian2

    found = {"izhikevich": izhikevich(), "hodgkin_huxley": hodgkin_huxley()}
    found["brian2"] = brian2.__version__
    RECORDED.write_text(json.dumps(found) + "\n", encoding="utf-8")
