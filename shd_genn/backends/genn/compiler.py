"""mlGeNN's EventProp compiler, for a forward and a backward pass one after the other.

mlGeNN runs the backward pass of a trial during the forward pass of the next. Here the forward pass
has the N steps of a trial, and the backward pass, with the same weights, N + 1: a spike of mlGeNN's
last step would be lost for its backward pass, and so none falls into it.

What drives the adjoints comes from `shd_genn.learning.objective`, as for every backend. It is
written into variables of the neurons between the passes: ``Softmax``, or ``LossJump`` and ``Kick``,
of outputs, ``Jump`` of hidden neurons.
"""

from __future__ import annotations

from typing import Any

from ml_genn import readouts
from ml_genn.compilers import EventPropCompiler
from ml_genn.compilers.event_prop_compiler import CompileState
from ml_genn.neurons import Input
from ml_genn.optimisers import Adam
from pygenn import VarAccess

from shd_genn.backends.protocols import CompileConfig
from shd_genn.network.formulas import Formula
from shd_genn.network.readouts import Readout
from shd_genn.support.errors import BuildError

WEIGHT_CODE: dict[Readout, str] = {
    "avg_var": "1.0",
    "var": "1.0",
    "avg_var_exp_weight": "exp(-({s}))",
    "avg_var_linear_weight": "(1.0 - ({s}))",
    "avg_var_sigmoid_weight": "(1.0 / (1.0 + exp((({s}) - 0.5) / 0.2)))",
}
"""The weights of `shd_genn.network.readouts` in GeNN's language.

s is time, from 0 to 1 over a trial.
"""
NO_LABEL = 255
"""A label no output neuron has: mlGeNN's drive is then minus what is written to ``Softmax``."""


class Weighted(readouts.AvgVar):  # type: ignore[misc]
    """Average voltage with a weight; that of ``exp(-s)`` is mlGeNN's `AvgVarExpWeight`.

    Args:
        readout: Its name.
        weight: The formula of ``weighted``.
        config: Length of the trial.
    """

    def __init__(self, readout: Readout, weight: Formula | None, config: CompileConfig) -> None:
        super().__init__()
        self._code = WEIGHT_CODE[readout] if weight is None else weight.code("{s}")
        self._config = config

    def weight(self, time: str) -> str:
        """Code of the weight at a time in ms."""
        return self._code.format(s=f"({time}) * {1 / self._config.trial_ms}")

    def add_readout_logic(self, model: Any, **settings: Any) -> Any:
        """Average over the N steps of the forward pass, though the compiler has N + 1."""
        built = super().add_readout_logic(
            model, **settings | {"example_timesteps": self._config.n_steps}
        )
        _replace(built, "VAvg += ", f"VAvg += {self.weight('t')} * ")
        return built


class MaxVar(readouts.MaxVar):  # type: ignore[misc]
    """Largest voltage, without the syntax of GeNN 4, of which GeNN 5 warns."""

    def add_readout_logic(self, model: Any, **settings: Any) -> Any:
        """As mlGeNN's."""
        built = super().add_readout_logic(model, **settings)
        for name in ("V", "VMax", "VMaxTime"):
            built.replace_sim_code(f"$({name})", name)
        return built


class Compiler(EventPropCompiler):  # type: ignore[misc]
    """EventProp whose backward pass has a step more than the forward pass."""

    def __init__(self, config: CompileConfig, batch_size: int, output: str, **options: Any) -> None:
        adam = config.adam
        super().__init__(
            example_timesteps=config.n_steps + 1,
            losses="sparse_categorical_crossentropy",
            optimiser=Adam(0.0, adam.beta1, adam.beta2, adam.epsilon),
            # the gradient of delays is by steps, mlGeNN's by ms
            delay_optimiser=Adam(0.0, adam.beta1, adam.beta2, adam.epsilon / config.dt_ms),
            # a neuron spikes at most once a step, so that no spike of any data is left out; the
            # entry more distinguishes a full buffer from an empty one
            max_spikes=config.n_steps + 1,
            strict_buffer_checking=True,
            dt=config.dt_ms,
            batch_size=batch_size,
            **options,
        )
        self._config, self._output = config, output

    def pre_compile(self, network: Any, genn_model: Any, **settings: Any) -> Any:
        """As mlGeNN's, which refuses networks that are read by their spikes."""
        read = [p for p in network.populations if p.neuron.readout is not None]
        return CompileState(self.losses, read, genn_model.backend_name)

    def build_neuron_model(self, pop: Any, model: Any, compile_state: Any) -> Any:
        """As mlGeNN's, with our weights, regulariser, and losses of first spikes."""
        built = super().build_neuron_model(pop, model, compile_state)
        if isinstance(pop.neuron.readout, Weighted):
            # in backward step m the adjoint is driven with the weight of step m + 1
            ahead = pop.neuron.readout.weight(
                f"{(self._config.n_steps + 1) * self._config.dt_ms} - t"
            )
            _insert(built, f"drive *= {ahead};", "// Forward pass")
        elif isinstance(pop.neuron, Input) or pop.neuron.readout is not None:
            return built
        elif pop.name == self._output:
            _add_first_spike_loss(built, self.max_spikes)
        else:
            built.add_var("Jump", "scalar", 0.0, VarAccess.READ_ONLY)  # one for the whole batch
            _insert(built, "LambdaV -= Jump;", "// Decrease read pointer")
        return built


def _add_first_spike_loss(model: Any, max_spikes: int) -> None:
    """Let λ_V jump at the first spike, or be kicked at the trial's end if there is none."""
    model.add_var("LossJump", "scalar", 0.0, VarAccess.READ_ONLY_DUPLICATE)
    model.add_var("Kick", "scalar", 0.0, VarAccess.READ_ONLY_DUPLICATE)
    # the oldest entry of the tape, which is read last, is the trial's first spike
    jump = f"""
    if (RingReadOffset == (RingReadEndOffset + 1) % {max_spikes}) {{
        LambdaV += LossJump / RingIMinusV[ringOffset + RingReadOffset];
    }}
    """
    _insert(model, jump, "// Decrease read pointer")
    # after the step that arms the spikes of the last
    _insert(model, "if (t > 0.5 * dt && t < 1.5 * dt) {LambdaV += Kick;}", "// Backward pass")


def _insert(model: Any, code: str, before: str) -> None:
    _replace(model, before, f"{code}\n{before}")


def _replace(model: Any, old: str, new: str) -> None:
    if model.model["sim_code"].count(old) != 1:
        raise BuildError(
            f"mlGeNN's code must have {old!r} once, but this version of mlGeNN has not; install a "
            "tested version (README, section GeNN), or take --backend native"
        )
    model.replace_sim_code(old, new)
