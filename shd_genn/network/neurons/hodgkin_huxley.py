"""Hodgkin and Huxley's neurons."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from shd_genn.network.initialisers import Value
from shd_genn.network.neurons.description import (
    NeuronDescription,
    NeuronModel,
    ParameterDescription,
)
from shd_genn.network.neurons.equations import Equations

_PAPER = "the paper has C 1, g_Na 120, g_K 36, g_L 0.3, E_Na 50, E_K -77, E_L -54.387"
C = ParameterDescription("C", "uF/cm2", 1.0, _PAPER, low=0.0)
G_NA = ParameterDescription("g_Na", "mS/cm2", 120.0, _PAPER, low=0.0)
G_K = ParameterDescription("g_K", "mS/cm2", 36.0, _PAPER, low=0.0)
G_L = ParameterDescription("g_L", "mS/cm2", 0.3, _PAPER, low=0.0)
E_NA = ParameterDescription("E_Na", "mV", 50.0, _PAPER)
E_K = ParameterDescription("E_K", "mV", -77.0, _PAPER)
E_L = ParameterDescription("E_L", "mV", -54.387, _PAPER)
GAIN = ParameterDescription(
    "gain", "uA/cm2", default=10.0, low=0.0, advice="10 suits weights that suit LIF neurons"
)
"""The current that I = 1 stands for."""


@dataclass(frozen=True)
class HodgkinHuxley(NeuronModel):
    """Hodgkin and Huxley's neuron (1952), with a rest at -65 mV.

    C V' = gain I - g_Na m³ h (V - E_Na) - g_K n⁴ (V - E_K) - g_L (V - E_L), and x' = α_x (1 - x) -
    β_x x for the gates m, h and n. It spikes where V rises through 0 mV; nothing is reset.

    Attributes:
        C: Capacitance of the membrane in µF/cm².
        g_Na: Conductance of sodium in mS/cm².
        g_K: Conductance of potassium in mS/cm².
        g_L: Conductance of the leak in mS/cm².
        E_Na: Reversal potential of sodium in mV.
        E_K: Reversal potential of potassium in mV.
        E_L: Reversal potential of the leak in mV.
        gain: The current, in µA/cm², that I = 1 stands for.
    """

    description: ClassVar = NeuronDescription.of(
        "HodgkinHuxley",
        (C, G_NA, G_K, G_L, E_NA, E_K, E_L, GAIN),
        Equations(
            """
            alpha_m = 1 / exprel(-(V + 40) / 10)
            beta_m = 4 * exp(-(V + 65) / 18)
            alpha_h = 0.07 * exp(-(V + 65) / 20)
            beta_h = 1 / (1 + exp(-(V + 35) / 10))
            alpha_n = 0.1 / exprel(-(V + 55) / 10)
            beta_n = 0.125 * exp(-(V + 65) / 80)
            sodium = g_Na * m**3 * h * (V - E_Na)
            potassium = g_K * n**4 * (V - E_K)
            C * V' = gain * I - sodium - potassium - g_L * (V - E_L)
            m' = alpha_m * (1 - m) - beta_m * m
            h' = alpha_h * (1 - h) - beta_h * h
            n' = alpha_n * (1 - n) - beta_n * n
            """,
            spike="V >= 0",
            # the gates' steady state at -65 mV
            initial="V = -65; m = 0.0529325; h = 0.5961208; n = 0.3176769",
            substep_ms=0.05,
            table=("V", -90.0, 60.0),
        ),
    )

    C: Value = C.default
    g_Na: Value = G_NA.default  # noqa: N815
    g_K: Value = G_K.default  # noqa: N815
    g_L: Value = G_L.default  # noqa: N815
    E_Na: Value = E_NA.default
    E_K: Value = E_K.default
    E_L: Value = E_L.default
    gain: Value = GAIN.default
