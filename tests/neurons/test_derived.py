"""Neurons by their equations: what is derived, that it is right, and what is refused."""

import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
from helpers.by_equations import by_equations, with_neuron
from helpers.paper_neurons import ADEX, FITZHUGH_NAGUMO, RESONATE_AND_FIRE

from shd_genn.backends import genn, native, reference
from shd_genn.backends.conformance.networks import (
    CONFIG,
    largest_error,
    layered_network,
    learned_network,
    random_events,
    random_labels,
)
from shd_genn.backends.proof import Proof
from shd_genn.backends.proof.event_exact import loss_of, simulate
from shd_genn.backends.proof.network import LABEL
from shd_genn.backends.proof.perturbed import losses_of
from shd_genn.backends.protocols import CompileConfig
from shd_genn.backends.reference.engine import Reference
from shd_genn.learning.methods import EventProp
from shd_genn.network import (
    AdaptiveLeakyIntegrateFire,
    AdLIF,
    HodgkinHuxley,
    Izhikevich,
    LeakyIntegrateFire,
    Neuron,
    QuadraticIntegrateFire,
)
from shd_genn.network.neurons.coefficients import matrix_exponential
from shd_genn.network.neurons.expressions import Program, exprel, exprel_slope
from shd_genn.network.neurons.named import NAMES
from shd_genn.support.errors import ConfigError, DivergedError

EVERY = {
    "lif, subtracting": LeakyIntegrateFire(reset="subtract"),
    "alif, refractory": AdaptiveLeakyIntegrateFire(tau_adapt=60.0, beta=0.2, tau_refrac=2.0),
    "adlif": AdLIF(),
    "qif": QuadraticIntegrateFire(),
    "izhikevich": Izhikevich(),
    "hodgkin huxley": HodgkinHuxley(),
    "adex": ADEX,
    "resonate and fire": RESONATE_AND_FIRE,
    "fitzhugh nagumo": FITZHUGH_NAGUMO,
}
"""All that are proved here by every weight and parameter; `python -m shd_genn.check` also shortens
their steps, which takes longer."""
STEPPED = ("lif, subtracting", "alif, refractory", "adlif", "qif", "izhikevich")
"""Those that are simulated in steps here, too; the others have too many sub-steps for a test."""


@pytest.mark.parametrize(
    "network",
    [layered_network(), learned_network(delays=True), learned_network("first_spike_time")],
    ids=["layers", "learned with delays", "first spikes"],
)
def test_the_derived_lif_neuron_is_the_hand_written_one(network):
    """The same spikes, and the same gradients to 1e-6 (they are equal to the float32)."""
    derived = by_equations(network)
    events, labels = random_events(2), random_labels(2)
    old, new = Reference(network, CONFIG), Reference(derived, CONFIG)
    for name, counts in old.evaluate(events).spike_counts.items():
        assert counts.sum() > 50
        np.testing.assert_array_equal(new.evaluate(events).spike_counts[name], counts)
    assert largest_error(new.gradient(events, labels), old.gradient(events, labels)) < 1e-6


@pytest.fixture(scope="module")
def proofs():
    """Name → proof, and central differences of its loss."""
    made = {}

    def of(name):
        if name not in made:
            proof = Proof(EVERY[name])
            made[name] = proof, proof.differences()
        return made[name]

    return of


@pytest.mark.parametrize("name", EVERY)
def test_the_gradient_of_every_neuron_is_right(proofs, name):
    proof, differences = proofs(name)
    keys = {*proof.net.weights, *proof.derived.learnable, "tau_syn"}
    assert differences.keys() == keys
    findings = [proof.derivatives(), proof.order_of_step(), *proof.against(differences)]
    assert all(finding.holds for finding in findings), findings
    assert proof.derived.crossing == (name in ("hodgkin huxley", "fitzhugh nagumo"))


@pytest.mark.parametrize("name", STEPPED)
def test_the_gradient_in_steps_comes_to_the_exact_one(proofs, name):
    errors = proofs(name)[0].convergence((0.4, 0.1)).errors
    assert errors[-1] < 0.6 * errors[0], errors


def spoiled(program, output):
    """A program with one output 3 % too large."""
    outputs = [(n, f"1.03 * ({text})" if n == output else text) for n, text in program.outputs]
    assert output in program.names
    return Program(program.inputs, program.temporaries, tuple(outputs))


@pytest.mark.parametrize("name", EVERY)
def test_a_wrong_jump_and_a_wrong_derivative_are_noticed(proofs, name):
    right, differences = proofs(name)
    derived, first = right.derived, right.derived.states[0]
    for part, output in (("jump", "slope"), ("partials", f"A_{first}_{first}")):
        wrong = replace(derived, **{part: spoiled(getattr(derived, part), output)})
        findings = right.with_derived(wrong).against(differences)
        assert not all(finding.holds for finding in findings), (part, findings)
    jacobian = spoiled(derived.jacobian, f"J_{first}_{first}")
    assert not right.with_derived(replace(derived, jacobian=jacobian)).derivatives().holds


def test_a_spike_that_lasts_less_than_a_step_of_the_solution_is_noticed():
    """V rises through the threshold and falls again within a millisecond."""
    proof = Proof(RESONATE_AND_FIRE, seed=2)
    counts = proof.network.counted(proof.trajectory)
    recorded = proof.network.in_steps(0.05).evaluate(proof.network.events).spike_counts["hidden"]
    assert counts == tuple(recorded[0])


def test_a_neuron_whose_voltage_explodes_beyond_its_spike_is_proved():
    findings = Proof(ADEX, seed=3).finite_differences()
    assert all(finding.holds for finding in findings), findings


def test_the_native_engine_has_a_neuron_with_an_exponential():
    """Its constants have powers of 2, of which the language of equations has none."""
    findings = Proof(ADEX).backend("native", native)
    assert all(finding.holds for finding in findings), findings


def test_sub_steps_that_are_too_long_are_noticed_and_better_ones_advised():
    substeps = Proof(replace(ADEX, substep_ms=0.1)).substeps()
    assert not substeps.finding.holds
    assert "a substep_ms of 0.025 or less does better" in substeps.advice
    assert Proof(AdLIF()).substeps() is None


def test_the_loss_of_a_perturbed_copy_is_that_of_the_copy_by_itself(proofs):
    proof = proofs("alif, refractory")[0]
    weights = {name: 1.0001 * w for name, w in proof.net.weights.items()}
    copies = [proof.net, replace(proof.net, weights=weights)]
    losses, same = losses_of(copies, proof.trajectory, LABEL)
    alone = [loss_of(net, simulate(net, proof.network.inputs), LABEL) for net in copies]
    np.testing.assert_allclose(losses, alone, rtol=1e-9)
    assert same.all() and losses[0] != losses[1]
    silent = replace(proof.net, weights=weights | {"input_hidden": 0 * weights["input_hidden"]})
    assert losses_of([proof.net, silent], proof.trajectory, LABEL)[1].tolist() == [True, False]


def test_the_command_needs_no_pytest():
    code = "import sys; sys.modules['pytest'] = None; import shd_genn.check"
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.parametrize("neuron", [ADEX, RESONATE_AND_FIRE, FITZHUGH_NAGUMO])
def test_neurons_of_a_users_file_train(neuron):
    network = with_neuron(layered_network(hidden_sizes=(8,), recurrent=True), lambda _: neuron)
    learner = reference.compile(network, EventProp(), CompileConfig(40))
    events, labels = random_events(2, n_spikes=250), random_labels(2)
    losses = [float(learner.train_batch(events, labels, 5e-3).loss.mean()) for _ in range(4)]
    assert losses[-1] < losses[0]


def own(**changes):
    usual = {
        "equations": "tau_mem * V' = I - V",
        "spike": "V >= v_thresh",
        "reset": "V = 0",
        "parameters": {"tau_mem": 20.0, "v_thresh": 1.0},
    }
    return Neuron(**(usual | changes))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"equations": "tau * V' = I - V + x"}, "the equations use tau, x, which is neither"),
        ({"parameters": {"tau_mem": 20.0}}, "the equations use v_thresh, which is neither"),
        ({"parameters": {"tau_mem": 9.0, "v_thresh": 1.0, "z": 2.0}}, "no equation uses .* z;"),
        ({"equations": "tau_mem * V' = I * V - V"}, "I enters the equation of V with a factor"),
        ({"equations": "tau_mem * V' = I**2 - V"}, "I enters the equation of V with a factor"),
        ({"equations": "tau_mem * V' = -V"}, "enters no equation"),
        (
            {"equations": "tau_mem * V' = I - V; w' = -w", "spike": "w >= v_thresh"},
            "no input can reach the spike condition",
        ),
        ({"spike": "V + I >= v_thresh"}, "depends on the current I"),
        (
            {"spike": "-V * V >= v_thresh"},
            r"no state reaches the spike condition -V \* V >= v_thresh of Neuron: .* lacks 1 or",
        ),
        ({"equations": "V' = (I - V)tau_mem"}, "is no expression"),
        ({"equations": "tau_mem * V' = I - lambda_(V)"}, "lambda_ .* is no function"),
        ({"equations": "tau_mem * V' = I - V[0]"}, "is not part of the language"),
        ({"reset": "W = 0"}, "sets W, which has no differential equation"),
        ({"equations": "V = I"}, "have no differential equation"),
        ({"scheme": "exact", "equations": "tau_mem * V' = I - V**2"}, "scheme exact does not fit"),
        ({"reset": "V = 2 * v_thresh"}, "reset of Neuron leaves its spike condition at 1"),
        (
            {
                "equations": "V' = (I - V - V**3) / 0.1 / tau_mem**0",
                "parameters": {"tau_mem": 20.0, "v_thresh": 1.0},
            },
            "shortest time constant of Neuron is 0.1 ms, .* set substep_ms of the neuron to 0.05",
        ),
    ],
)
def test_equations_that_cannot_work_are_refused(changes, message):
    with pytest.raises(ConfigError, match=message):
        network = with_neuron(layered_network(hidden_sizes=(4,)), lambda _: own(**changes))
        reference.CAPABILITIES.check(network, EventProp(), CONFIG)


def test_a_refractory_time_that_is_rounded_to_no_step_is_refused():
    for tau_refrac, works in ((0.49, False), (0.5, True)):
        neuron = LeakyIntegrateFire(tau_refrac=tau_refrac)
        network = with_neuron(layered_network(hidden_sizes=(3,)), lambda _, n=neuron: n)
        if works:
            assert reference.compile(network, EventProp(), CONFIG)
            continue
        with pytest.raises(ConfigError, match=r"dt_ms / 2 <= tau_refrac .*0\.49.*shorten dt_ms"):
            reference.compile(network, EventProp(), CONFIG)


def test_growth_without_bound_is_refused_with_neuron_time_and_values():
    neuron = own(equations="tau_mem * V' = V * V + I", spike="V >= 1e30 * v_thresh")
    network = with_neuron(layered_network(hidden_sizes=(3,)), lambda _: neuron)
    message = r"V of neuron \d of population hidden0 has no bound: it has come to V = .* ms; take"
    with pytest.raises(DivergedError, match=message):
        Reference(network, CONFIG).evaluate(random_events(1))


def test_a_backend_without_derivation_refuses_other_neurons_with_the_reason():
    network = with_neuron(layered_network(hidden_sizes=(3,)), lambda _: AdLIF())
    with pytest.raises(ConfigError, match=r"cannot simulate AdLIF, .* derives none from equations"):
        genn.CAPABILITIES.check(network, EventProp())
    network = with_neuron(network, lambda _: LeakyIntegrateFire(reset="subtract"))
    with pytest.raises(ConfigError, match=r"cannot simulate LeakyIntegrateFire.*reset='subtract'"):
        genn.CAPABILITIES.check(network, EventProp())


def test_text_of_equations_cannot_run_code():
    with pytest.raises(ConfigError, match="is no function of the language"):
        _ = own(equations="tau_mem * V' = I - V + __import__('os').getpid()").derived


def test_numbers_of_the_language():
    x = np.array([-30.0, -1.0, -1e-3, 0.0, 1e-9, 1e-3, 2.0])
    safe = np.where(x == 0, 1, x)
    np.testing.assert_allclose(exprel(x), np.where(x == 0, 1, np.expm1(safe) / safe), rtol=1e-14)
    h = 1e-5
    slope = (exprel(x + h) - exprel(x - h)) / (2 * h)
    np.testing.assert_allclose(exprel_slope(x), slope, rtol=1e-6)
    matrices = np.array([[[-0.05, -0.05], [0.002, -0.01]], [[-3.0, 40.0], [0.0, -3.0]]])
    turned = np.exp(-3.0) * np.array([[1, 40.0], [0, 1]])
    got = matrix_exponential(matrices)
    np.testing.assert_allclose(got[1], turned, rtol=1e-12, atol=1e-14)
    np.testing.assert_allclose(got[0] @ matrix_exponential(-matrices)[0], np.eye(2), atol=1e-14)


def test_every_neuron_of_the_command_line_has_a_name():
    assert all(name in NAMES for name in ("lif", "alif", "adlif", "qif", "izhikevich"))
