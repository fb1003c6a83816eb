"""What a network costs, what becomes of it off its grid, fine-tuning, and the command itself."""

import runpy
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from helpers import exact_neurons, networks
from helpers.exporting import trained_network

from shd_genn import evaluate
from shd_genn.backends.protocols import CompileConfig
from shd_genn.backends.reference.engine import Reference
from shd_genn.export.costs import measure
from shd_genn.export.event_exact import EventExact
from shd_genn.export.fine_tune import FineTuning, fine_tune
from shd_genn.export.off_grid import off_grid, on_grid, predict
from shd_genn.export.quantise import rounded
from shd_genn.export.trained import of_run
from shd_genn.learning.methods.operations import forward_operations
from shd_genn.network import operations
from shd_genn.network.neuron_settings import Lif
from shd_genn.network.settings import GammaTau
from shd_genn.support.errors import ConfigError
from shd_genn.train.inference import samples_for

NEUROBENCH = {
    "Effective_ACs": 18653.333333333332,
    "Dense": 337500.0,
    "ActivationSparsity": 0.9463492063492064,
    "MembraneUpdates": 5155.0,
    "ParameterCount": 2250,
    "ConnectionSparsity": 0.0,
}
"""NeuroBench 2.3.0 with snnTorch 1.0.0, by neurobench_record.py."""


def assert_is_neurobench(expected):
    trained, events, engine = trained_network(hidden_sizes=(30,))
    costs = measure(trained, events)
    assert costs.synaptic_operations == pytest.approx(expected["Effective_ACs"], rel=1e-12)
    assert costs.dense_operations == expected["Dense"]
    assert costs.activation_sparsity == pytest.approx(expected["ActivationSparsity"], rel=1e-12)
    assert costs.membrane_updates == expected["MembraneUpdates"]
    assert costs.footprint_bytes == 4 * expected["ParameterCount"]
    assert costs.connection_sparsity == expected["ConnectionSparsity"]
    # the forward pass of training methods; what is sent in the last step arrives after the trial
    spikes = engine.record(events).spikes
    last = (engine.config.n_steps - 1) * engine.config.dt_ms
    arriving = {name: np.sum(s.times_ms < last) / len(events) for name, s in spikes.items()}
    done = forward_operations(trained.network, arriving)
    assert done == pytest.approx(expected["Effective_ACs"], rel=1e-12)


def test_operations_are_those_of_neurobench():
    assert_is_neurobench(NEUROBENCH)


@pytest.mark.slow
def test_operations_are_those_of_neurobench_now():
    pytest.importorskip("neurobench", reason="NeuroBench is not installed; it was recorded")
    record = runpy.run_path(str(Path(__file__).with_name("neurobench_record.py")))
    assert_is_neurobench(record["numbers"]())


def test_weights_of_0_cost_nothing():
    trained, _, _ = trained_network(hidden_sizes=(30,))
    network, parameters = trained.network, dict(trained.parameters)
    parameters["hidden0_hidden0"] = np.zeros_like(parameters["hidden0_hidden0"])
    spikes = {"input": np.ones(network.input.size, int), "hidden0": 2}
    every = network.input.size * 30 + 2 * (30 + network.output.size)
    assert operations.synaptic_operations(network, spikes) == every
    spikes["hidden0"] = np.full(30, 2)
    found = operations.synaptic_operations(network, spikes, parameters)
    assert found == network.input.size * 30 + 60 * network.output.size
    size = sum(w.size for w in parameters.values())
    assert operations.connection_sparsity(network, parameters) == pytest.approx(900 / size)


def test_exact_times_are_those_of_the_event_exact_network():
    trained, events, _ = trained_network(
        hidden_sizes=(10,), train_tau=True, tau_distribution=GammaTau(), w_rec_sd=0.3
    )
    p, delay_ms = {key: w.astype(float) for key, w in trained.parameters.items()}, 1.0
    k, out = (trained.constants(population) for population in trained.populations)
    exact = exact_neurons.Network(
        p["input_hidden0"],
        p["hidden0_hidden0"],
        p["hidden0_output"],
        float(trained.n_steps),
        k.tau_mem,
        k.tau_syn,
        k.v_thresh,
        out.tau_mem,
        out.tau_syn,
        *[delay_ms] * 3,
    )
    ours = EventExact(trained, delay_ms)
    compared = 0
    for i in range(2):
        times_ms, channels = events.sample(i)
        inputs = list(zip(times_ms.tolist(), channels.tolist(), strict=True))
        solved = exact_neurons.solve(exact, inputs)
        theirs = np.full(10, np.inf)
        for kind, time, neuron, *_ in solved.events:
            if kind == "spike":
                theirs[neuron] = min(theirs[neuron], time)
        _, first = ours._simulate(times_ms, channels, delay_ms, trained.n_steps)
        np.testing.assert_allclose(first[:10], theirs, rtol=1e-9)  # roots found to 1e-15
        compared += int(np.isfinite(theirs).sum())
        # the integral by its values at step ends, an error of first order in dt
        readout = np.array([n.readout for n in solved.outputs]) / trained.n_steps
        np.testing.assert_allclose(ours.readout(times_ms, channels), readout, atol=0.05)
    assert compared > 6


@pytest.fixture(scope="module")
def samples(run, test_set):
    return samples_for(run.folder, test_set, "test").dataset


def test_off_its_grid(run, samples):
    trained = of_run(run.folder)
    rows = off_grid(trained, samples, [0.5, "exact"], [1.0])
    assert [(r.step, r.delay_ms) for r in rows] == [(1.0, 1.0), (0.5, 1.0), ("exact", 1.0)]
    assert rows[0].same == 1.0
    assert all(r.accuracy > 0.6 for r in rows)  # chance is 1/3
    finer = off_grid(trained, samples, [0.05], [1.0])[1]
    assert finer.same >= rows[1].same - 0.1  # towards the exact one


@pytest.mark.parametrize(
    ("steps", "delays", "message"),
    [
        ([2.0], [3.0], "no whole number of steps"),
        ([2.0], [1.0], "no whole number of steps"),
        ([1e-6], [], "<= dt_ms <="),
        (["exact"], [500.0], "0 < delay_ms < length of a trial"),
    ],
)
def test_impossible_grids_are_refused(run, samples, steps, delays, message):
    with pytest.raises(ConfigError, match=message):
        off_grid(of_run(run.folder), samples, steps, delays)


def test_delays_keep_their_time_on_other_grids():
    trained, _, _ = trained_network(hidden_sizes=(20,), delay_in_ms=9.0)
    half = on_grid(trained, 0.5, 1.0)
    for c, finer in zip(trained.network.connections, half.network.connections, strict=True):
        before = trained.parameters.get(f"{c.name}.delay", np.zeros(c.shape)) * 1.0 + 1.0
        steps = half.parameters.get(f"{c.name}.delay", np.full(c.shape, finer.delay))
        np.testing.assert_allclose(steps * 0.5 + 0.5, before, rtol=1e-6)  # ms, with its own step
    half.network.check_parameters(half.parameters)
    assert half.n_steps == 2 * trained.n_steps


def test_fine_tuning_learns_to_be_rounded(run, samples):
    trained = of_run(run.folder)
    tuned = fine_tune(run.folder, trained, 4, FineTuning(epochs=6, learning_rate=3e-3))
    assert not np.array_equal(
        tuned.parameters["input_hidden0"], trained.parameters["input_hidden0"]
    )

    def loss(network):
        few = replace(network, parameters=rounded(network.network, network.parameters, 4))
        return np.mean(predict(few, samples, "native") != samples.labels)

    assert loss(tuned) <= loss(trained)
    again = fine_tune(run.folder, trained, 4, FineTuning(epochs=6, learning_rate=3e-3))
    for key, array in tuned.parameters.items():  # the same seed, the same bits
        assert np.array_equal(array, again.parameters[key])


def export(*arguments):
    return subprocess.run(
        [sys.executable, "-m", "shd_genn.export", *map(str, arguments)],
        capture_output=True,
        text=True,
        check=False,
    )


def test_the_command_writes_files_and_a_report(run, tmp_path):
    done = export(
        *(run.path, "--to", "c", "numpy", "torch", "--bits", "8", "--fine-tune-epochs", "1"),
        *("--dt-ms", "0.5", "exact", "--samples", "6", "-o", tmp_path),
    )
    assert done.returncode == 0, done.stderr
    names = {"network_8_bits.c", "weights.npz", "network.py", "network_torch.py", "report.md"}
    names |= {"bits.csv", "steps.csv"}
    assert {path.name for path in tmp_path.iterdir()} == names
    assert "8 bits: " in done.stdout and " bytes of RAM" in done.stdout
    spikes = run.folder.result.test.synaptic_operations
    assert f"\n{spikes / 120:,.0f} additions per ms of speech\n" in done.stdout
    steps = [line.split(",")[:3] for line in (tmp_path / "steps.csv").read_text().splitlines()]
    assert steps[1:] == [["1.0", "1.0", "0"], ["0.5", "0.5", "0"], ["exact", "1.0", "0"]]
    report = (tmp_path / "report.md").read_text()
    for part in ("synaptic operations", "| 8, fine-tuned |", "none: exact times", "Horowitz"):
        assert part in report


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ([], "neither a target nor a report is given"),
        (["--to", "nir", "--fine-tune-epochs", "2"], "no weight is to be rounded"),
        (["--report", "--samples", "0"], "1 <= samples"),
    ],
)
def test_the_command_refuses_what_cannot_be(run, options, message):
    done = export(run.path, *options)
    assert done.returncode == 2
    assert message in done.stderr


def test_64_neurons_take_less_than_250_kb(tmp_path):
    from shd_genn.export.c_source import write_c
    from shd_genn.export.nir_graph import write_nir
    from shd_genn.export.numpy_network import write_numpy

    network = networks.network(hidden_sizes=(64,))
    inputs = replace(network.input, size=700)
    populations = (inputs, *network.populations[1:])
    connections = tuple(
        replace(c, source=inputs) if c.source == network.input else c for c in network.connections
    )
    network = type(network)(populations, connections)
    trained = replace(trained_network()[0], network=network, n_steps=1000)
    trained = replace(trained, parameters=network.initial_parameters(0))
    paths = [*write_numpy(trained, tmp_path), write_c(trained, tmp_path, 8)]
    pytest.importorskip("nir", reason="the extra export is not installed")
    write_nir(trained, tmp_path / "n.nir")
    for path in (*paths, tmp_path / "n.nir"):
        assert path.stat().st_size <= 250_000, path


def test_a_run_s_summary_has_its_costs(run):
    test, network = run.result.test, of_run(run.folder).network
    steps, weights = 120, sum(c.source.size * c.target.size for c in network.connections)
    assert test.dense_operations == steps * weights
    assert test.footprint_bytes == 4 * weights
    assert test.connection_sparsity == 0
    hidden = test.hidden_spikes_mean * 20
    assert test.activation_sparsity == pytest.approx(1 - hidden / (steps * 23))
    few = samples_for(run.folder, run.config.data.dataset, "test").dataset
    chosen = np.unique(np.linspace(0, len(few) - 1, 5).astype(int))
    costs = measure(of_run(run.folder), few.presented(chosen))
    assert test.membrane_updates == costs.membrane_updates
    assert 0 < test.membrane_updates < steps * 23


def test_exact_times_do_not_depend_on_the_reset():
    """V is at the threshold when a neuron spikes, so that it is 0 after either reset."""
    trained, events, _ = trained_network(hidden_sizes=(10,), neuron=Lif(reset="subtract"))
    other, _, _ = trained_network(hidden_sizes=(10,))
    other = replace(other, parameters=trained.parameters)
    for i in range(3):
        one, two = (EventExact(t, 1.0).readout(*events.sample(i)) for t in (trained, other))
        assert np.array_equal(one, two)
    with pytest.raises(ConfigError, match="have reset zero and tau_refrac 2"):
        EventExact(trained_network(hidden_sizes=(10,), neuron=Lif(tau_refrac_ms=2.0))[0], 1.0)


def margin(trained, samples):
    """By how much the right word's number is above the others, in standard deviations."""
    reference = Reference(trained.network, CompileConfig(trained.n_steps, trained.dt_ms))
    reference.set_parameters(trained.parameters)
    numbers = reference.evaluate(samples.presented(np.arange(len(samples)))).readout
    right = numbers[np.arange(len(numbers)), samples.labels]
    others = numbers.copy()
    others[np.arange(len(numbers)), samples.labels] = -np.inf
    return float((right - others.max(axis=1)).mean() / numbers.std())


def test_fine_tuning_on_several_grids_makes_a_network_travel(run, test_set):
    trained = of_run(run.folder)
    samples = samples_for(run.folder, test_set, "test").dataset
    tuned = fine_tune(run.folder, trained, 32, FineTuning(6, 0.002, (1.0, 12.0)))
    before, after = (margin(on_grid(n, 12.0, 12.0), samples) for n in (trained, tuned))
    assert after > before
    again = fine_tune(run.folder, trained, 32, FineTuning(6, 0.002, (1.0, 12.0)))
    assert all(np.array_equal(again.parameters[k], a) for k, a in tuned.parameters.items())


def test_evaluate_shows_what_becomes_of_a_run_off_its_grid(run, data, capsys, monkeypatch):
    command = ["evaluate", str(run.path), "--dataset", str(data)]
    monkeypatch.setattr(sys, "argv", [*command, "--dt-ms", "2", "exact", "--delay-ms", "2"])
    evaluate.main()
    printed = capsys.readouterr().out
    assert "same answers" in printed
    assert "exact" in printed
    monkeypatch.setattr(sys, "argv", ["evaluate", str(run.path), *command[1:], "--dt-ms", "2"])
    with pytest.raises(ConfigError, match="belong to one run, but 2 are given"):
        evaluate.main()
