"""The CUDA engine: a network becomes CUDA C++, a library, and a `Differentiable` on an NVIDIA GPU.

`lower` gives neurons their lanes and parameters their places, `render` writes the source round the
files of `kernels/`, `build` finds nvcc and the GPU, compiles once and keeps the library, `device`
calls it, `engine` works out losses and cuts batches that are too large for the GPU. Nothing but
`build` is imported before a network is compiled.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from shd_genn.backends.capabilities import REGULARISATION, Capabilities, Status
from shd_genn.backends.cuda import build
from shd_genn.backends.protocols import CompileConfig
from shd_genn.backends.reference.sensitivities import DERIVATIVES
from shd_genn.learning.methods import EventProp, Method
from shd_genn.network import Exponential, LeakyIntegrate, LeakyIntegrateFire, Network, SpikeInput

if TYPE_CHECKING:
    from shd_genn.backends.cuda.engine import CudaEngine

__all__ = ["CAPABILITIES", "compile", "describe", "status"]

CAPABILITIES = Capabilities(
    title="the CUDA engine",
    summary="generated CUDA C++, a block of threads for each sample, on an NVIDIA GPU",
    needs="nvcc, and an NVIDIA GPU with its driver",
    neurons=(SpikeInput, LeakyIntegrateFire, LeakyIntegrate),
    synapses=(Exponential,),
    methods=(EventProp,),
    varies=("weight", "delay", *DERIVATIVES),
    learns=("weight", "delay", *DERIVATIVES),
    derives=True,
    derives_by=(EventProp,),
    kernel_times=True,
    shares_delays_by=(EventProp,),
    regularises=REGULARISATION,
)


def status() -> Status:
    """It needs a driver, a GPU and nvcc; where there is no driver, nothing else is looked for."""
    try:
        gpu = build.find_gpu()
        nvcc = build.find_nvcc()
        version = build.nvcc_version(nvcc)
        build.require_usable(gpu, version)
    except build.Unusable as error:
        return Status(error.why, error.cure)
    return Status(f"nvcc {version} compiles for the GPU {gpu.name}", accelerator=gpu.name)


def describe() -> dict[str, Any]:
    """The compiler, and the GPU."""
    toolchain, gpu = build.gpu_toolchain(), build.find_gpu()
    command, *flags = toolchain.command
    return {
        "compiler": {"command": command, "version": toolchain.version, "flags": " ".join(flags)},
        "gpu": {
            "name": gpu.name,
            "compute_capability": f"{gpu.capability / 10}",
            "driver_cuda": f"{gpu.driver / 10}",
        },
    }


def compile(network: Network, method: Method, config: CompileConfig) -> CudaEngine:
    """Make a network ready to run on the first GPU, its weights as drawn from the seed.

    Raises:
        ConfigError: if it has no such method, neuron or synapse, or the network is too large.
        BuildError: if nvcc, the driver or a GPU is missing or too old, or the compiler fails.
        CudaError: if the GPU cannot be used, or has no memory left.
    """
    CAPABILITIES.check(network, method, config)
    from shd_genn.backends.cuda.engine import CudaEngine

    return CudaEngine(network, config)
