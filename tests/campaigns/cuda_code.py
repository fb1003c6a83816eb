"""Compile the kernels of the cuda backend for four kinds of GPU, and look for spilled registers.

python tests/campaigns/cuda_code.py

Warnings of nvcc are errors. It takes two minutes of one core; `tests/backends/test_cuda_code.py`
has less of it in every run of the tests. Exit code 1 if anything spills.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from shd_genn.backends.cuda.lower import lower
from shd_genn.backends.cuda.render import render
from shd_genn.bench.gpu import cases, code

CASES = {
    **{f"leaky, {hidden}": cases.Case((hidden,)) for hidden in (64, 256, 512, 1024)},
    **{
        f"{name}, 256": cases.Case((256,), neurons=(name,), learns_neurons=True)
        for name in cases.NEURONS
    },
    **{
        f"{kind} delays, learned, 256": cases.Case(
            (256,), learns_neurons=True, delay=9, learns_delays=True, delay_kind=kind
        )
        for kind in ("synaptic", "axonal", "dendritic")
    },
}


def main() -> None:
    spilling = 0
    for name, case in CASES.items():
        source = render(lower(cases.network_of(case), cases.config_of(case)), "input")
        with tempfile.TemporaryDirectory() as folder:
            kernels = code.code_of(source, Path(folder), code.CAPABILITIES)
        for kernel in code.STEP_KERNELS:
            mine = sorted((k for k in kernels if k.kernel == kernel), key=lambda k: k.capability)
            assert tuple(k.capability for k in mine) == code.CAPABILITIES
            registers, loops = [k.registers for k in mine], [sum(k.loop.values()) for k in mine]
            print(f"{name}: {kernel}: registers {registers}, instructions of the loop {loops}")
        spilled = {f"{k.kernel} on sm_{k.capability}": k.spilled for k in kernels if k.spilled}
        spilling += len(spilled)
        print(f"{name}: {len(kernels)} kernels, spilled: {spilled or 'nothing'}", flush=True)
    sys.exit(spilling > 0)


if __name__ == "__main__":
    main()
