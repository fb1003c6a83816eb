"""Words of a stream as they come, with silence as a class of its own."""

import json
import shutil

import numpy as np
import pytest
from helpers.tones import tone, wav

from shd_genn.encode.filter_bank import FilterBank
from shd_genn.serve.listener import Listener
from shd_genn.support.errors import ConfigError
from shd_genn.train.inference import listen_to

from .conftest import heard
from .test_server import ask

SPOKEN = ("low", "silence", "high", "low", "silence", "high")


@pytest.fixture(scope="module")
def samples():
    """Words and noise, each followed by a pause, as the stream has them."""
    quiet = np.zeros(19_200)
    parts = [part for i, word in enumerate(SPOKEN) for part in (heard(word, 40 + i), quiet)]
    return FilterBank().pcm(np.concatenate(parts))


@pytest.mark.parametrize("pieces", [1, 9, 121])
def test_words_and_silence_are_heard_as_they_come(streaming_run, samples, pieces):
    with Listener([streaming_run.path]) as listener:
        found, partial = [], []
        for piece in np.array_split(samples, pieces):
            answer = listener.hear(f"stream{pieces}", piece)
            found += answer["ended"]
            partial += answer["so_far"]
    assert [word["word"] for word in found] == list(SPOKEN)
    ends = np.array([word["end_ms"] for word in found])
    assert np.abs(np.diff(ends) - 700).max() < 60
    assert all(word["probability"] > 0.5 for word in found)
    if pieces > 100:  # unfinished words are heard, too
        assert {"low", "high"} <= {word["word"] for word in partial}


def test_a_quiet_stream_has_no_words_and_streams_do_not_mix(streaming_run, samples):
    with Listener([streaming_run.path]) as listener:
        assert listener.hear("quiet", np.zeros(48_000, np.int16)) == {"ended": [], "so_far": []}
        half = len(samples) // 2
        one = listener.hear("one", samples[:half])["ended"]
        listener.hear("two", samples[half:])
        one += listener.hear("one", samples[half:])["ended"]
        assert [word["word"] for word in one] == list(SPOKEN)


def test_runs_of_other_codes_hear_no_stream(run):
    with Listener([run.path]) as listener:
        assert not listener.streams
        with pytest.raises(ConfigError, match="trained on the filterbank code"):
            listener.hear("stream", np.zeros(160, np.int16))


def test_the_server_takes_pieces_and_refuses_what_are_none(stream_served, served, samples):
    found = []
    for piece in np.array_split(samples, 20):
        body = piece.astype("<i2").tobytes()
        status, content, _ = ask(stream_served, "POST", "/stream?key=abcdefgh1", body)
        assert status == 200
        found += json.loads(content)["ended"]
    assert [word["word"] for word in found] == list(SPOKEN)
    for key, body, status in (
        ("a/../b12345", b"", 400),
        ("abcdefgh2", b"odd", 413),
        ("abcdefgh2", bytes(200_000), 413),
    ):
        assert ask(stream_served, "POST", f"/stream?key={key}", body)[0] == status
    assert ask(served, "POST", "/stream?key=abcdefgh3", b"")[0] == 422
    assert json.loads(ask(stream_served, "GET", "/runs")[1])["streams"]


def test_the_page_lists_the_words_of_its_microphone(stream_served, tmp_path):
    """By Chromium, whose microphone is a WAV file that repeats."""
    chromium = shutil.which("chromium") or shutil.which("chromium-browser")
    sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    if chromium is None:
        pytest.skip("Chromium is not installed")
    spoken = np.concatenate([tone("low", seed=1), np.zeros(24_000)])
    sound = wav(tmp_path / "spoken.wav", spoken)
    flags = ["--no-sandbox", "--disable-gpu", "--use-fake-device-for-media-stream"]
    flags += ["--use-fake-ui-for-media-stream", f"--use-file-for-fake-audio-capture={sound}"]
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=flags)
        context = browser.new_context()
        context.grant_permissions(["microphone"], origin=stream_served.url.rstrip("/"))
        page, wrong = context.new_page(), []
        page.on("console", lambda message: wrong.append(message.text))
        page.on("pageerror", lambda error: wrong.append(str(error)))
        page.goto(stream_served.url)
        page.locator("#words option").first.wait_for(state="attached")
        page.keyboard.press("k")
        page.locator("#heard li:nth-child(3)").wait_for()
        words = page.locator("#heard li").all_inner_texts()
        assert words.count("low") >= 2
        assert "high" not in words
        assert "%" in page.locator("#state").inner_text()
        page.screenshot(path=tmp_path / "stream.png")
        page.keyboard.press("k")
        assert page.locator("#stream").get_attribute("aria-pressed") == "false"
        assert wrong == []
        browser.close()


@pytest.mark.parametrize("word", ["low", "high", "silence"])
def test_listen_hears_a_recording_of_a_word_and_one_of_silence(streaming_run, word, tmp_path):
    sound = wav(tmp_path / "a.wav", heard(word, 50))
    assert listen_to(streaming_run.folder, sound).word == word
