"""How a network is computed: a backend compiles it, and what comes out simulates and trains it.

`protocols` holds what a backend offers, `capabilities` what each can do, `choice` finds one by its
name, `conformance` tests one. The table in docs/backends.md is made from the capabilities.
"""

from shd_genn.backends.capabilities import Capabilities, Status, markdown_table
from shd_genn.backends.choice import (
    BACKENDS,
    BackendName,
    BackendOption,
    Choice,
    choose,
    get,
    load,
)
from shd_genn.backends.protocols import (
    Backend,
    BatchResult,
    CompileConfig,
    Differentiable,
    Learner,
    Parameters,
    Recording,
    Simulator,
    require_gradient,
    require_learner,
)

__all__ = [
    "BACKENDS",
    "Backend",
    "BackendName",
    "BackendOption",
    "BatchResult",
    "Capabilities",
    "Choice",
    "CompileConfig",
    "Differentiable",
    "Learner",
    "Parameters",
    "Recording",
    "Simulator",
    "Status",
    "choose",
    "get",
    "load",
    "markdown_table",
    "require_gradient",
    "require_learner",
]
