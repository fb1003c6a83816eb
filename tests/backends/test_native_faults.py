"""The native engine misused or without memory: an exception, no crash, hang or wrong result."""

import json
import os
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest
from helpers import networks

from shd_genn.backends.choice import get
from shd_genn.backends.native.layout import BACKWARD_ARGUMENTS, FORWARD_ARGUMENTS, SPIKES_ARGUMENTS
from shd_genn.backends.protocols import CompileConfig
from shd_genn.learning.methods import EventProp
from shd_genn.learning.optimisers import Adam
from shd_genn.network import (
    Connection,
    Dense,
    Exponential,
    LeakyIntegrateFire,
    Network,
    Normal,
    Population,
    SpikeInput,
    Trainable,
    output_neuron,
)
from shd_genn.spikes.events import Events
from shd_genn.support.errors import ConfigError, DataError, EngineError, OutOfMemoryError

CONFIG = CompileConfig(networks.N_STEPS)


def small(
    v_thresh=1.0, tau_mem=20.0, tau_syn=5.0, n_hidden=20, n_inputs=networks.N_INPUTS, **delay
):
    source = Population("input", SpikeInput(), n_inputs)
    hidden = Population("hidden", LeakyIntegrateFire(tau_mem, v_thresh), n_hidden)
    output = Population("output", output_neuron("avg_var", 20.0), networks.N_CLASSES)
    drawn = Dense(Normal(0.2, 0.1))
    return Network(
        (source, hidden, output),
        (
            Connection(source, hidden, drawn, Exponential(tau_syn), **delay),
            Connection(hidden, hidden, drawn, Exponential(tau_syn)),
            Connection(hidden, output, drawn, Exponential(5.0)),
        ),
    )


def compiled(network, config=CONFIG):
    return get("native").compile(network, EventProp(), config)


def run_script(text, *arguments, **environment):
    """Run Python code that prints JSON, in a process of its own; what it printed."""
    common = "from test_native_faults import *\n"
    result = subprocess.run(
        [sys.executable, "-c", common + text, *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        env={
            **os.environ,
            **environment,
            "PYTHONPATH": ":".join((str(Path(__file__).parent), *sys.path)),
        },
    )
    assert result.returncode == 0, (result.returncode, result.stderr[-3000:])
    return json.loads(result.stdout)


# ---- closed, shared, forked


@pytest.mark.parametrize(
    "call",
    [
        lambda e, batch: e.evaluate(*batch),
        lambda e, batch: e.train_batch(*batch, 1e-3),
        lambda e, batch: e.gradient(*batch),
        lambda e, batch: e.record(batch[0]),
        lambda e, batch: e.kernel_times(),
    ],
)
def test_after_close(call):
    batch = networks.random_events(4), networks.random_labels(4)
    engine = compiled(small())
    engine.train_batch(*batch, 1e-3)
    weights = engine.parameters()
    engine.close()
    engine.close()
    with pytest.raises(ConfigError, match="has been closed; compile the network again"):
        call(engine, batch)
    for name, array in engine.parameters().items():  # these are Python's
        np.testing.assert_array_equal(array, weights[name])


@pytest.mark.parametrize("n_threads", [1, 2])
def test_threads_of_python_take_turns(n_threads):
    batches = [(networks.random_events(16, seed=s), networks.random_labels(16)) for s in range(2)]
    with compiled(
        networks.network(), CompileConfig(networks.N_STEPS, n_threads=n_threads)
    ) as engine:
        expected = [engine.gradient(*batch) for batch in batches]
        wrong = []

        def work(k):
            for _ in range(8):
                for name, g in engine.gradient(*batches[k]).items():
                    if not np.array_equal(g, expected[k][name]):
                        wrong.append(name)

        threads = [threading.Thread(target=work, args=(k,)) for k in range(2)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
        assert not any(thread.is_alive() for thread in threads) and not wrong


@pytest.mark.parametrize("n_threads", [1, 2])
def test_after_a_fork(n_threads):
    """The child makes the engine anew; the parent's goes on."""
    text = """
import os
batch = networks.random_events(8), networks.random_labels(8)
engine = compiled(small(), CompileConfig(networks.N_STEPS, n_threads=int(sys.argv[1])))
engine.train_batch(*batch, 1e-3)
expected = engine.evaluate(*batch).loss
read, write = os.pipe()
child = os.fork()
if child == 0:
    same = np.array_equal(engine.evaluate(*batch).loss, expected)
    engine.train_batch(*batch, 1e-3)
    engine.close()
    os.write(write, b"same" if same else b"other")
    os._exit(0)
_, status = os.waitpid(child, 0)
with engine:
    alive = np.array_equal(engine.evaluate(*batch).loss, expected)
print(json.dumps([os.read(read, 9).decode(), status, bool(alive)]))
"""
    assert run_script(text, n_threads) == ["same", 0, True]


# ---- numbers that are other ones as float32 or int32


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"v_thresh": 1e-46}, r"0 < the lowest v_thresh of hidden < inf as float32 .*got 1e-46"),
        ({"v_thresh": 1e39}, r"v_thresh of hidden < inf as float32 must hold, but got 1e\+39"),
        ({"tau_mem": 1e-46}, r"0 < the lowest tau_mem of hidden < inf as float32"),
        ({"tau_syn": 1e-46}, r"0 < the lowest tau_syn of hidden < inf as float32"),
        (
            {"v_thresh": Trainable(1.0, low=1e-46)},
            r"0 < the lowest v_thresh of hidden < inf as float32 .*got 1e-46",
        ),
        (
            {"delay": 3e9, "max_delay_steps": 3_000_000_000},
            r"max_delay_steps of input_hidden\) · neurons of hidden < 2\^31.*3000000000 steps",
        ),
    ],
)
def test_networks_out_of_range(settings, message):
    with pytest.raises(ConfigError, match=message):
        compiled(small(**settings))


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"adam": Adam(epsilon=1e-300)}, r"0 < epsilon < inf as float32 must hold, but got 1e-300"),
        ({"adam": Adam(beta2=1 - 1e-12)}, "beta2 < 1 as float32 must hold"),
        ({"dt_ms": 1e-60}, "0 < dt < inf as float32 must hold"),
        ({"n_steps": 2**31}, r"steps of a trial · neurons of input < 2\^31 must hold"),
        ({"n_steps": 2**27}, r"steps of a trial · neurons of input < 2\^31 must hold"),
    ],
)
def test_settings_out_of_range(config, message):
    with pytest.raises(ConfigError, match=message):
        compiled(small(), CompileConfig(**{"n_steps": 10} | config))


def test_the_smallest_thresholds_and_longest_delays_that_fit():
    with compiled(small(v_thresh=1e-37)) as engine:
        counts = engine.evaluate(networks.random_events(2)).spike_counts["hidden"]
        assert 1 < counts.mean() <= networks.N_STEPS
    with compiled(small(delay=100_000.0, max_delay_steps=100_000)) as engine:
        batch = networks.random_events(2), networks.random_labels(2)
        assert not engine.train_batch(*batch, 1e-3).spike_counts["hidden"].any()


# ---- memory and threads


def test_more_memory_than_the_machine_has():
    huge = small(n_inputs=65_535, n_hidden=65_535, delay=1.0, max_delay_steps=1)
    config = CompileConfig(10_000, n_threads=200)
    with pytest.raises(OutOfMemoryError, match=r"needs about [\d.]+ GB .* but only .* are free"):
        compiled(huge, config)
    with pytest.raises(MemoryError):
        compiled(huge, config)


def test_memory_limit():
    """Under every limit a batch is learned or an exception is raised; then the engine goes on."""
    text = """
import resource
network = small(n_hidden=250, delay=3.0, max_delay_steps=3, train_delay=True)
config = CompileConfig(1000, n_threads=4)
batch = networks.random_events(4), networks.random_labels(4)
engine = compiled(network, config)
outcomes = []
for _ in range(24):  # each attempt may take 1 MB more than the one before
    size = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (size + 2**20, resource.RLIM_INFINITY))
    try:
        engine.gradient(*batch)
        outcomes.append("done")
    except MemoryError as error:
        outcomes.append(str(error) if isinstance(error, OutOfMemoryError) else repr(error))
    finally:
        resource.setrlimit(resource.RLIMIT_AS, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
got = engine.gradient(*batch)
with compiled(network, config) as other:
    expected = other.gradient(*batch)
same = all(np.array_equal(got[name], g) for name, g in expected.items())
print(json.dumps([outcomes, same]))
"""
    # with several arenas, threads have room of which no limit knows: how much is left to chance
    outcomes, same = run_script(text, MALLOC_ARENA_MAX="1")
    failed = [outcome for outcome in outcomes if outcome != "done"]
    assert same and len(failed) >= 3, outcomes
    for message in failed:
        assert message.startswith("this network needs about ") and "; use fewer" in message
    # the engine's own arrays, not only those of NumPy
    assert any("bytes does not fit into memory" in m or "no more memory" in m for m in failed)


def test_thread_limit():
    """Every thread needs room for its stack: with too little, the system starts no more of them."""
    text = """
import resource
batch = networks.random_events(4), networks.random_labels(4)
with compiled(small()) as engine:
    expected = engine.evaluate(*batch).loss.tolist()
size = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (size + 300 * 2**20, resource.RLIM_INFINITY))
try:
    compiled(small(), CompileConfig(networks.N_STEPS, n_threads=5000))
    message = ""
except EngineError as error:
    message = str(error)
resource.setrlimit(resource.RLIMIT_AS, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
with compiled(small()) as engine:
    print(json.dumps([message, engine.evaluate(*batch).loss.tolist() == expected]))
"""
    message, same = run_script(text)
    assert "the system does not start another thread" in message
    assert "use fewer threads" in message and same


# ---- entry points, called with what Python never passes


def test_entry_points_check_their_arguments():
    with compiled(small()) as engine:
        engine.record(networks.random_events(2))
        library, handle = engine._library, engine._handle
        neurons, begin = np.empty(9, np.int32), np.empty(networks.N_STEPS + 1, np.int32)

        def spikes(trial, population, n):
            library.spikes(
                handle,
                SPIKES_ARGUMENTS(
                    trial=trial,
                    population=population,
                    n=n,
                    neurons=neurons.ctypes.data,
                    begin=begin.ctypes.data,
                ),
            )

        for arguments, message in [
            ((2, 0, 1), "this trial is not kept"),
            ((-1, 0, 1), "this trial is not kept"),
            ((0, 3, 1), "there is no such population"),
            ((0, 0, 9), "the number of spikes is another one"),
        ]:
            with pytest.raises(EngineError, match=message):
                spikes(*arguments)
        n = int(engine.record(networks.random_events(2)).spikes["hidden"].counts[0])
        for empty in ("neurons", "begin"):
            places = {"neurons": neurons.ctypes.data, "begin": begin.ctypes.data} | {empty: None}
            arguments = SPIKES_ARGUMENTS(trial=0, population=1, n=n, **places)
            with pytest.raises(EngineError, match="a pointer is null"):
                library.spikes(handle, arguments)
        with pytest.raises(EngineError, match="a pointer is null"):
            library.times(None, None)
        with pytest.raises(EngineError, match="other trials are kept"):
            backward = BACKWARD_ARGUMENTS(
                n_trials=3, drive=None, regulariser=None, feedback=None, near_steps=None
            )
            library.backward(handle, backward)
        with pytest.raises(EngineError, match="a pointer is null"):
            library.forward(
                handle,
                FORWARD_ARGUMENTS(
                    times_ms=None,
                    channels=None,
                    offsets=None,
                    n_spikes=0,
                    n_trials=1,
                    keep=False,
                    learn=False,
                    lag=0,
                    readout=None,
                    counts=None,
                    voltages=None,
                    silent=None,
                    noise_key=0,
                ),
            )


@pytest.mark.parametrize(
    ("offsets", "channel", "message"),
    [
        ([0, 1], networks.N_INPUTS, "a spike's channel has no input neuron"),
        ([0, -1], 0, "offsets of spikes are out of range"),
        ([-5, 1], 0, "offsets of spikes are negative"),
        ([0, 2], 0, "offsets of spikes are out of range"),
        ([0, 2**63 - 1], 0, "offsets of spikes are out of range"),
    ],
)
def test_spikes_out_of_range(offsets, channel, message):
    with compiled(small()) as engine:
        times, channels = np.zeros(1, np.float32), np.array([channel], np.uint16)
        bounds = np.array(offsets, np.int64)
        readout = np.empty(networks.N_CLASSES, np.float32)
        counts = [np.empty(n, np.int32) for n in (1, 20, networks.N_CLASSES)]
        addresses = np.array([array.ctypes.data for array in counts], np.uintp)
        with pytest.raises(EngineError, match=message):
            engine._library.forward(
                engine._handle,
                FORWARD_ARGUMENTS(
                    times_ms=times.ctypes.data,
                    channels=channels.ctypes.data,
                    offsets=bounds.ctypes.data,
                    n_spikes=1,
                    n_trials=1,
                    keep=True,
                    learn=False,
                    lag=0,
                    readout=readout.ctypes.data,
                    counts=addresses.ctypes.data,
                    voltages=None,
                    silent=None,
                    noise_key=0,
                ),
            )


@pytest.mark.parametrize(
    ("n_times", "n_channels", "offsets"),
    [(1, 1, [0, 2]), (2, 1, [0, 2]), (1, 1, [1, 1]), (2, 2, [0, 2, 1, 2]), (0, 0, [])],
)
def test_events_whose_arrays_do_not_fit_are_refused(n_times, n_channels, offsets):
    times, channels = np.zeros(n_times, np.float32), np.zeros(n_channels, np.uint16)
    with pytest.raises(DataError, match=r"offsets must ascend from 0 .*; make events with"):
        Events(times, channels, np.array(offsets, np.int64))
