"""The boards that NVIDIA's driver shows, through NVML (the package ``nvidia-ml-py``)."""

from __future__ import annotations

import importlib
from typing import Any


class NoBoards(Exception):  # noqa: N818 - the name of what it says
    """Why the driver shows no boards, as a clause."""


def boards() -> tuple[Any, list[Any]]:
    """NVML, and a handle of each board.

    Raises:
        NoBoards: if the package is missing, or the driver does not answer.
    """
    try:
        nvml: Any = importlib.import_module("pynvml")
    except ImportError as error:
        raise NoBoards("nvidia-ml-py is not installed for GPUs") from error
    try:
        nvml.nvmlInit()
        return nvml, [nvml.nvmlDeviceGetHandleByIndex(i) for i in range(nvml.nvmlDeviceGetCount())]
    except nvml.NVMLError as error:
        raise NoBoards(f"NVIDIA's driver shows no GPU ({error})") from error


def memory_in_use() -> int | None:
    """Bytes that all programs have on all boards now; None if the driver cannot be asked."""
    try:
        nvml, found = boards()
    except NoBoards:
        return None
    try:
        used = [int(nvml.nvmlDeviceGetMemoryInfo(board).used) for board in found]
    except nvml.NVMLError:
        return None
    return sum(used) if used else None
