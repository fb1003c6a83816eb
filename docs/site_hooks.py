"""MkDocs hooks: pages that the site makes from files outside `docs/`, and from the notebook.

`python docs/site_hooks.py` executes the notebook and saves what it shows.

README, CONTRIBUTING and CHANGELOG become pages. So does every other file of the repository that a
page links to, for example a test or a model: its page shows its text. Links stay as they work in
the repository, and are rewritten for the site.
"""

from __future__ import annotations

import posixpath
import re
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
NOTEBOOK = "docs/notebook.ipynb"
PAGES = {
    "README.md": "index.md",
    "CONTRIBUTING.md": "contributing.md",
    "CHANGELOG.md": "changelog.md",
    NOTEBOOK: "notebook.md",
}
"""Files of the repository → their pages; files in `docs/` have pages of the same name."""
LINK = re.compile(r"(?<=\]\()(?!https?:|mailto:|#)([^)#\s]+)(#[^)\s]*)?(?=\))")
LANGUAGES = {".py": "python", ".toml": "toml", ".h": "cpp", ".cpp": "cpp", ".cu": "cuda"}


def on_config(config: Any) -> Any:
    """Blocks of code in the language ``math`` are LaTeX, as on GitHub; they become MathML."""
    fence = {"name": "math", "class": "math", "format": mathml}
    config.mdx_configs.setdefault("pymdownx.superfences", {})["custom_fences"] = [fence]
    return config


def mathml(source: str, *_: Any, **__: Any) -> str:
    """LaTeX as MathML, which browsers draw themselves: nothing is loaded from another server."""
    from latex2mathml.converter import convert

    return f'<div class="equations">{convert(source.strip(), display="block")}</div>'


def on_files(files: Any, config: Any) -> Any:
    """Add the pages that are not in `docs/`."""
    from mkdocs.structure.files import File

    def add(page: str, content: str | bytes) -> None:
        files.append(File.generated(config, page, content=content))

    if notebook := files.get_file_from_path(Path(NOTEBOOK).name):
        files.remove(notebook)
    texts = {name: (ROOT / name).read_text("utf-8") for name in PAGES if name != NOTEBOOK}
    texts |= {f"docs/{path.name}": path.read_text("utf-8") for path in (ROOT / "docs").glob("*.md")}
    texts[NOTEBOOK], pictures = _notebook()
    for name, picture in pictures.items():
        add(name, picture)
    for source, page in PAGES.items():
        add(page, texts[source])
    linked = {target for source, text in texts.items() for target in _targets(source, text)}
    for target in sorted(linked):
        if _page(target).startswith("source/") and (ROOT / target).is_file():
            add(_page(target), _listing(target))
    return files


def on_page_markdown(markdown: str, page: Any, **_: Any) -> str:
    """Rewrite links between files of the repository as links between pages of the site."""
    uri = page.file.src_uri
    if uri.startswith("source/"):
        return markdown
    source = {page: name for name, page in PAGES.items()}.get(uri, f"docs/{uri}")

    def rewrite(link: re.Match[str]) -> str:
        target = _page(_resolve(source, link[1]))
        return posixpath.relpath(target, posixpath.dirname(uri) or ".") + (link[2] or "")

    # a result stays on one line in narrow tables, too
    return LINK.sub(rewrite, markdown).replace(" ± ", "\u00a0±\u00a0")


def _resolve(source: str, link: str) -> str:
    """The file of the repository that a link in another one names."""
    return posixpath.normpath(posixpath.join(posixpath.dirname(source), link))


def _targets(source: str, text: str) -> set[str]:
    return {_resolve(source, link[1]) for link in LINK.finditer(text)}


def _page(target: str) -> str:
    """The site's page or picture for a file of the repository."""
    if target in PAGES:
        return PAGES[target]
    if target.startswith("docs/"):
        return target.removeprefix("docs/")
    return f"source/{target}.md"


def _listing(target: str) -> str:
    """A page with the text of a file; the search leaves it out."""
    text = (ROOT / target).read_text("utf-8")
    language = LANGUAGES.get(Path(target).suffix, "text")
    head = "---\nsearch:\n  exclude: true\nhide: [navigation, toc]\n---\n"
    return f"{head}\n# {target}\n\n````{language}\n{text}````\n"


def _notebook() -> tuple[str, dict[str, bytes]]:
    """The notebook as Markdown, and its pictures by name."""
    from nbconvert import MarkdownExporter
    from traitlets.config import Config

    names = "images/notebook_{cell_index}_{index}{extension}"
    exporter = MarkdownExporter(
        Config(ExtractOutputPreprocessor={"output_filename_template": names})
    )
    text, resources = exporter.from_filename(str(ROOT / NOTEBOOK))
    return text, resources["outputs"]


def execute(path: Path, folder: Path, **parameters: object) -> Any:
    """Execute a notebook and leave out messages of progress.

    Args:
        path: The notebook.
        folder: Where it works; its runs stay there.
        **parameters: Values that replace those of the cell with the tag ``parameters``.

    Returns:
        The notebook with its outputs.

    Raises:
        nbclient.exceptions.CellExecutionError: if a cell fails.
    """
    import nbclient
    import nbformat

    notebook = nbformat.read(path, as_version=4)
    for cell in notebook.cells:
        if "parameters" in cell.metadata.get("tags", ()) and parameters:
            cell.source += "".join(f"\n{name} = {value!r}" for name, value in parameters.items())
    resources = {"metadata": {"path": str(folder)}}
    nbclient.NotebookClient(notebook, timeout=600, resources=resources).execute()
    for cell in notebook.cells:
        cell.metadata.pop("execution", None)  # the time of day
        if cell.cell_type == "code":
            shown = [
                o for o in cell.outputs if not o.get("name") and "text/plain" in o.get("data", {})
            ]
            printed = [o for o in cell.outputs if o.get("name") == "stdout"]
            cell.outputs = printed + shown if "print(" in cell.source else shown
    return notebook


if __name__ == "__main__":
    import tempfile

    import nbformat

    with tempfile.TemporaryDirectory() as folder:
        nbformat.write(execute(ROOT / NOTEBOOK, Path(folder)), ROOT / NOTEBOOK)
