"""The server without a browser: answers, bounds, refusals, many clients, saved recordings."""

import http.client
import json
import socket
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import pytest
import soundfile
from helpers.tones import WORDS, tone, wav

from shd_genn.encode.recordings import find_recordings
from shd_genn.serve.listener import Listener
from shd_genn.serve.takes import Takes
from shd_genn.support.errors import ConfigError, DataError


def ask(served, method, path, body=None, **headers):
    """Status and content of an answer."""
    connection = http.client.HTTPConnection("127.0.0.1", served.port, timeout=60)
    given = {"X-Shd-Genn": "1"} if method == "POST" else {}
    names = {name.replace("_", "-"): value for name, value in headers.items()}
    try:
        connection.request(method, path, body, given | names)
        answer = connection.getresponse()
        return answer.status, answer.read(), answer.headers
    finally:
        connection.close()


@pytest.mark.parametrize("word", WORDS)
def test_a_recording_is_recognised(served, word, tmp_path):
    sound = wav(tmp_path / "a.wav", tone(word, seed=30)).read_bytes()
    status, body, _ = ask(served, "POST", "/listen", sound)
    content = json.loads(body)
    assert status == 200, content
    assert len(content["answers"]) == 2  # both runs
    for answer in content["answers"]:
        assert answer["word"] == word
        assert answer["ranking"][0][1] > 0.5
        assert [r["name"] for r in answer["rasters"]] == ["input", "hidden0"]
        assert len(answer["voltages"]) == len(WORDS)
        assert len(answer["voltages"][0]) == len(answer["times_ms"])
    assert content["duration_ms"] == pytest.approx(300)


def test_ten_clients_at_once_are_answered(served, tmp_path):
    sounds = [
        wav(tmp_path / f"{i}.wav", tone(WORDS[i % 2], seed=i)).read_bytes() for i in range(10)
    ]
    with ThreadPoolExecutor(10) as pool:
        answers = list(pool.map(lambda sound: ask(served, "POST", "/listen", sound), sounds))
    assert [status for status, _, _ in answers] == [200] * 10
    heard = [json.loads(body)["answers"][0]["word"] for _, body, _ in answers]
    assert heard == [WORDS[i % 2] for i in range(10)]


def test_a_broken_file_and_silence_are_refused_with_the_reason(served, tmp_path):
    quiet = wav(tmp_path / "q.wav", 0 * tone("low")).read_bytes()
    for body, message in ((b"RIFF no sound", "must be a sound file"), (quiet, "silent"), (b"", "")):
        status, content, _ = ask(served, "POST", "/listen", body)
        assert status == 422
        assert message in json.loads(content)["error"]
        assert "/tmp" not in json.loads(content)["error"]


def test_a_gigabyte_is_refused_before_it_is_sent(served):
    with socket.create_connection(("127.0.0.1", served.port), timeout=20) as wire:
        wire.sendall(
            f"POST /listen HTTP/1.1\r\nHost: 127.0.0.1:{served.port}\r\nX-Shd-Genn: 1\r\n"
            "Content-Length: 1000000000\r\n\r\n".encode()
        )
        wire.sendall(bytes(100_000))
        assert b" 413 " in wire.recv(1000)
    with socket.create_connection(("127.0.0.1", served.port), timeout=20) as wire:
        wire.sendall(
            f"POST /listen HTTP/1.1\r\nHost: 127.0.0.1:{served.port}\r\nX-Shd-Genn: 1\r\n"
            "Transfer-Encoding: chunked\r\n\r\n".encode()
        )
        block = b"100000\r\n" + bytes(0x100000) + b"\r\n"
        for _ in range(5):
            wire.sendall(block)
        assert b" 413 " in wire.recv(1000)
    assert ask(served, "GET", "/runs")[0] == 200  # it lives


@pytest.mark.parametrize(
    ("method", "headers"),
    [
        ("GET", {"Host": "evil.example"}),
        ("GET", {"Host": "127.0.0.1.evil.example:80"}),
        ("GET", {"Origin": "http://evil.example"}),
        ("POST", {"Origin": "http://evil.example"}),
        ("POST", {"Origin": "null"}),
        ("GET", {"Origin": "http://localhost:1"}),
    ],
)
def test_other_hosts_and_origins_are_refused(served, method, headers):
    status, body, _ = ask(served, method, "/listen" if method == "POST" else "/runs", **headers)
    assert status == 403
    assert "open the address that serve printed" in json.loads(body)["error"]


def test_a_form_of_another_page_is_refused(served):
    """Some browsers send no origin with it, but no page can add the header."""
    connection = http.client.HTTPConnection("127.0.0.1", served.port, timeout=20)
    connection.request("POST", "/label", "{}")
    assert connection.getresponse().status == 403
    connection.close()


def test_nothing_but_the_page_is_served(served):
    for path in ("/../app.py", "/%2e%2e/app.py", "/app.py", "/page.js/../../app.py", "/etc/passwd"):
        assert ask(served, "GET", path)[0] == 404
    status, body, headers = ask(served, "GET", "/")
    assert status == 200
    assert b"Speak to a spiking network" in body
    assert "default-src 'self'" in headers["Content-Security-Policy"]


def test_labelled_recordings_can_be_encoded(served, tmp_path):
    for i, word in enumerate(WORDS):
        sound = wav(tmp_path / f"{i}.wav", tone(word, seed=i)).read_bytes()
        key = json.loads(ask(served, "POST", "/listen", sound)[1])["id"]
        asked = json.dumps({"id": key, "word": word, "speaker": "anna"})
        assert ask(served, "POST", "/label", asked)[0] == 200
    every = find_recordings(served.takes / "takes.csv").recordings
    found = [r for r in every if r.speaker == "anna"]  # others are the page's
    assert {(r.word, r.speaker) for r in found} == {("high", "anna"), ("low", "anna")}
    assert all(len(soundfile.read(r.path)[0]) == 14_400 for r in found)
    assert len(find_recordings(served.takes).recordings) == len(every)
    for asked, status in (
        ({"id": key, "word": "../up"}, 422),
        ({"id": key, "word": ""}, 422),
        ({"id": "no such", "word": "low"}, 404),
        ({"word": "low"}, 400),
        ([1], 400),
    ):
        assert ask(served, "POST", "/label", json.dumps(asked))[0] == status


@pytest.mark.parametrize("word", ["..", "a/b", "a\\b", ".x", "", "x" * 41, "a\nb"])
def test_words_that_are_no_names_are_refused(word, tmp_path):
    with pytest.raises(DataError, match="must be letters"):
        Takes(tmp_path / "t").add(b"", word)
    assert not list(tmp_path.iterdir())


def test_runs_of_spikes_without_sound_are_refused(data, tmp_path):
    from shd_genn import fit

    run = fit(
        str(data), runs=tmp_path, name="r", epochs=1, hidden_sizes=(4,), trial_ms=50.0, n_threads=1
    )
    with pytest.raises(ConfigError, match="30 channels of the cochlea code"), Listener([run.path]):
        pass


def test_the_command_refuses(tmp_path):
    for options, message in (
        ([tmp_path], "must be the folder of a run"),
        ([], "no run is given"),
        ([tmp_path, "--port", "0"], "1 <= port <= 65535"),
    ):
        done = subprocess.run(
            [sys.executable, "-m", "shd_genn.serve", *map(str, options)],
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 2
        assert message in done.stderr
