"""What backends say they can do is what the docs say, and what code goes by."""

import re
from dataclasses import replace
from pathlib import Path

import pytest
from helpers import networks

from shd_genn import backends
from shd_genn.backends import reference
from shd_genn.backends.__main__ import table
from shd_genn.learning.methods import EventProp
from shd_genn.network import LeakyIntegrateFire, SpikeInput
from shd_genn.support.errors import ConfigError

ROOT = Path(__file__).resolve().parents[2]


def test_the_docs_have_the_table_of_the_capabilities():
    page = (ROOT / "docs" / "backends.md").read_text(encoding="utf-8")
    (found,) = re.findall(r"<!-- capabilities: begin -->\n(.*)<!-- .*: end -->", page, re.DOTALL)
    assert found == table(), "run python -m shd_genn.backends"
    assert all(f"`{name}`" in found for name in backends.BACKENDS)


def test_no_code_asks_for_a_backends_name():
    """Names are in the registry, and as defaults of options; capabilities answer all else."""
    allowed = {
        "shd_genn/backends/choice.py": "the registry",
        "shd_genn/backends/genn/build.py": "GeNN has backends, too",
        "shd_genn/backends/genn/engine.py": "GeNN has backends, too",
        "shd_genn/backends/genn/installation.py": "GeNN has backends, too",
        "shd_genn/bench/gpu/beside.py": "what the cuda backend is beside",
        "shd_genn/bench/gpu/measure.py": "what it measures",
        "shd_genn/bench/peers/libraries/__init__.py": "the registry of peers",
        "shd_genn/bench/peers/libraries/genn_peer.py": "what the peer is",
        "shd_genn/bench/peers/libraries/native_peer.py": "what the peer is",
    }
    named = re.compile(rf"[\"']({'|'.join(backends.BACKENDS)})[\"']")
    option = re.compile(r"^    backends?: .* = ")  # the default of a command's option
    # ``backend="native"`` is an example in a docstring
    wrong = [
        f"{path.relative_to(ROOT)}: {line.strip()}"
        for folder in ("shd_genn", "analysis")
        for path in (ROOT / folder).rglob("*.py")
        if str(path.relative_to(ROOT)) not in allowed
        for line in path.read_text(encoding="utf-8").splitlines()
        if named.search(line) and not option.match(line) and "``" not in line
    ]
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize(
    ("lacks", "message"),
    [
        ({"methods": ()}, "cannot train with method eventprop; it has none"),
        ({"neurons": (SpikeInput, LeakyIntegrateFire)}, "simulate neurons of LeakyIntegrate;"),
        ({"synapses": ()}, "simulate Exponential synapses"),
        ({"readouts": ("var",)}, "read an output by avg_var_exp_weight"),
        ({"varies": ("weight",)}, r"simulate input_hidden0\.delay that differs"),
        ({"learns": ("weight", "delay")}, r"learn hidden0\.tau_mem"),
    ],
)
def test_what_a_backend_lacks_is_refused(lacks, message):
    able, network = reference.CAPABILITIES, networks.learned_network(delays=True)
    able.check(network, EventProp())
    with pytest.raises(ConfigError, match=message):
        replace(able, **lacks).check(network, EventProp())


def test_what_only_simulates_is_not_trained():
    class Simulating:
        network = config = None
        evaluate = record = parameters = set_parameters = kernel_times = str.__call__
        __enter__ = __exit__ = str.__call__

    assert isinstance(Simulating(), backends.Simulator)
    with pytest.raises(ConfigError, match="Simulating simulates this network, but cannot train it"):
        backends.require_learner(Simulating())
    with pytest.raises(ConfigError, match="Simulating has no gradient of the loss"):
        backends.require_gradient(Simulating())
