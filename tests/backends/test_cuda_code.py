"""What nvcc makes of the cuda backend's kernels; skipped where there is no nvcc."""

import pytest
from helpers import networks

from shd_genn.backends.cuda import build
from shd_genn.backends.cuda.lower import lower
from shd_genn.backends.cuda.render import render
from shd_genn.backends.protocols import CompileConfig
from shd_genn.bench.gpu import cases, code


def compiled_by_nvcc(network, folder):
    """What nvcc makes of a network, with warnings as errors; without nvcc the test is skipped."""
    try:
        build.find_nvcc()
    except build.Unusable as error:
        pytest.skip(str(error))
    source = render(lower(network, CompileConfig(networks.N_STEPS)), network.input.name)
    return code.code_of(source, folder, code.CAPABILITIES)


def assert_no_spills(kernels):
    found = {(k.kernel, k.capability) for k in kernels}
    assert {(name, c) for name in code.STEP_KERNELS for c in code.CAPABILITIES} <= found
    assert len(found) >= 4 * 7  # kernels of each compute capability
    assert all(k.spilled == 0 for k in kernels), kernels


@pytest.mark.parametrize("hidden", [64, 256, 512, 1024])
def test_every_gpu_since_turing(hidden, tmp_path):
    """Warnings are errors; registers do not spill, whatever the compute capability."""
    assert_no_spills(compiled_by_nvcc(networks.network(hidden_sizes=(hidden,)), tmp_path))


@pytest.mark.parametrize("name", cases.NEURONS)
def test_every_neuron_on_every_gpu(name, tmp_path):
    case = cases.Case((256,), neurons=(name,), learns_neurons=True)
    assert_no_spills(compiled_by_nvcc(cases.network_of(case), tmp_path))


REPORT = """
ptxas info    : Compiling entry function '_Z8gradientI10con_outputEv6Common6Trials' for 'sm_90'
    0 bytes stack frame, 0 bytes spill stores, 0 bytes spill loads
ptxas info    : Used 32 registers, used 1 barriers
ptxas info    : Compiling entry function '_Z7forward6Common6Trials' for 'sm_90'
    16 bytes stack frame, 4 bytes spill stores, 8 bytes spill loads
ptxas info    : Used 66 registers, used 1 barriers, 2564 bytes smem
"""
SASS = """
        /*0010*/                   LDG.E R1, [R2] ;
        /*0020*/                   FADD R1, R1, R3 ;
        /*0030*/               @P0 BRA 0x20 ;
        /*0040*/                   BAR.SYNC.DEFER_BLOCKING 0x0 ;
        /*0050*/              @!P1 BRA 0x10 ;
        /*0060*/                   EXIT ;
        /*0070*/                   BRA 0x70;
"""


def test_spills_and_loops_are_found_in_what_the_tools_write():
    assert code._reported(REPORT) == {("gradient", 90): (32, 0, 0), ("forward", 90): (66, 16, 12)}
    assert code._largest_loop(SASS) == {"LDG": 1, "FADD": 1, "BRA": 2, "BAR": 1}
