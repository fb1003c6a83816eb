"""What nvcc makes of the cuda backend's kernels; skipped where there is no nvcc.

Here are networks that have every kernel and every number of neurons a thread carries, each for one
of four compute capabilities. `tests/campaigns/cuda_code.py` has all neurons and sizes, for each.
"""

import pytest

from shd_genn.backends.cuda import build
from shd_genn.backends.cuda.lower import lower
from shd_genn.backends.cuda.render import render
from shd_genn.bench.gpu import cases, code

LATE = {"learns_neurons": True, "delay": 9, "learns_delays": True}
AXONAL = cases.Case((256,), delay_kind="axonal", **LATE)
DENDRITIC = cases.Case((512,), "var", delay_kind="dendritic", **LATE)
COMPILED = {
    "axonal delays, one a thread": (AXONAL, 75),
    "dendritic delays, two a thread": (DENDRITIC, 90),
    "four a thread": (cases.Case((1024,)), 120),
    "sub-steps": (cases.Case((256,), neurons=("Hodgkin-Huxley",), learns_neurons=True), 90),
    "exact steps": (cases.Case((256,), neurons=("adLIF",), learns_neurons=True), 80),
}
"""Name → network, compute capability."""


@pytest.mark.parametrize("name", COMPILED)
def test_nothing_spills_and_nothing_is_warned_of(name, tmp_path):
    """Warnings are errors."""
    try:
        build.find_nvcc()
    except build.Unusable as error:
        pytest.skip(str(error))
    case, capability = COMPILED[name]
    source = render(lower(cases.network_of(case), cases.config_of(case)), "input")
    kernels = code.code_of(source, tmp_path, (capability,))
    found = {k.kernel for k in kernels}
    shared = {f"{case.delay_kind}_gradient"} if case.delay else set()
    expected = {*code.STEP_KERNELS, "sort_input", "gradient", "sum_trials", "adam", "sum_squares"}
    assert expected | shared <= found
    assert all(k.spilled == 0 and k.capability == capability for k in kernels), kernels


def test_all_four_capabilities_are_compiled_for():
    assert {capability for _, capability in COMPILED.values()} == set(code.CAPABILITIES)


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
