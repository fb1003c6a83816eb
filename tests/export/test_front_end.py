"""The C file's front end: the words that Python gives, no undefined behaviour, a Cortex-M4."""

import re
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
from helpers import networks
from helpers.boards import STRICT, on_a_cortex_m4

from shd_genn.backends.protocols import CompileConfig
from shd_genn.backends.reference.engine import Reference
from shd_genn.encode.filter_bank import FilterBank
from shd_genn.encode.segments import PAUSE_MS, Segments
from shd_genn.export import __main__ as export
from shd_genn.export.c_front_end import front_end_of
from shd_genn.export.c_source import write_c
from shd_genn.export.trained import TrainedNetwork
from shd_genn.spikes.events import Events
from shd_genn.support.errors import ConfigError

N_STEPS = 100


def listening_network(dt_ms=2.0):
    """A network of random weights that was trained on the filter bank, as far as the file knows."""
    network = networks.network(hidden_sizes=(12,), w_in_mean=0.2, w_in_sd=0.3)
    config = CompileConfig(n_steps=N_STEPS, dt_ms=dt_ms)
    reference = Reference(network, config, np.float32)
    words = ("a", "b", "c", "d", "e", "f")[: network.output.size]
    trained = TrainedNetwork(
        network, reference.parameters(), dt_ms, N_STEPS, words, code="filterbank"
    )
    return trained, reference


def stream(n_words=8):
    """Tones that glide, of several lengths, with pauses between them: 16 bits at 16 kHz."""
    rng, parts = np.random.default_rng(3), []
    for _ in range(n_words):
        n = rng.integers(1600, 6400)
        hz = np.geomspace(*rng.uniform(150, 5000, 2), n)
        parts.append(9000 * np.sin(2 * np.pi * np.cumsum(hz) / 16_000) * np.hanning(n))
        parts.append(rng.normal(0, 3, rng.integers(4000, 8000)))
    return np.concatenate(parts).astype(np.int16)


def words_of(trained, reference, samples):
    """Ends in ms and words of a stream, by the filter bank in Python and the reference."""
    ticks, channels = FilterBank(networks.N_INPUTS).stream().push(samples)
    segments = Segments(trained.n_steps * trained.dt_ms, trained.dt_ms)
    found = []
    for segment in segments.push(ticks, channels, len(samples) // 16 - 1 + PAUSE_MS):
        word = int(reference.evaluate(Events.of([segment.spikes])).predictions[0])
        found.append((segment.end, trained.words[word]))
    return found


def test_the_words_of_a_stream_are_those_of_python(tmp_path):
    for dt_ms, bits in ((1.0, 32), (2.0, 32)):
        trained, reference = listening_network(dt_ms)
        path = write_c(trained, tmp_path, bits, front_end_of(trained))
        program = tmp_path / "listener"
        checks = ["-fsanitize=undefined", "-fno-sanitize-recover=all", "-DLISTENER_MAIN"]
        subprocess.run(["cc", *STRICT, *checks, "-O1", path, "-o", program], check=True)
        samples = stream()
        done = subprocess.run(
            [program], input=samples.astype("<i2").tobytes(), capture_output=True, check=True
        )
        assert done.stderr == b""
        heard = re.findall(r"(\d+) ms: (.+)", done.stdout.decode())
        theirs = [(int(time), word) for time, word in heard]
        ours = words_of(trained, reference, samples)
        assert [word for _, word in theirs] == [word for _, word in ours]
        assert len(ours) >= 8
        assert len({word for _, word in ours}) > 1
        late = np.array([a[0] - b[0] for a, b in zip(theirs, ours, strict=True)])
        assert np.abs(late[:-1]).max() <= 1  # the last one ends with the sound


def test_a_cortex_m4_hears_the_same_words(tmp_path):
    trained, _ = listening_network()
    path = write_c(trained, tmp_path, 8, front_end_of(trained))
    program = tmp_path / "listener"
    subprocess.run(["cc", *STRICT, "-O1", "-DLISTENER_MAIN", path, "-o", program], check=True)
    samples = stream(4).astype("<i2").tobytes()
    host = subprocess.run([program], input=samples, capture_output=True, check=True).stdout
    assert host.count(b"ms:") >= 4
    assert on_a_cortex_m4([path], "-DLISTENER_MAIN", samples, tmp_path) == host.decode()


def test_memory_of_the_front_end_is_what_the_compiler_says(tmp_path):
    trained, _ = listening_network()
    front = front_end_of(trained)
    write_c(trained, tmp_path, 32, front)
    (tmp_path / "size.c").write_text(
        '#include <stdio.h>\n#include "network.c"\nint main(void) { '
        'printf("%zu", sizeof(listener_t) - sizeof(network_t)); return 0; }\n'
    )
    subprocess.run(["cc", "size.c", "-o", "size"], cwd=tmp_path, check=True)
    size = int(subprocess.run(tmp_path / "size", capture_output=True, check=True).stdout)
    assert abs(size - front.ram) <= 4  # padding


def test_other_spikes_and_steps_are_refused():
    trained, _ = listening_network()
    with pytest.raises(ConfigError, match="was trained on the cochlea code"):
        front_end_of(replace(trained, code="cochlea"))
    with pytest.raises(ConfigError, match=r"steps of 0\.5 ms"):
        front_end_of(replace(trained, dt_ms=0.5))
    with pytest.raises(ConfigError, match="merges no spikes"):
        front_end_of(trained, binarise=True)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--to", "c", "--front-end"], "was trained on the cochlea code"),
        (["--to", "nir", "--front-end"], "no C file is to be written"),
        (["--to", "c", "--fine-tune-dt-ms", "1", "2"], "fine_tune_epochs = 0"),
        (["--to", "c", "--fine-tune-epochs", "2"], "no weight is to be rounded"),
    ],
)
def test_the_command_refuses_what_cannot_be(run, options, message, tmp_path, monkeypatch):
    arguments = ["export", str(run.path), *options, "--output", str(tmp_path / "out")]
    monkeypatch.setattr(sys, "argv", arguments)
    with pytest.raises(ConfigError, match=message):
        export.main()
    assert not list(tmp_path.rglob("*.c"))
