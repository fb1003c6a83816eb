"""NIR files: what independent simulators make of them, the way back, and what is refused."""

import json
import re

import numpy as np
import pytest
from helpers import nir_readers
from helpers.exporting import dense_input, trained_network
from helpers.nir_integrator import euler, exact, simulate

from shd_genn.export.nir_graph import from_nir, read_nir, to_nir, write_nir
from shd_genn.export.trained import of_run
from shd_genn.network.readouts import read_weights
from shd_genn.network.settings import GammaTau
from shd_genn.support.errors import ConfigError, DataError
from shd_genn.train.inference import opened, samples_for

nir = pytest.importorskip("nir", reason="the extra export is not installed")
KINDS = {
    "two layers": {},
    "one layer": {"hidden_sizes": (30,)},
    "feedforward": {"model": "feedforward"},
    "time constants": {"train_tau": True, "tau_distribution": GammaTau()},
    "thresholds": {"v_thresh_sd": 0.2},
}


@pytest.mark.parametrize(("form", "step"), [("steps", 1e-3), ("torch", 1e-4)])
@pytest.mark.parametrize("kind", KINDS)
def test_an_independent_simulator_of_steps_gives_our_voltages(kind, form, step):
    trained, events, reference = trained_network(**KINDS[kind])
    inputs, ours = dense_input(reference, events), reference.record(events).voltages
    for spikes, voltages in zip(inputs, ours, strict=True):
        theirs = simulate(to_nir(trained, form), spikes, step, euler)
        # float64 rounding, and that of our float32 voltages
        np.testing.assert_allclose(theirs, voltages, atol=1e-5)


def test_delays_of_whole_neurons_become_delay_nodes():
    trained, events, reference = trained_network(hidden_sizes=(30,), delay_rec_ms=9.0)
    key = "hidden0_hidden0.delay"
    trained.parameters[key][:] = trained.parameters[key][:, :1]
    reference.set_parameters(trained.parameters)
    graph = to_nir(trained)
    assert type(graph.nodes["hidden0_hidden0_delay"]).__name__ == "Delay"
    inputs, ours = dense_input(reference, events), reference.record(events).voltages
    for spikes, voltages in zip(inputs, ours, strict=True):
        np.testing.assert_allclose(simulate(graph, spikes, 0.001, euler), voltages, atol=1e-5)
    back = from_nir(graph)
    assert np.array_equal(back.parameters[key], np.floor(trained.parameters[key] + 0.5))


@pytest.mark.parametrize(
    ("form", "step", "rule"),
    [("steps", 1e-3, euler), ("torch", 1e-4, euler), ("continuous", 1e-3, exact)],
)
def test_predictions_of_a_trained_run_survive(run, test_set, form, step, rule):
    trained = of_run(run.folder)
    samples = samples_for(run.folder, test_set, "test").dataset
    with opened(run.folder) as (simulator, _):
        events = samples.presented(np.arange(len(samples)))
        ours, inputs = simulator.evaluate(events).predictions, dense_input(simulator, events)
    assert np.mean(ours == samples.labels) > 0.9
    graph = to_nir(trained, form)
    weights = read_weights(trained.network.readout, trained.n_steps)
    theirs = [(weights @ simulate(graph, spikes, step, rule)).argmax() for spikes in inputs]
    assert np.mean(theirs == ours) >= 0.99


@pytest.mark.parametrize("form", ["steps", "continuous"])
@pytest.mark.parametrize("kind", KINDS)
def test_the_way_back_is_identical(kind, form, tmp_path):
    trained, events, reference = trained_network(**KINDS[kind])
    write_nir(trained, tmp_path / "network.nir", form)
    back = read_nir(tmp_path / "network.nir")
    assert [p.name for p in back.network.populations] == [
        p.name for p in trained.network.populations
    ]
    assert [c.name for c in back.network.connections] == [
        c.name for c in trained.network.connections
    ]
    assert back.network == trained.network
    assert back.parameters.keys() == trained.parameters.keys()
    for key, array in trained.parameters.items():
        assert np.array_equal(back.parameters[key], array), key
    assert (back.dt_ms, back.n_steps, back.words) == (1.0, trained.n_steps, trained.words)
    again = type(reference)(back.network, reference.config)
    again.set_parameters(back.parameters)
    assert np.array_equal(again.evaluate(events).readout, reference.evaluate(events).readout)
    write_nir(back, tmp_path / "again.nir", form)
    assert read_nir(tmp_path / "again.nir").parameters.keys() == trained.parameters.keys()


@pytest.mark.parametrize("kind", KINDS)
def test_the_way_back_of_scaled_weights_is_the_same_network(kind, tmp_path):
    """To rounding; thresholds that differ become weights to one threshold."""
    trained, events, reference = trained_network(**KINDS[kind])
    write_nir(trained, tmp_path / "network.nir", "torch")
    back = read_nir(tmp_path / "network.nir")
    if kind != "thresholds":
        assert back.network == trained.network
        for key, array in trained.parameters.items():
            np.testing.assert_allclose(back.parameters[key], array, rtol=2e-7, err_msg=key)
    again = type(reference)(back.network, reference.config)
    again.set_parameters(back.parameters)
    ours, theirs = (each.evaluate(events).readout for each in (reference, again))
    np.testing.assert_allclose(theirs, ours, atol=1e-4)


def test_the_way_back_of_delays_is_identical():
    trained, _, _ = trained_network(hidden_sizes=(30,), delay_rec_ms=9.0)
    key = "hidden0_hidden0.delay"
    trained.parameters[key][:] = np.round(trained.parameters[key][:, :1])
    back = from_nir(to_nir(trained))
    assert back.network == trained.network
    assert np.array_equal(back.parameters[key], trained.parameters[key])


@pytest.mark.parametrize("change", ["tau", "text", "node"])
def test_a_graph_that_was_changed_counts_more_than_its_description(change):
    graph = to_nir(trained_network(hidden_sizes=(30,))[0])
    if change == "tau":
        graph.nodes["hidden0"].tau_mem = graph.nodes["hidden0"].tau_mem * 1.5
    elif change == "text":
        graph.metadata["network"] = '{"kind": "Path"}'
    else:
        del graph.nodes["hidden0_hidden0"]
        graph.edges = [edge for edge in graph.edges if "hidden0_hidden0" not in edge]
    back = from_nir(graph)
    described = to_nir(back)
    assert from_nir(described).network == back.network
    (hidden,) = back.network.hidden
    tau = hidden.neuron.tau_mem
    assert tau == (pytest.approx(30.25, abs=0.1) if change == "tau" else 20.0)
    assert len(back.network.connections) == (2 if change == "node" else 3)


def test_graphs_inside_graphs_are_unfolded():
    """As snnTorch writes recurrent layers."""
    trained, _, _ = trained_network(hidden_sizes=(30,))
    graph = to_nir(trained)
    size = np.array([30])
    inner = nir.NIRGraph(
        {
            "input": nir.Input({"input": size}),
            "lif": graph.nodes["hidden0"],
            "w_rec": graph.nodes["hidden0_hidden0"],
            "output": nir.Output({"output": size}),
        },
        [("input", "lif"), ("lif", "w_rec"), ("w_rec", "lif"), ("lif", "output")],
    )
    nodes = {k: n for k, n in graph.nodes.items() if k not in ("hidden0", "hidden0_hidden0")}
    edges = [e for e in graph.edges if "hidden0_hidden0" not in e]
    edges = [(a, b) if a != "hidden0" else ("layer", b) for a, b in edges]
    edges = [(a, b) if b != "hidden0" else (a, "layer") for a, b in edges]
    nested = nir.NIRGraph(nodes | {"layer": inner}, edges)
    back = from_nir(nested)
    ours = trained.parameters
    assert np.array_equal(back.parameters["layer_lif_layer_lif"], ours["hidden0_hidden0"])
    assert np.array_equal(back.parameters["input_layer_lif"], ours["input_hidden0"])


def changed(node, **values):
    """A graph of one layer in which a node has other values."""
    graph = to_nir(trained_network(hidden_sizes=(30,))[0])
    for name, value in values.items():
        setattr(graph.nodes[node], name, value)
    return graph


def with_node(name, node):
    graph = to_nir(trained_network(hidden_sizes=(30,))[0])
    graph.nodes[name] = node
    return graph


@pytest.mark.parametrize(
    ("graph", "message"),
    [
        (lambda: changed("hidden0", v_reset=np.full(30, 0.5)), "resets to"),
        (lambda: changed("hidden0", tau_syn=np.full(30, 1e-4)), "dt < time constants"),
        (
            lambda: with_node("hidden0", nir.LIF(*[np.ones(30)] * 4)),
            "node hidden0 is a LIF, whose synapses have no time constant",
        ),
        (
            lambda: with_node("hidden0_hidden0", nir.Affine(np.ones((30, 30)), np.ones(30))),
            "has a bias",
        ),
    ],
)
def test_what_cannot_be_described_is_refused(graph, message):
    with pytest.raises((DataError, ConfigError), match=re.escape(message)):
        from_nir(graph())


def test_a_file_that_is_none_is_refused(tmp_path):
    (tmp_path / "a.nir").write_text("no HDF5")
    with pytest.raises(DataError, match="must be a NIR file"):
        read_nir(tmp_path / "a.nir")


def test_delays_of_single_synapses_are_refused():
    trained, _, _ = trained_network(hidden_sizes=(30,), delay_in_ms=9.0)
    with pytest.raises(ConfigError, match="differ from synapse to synapse"):
        to_nir(trained)


def test_delays_are_refused_in_the_form_whose_readers_know_none():
    trained, _, _ = trained_network(hidden_sizes=(30,), delay_rec_ms=9.0)
    key = "hidden0_hidden0.delay"
    trained.parameters[key][:] = trained.parameters[key][:, :1]
    with pytest.raises(ConfigError, match="snnTorch, Norse and SpikingJelly read none"):
        to_nir(trained, "torch")


RECORDED = json.loads(nir_readers.RECORDED.read_text(encoding="utf-8"))
READ = [(program, kind) for program, kinds in RECORDED.items() for kind in kinds]


@pytest.mark.parametrize(("program", "kind"), READ)
def test_voltages_are_those_that_other_programs_recorded(program, kind):
    trained, ours, inputs = nir_readers.network_of(kind)
    theirs, late = np.array(RECORDED[program][kind]), len(trained.populations)
    # what we deliver one step later, they deliver at once
    steps = np.arange(0, ours.shape[1], nir_readers.EVERY)
    known = steps + late < ours.shape[1]
    mine = ours[: len(theirs), steps[known] + late]
    np.testing.assert_allclose(theirs[:, known], mine, atol=2e-5)
    assert np.ptp(mine) > 1
    graph = to_nir(trained, "torch")
    for spikes, voltages in zip(inputs, theirs, strict=False):
        integrated = simulate(graph, spikes, 1e-4, euler)[steps[known] + late]
        np.testing.assert_allclose(integrated, voltages[known], atol=2e-5)


@pytest.mark.parametrize("program", RECORDED)
def test_other_programs_read_our_files_and_give_our_voltages(program, tmp_path):
    pytest.importorskip(program, reason=f"{program} is not installed; its voltages are recorded")
    for kind in RECORDED[program]:
        trained, ours, inputs = nir_readers.network_of(kind)
        write_nir(trained, tmp_path / "network.nir", "torch")
        theirs = nir_readers.voltages(program, tmp_path / "network.nir", inputs)
        late = len(trained.populations)
        np.testing.assert_allclose(theirs[:, :-late], ours[:, late:], atol=2e-5, err_msg=kind)


def test_spikingjelly_refuses_time_constants_that_differ(tmp_path):
    pytest.importorskip("spikingjelly", reason="spikingjelly is not installed")
    trained, _, inputs = nir_readers.network_of("time constants")
    write_nir(trained, tmp_path / "network.nir", "torch")
    with pytest.raises(ValueError, match="must be uniform across all neurons"):
        nir_readers.voltages("spikingjelly", tmp_path / "network.nir", inputs)
