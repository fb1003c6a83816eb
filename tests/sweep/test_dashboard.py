"""The Optuna dashboard on a study, in a real browser."""

import re
import shutil

import numpy as np
import pytest
from helpers import sweeping
from PIL import Image
from playwright.sync_api import sync_playwright

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")


@pytest.mark.skipif(CHROMIUM is None, reason="chromium is not installed")
def test_the_dashboard_shows_best_value_and_number_of_trials(space, data, tmp_path):
    options = ["--epochs", 2, "--trials", 5, "--workers", 2]
    process = sweeping.start(space, data, *options, "--dashboard", "--dashboard-port", 0)
    try:
        assert process.stdout is not None
        address = process.stdout.readline().split()[-1]  # before the study is done
        while not process.stdout.readline().startswith("study"):
            assert process.poll() is None, process.communicate()
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
            page = browser.new_page(viewport={"width": 1400, "height": 1000})
            page.goto(address)
            best = sweeping.load(space).best_trial
            page.get_by_text(f"Best Trial (number={best.number})").wait_for(timeout=60_000)
            said = page.inner_text("body")
            page.screenshot(path=tmp_path / "dashboard.png")
            page.goto(f"{address}/trials")
            page.get_by_text("Trial 4").first.wait_for(timeout=60_000)
            listed = page.inner_text("body")
            browser.close()
    finally:
        process.terminate()
        process.communicate()
    assert f"Best Trial (number={best.number})\n{best.value:g}" in re.sub(r"\n+", "\n", said)
    numbers = {int(number) for number in re.findall(r"^Trial (\d+)$", listed, re.MULTILINE)}
    assert numbers == set(range(5)), listed
    with Image.open(tmp_path / "dashboard.png") as picture:
        assert np.asarray(picture.convert("L")).std() > 10  # not an empty page


def test_a_taken_port_is_said(space, data):
    import socket

    with socket.socket() as taken:
        taken.bind(("localhost", 0))
        taken.listen()
        port = taken.getsockname()[1]
        result = sweeping.sweep(space, data, "--dashboard", "--dashboard-port", port)
    assert result.returncode == 2
    assert f"dashboard_port {port} of localhost must be free" in result.stderr
