"""Each script as it is called, and the report, opened in a browser."""

import os
import re
import runpy
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile
from helpers import fakes, tiny
from helpers.drawn import NOWHERE
from matplotlib.text import Text
from PIL import Image

from analysis import accuracy_by_spikes, parameters, raster
from analysis.tools import report, script
from analysis.tools.load import read
from shd_genn.config import Config
from shd_genn.datasets.settings import DataConfig
from shd_genn.learning.settings import TrainConfig
from shd_genn.network.neuron_settings import Adlif
from shd_genn.network.settings import ModelConfig
from shd_genn.present.settings import AugmentConfig
from shd_genn.record.run_folder import RunFolder
from shd_genn.train import loop

ROOT = Path(__file__).resolve().parents[2]
OF_STUDIES = {name: "--study" for name in report.FIGURES if name.startswith("study_")}


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """The folder of a run that was really trained, for what runs the network again."""
    place = tmp_path_factory.mktemp("trained")
    config = Config(
        data=DataConfig(dataset=str(tiny.write(place / "tiny")), trial_ms=120.0),
        augment=AugmentConfig(shift_channels=0.0),
        model=ModelConfig(hidden_sizes=(20,), w_in_mean=0.2, w_in_sd=0.1, train_tau=True),
        train=TrainConfig(epochs=2, batch_size=16, learning_rate=0.01),
    )
    return loop.start(config, place / "runs").path


@pytest.fixture(scope="module")
def everything(grid, trained, tmp_path_factory):
    """Paths that hold something for every figure."""
    place = tmp_path_factory.mktemp("everything")
    fakes.study(place / "one.db")
    fakes.study(place / "two.db", n_objectives=2)
    sound = np.sin(np.arange(4800) / 10) * np.hanning(4800)
    soundfile.write(place / "beep.wav", sound, 48_000)
    fakes.bits(trained)
    fakes.steps(trained)
    # the really trained run has the better validation accuracy: figures of one run show it
    tables = [
        fakes.comparison(place / "compare.csv"),
        fakes.roofline(place / "roofline.csv"),
        fakes.scaling(place / "scaling.csv"),
        fakes.energy(place / "energy.csv"),
    ]
    return [grid, trained, place / "one.db", place / "two.db", place / "beep.wav", *tables]


def call(monkeypatch, name, *arguments):
    """Run a script in this process, as ``python analysis/NAME.py`` would."""
    script = ROOT / "analysis" / f"{name}.py"
    monkeypatch.setattr(sys, "argv", [str(script), *map(str, arguments)])
    runpy.run_path(str(script), run_name="__main__")


@pytest.mark.parametrize("name", report.FIGURES)
def test_a_script_draws(name, everything, trained, tmp_path, monkeypatch):
    grid, trained, one, two, sound, *tables = everything
    own = {"raster": trained, "parameters": trained, "cochleagram": sound}
    own |= {"accuracy_by_bits": trained, "accuracy_by_step": trained}
    own |= dict(zip(("peers", "roofline", "scaling", "energy"), tables, strict=True))
    given = [own.get(name, grid)]
    if name in OF_STUDIES:
        given = [two if name == "study_pareto" else one]
    output = tmp_path / f"{name}.png"
    texts, draw = [], Text.draw
    monkeypatch.setattr(
        Text, "draw", lambda t, *a, **k: texts.append(t.get_text()) or draw(t, *a, **k)
    )
    call(monkeypatch, name, *given, "-o", output)
    assert any(texts)
    assert not [text for text in texts if "$" in text]  # no formula: "$" is a letter of names
    with Image.open(output) as image:
        pixels = np.asarray(image.convert("L"))
    assert pixels.shape[1] == pytest.approx(5.9 * 220, abs=1)
    assert (pixels < 128).mean() > 0.001
    # nothing is cut off at the edges: the outermost pixels are white
    edges = np.concatenate([pixels[0], pixels[-1], pixels[:, 0], pixels[:, -1]])
    assert (edges > 250).all()


def test_cochlea_check_draws(tmp_path, monkeypatch, everything):
    tiny.write(tmp_path / "tiny")
    output = tmp_path / "check.svg"
    samples = ["--samples", tmp_path / "tiny" / "test.h5"]
    call(monkeypatch, "cochlea_check", everything[4], *samples, "-o", output)
    assert "<svg" in output.read_text()


@pytest.mark.parametrize("ending", ["pdf", "svg"])
def test_the_same_figure_is_the_same_file(ending, grid, tmp_path, monkeypatch):
    files = [tmp_path / f"{i}.{ending}" for i in (1, 2)]
    for file in files:
        call(monkeypatch, "accuracy_by_size", grid, "-o", file)
    assert files[0].read_bytes() == files[1].read_bytes()
    assert files[0].read_bytes()[:4] in (b"%PDF", b"<?xm")


def test_tables_are_latex(grid, tmp_path, monkeypatch):
    for name in ("comparison", "ablation"):
        call(monkeypatch, name, grid, "-o", tmp_path / f"{name}.tex")
        text = (tmp_path / f"{name}.tex").read_text()
        assert text.startswith(r"\begin{table}") and rf"\label{{tab:{name}}}" in text
        assert not re.search(r"(?<!\\)[%_#]", text) and text.isascii()
        columns = re.search(r"\\begin\{tabular\}\{(\w+)\}", text)[1]
        body = text[text.index(r"\midrule") : text.index(r"\bottomrule")].splitlines()[1:]
        assert len(body) in (3, 4)
        assert all(line.count(" & ") == len(columns) - 1 for line in body)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["runs", "-o", "x.doc"], "output must end in .pdf, .svg, .png, but is x.doc; rename it"),
        (["runs", "-o", "x.pdf"], "runs is not there; name the folders"),
        ([".", "-o", "x.pdf"], ". is empty of runs and studies"),
    ],
)
def test_a_script_says_what_it_cannot_do(arguments, message, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit) as left:
        call(monkeypatch, "accuracy_by_size", *arguments)
    assert left.value.code == 2 and message in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_a_script_names_what_it_left_out(grid, tmp_path, monkeypatch, capsys):
    shutil.copytree(grid, tmp_path / "runs")
    running = fakes.write(tmp_path / "runs", seed=9, state="running")
    call(monkeypatch, "accuracy_by_size", tmp_path / "runs", "-o", tmp_path / "x.png")
    assert capsys.readouterr().err == f"note: {running}: running\n"


def test_scripts_work_from_any_folder(grid, tmp_path):
    command = [sys.executable, ROOT / "analysis" / "confusion.py", grid, "-o", "confusion.pdf"]
    result = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
    assert (tmp_path / "confusion.pdf").read_bytes().startswith(b"%PDF")


def test_a_raster_is_what_the_network_does(trained, tmp_path):
    results = read([trained])
    numbers = raster.load(results, raster.Options((), tmp_path / "x.pdf"))
    said = results.predictions(results.tested()).set_index("sample")
    counts = results.spike_counts(results.tested()).set_index("sample")["spikes"]
    assert len(numbers.trials) >= 1
    for trial in numbers.trials:
        sample = int(re.search(r"sample (\d+)", trial.title)[1])
        assert trial.predicted == said.loc[sample, "predicted"]
        assert trial.spoken == said.loc[sample, "label"]
        assert len(trial.recording.spikes["hidden0"].times_ms) == counts[sample]
    kinds = [trial.predicted == trial.spoken for trial in numbers.trials]
    assert kinds == sorted(kinds, reverse=True) and len(set(kinds)) == len(kinds)


def test_synaptic_operations_are_spikes_times_targets(trained):
    """What the run recorded, computed anew from its predictions and the shapes of its weights."""
    results = read([trained])
    points = accuracy_by_spikes.load(results, script.Options((), NOWHERE)).points
    counts = results.predictions(results.tested()).mean(numeric_only=True)
    with np.load(trained / "best.npz") as arrays:
        inputs = arrays["parameter_input_hidden0"].shape[1]
        recurrent = arrays["parameter_hidden0_hidden0"].shape[1]
        outputs = arrays["parameter_hidden0_output"].shape[1]
    expected = counts["input_spikes"] * inputs
    expected += counts["spikes_hidden0"] * (recurrent + outputs)
    assert points["operations"].tolist() == pytest.approx([expected]) and expected > 0


def test_a_raster_needs_the_dataset_as_it_was(trained, tmp_path):
    copy = tmp_path / "runs" / trained.name
    shutil.copytree(trained, copy)
    text = (copy / "config.toml").read_text()
    was = RunFolder(trained).config.data.dataset
    tiny.write(tmp_path / "other", n_test=15)
    (copy / "config.toml").write_text(text.replace(was, str(tmp_path / "other")))
    with pytest.raises(Exception, match="has changed; restore it"):
        raster.load(read([copy]), raster.Options((), tmp_path / "x.pdf"))
    with pytest.raises(Exception, match="0 <= sample < 12 must hold, but got 99"):
        raster.load(read([trained]), raster.Options((), tmp_path / "x.pdf", samples=(99,)))


def test_parameters_start_as_they_were_drawn(trained, tmp_path):
    numbers = parameters.load(read([trained]), parameters.Options((), tmp_path / "x.pdf"))
    before, after = numbers.arrays["input_hidden0"]
    assert before.mean() == pytest.approx(0.2, abs=0.02)  # w_in_mean; sd 0.1 of 600 weights
    with np.load(trained / "best.npz") as arrays:
        assert np.array_equal(after, arrays["parameter_input_hidden0"].ravel())
    assert not np.array_equal(before, after)
    before, after = numbers.arrays["hidden0.tau_mem"]
    assert (before == 20).all() and (after != 20).any() and len(after) == 20


def test_parameters_of_any_neuron_have_their_units(tmp_path):
    adlif = Adlif(train_neuron=("tau_w", "a", "b"))
    config = Config(
        data=DataConfig(dataset=str(tiny.write(tmp_path / "data")), trial_ms=100.0),
        model=ModelConfig(neuron=adlif, hidden_sizes=(20,), w_in_mean=0.2, train_tau=True),
        train=TrainConfig(epochs=1, batch_size=16, learning_rate=0.05),
    )
    run = loop.start(config, tmp_path / "runs").path
    numbers = parameters.load(read([run]), parameters.Options((), tmp_path / "x.pdf"))
    labels = {name: label for name, label in numbers.labels.items() if name.startswith("hidden0.")}
    assert labels == {
        "hidden0.tau_mem": "tau_mem (ms)",
        "hidden0.tau_syn": "tau_syn (ms)",
        "hidden0.tau_w": "tau_w (ms)",
        "hidden0.a": "a",
        "hidden0.b": "b",
    }
    assert numbers.labels["input_hidden0"] == "weight"
    for name in labels:
        before, after = numbers.arrays[name]
        assert len(after) == 20 and (before != after).any()
    drawn = [axis.get_xlabel() for axis in parameters.plot(numbers).axes]
    assert set(labels.values()) <= set(drawn)


@pytest.fixture(scope="module")
def page(everything, tmp_path_factory):
    """The report of everything, and of a run that is damaged and one that is running."""
    place = tmp_path_factory.mktemp("report")
    damaged = fakes.write(place / "more", seed=8)
    (damaged / "summary.json").write_text("{")
    fakes.write(place / "more", seed=9, state="running")
    result = subprocess.run(
        [sys.executable, "-W", "error", "-m", "analysis", *everything, place / "more"],
        cwd=place,
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    assert result.returncode == 0, result.stderr
    assert f"note: {damaged}: {damaged / 'summary.json'} cannot be read" in result.stderr
    return place / "report"


@pytest.mark.slow
def test_the_report_holds_every_figure(page):
    html = (page / "index.html").read_text()
    for name in report.FIGURES:
        drawn = list(page.glob(f"{name}*.pdf"))
        assert drawn, name
        assert all(f"analysis/{name}.py" in html and f"-o {pdf.name}" in html for pdf in drawn)
    assert not list(page.glob(".*"))
    assert (page / "comparison.tex").is_file() and (page / "trials-one.csv").is_file()
    assert (page / "runs.csv").read_text().count("\n") == 1 + 12 + 1 + 2
    assert not re.search(r"(src|href)=\"(?!data:|#)", html)  # nothing from anywhere else


@pytest.fixture(scope="module")
def browser():
    chromium = shutil.which("chromium") or shutil.which("chromium-browser")
    if chromium is None:
        pytest.skip("Chromium is not installed")
    sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    flags = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
    with sync_api.sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=chromium, args=flags)
        yield opened
        opened.close()


@pytest.mark.parametrize(("width", "height"), [(1280, 900), (375, 700)])
def test_the_report_in_a_browser(width, height, page, browser):
    tab = browser.new_page(viewport={"width": width, "height": height})
    said = []
    tab.on("console", lambda message: said.append(message.text))
    tab.on("pageerror", lambda error: said.append(str(error)))
    tab.on("requestfailed", lambda request: said.append(request.url[:80]))
    tab.goto((page / "index.html").as_uri())
    wide = "document.documentElement.scrollWidth - document.documentElement.clientWidth"
    assert tab.evaluate(wide) == 0
    images = tab.evaluate("[...document.images].map(i => i.complete && i.naturalWidth > 0)")
    assert len(images) >= len(report.FIGURES) and all(images)
    assert tab.locator("#problems li").count() == 3  # these two, and that datasets are apart
    first = tab.locator("figure .frame").first
    first.click()  # a figure at full size scrolls in its frame, not the page
    assert tab.evaluate(wide) == 0
    assert first.locator("img").evaluate("i => i.clientWidth") == 960
    tab.emulate_media(media="print")
    assert tab.evaluate(wide) == 0
    assert said == []
    tab.close()


def test_the_tables_are_sorted_by_number(page, browser):
    tab = browser.new_page()
    tab.goto((page / "index.html").as_uri())
    head = tab.locator("#table-1 th", has_text="test accuracy")
    column = head.evaluate("h => h.cellIndex")
    cells = tab.locator(f"#table-1 tbody td:nth-child({column + 1})")
    for order, reverse in (("ascending", False), ("descending", True)):
        head.locator("button").click()
        assert head.get_attribute("aria-sort") == order
        keys = [float(key) for key in cells.evaluate_all("all => all.map(c => c.dataset.key)")]
        assert keys == sorted(keys, reverse=reverse) and len(set(keys)) > 3
    tab.close()
