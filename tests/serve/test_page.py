"""The page in headless Chromium, whose microphone is a WAV file."""

import shutil

import pytest
from helpers.tones import tone, wav

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="Chromium is not installed")


@pytest.fixture(scope="module")
def sound(tmp_path_factory):
    return wav(tmp_path_factory.mktemp("sound") / "low.wav", tone("low", 3.0))


@pytest.fixture(scope="module")
def browser(sound):
    flags = ["--no-sandbox", "--disable-gpu", "--use-fake-device-for-media-stream"]
    flags += ["--use-fake-ui-for-media-stream", f"--use-file-for-fake-audio-capture={sound}"]
    with sync_api.sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=CHROMIUM, args=flags)
        yield opened
        opened.close()


@pytest.fixture
def tab(browser, served, request):
    """The page at a width, and what went wrong in it."""
    width, height = getattr(request, "param", (1280, 900))
    context = browser.new_context(viewport={"width": width, "height": height})
    context.grant_permissions(["microphone"], origin=served.url.rstrip("/"))
    page = context.new_page()
    page.wrong = []
    page.on("console", lambda message: page.wrong.append(message.text))
    page.on("pageerror", lambda error: page.wrong.append(str(error)))
    page.goto(served.url)
    page.locator("#words option").first.wait_for(state="attached")
    yield page
    context.close()


@pytest.mark.parametrize("tab", [(1280, 900), (375, 700)], indirect=True)
def test_a_word_from_the_microphone(tab, tmp_path):
    tab.keyboard.press("r")  # by keyboard alone
    tab.locator("#record[aria-pressed=true]").wait_for()
    for _ in range(100):  # the page forbids eval, which wait_for_function needs
        if tab.evaluate("document.getElementById('level').value > 0"):
            break
        tab.wait_for_timeout(50)
    tab.wait_for_timeout(500)
    tab.keyboard.press("r")
    tab.locator(".word").first.wait_for()
    assert tab.locator(".word").count() == 2  # two runs side by side
    assert tab.locator(".word").first.inner_text().startswith("low ")
    assert "ms" in tab.locator(".latency").first.inner_text()
    tab.wait_for_timeout(1200)  # voltages have built up
    drawn = """[...document.querySelectorAll('canvas')].map(c => {
        const d = c.getContext('2d').getImageData(0, 0, c.width, c.height).data;
        return d.some((x, i) => i % 4 === 3 && x > 0);
    })"""
    assert tab.evaluate(drawn) == [True] * 7  # sound; spikes in, hidden, voltages of both
    wide = "document.documentElement.scrollWidth - document.documentElement.clientWidth"
    assert tab.evaluate(wide) == 0
    tab.locator("#speaker").fill("ben")
    tab.locator("#labels button").click()
    tab.locator("#saved:has-text('recordings in')").wait_for()
    tab.screenshot(path=tmp_path / "page.png", full_page=True)
    assert tab.wrong == []


def test_a_file_and_what_is_no_sound(tab, tmp_path):
    tab.locator("#file").set_input_files(wav(tmp_path / "h.wav", tone("high")))
    tab.locator(".word:has-text('high')").first.wait_for()
    assert tab.wrong == []
    (tmp_path / "no.wav").write_bytes(b"no sound")
    tab.locator("#file").set_input_files(tmp_path / "no.wav")
    tab.locator("#state.problem:has-text('must be a sound file')").wait_for()
    (tmp_path / "big.wav").write_bytes(bytes(5_000_000))
    tab.locator("#file").set_input_files(tmp_path / "big.wav")
    tab.locator("#state.problem:has-text('4 MB')").wait_for()


def test_words_and_silence_are_told_apart_in_a_stream(tab):
    """By the page's own code, with sound that is made here."""
    found = tab.evaluate(
        """async () => {
        const { Words } = await import('/sound.js');
        const heard = [], words = new Words((s, r) => heard.push(s.length / r),
                                            () => heard.push('silence'));
        const rate = 16000, chunk = (loud) => Float32Array.from({ length: 128 },
            (_, i) => loud * Math.sin(i));
        const feed = (loud, seconds) => {
            for (let t = 0; t < seconds; t += 128 / rate) words.take(chunk(loud), rate);
        };
        feed(0.001, 1); feed(0.3, 0.5); feed(0.001, 1); feed(0.3, 0.05); feed(0.001, 3);
        feed(0.3, 9);
        return heard;
    }"""
    )
    word, silence, *long = found
    assert 0.5 < word < 1.2  # with what lies around it; the click of 50 ms is no word
    assert silence == "silence"
    assert long and max(long) <= 5.1
    assert tab.wrong == []
