"""Three neurons of three papers, as a user would add them: in a file, by their equations."""

from shd_genn.network import Neuron

ADEX = Neuron(  # Brette & Gerstner (2005), J. Neurophysiol. 94: 3637, its constants in mV, nS, pA
    name="AdEx",
    equations="""
        rise = g_L * slope_mV * exp((V - V_T) / slope_mV)
        C * V' = -g_L * (V - E_L) + rise - w + gain * I
        tau_w * w' = a * (V - E_L) - w
    """,
    spike="V >= V_peak",
    reset="V = E_L; w += b",
    initial="V = E_L",
    parameters={
        "C": 281.0,
        "g_L": 30.0,
        "E_L": -70.6,
        "V_T": -50.4,
        "slope_mV": 2.0,
        "tau_w": 144.0,
        "a": 4.0,
        "b": 80.5,
        "V_peak": -40.4,
        "gain": 1000.0,
    },
    substep_ms=0.02,  # near a spike V grows e-fold in 0.06 ms; in 0.05 ms the gradient is 30 % off
)
"""Adaptive exponential integrate-and-fire."""

RESONATE_AND_FIRE = Neuron(  # Izhikevich (2001), Neural Networks 14: 883
    name="ResonateAndFire",
    equations="V' = b * V - omega * y + 0.2 * I; y' = omega * V + b * y",
    spike="V >= v_thresh",
    reset="V = 0; y = v_thresh",
    parameters={"b": -0.1, "omega": 0.25, "v_thresh": 1.0},
)
"""A damped oscillator that spikes at the peaks of strong oscillations."""

FITZHUGH_NAGUMO = Neuron(  # FitzHugh (1961), Biophys. J. 1: 445; rest at V = -1.1994
    name="FitzHughNagumo",
    equations="tau * V' = V - V**3 / 3 - w + I; tau_w * w' = V + a - b * w",
    spike="V >= 1",
    initial="V = -1.1994; w = -0.6243",
    parameters={"tau": 0.2, "tau_w": 2.5, "a": 0.7, "b": 0.8},
    substep_ms=0.05,
)
"""A spike is a large excursion, which nothing resets."""
