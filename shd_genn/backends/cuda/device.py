"""The generated library's entry points, and what they keep on the GPU."""

from __future__ import annotations

import ctypes
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from shd_genn.backends.cuda.library import declare
from shd_genn.backends.cuda.lower import Plan
from shd_genn.backends.cuda.store import FloatArray
from shd_genn.spikes.events import Events
from shd_genn.support.errors import ShdGennError

STAGES = ("input", "gather", "forward", "loss", "adjoint", "gradient", "optimiser")
"""Those of memory.cuh."""
VALUES, GRADIENT, MOMENT_M, MOMENT_V, CONSTANTS, UNBOUNDED, DRIVE = range(7)
"""Arrays that can be copied from the GPU and to it."""
NORM_BLOCKS = 64
"""That of update.cuh."""


NO_ROOM = (
    "close what else uses the GPU (nvidia-smi shows it), make the batches or the network smaller, "
    "or take --backend native"
)
FAILED = "look at what nvidia-smi says, and run it again; if it fails again, report this message"


class CudaError(ShdGennError, RuntimeError):
    """The GPU or its driver refused something."""


@dataclass(frozen=True)
class Forward:
    """What comes out of a forward pass.

    Attributes:
        readout: float32, (n_samples, n_classes).
        counts: int32, (n_samples, lanes): spikes of every neuron that takes steps; -n if one had
            left all bounds after n steps.
        input_spikes: int32, (n_samples,).
        voltages: float32, (n_samples, n_steps, n_classes), if they were asked for.
    """

    readout: FloatArray
    counts: NDArray[np.int32]
    input_spikes: NDArray[np.int32]
    voltages: FloatArray | None


@dataclass(frozen=True)
class Room:
    """What there is room for on the GPU."""

    trials: int = 0
    events: int = 0
    learns: bool = False
    voltages: bool = False

    def grown(self, other: Room) -> Room:
        """Room for both."""
        return Room(
            max(self.trials, other.trials),
            max(self.events, other.events),
            self.learns or other.learns,
            self.voltages or other.voltages,
        )


class Device:
    """An engine in a library, with the network's arrays on the GPU.

    Args:
        library: The compiled source of `render`.
        plan: What it was rendered from.
        n_steps: Steps of a trial.
        dt_ms: Length of a step in ms.
        weights: Of the steps in the readout and in the output's adjoint, float32, (n_steps,).
        timed: Whether kernels are timed; the GPU then waits after each.

    Raises:
        CudaError: if the GPU cannot be used, or has no memory left.
    """

    def __init__(
        self,
        library: ctypes.CDLL,
        plan: Plan,
        n_steps: int,
        dt_ms: float,
        weights: tuple[FloatArray, FloatArray],
        timed: bool,
    ) -> None:
        self._library, self._plan, self._n_steps = declare(library), plan, n_steps
        self.room = Room()
        handle = ctypes.c_void_p()
        read, drive = weights
        self._check(
            self._library.engine_create(
                n_steps, dt_ms, read.ctypes.data, drive.ctypes.data, timed, ctypes.byref(handle)
            )
        )
        self._handle: ctypes.c_void_p | None = handle

    def close(self) -> None:
        """Free the GPU's memory."""
        if self._handle is not None:
            self._library.engine_destroy(self._handle)
            self._handle = None

    def memory(self) -> int:
        """Bytes of the GPU's memory that are free."""
        free = ctypes.c_uint64()
        self._check(self._library.engine_memory(ctypes.byref(free)))
        return free.value

    def peak_memory(self) -> int:
        """Bytes of the arrays on the GPU: the most that there have been at a time."""
        return int(self._library.engine_peak_memory(self._handle))

    def has_room(self, room: Room) -> bool:
        """Whether there is memory for so much already."""
        return self.room.grown(room) == self.room

    def bytes_of(self, room: Room) -> int:
        """Bytes that trials take on the GPU."""
        of_trial = self._library.engine_bytes_of_trial(self._n_steps, room.learns, room.voltages)
        return int(of_trial) * room.trials + 10 * room.events

    def make_room(self, room: Room) -> None:
        """See that there is memory for so much; never less than before.

        Raises:
            CudaError: if there is none.
        """
        if self.has_room(room):
            return
        spare = Room(events=room.events + room.events // 4)  # the next batch may have more
        self.room = self.room.grown(room).grown(spare)
        self._check(
            self._library.engine_reserve(
                self._handle,
                self.room.trials,
                self.room.events,
                self.room.learns,
                self.room.voltages,
            )
        )

    def push(self, which: int, numbers: FloatArray, begin: int = 0) -> None:
        """Copy numbers to an array on the GPU."""
        numbers = np.ascontiguousarray(numbers, np.float32)
        self._check(
            self._library.engine_push(self._handle, which, begin, numbers.ctypes.data, numbers.size)
        )

    def pull(self, which: int, n: int, begin: int = 0) -> FloatArray:
        """Copy numbers from an array on the GPU, when all that was begun is done."""
        numbers = np.empty(n, np.float32)
        self._check(self._library.engine_pull(self._handle, which, begin, numbers.ctypes.data, n))
        return numbers

    def forward(self, events: Events, voltages: bool, keep: bool = False) -> Forward:
        """Forward pass of trials that there is room for; they stay until the next one.

        Args:
            events: The trials.
            voltages: Whether output voltages are wanted here.
            keep: Whether they stay on the GPU.
        """
        n, plan = len(events), self._plan
        readout = np.empty((n, plan.output.width), np.float32)
        counts = np.empty((n, plan.lanes), np.int32)
        input_spikes = np.empty(n, np.int32)
        of_steps = np.empty((n, self._n_steps, plan.output.size), np.float32) if voltages else None
        times_ms = np.ascontiguousarray(events.times_ms, np.float32)
        channels = np.ascontiguousarray(events.channels, np.uint16)
        offsets = np.ascontiguousarray(events.offsets, np.int64)
        self._check(
            self._library.engine_forward(
                self._handle,
                times_ms.ctypes.data,
                channels.ctypes.data,
                offsets.ctypes.data,
                n,
                readout.ctypes.data,
                counts.ctypes.data,
                input_spikes.ctypes.data,
                None if of_steps is None else of_steps.ctypes.data,
                keep,
            )
        )
        return Forward(readout[:, : plan.output.size].copy(), counts, input_spikes, of_steps)

    def arrivals(self, n: int) -> NDArray[np.uint16]:
        """(n, lanes, n_steps): the steps in which each neuron's spikes arrive, of its count."""
        arrival = np.empty((n, self._plan.lanes, self._n_steps), np.uint16)
        self._check(self._library.engine_spikes(self._handle, n, arrival.ctypes.data))
        return arrival

    def input_spikes(self, events: Events) -> tuple[NDArray[np.uint16], NDArray[np.int32]]:
        """Channels of all trials' spikes by step, and where each step's begin in its trial."""
        n, n_events = len(events), len(events.times_ms)
        channel = np.empty(n_events, np.uint16)
        begin = np.empty((n, self._n_steps + 2), np.int32)
        self._check(
            self._library.engine_input_spikes(
                self._handle, n, n_events, channel.ctypes.data, begin.ctypes.data
            )
        )
        return channel, begin

    def step_loss(
        self,
        labels: NDArray[np.integer],
        temperature: float,
        label_smoothing: float,
        n_samples: int,
        to_drive: bool,
    ) -> tuple[FloatArray, FloatArray]:
        """Cross-entropy of the trials whose voltages are there, in every step.

        Args:
            labels: (n,): those of the trials.
            temperature: Of the softmax.
            label_smoothing: See `shd_genn.learning.objective`.
            n_samples: Of the whole batch.
            to_drive: Whether the backward pass is to begin with it.

        Returns:
            Two arrays, (n, n_steps): the loss is the logarithm of the first minus the second.
        """
        labels = np.ascontiguousarray(labels, np.int32)
        totals, rights = (np.empty((len(labels), self._n_steps), np.float32) for _ in range(2))
        self._check(
            self._library.engine_step_loss(
                *(self._handle, len(labels), labels.ctypes.data, temperature, label_smoothing),
                *(n_samples, to_drive, totals.ctypes.data, rights.ctypes.data),
            )
        )
        return totals, rights

    def read_curves(self, n: int, curves: FloatArray) -> FloatArray:
        """The readout of the trials whose voltages are there, (n, n_classes).

        Args:
            n: How many they are.
            curves: (2, curves, n_steps): weights over time, of the forward and the backward pass.
        """
        curves = np.ascontiguousarray(curves, np.float32)
        readout = np.empty((n, self._plan.output.size), np.float32)
        self._check(
            self._library.engine_read_curves(
                self._handle, n, curves.ctypes.data, curves.shape[1], readout.ctypes.data
            )
        )
        return readout

    def drive_curves(self, by_readout: FloatArray, n_curves: int, first_part: bool) -> None:
        """Let the backward pass of the trials that are there begin with what they were read by.

        Args:
            by_readout: (n, n_classes): -∂L/∂readout of the batch's mean loss.
            n_curves: How many there are.
            first_part: Whether the curves' gradient starts from 0.
        """
        by_readout = np.ascontiguousarray(by_readout, np.float32)
        self._check(
            self._library.engine_drive_curves(
                self._handle, len(by_readout), by_readout.ctypes.data, n_curves, first_part
            )
        )

    def curve_gradient(self) -> FloatArray:
        """Sum over the trials of -∂L/∂readout times the voltage, (n_steps, n_classes)."""
        gradient = np.empty((self._n_steps, self._plan.output.size), np.float32)
        self._check(self._library.engine_curve_gradient(self._handle, gradient.ctypes.data))
        return gradient

    def backward(
        self, n: int, drive: FloatArray | None, jump: FloatArray, first_part: bool
    ) -> None:
        """Begin the backward pass of the trials that are there.

        Args:
            n: How many they are.
            drive: What the loss does to the output's adjoint, see `losses`; None if it is there.
            jump: (lanes,): the regulariser's.
            first_part: Whether gradients start from 0, not from those that are there.
        """
        given, size = None, 0
        if drive is not None:
            drive = np.ascontiguousarray(drive, np.float32)
            given, size = drive.ctypes.data, drive.size
        self._check(
            self._library.engine_backward(
                self._handle, n, given, size, jump.ctypes.data, first_part
            )
        )

    def drop_out(self, silent: NDArray[np.bool_] | None, scales: Mapping[str, float]) -> None:
        """Let neurons be silent in the trials to come, and scale weights meanwhile.

        Args:
            silent: (n_samples, lanes): who is; None ends it.
            scales: Connection → what its weights are multiplied by.
        """
        if silent is None:
            self._check(self._library.engine_drop_out(self._handle, None, 0, None, None))
            return
        silent = np.ascontiguousarray(silent, np.uint8)
        begin, factor = self._factors(scales)
        self._check(
            self._library.engine_drop_out(
                self._handle, silent.ctypes.data, len(silent), begin.ctypes.data, factor.ctypes.data
            )
        )

    def scale_gradient(self, scales: Mapping[str, float]) -> None:
        """Multiply the gradients of some arrays, each by its own factor."""
        begin, factor = self._factors(scales)
        self._check(
            self._library.engine_scale_gradient(self._handle, begin.ctypes.data, factor.ctypes.data)
        )

    def _factors(self, scales: Mapping[str, float]) -> tuple[NDArray[np.int64], FloatArray]:
        """Where arrays of parameters begin, and the factor of each; 1 of those without one."""
        plan = self._plan
        begin = np.array([a.begin for a in plan.arrays] + [plan.n_values], np.int64)
        factor = np.array([scales.get(a.parameter.key, 1) for a in plan.arrays], np.float32)
        return begin, factor

    def squares(self) -> NDArray[np.float64]:
        """Sums of the squares of parts of the gradient, in an order that never changes."""
        sums = np.empty(NORM_BLOCKS)
        self._check(self._library.engine_squares(self._handle, sums.ctypes.data, len(sums)))
        return sums

    def adam(
        self,
        constants: Sequence[float],
        correction2: float,
        rate1: FloatArray,
        clip: float = 1.0,
        kept: FloatArray | None = None,
    ) -> None:
        """Begin an update of all that is learned.

        Args:
            constants: β1, β2, ε.
            correction2: 1 / (1 - β2^k).
            rate1: (arrays,): learning rate / (1 - β1^k) of each.
            clip: What gradients are multiplied by.
            kept: (arrays,): what parameters are multiplied by before the update; by default 1.
        """
        learned = self._plan.learned
        kept = np.ones(len(learned), np.float32) if kept is None else kept
        begin = np.array([a.begin for a in learned] + [self._plan.n_learned], np.int64)
        low, high = (
            np.array([getattr(a.parameter, name) for a in learned], np.float32)
            for name in ("low", "high")
        )
        self._check(
            self._library.engine_adam(
                self._handle,
                *constants,
                correction2,
                clip,
                begin.ctypes.data,
                rate1.ctypes.data,
                low.ctypes.data,
                high.ctypes.data,
                kept.ctypes.data,
            )
        )

    def times(self) -> dict[str, float]:
        """Seconds of each of `STAGES`."""
        seconds = np.zeros(len(STAGES))
        self._library.engine_times(self._handle, seconds.ctypes.data)
        return dict(zip(STAGES, seconds.tolist(), strict=True))

    def _check(self, failed: int) -> None:
        if failed:
            what = self._library.engine_error().decode()
            raise CudaError(f"{what}; {NO_ROOM if 'out of memory' in what else FAILED}")
