"""Runs a compiled network on a GPU: cuts batches into what fits, and works out losses."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from typing import Self

import numpy as np
from numpy.typing import NDArray

from shd_genn.backends.cuda import build, device
from shd_genn.backends.cuda.device import Device, Forward, Room
from shd_genn.backends.cuda.losses import loss_of
from shd_genn.backends.cuda.lower import lower
from shd_genn.backends.cuda.parts import Train, joined, lanes_of, part_of, spikes_of
from shd_genn.backends.cuda.render import render
from shd_genn.backends.cuda.store import FloatArray, constants_of_lanes, packed, unpacked
from shd_genn.backends.protocols import (
    BatchResult,
    CompileConfig,
    Parameters,
    Recording,
    require_channels,
    require_samples,
)
from shd_genn.learning.learned_readout import LearnedReadout
from shd_genn.learning.methods.eventprop import gradient_scale
from shd_genn.learning.objective import regulariser_jump
from shd_genn.learning.optimisers import LearningRate, rate_of
from shd_genn.network import Network
from shd_genn.network.initialisers import population_of
from shd_genn.spikes.events import Events
from shd_genn.support.errors import require
from shd_genn.support.interface import ERRORS

MOST_TRIALS = 1024
"""Trials that a forward pass takes at a time when nothing is learned from them."""
FREE_SHARE = 0.9
"""Of the GPU's free memory, how much is taken at most."""


class CudaEngine:
    """A network in generated CUDA; see `shd_genn.backends.protocols.Differentiable`.

    Every sum is made in an order that the network alone decides, so that runs repeat to the bit, on
    any GPU, whatever part of a batch fits into its memory.

    Args:
        network: The network.
        config: Steps, optimiser, regulariser, seed.
        toolchain: What compiles the source; by default nvcc, for the first GPU.
        memory_bytes: Memory that trials may take; by default most of what is free.

    Attributes:
        plan: The network as numbers.
        device: The GPU with the network's arrays.
    """

    def __init__(
        self,
        network: Network,
        config: CompileConfig,
        toolchain: build.Toolchain | None = None,
        memory_bytes: int | None = None,
    ) -> None:
        self.network, self.config = network, config
        self.plan, self._memory_bytes = lower(network, config), memory_bytes
        source = render(self.plan, network.input.name)
        weights = (
            network.read_weights(config.n_steps).astype(np.float32),
            network.drive_weights(config.n_steps, config.dt_ms).astype(np.float32),
        )
        library = build.load_library(source, toolchain or build.gpu_toolchain())
        self.device = Device(
            library, self.plan, config.n_steps, config.dt_ms, weights, config.kernel_times
        )
        self._of_neurons = [a for a in self.plan.arrays if population_of(a.parameter.key)]
        self._step = 0
        self._learned = LearnedReadout(network)
        self._loss = loss_of(network, config, self.device, self._learned)
        self.set_parameters(network.initial_parameters(config.seed))

    def __enter__(self) -> Self:
        """Nothing to do: it is ready when made."""
        return self

    def __exit__(self, *error: object) -> None:
        """Free the GPU's memory."""
        self.close()

    def close(self) -> None:
        """Free the GPU's memory; it cannot be used afterwards."""
        self.device.close()

    def __del__(self) -> None:
        if hasattr(self, "device"):
            self.close()

    def train_batch(
        self, events: Events, labels: NDArray[np.integer], learning_rate: LearningRate
    ) -> BatchResult:
        """One update of all that is learned; the result is that of the parameters before it.

        It returns while the GPU still works on the update.
        """
        learned = self.plan.learned
        rates = np.array([rate_of(learning_rate, a.parameter.key) for a in learned])
        result, of_readout = self._dropped_out(events, labels)
        adam = self.config.adam
        clip = self._clip(of_readout)
        kept = [adam.kept(a.parameter.key, r) for a, r in zip(learned, rates, strict=True)]
        self._step += 1
        with np.errstate(over="ignore"):  # parameters that are not finite are found in training
            rates = (rates / (1 - adam.beta1**self._step)).astype(np.float32)
        self.device.adam(
            (adam.beta1, adam.beta2, adam.epsilon),
            1 / (1 - adam.beta2**self._step),
            rates,
            clip,
            np.array(kept, np.float32),
        )
        self.parameters_changed()
        for key, g in of_readout.items():
            rate = rate_of(learning_rate, key)
            self._learned.update(np.float32(clip) * g, adam, self._step, rate)
        return result

    def _dropped_out(
        self, events: Events, labels: NDArray[np.integer]
    ) -> tuple[BatchResult, Parameters]:
        """`_backward` with drop-out of hidden neurons."""
        dropout = self.config.objective.dropout
        masks = dropout.masks(self.network, len(labels), self.config.seed, self._step)
        if not masks:
            return self._backward(events, labels)
        try:
            result = self._backward(events, labels, lanes_of(self.plan, masks))
        finally:
            self.device.drop_out(None, {})
        self.device.scale_gradient(dropout.scales(self.network))
        return result

    def _clip(self, of_readout: Parameters) -> float:
        """What gradients are multiplied by, so that they are no longer than is allowed."""
        adam = self.config.adam
        if not adam.clip_gradient:
            return 1.0
        squares = [np.square(g, dtype=np.float64).sum() for g in of_readout.values()]
        total = math.fsum([*self.device.squares(), *squares])
        scale = gradient_scale(self.network, self.config.n_steps)
        return adam.clip_norm(scale * math.sqrt(total))

    def gradient(self, events: Events, labels: NDArray[np.integer]) -> Parameters:
        """dLoss/dp of the batch's mean loss, regulariser included; parameters stay."""
        _, of_readout = self._backward(events, labels)
        scale = np.float32(gradient_scale(self.network, self.config.n_steps))
        flat = self.device.pull(device.GRADIENT, self.plan.n_learned)
        gradients = unpacked(self.plan.learned, flat) | of_readout
        return {key: scale * g for key, g in gradients.items()}

    def evaluate(self, events: Events, labels: NDArray[np.integer] | None = None) -> BatchResult:
        """Forward pass only; the parameters stay."""
        losses, passes = [], []
        keep = self._loss.reads_voltages or (labels is not None and self._loss.of_voltages)
        for part in self._parts(events, learns=False, voltages=keep):
            here = keep and self._loss.on_host
            forward = self._loss.read(self.forward_pass(part_of(events, part), here, keep=keep))
            loss = np.full(len(forward.readout), np.nan, np.float32)
            losses.append(loss if labels is None else self._loss.of(forward, labels[part]))
            passes.append(forward)
        return self._result(joined(passes), np.concatenate(losses))

    def record(self, events: Events) -> Recording:
        """All spikes and output voltages of some samples."""
        spikes: dict[str, list[Train]] = {}
        voltages = []
        for part in self._parts(events, learns=False, voltages=True):
            mine = part_of(events, part)
            forward = self.forward_pass(mine, voltages=True)
            assert forward.voltages is not None
            voltages.append(forward.voltages)
            found = spikes_of(self.device, self.plan, self.network, self.config, mine, forward)
            for name, trains in found.items():
                spikes.setdefault(name, []).extend(trains)
        return Recording(
            {name: Events.of(trains) for name, trains in spikes.items()}, np.concatenate(voltages)
        )

    def parameters(self) -> Parameters:
        """A copy of all parameters."""
        plan = self.plan
        found = unpacked(plan.arrays, self.device.pull(device.VALUES, plan.n_values))
        return {p.key: found[p.key] for p in self.network.parameters} | self._learned.parameters()

    def set_parameters(self, parameters: Mapping[str, FloatArray]) -> None:
        """Replace the weights, and those other parameters that are given.

        Raises:
            ConfigError: if they are not of this network.
        """
        self.network.check_parameters(parameters)
        self._learned.set(parameters)
        known = parameters
        if any(a.parameter.key not in parameters for a in self.plan.arrays):
            known = self.parameters() | dict(parameters)
        self.device.push(device.VALUES, packed(self.plan.arrays, known))
        self._constants_are_old = True

    def optimiser_state(self) -> dict[str, NDArray[np.generic]]:
        """A copy of the optimiser's state: ``m_KEY``, ``v_KEY`` as the parameters, and ``step``."""
        state: dict[str, NDArray[np.generic]] = {"step": np.array(self._step)}
        for prefix, which in (("m", device.MOMENT_M), ("v", device.MOMENT_V)):
            flat = self.device.pull(which, self.plan.n_learned)
            moments = unpacked(self.plan.learned, flat)
            state |= {f"{prefix}_{key}": array for key, array in moments.items()}
        return state | self._learned.state()

    def set_optimiser_state(self, state: Mapping[str, NDArray[np.generic]]) -> None:
        """Replace the optimiser's state; moments that are not given become 0."""
        self._step = int(state["step"])
        self._learned.set_state(state)
        for prefix, which in (("m_", device.MOMENT_M), ("v_", device.MOMENT_V)):
            moments = {k.removeprefix(prefix): a for k, a in state.items() if k.startswith(prefix)}
            self.device.push(which, packed(self.plan.learned, moments))

    def kernel_times(self) -> dict[str, float]:
        """Seconds that the GPU has spent on each of `device.STAGES`, if it was asked to measure."""
        return self.device.times() if self.config.kernel_times else {}

    def peak_gpu_memory(self) -> int:
        """Bytes of the arrays on the GPU: the most that there have been at a time."""
        return self.device.peak_memory()

    def _parts(self, events: Events, learns: bool, voltages: bool) -> list[slice]:
        """The samples in parts that the GPU has memory for; one empty part if there are none.

        Raises:
            ConfigError: if it has no memory for a single one, or a channel is too high.
        """
        require_channels(events, self.network)
        n = len(events)
        room = Room(n, len(events.times_ms), learns, voltages)
        at_once = n if self.device.has_room(room) else self._trials_that_fit(events, room)
        at_once = max(1, at_once if learns else min(at_once, MOST_TRIALS))
        return [slice(i, min(i + at_once, n)) for i in range(0, max(n, 1), at_once)]

    def _trials_that_fit(self, events: Events, room: Room) -> int:
        """How many trials there is memory for at once.

        Raises:
            ConfigError: if there is none for a single one.
        """
        longest = int(events.counts.max(initial=0))
        of_one = self.device.bytes_of(replace(room, trials=1, events=longest))
        free = self._memory_bytes
        if free is None:
            taken = self.device.bytes_of(self.device.room)
            free = int(FREE_SHARE * (self.device.memory() + taken))
        fitting = free // of_one
        require(
            fitting >= 1 or room.trials == 0,
            "memory of one trial on the GPU <= memory that is free",
            f"{of_one / 1e6:.0f} MB of {free / 1e6:.0f} MB",
            "close what else uses the GPU, shorten the trial, make the network smaller, or take "
            "--backend native",
        )
        return min(fitting, room.trials)

    def parameters_changed(self) -> None:
        """An update has begun: constants that depend on what it learns must be worked out again."""
        self._constants_are_old |= any(a.parameter.trained for a in self._of_neurons)

    def forward_pass(
        self,
        events: Events,
        voltages: bool = False,
        learns: bool = False,
        keep: bool = False,
        silent: NDArray[np.bool_] | None = None,
    ) -> Forward:
        """Forward pass of samples that fit into memory; nothing is done if there are none.

        Args:
            events: The samples.
            voltages: Whether output voltages are wanted.
            learns: Whether a backward pass may follow.
            keep: Whether they stay on the GPU, for a loss.
            silent: (samples, lanes): neurons that drop-out silences; weights are scaled then, until
                `Device.drop_out` ends it.
        """
        if self._constants_are_old:
            self._update_constants()
        if len(events) == 0:
            plan, n_steps = self.plan, self.config.n_steps
            return Forward(
                np.empty((0, plan.output.size), np.float32),
                np.empty((0, plan.lanes), np.int32),
                np.empty(0, np.int32),
                np.empty((0, n_steps, plan.output.size), np.float32) if voltages else None,
            )
        room = Room(len(events), len(events.times_ms), learns, voltages or keep)
        self.device.make_room(room)
        if silent is not None:
            scales = self.config.objective.dropout.scales(self.network)
            self.device.drop_out(silent, scales)
        forward = self.device.forward(events, voltages, keep)
        if self.plan.derived and forward.counts.min() < 0:
            self._refuse_unbounded(forward.counts)
        return forward

    def _refuse_unbounded(self, counts: NDArray[np.int32]) -> None:
        """Name a neuron that has left all bounds, by its population, and its state then.

        Raises:
            DivergedError: always.
        """
        trial, lane = np.argwhere(counts < 0)[0].tolist()
        p = next(p for p in self.plan.derived if 0 <= lane - p.first < p.size)
        assert p.code is not None
        shape = len(counts), self.plan.most_states, self.plan.lanes
        states = self.device.pull(device.UNBOUNDED, math.prod(shape)).reshape(shape)
        values = dict(zip(p.code.states, states[trial, :, lane].tolist(), strict=False))
        state = ", ".join(f"{q} = {value:.3g}" for q, value in values.items())
        worst = max(values, key=lambda q: np.nan_to_num(abs(values[q]), nan=np.inf))
        error, cure = ERRORS["DIVERGED"]
        raise error(
            f"{worst} of neuron {lane - p.first} of population {p.name} has no bound: it has come "
            f"to {state} at {-counts[trial, lane] * self.config.dt_ms:g} ms; {cure}"
        )

    def _update_constants(self) -> None:
        """What depends on parameters of neurons, which may have been learned."""
        mine: dict[str, FloatArray] = {}
        for array in self._of_neurons:
            flat = self.device.pull(device.VALUES, array.width, array.begin)
            mine[array.parameter.key] = flat[: array.parameter.shape[0]]
        constants = constants_of_lanes(self.network, self.plan, mine, self.config.dt_ms)
        self.device.push(device.CONSTANTS, constants)
        self._constants_are_old = False

    def _backward(
        self,
        events: Events,
        labels: NDArray[np.integer],
        silent: NDArray[np.bool_] | None = None,
    ) -> tuple[BatchResult, Parameters]:
        """Gradients of a batch, and of its readout. In parts, each is run forward once more."""
        require_samples(labels)
        loss = self._loss
        parts = self._parts(events, learns=True, voltages=loss.of_voltages)

        def forward_of(part: slice, voltages: bool) -> Forward:
            mine = events if len(parts) == 1 else part_of(events, part)
            return self.forward_pass(
                mine,
                voltages,
                learns=True,
                keep=loss.of_voltages,
                silent=None if silent is None else silent[part],
            )

        forward = joined([loss.read(forward_of(part, loss.on_host)) for part in parts])
        loss.begin(forward, labels)
        jump = self._jump(forward)
        for i, part in enumerate(parts):
            if len(parts) > 1:
                forward_of(part, voltages=False)
            self.device.backward(part.stop - part.start, loss.drive(part), jump, first_part=i == 0)
        of_samples, of_readout = loss.end()
        return self._result(forward, of_samples), of_readout

    def _jump(self, forward: Forward) -> FloatArray:
        """The regulariser's jump of every lane; an output's spikes are not regularised."""
        jump = np.zeros(self.plan.lanes, np.float32)
        for p in self.plan.populations:
            if p.spikes and not p.is_output:
                mine = slice(p.first, p.first + p.size)
                jump[mine] = regulariser_jump(
                    forward.counts[:, mine], self.config.objective.regulariser
                )
        return jump

    def _result(self, forward: Forward, loss: FloatArray) -> BatchResult:
        counts = {
            p.name: forward.counts[:, p.first : p.first + p.size]
            for p in self.plan.populations
            if p.spikes and not p.is_output
        }
        return BatchResult(forward.readout, loss, counts, forward.input_spikes)
