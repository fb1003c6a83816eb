"""Trains and evaluates a network in GeNN, and adds the losses and readouts that mlGeNN lacks."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from shd_genn.backends.genn import installation, translate
from shd_genn.backends.genn.build import nvcc_version
from shd_genn.backends.genn.compiler import NO_LABEL
from shd_genn.backends.genn.inputs import emitted
from shd_genn.backends.genn.simulation import Inference, Spikes, Trials
from shd_genn.backends.genn.training import Training
from shd_genn.backends.protocols import (
    BatchResult,
    CompileConfig,
    Parameters,
    Recording,
    require_samples,
)
from shd_genn.learning.methods.eventprop import gradient_scale
from shd_genn.learning.objective import loss_and_drive, needs_voltages, regulariser_jump
from shd_genn.learning.optimisers import LearningRate, rate_of
from shd_genn.network import Network, Population, kind_of
from shd_genn.spikes.events import Events
from shd_genn.support.builder import compiler_version, find_compiler
from shd_genn.support.errors import ConfigError, require

EVALUATION_BATCH = 128
"""Number of trials that a GPU simulates at once in an evaluation."""

Float = NDArray[np.floating]


class GennEngine:
    """A network that GeNN simulates; see `shd_genn.backends.Differentiable`.

    GeNN generates and compiles code when it is first needed: EventProp code for training and
    gradients, inference code for everything else.
    """

    def __init__(self, network: Network, config: CompileConfig) -> None:
        self.network = network
        self.config = config
        self._genn_backend = installation.genn_backend()
        _check(network, config, self._genn_backend)
        self._training: Training | None = None
        self._inference: Inference | None = None
        self._parameters = network.initial_parameters(config.seed)
        self._trained = [p.key for p in network.parameters if p.trained]
        self._m, self._v = (
            {name: np.zeros_like(w) for name, w in self._parameters.items()} for _ in range(2)
        )
        self._step = 0
        self._device_is_ahead = False  # whether the device has newer values than the arrays above

    def __enter__(self) -> Self:
        """Nothing to do: the device is taken when it is first needed."""
        return self

    def __exit__(self, *error: object) -> None:
        """Free the device."""
        self.close()

    def close(self) -> None:
        """Free the device; parameters and optimiser state can still be read."""
        self._pull()
        for simulation in (self._training, self._inference):
            if simulation is not None:
                simulation.close()
        self._training = self._inference = None

    def __del__(self) -> None:
        if hasattr(self, "_device_is_ahead"):
            self.close()

    def train_batch(
        self, events: Events, labels: NDArray[np.integer], learning_rate: LearningRate
    ) -> BatchResult:
        """Train on one batch; the result is that of the parameters before the update."""
        rates = dict.fromkeys(self._parameters, 0.0)
        rates |= {key: rate_of(learning_rate, key) for key in self._trained}
        training, result = self._backward(events, labels)
        training.learn(rates, self._step)
        self._step += 1
        self._device_is_ahead = True
        return result

    def gradient(self, events: Events, labels: NDArray[np.integer]) -> Parameters:
        """Gradient of the batch's mean loss with regulariser; the parameters do not change."""
        training, _ = self._backward(events, labels)
        scale = gradient_scale(self.network, self.config.n_steps)
        gradient = training.gradient()
        return {key: np.float32(scale * self._unit(key)) * gradient[key] for key in self._trained}

    def evaluate(self, events: Events, labels: NDArray[np.integer] | None = None) -> BatchResult:
        """Run the forward pass; the parameters do not change."""
        inputs = emitted(events, self.network, self.config)
        voltages = labels is not None and needs_voltages(self.network.readout)
        trials = self._infer(inputs, voltages)
        loss: Float = np.full(len(events), np.nan)
        if labels is not None:
            loss, _ = self._loss(trials, labels)
        return self._result(inputs, trials, loss)

    def record(self, events: Events) -> Recording:
        """Record all spikes and output voltages of some samples."""
        inputs = emitted(events, self.network, self.config)
        trials = self._infer(inputs, voltages=True)
        assert trials.voltages is not None
        spikes = {self.network.input.name: inputs, **trials.spikes}
        dt = self.config.dt_ms
        return Recording(
            {
                name: Events.of([(steps * dt, neurons) for steps, neurons in found])
                for name, found in spikes.items()
            },
            trials.voltages,
        )

    def parameters(self) -> Parameters:
        """A copy of all parameters."""
        self._pull()
        return {name: array.copy() for name, array in self._parameters.items()}

    def set_parameters(self, parameters: Mapping[str, NDArray[np.float32]]) -> None:
        """Replace the weights; other parameters are replaced if they are given.

        Raises:
            ConfigError: if the parameters do not fit this network.
        """
        self.network.check_parameters(parameters)
        self._pull()
        given = {key: np.array(array, np.float32) for key, array in parameters.items()}
        self._parameters |= given
        self._push()

    def optimiser_state(self) -> dict[str, NDArray[np.generic]]:
        """A copy of the optimiser's state: ``m_KEY`` and ``v_KEY`` of each parameter, ``step``."""
        self._pull()
        state: dict[str, NDArray[np.generic]] = {"step": np.array(self._step)}
        for prefix, arrays in (("m", self._m), ("v", self._v)):
            state |= {f"{prefix}_{key}": arrays[key].copy() for key in self._trained}
        return state

    def set_optimiser_state(self, state: Mapping[str, NDArray[np.generic]]) -> None:
        """Replace the optimiser's state; missing moments become 0."""
        self._pull()
        self._step = int(state["step"])
        for prefix, arrays in (("m", self._m), ("v", self._v)):
            for name, array in arrays.items():
                array[...] = state.get(f"{prefix}_{name}", 0)
        self._push()

    def kernel_times(self) -> dict[str, float]:
        """``PASS.KERNEL`` → time in s as measured by GeNN; empty if it did not measure."""
        simulations = {"training": self._training, "inference": self._inference}
        return {
            f"{name}.{kernel}": seconds
            for name, simulation in simulations.items()
            if simulation is not None and self._timed
            for kernel, seconds in simulation.kernel_times().items()
        }

    @property
    def _timed(self) -> bool:
        """Whether GeNN measures kernels; on a GPU only on request, because each step then waits."""
        return self._genn_backend == "single_threaded_cpu" or self.config.kernel_times

    def _options(self) -> dict[str, Any]:
        return {
            "kernel_profiling": self._timed,
            "backend": self._genn_backend,
            "optimize_code": True,
        }

    def _key(self, batch_size: int) -> str:
        """Everything that generated code depends on; GeNN also checks that the code fits."""
        compiler = find_compiler()
        nvcc = nvcc_version() if self._genn_backend == "cuda" else None
        parts = (
            self.network.populations,
            [(c.name, c.synapse, c.max_delay_steps, c.delayed) for c in self.network.connections],
            (self.config.n_steps, self.config.dt_ms, self.config.adam, batch_size),
            (self._options(), installation.describe(), compiler, compiler_version(compiler), nvcc),
        )
        return repr(parts)

    def _loaded_for_training(self) -> Training:
        size, config = self.config.batch_size, self.config
        if size is None:
            raise ConfigError(
                "batch_size must be given to train on GeNN, which generates code for it, but got "
                "none; give it with CompileConfig"
            )
        if self._training is None:
            compiled = translate.training_network(self.network, config, size, self._options())
            self._training = Training(self.network, compiled, config.n_steps, self._key(size))
            self._push()
        return self._training

    def _loaded_for_inference(self) -> Inference:
        size, config = self._inference_batch, self.config
        if self._inference is None:
            compiled = translate.inference_network(self.network, config, size, self._options())
            self._inference = Inference(self.network, compiled, config.n_steps, self._key(size))
        return self._inference

    @property
    def _inference_batch(self) -> int:
        return 1 if self._genn_backend == "single_threaded_cpu" else EVALUATION_BATCH

    def _infer(self, inputs: list[Spikes], voltages: bool) -> Trials:
        """Simulate any number of trials with inference code."""
        inference = self._loaded_for_inference()
        self._pull()
        inference.write_parameters(self._parameters)
        parts: list[Trials] = []
        for start in range(0, len(inputs), inference.batch_size):
            batch = inputs[start : start + inference.batch_size]
            if not inference.fits(batch):
                inference.make_room(batch)
                inference.write_parameters(self._parameters)
            parts.append(inference.forward(batch, voltages))
        return _joined(parts, self.network, self.config.n_steps, voltages)

    def _backward(
        self, events: Events, labels: NDArray[np.integer]
    ) -> tuple[Training, BatchResult]:
        """Run both passes on a batch; the device then holds ``Gradient`` in mlGeNN's scale."""
        require_samples(labels)
        training = self._loaded_for_training()
        require(
            len(labels) <= training.batch_size,
            "samples of a batch <= batch_size that GeNN's code was generated for",
            f"{len(labels)} of {training.batch_size}",
            "compile for the largest batch",
        )
        inputs = emitted(events, self.network, self.config)
        if not training.fits(inputs):
            self._pull()
            training.make_room(inputs)
            self._push()
        trials = training.forward(inputs, needs_voltages(self.network.readout))
        loss, drive = self._loss(trials, labels)
        result = self._result(inputs, trials, loss)
        jumps = {
            name: regulariser_jump(counts, self.config.objective.regulariser)
            for name, counts in result.spike_counts.items()
        }
        training.backward(trials, drive / len(labels), jumps)
        return training, result

    def _loss(self, trials: Trials, labels: NDArray[np.integer]) -> tuple[Float, Float]:
        readout = trials.readout.astype(np.float64)  # 1 - p can be very small for first spikes
        return loss_and_drive(self.network, self.config, readout, labels, trials.voltages)

    def _result(self, inputs: list[Spikes], trials: Trials, loss: Float) -> BatchResult:
        counts = {
            p.name: np.array(
                [np.bincount(neurons, minlength=p.size) for _, neurons in trials.spikes[p.name]],
                np.int32,
            ).reshape(-1, p.size)
            for p in self.network.hidden
        }
        input_spikes = np.array([len(steps) for steps, _ in inputs], np.int32)
        return BatchResult(trials.readout, loss.astype(np.float32), counts, input_spikes)

    def _unit(self, key: str) -> float:
        """Factor of mlGeNN's gradient: it is by ms for delays, and ours is by steps."""
        return self.config.dt_ms if kind_of(key) == "delay" else 1.0

    def _push(self) -> None:
        """Copy parameters and optimiser state to the training network, if there is one."""
        if self._training is not None:
            self._training.write_parameters(self._parameters)
            m = {key: array / np.float32(self._unit(key)) for key, array in self._m.items()}
            v = {key: array / np.float32(self._unit(key) ** 2) for key, array in self._v.items()}
            self._training.write_moments("M", m)
            self._training.write_moments("V", v)

    def _pull(self) -> None:
        """Copy parameters and optimiser state from the device, if training has changed them."""
        if self._training is not None and self._device_is_ahead:
            self._parameters = self._training.parameters()
            m, v = self._training.moments("M"), self._training.moments("V")
            self._m = {key: array * np.float32(self._unit(key)) for key, array in m.items()}
            self._v = {key: array * np.float32(self._unit(key) ** 2) for key, array in v.items()}
            self._device_is_ahead = False


def _joined(parts: list[Trials], network: Network, n_steps: int, voltages: bool) -> Trials:
    n_classes = network.output.size
    return Trials(
        np.concatenate([np.zeros((0, n_classes), np.float32), *(p.readout for p in parts)]),
        {p.name: [s for part in parts for s in part.spikes[p.name]] for p in network.spiking},
        np.concatenate(
            [np.zeros((0, n_steps, n_classes), np.float32)]
            + [part.voltages for part in parts if part.voltages is not None]
        )
        if voltages
        else None,
    )


def _check(network: Network, config: CompileConfig, genn_backend: str) -> None:
    """Refuse a network or settings that GeNN cannot simulate."""
    require(
        genn_backend == "cuda" or config.batch_size in (None, 1),
        "batch_size = 1 on GeNN's CPU backend",
        config.batch_size,
        f"it simulates one sample at a time ({installation.gpu()[1]}); use --batch-size 1, or "
        "--backend native, which has batches of any size",
    )
    require(
        network.output.size < NO_LABEL,
        f"classes < {NO_LABEL} on GeNN",
        network.output.size,
        "mlGeNN stores labels in eight bits; use --backend native",
    )
    for population in network.populations:
        if population != network.input:
            _check_time_constants(network, population)
    _check_times(config)


def _check_time_constants(network: Network, population: Population) -> None:
    """Refuse equal time constants: mlGeNN divides by their difference."""
    values = network.values_of(population)
    taus = np.array([values["tau_mem"], values["tau_syn"]], np.float64)
    tau_mem, tau_syn = taus.tolist()
    require(
        abs(tau_mem - tau_syn) > 1e-3 * tau_mem,
        f"tau_mem != tau_syn of population {population.name} on GeNN",
        f"tau_mem {tau_mem}, tau_syn {tau_syn}",
        "change one by at least 0.1 %, or use --backend native",
    )


def _check_times(config: CompileConfig) -> None:
    """Refuse steps and trials with which mlGeNN's backward pass would miss spikes.

    It finds the spikes of a step by comparing float32 times.
    """
    dt, single = np.float32(config.dt_ms), np.float32
    steps = np.arange(config.n_steps)
    spike_times = steps.astype(single) * dt
    arming = (config.n_steps - 1 - steps).astype(single) * dt
    back_times = single((config.n_steps + 1) * config.dt_ms) - arming - dt
    missed = np.abs(back_times - spike_times - dt) >= single(1e-3) * dt
    require(
        not missed.any(),
        "missed steps of mlGeNN's backward pass = 0 (it compares float32 times)",
        f"{missed.sum()} of {config.n_steps} steps of {config.dt_ms:g} ms",
        "use a larger dt_ms, shorter trials, or --backend native",
    )
