"""The pages: links, the map of the rooms, tables that repeat what the code knows, and the site."""

import importlib.util
import os
import re
import subprocess
import sys
import tomllib

import pytest
from helpers.pages import NOTEBOOK, PAGES, ROOT, anchors, links, text

from shd_genn.config.presets import PRESETS
from shd_genn.network.readouts import READOUTS

ALL = [*PAGES, str(NOTEBOOK.relative_to(ROOT))]


@pytest.mark.parametrize("page", ALL)
def test_links_lead_somewhere(page):
    for link in links(page):
        file, _, anchor = link.partition("#")
        target = (ROOT / page).parent / file if file else ROOT / page
        assert target.is_file(), link
        if anchor:
            assert anchor in anchors(str(target.resolve().relative_to(ROOT))), link


def test_the_readme_is_short():
    assert len((ROOT / "README.md").read_text().splitlines()) <= 150


def test_the_map_has_the_rooms_in_the_order_of_the_import_contract():
    readme = text("README.md")
    table = readme[readme.index("| room of `shd_genn/` |") :].partition("\n\n")[0]
    rows = [re.findall(r"`([\w/.]+)`", line.split("|")[1]) for line in table.splitlines()[2:]]
    rooms = [{name.rstrip("/").removesuffix(".py") for name in row} for row in rows]
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    layers = project["tool"]["importlinter"]["contracts"][0]["layers"]
    assert rooms == [set(layer.split(" | ")) for layer in reversed(layers)]
    package = ROOT / "shd_genn"
    folders = {path.parent.name for path in package.glob("*/__init__.py")}
    files = {path.stem for path in package.glob("*.py")} - {"__init__"}
    assert set().union(*rooms) == folders | files


def test_the_sentence_of_the_rooms_is_their_order():
    sentence = re.search(r"\*(spikes →.*?)\*", text("README.md"), re.DOTALL)
    words = re.findall(r"\w+", sentence[1])
    table = re.findall(r"^\| (`\w+/`(?:, `\w+/`)*) \|", text("README.md"), re.MULTILINE)
    rooms = [name for row in table for name in re.findall(r"\w+", row)]
    assert ["support", *words] == rooms


def test_every_readout_is_explained():
    table = re.findall(
        r"^\| `(\w+)`(?: \(default\))? \| .* \| .* \|$", text("docs/readouts.md"), re.M
    )
    assert set(READOUTS) <= set(table)


def test_every_preset_is_in_the_results():
    listed = text("docs/results.md")
    table = listed[listed.index("| preset |") :]
    names = set()
    for pattern in re.findall(r"`([\w{},-]+)`", "".join(re.findall(r"^\| `.*? \|", table, re.M))):
        alternatives = [""]
        for part in re.split(r"(\{.*?\})", pattern):
            choices = part.strip("{}").split(",")
            alternatives = [start + choice for start in alternatives for choice in choices]
        names |= set(alternatives)
    assert names == set(PRESETS)


def test_every_figure_is_in_the_gallery():
    pages = "".join(map(text, PAGES))
    scripts = [p for p in (ROOT / "analysis").glob("*.py") if "script.draw(" in p.read_text()]
    assert scripts
    for script in scripts:
        assert f"analysis/{script.name}" in pages, script.name


def test_every_option_on_the_pages_exists():
    sources = [*(ROOT / "shd_genn").rglob("*.py"), *(ROOT / "analysis").rglob("*.py")]
    fields = set(re.findall(r"^    (\w+): ", "".join(p.read_text() for p in sources), re.M))
    campaigns = "".join(p.read_text() for p in (ROOT / "tests").rglob("campaign.py"))
    fields |= set(re.findall(r'add_argument\("--(\w+)"', campaigns))
    others = {"help", "list_presets", "strict", "markdown"}
    for page in ALL:
        for option in re.findall(r"(?<![\w-])--([a-z][\w-]+)", text(page)):
            name = option.replace("-", "_")
            assert {name, name.removeprefix("no_")} & (fields | others), f"{page}: --{option}"


def test_the_glossary_has_twenty_words():
    assert len(re.findall(r"^:   ", text("docs/glossary.md"), re.M)) == 20


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """The built site."""
    for module in ("mkdocs", "material", "mkdocstrings", "nbconvert", "latex2mathml"):
        if importlib.util.find_spec(module) is None:
            pytest.skip(f"{module} is not installed: pip install -e '.[docs]'")
    folder = tmp_path_factory.mktemp("site")
    done = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(folder)],
        cwd=ROOT,
        env=os.environ | {"NO_MKDOCS_2_WARNING": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "WARNING" not in done.stderr
    return folder


def test_the_site_has_every_page(site):
    for page in ALL:
        name = page.removeprefix("docs/").removesuffix(".md").removesuffix(".ipynb").lower()
        assert (site / f"{'index' if name == 'readme' else name}.html").is_file(), page
    assert "output voltage" in (site / "notebook.html").read_text()


def test_equations_are_mathml_without_latex(site):
    equations = re.findall(r"<math.*?</math>", (site / "neurons.html").read_text("utf-8"), re.S)
    assert len(equations) >= 7
    assert not [e for e in equations if "\\" in e or "<mi>&</mi>" in e]


def test_the_site_loads_nothing_from_other_servers(site):
    for page in site.rglob("*.html"):
        html = page.read_text("utf-8")
        loaded = re.findall(r"<(?:script|img|iframe)\b[^>]*\bsrc=[\"']?(https?:[^\"' >]+)", html)
        loaded += re.findall(
            r"<link\b(?=[^>]*rel=[\"']?(?:stylesheet|preload|icon|preconnect))[^>]*"
            r"href=[\"']?(https?:[^\"' >]+)",
            html,
        )
        assert not loaded, page


def test_links_of_the_site_lead_somewhere(site):
    """Those of the README too, which are written for the repository."""
    for page in site.rglob("*.html"):
        if page.name == "404.html":  # it is served for any address
            continue
        html = page.read_text("utf-8")
        for link in re.findall(r"(?:href|src)=\"([^\":#?]+)[#?\"]", html):
            assert (page.parent / link).exists(), f"{page.name}: {link}"
