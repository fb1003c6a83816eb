"""The pages of the documentation: their commands and links."""

import json
import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
NOTEBOOK = ROOT / "docs/notebook.ipynb"
PAGES = ["README.md", "CONTRIBUTING.md", "CHANGELOG.md"]
PAGES += sorted(f"docs/{path.name}" for path in (ROOT / "docs").glob("*.md"))
"""All pages that are text, relative to the repository."""

BLOCK = re.compile(r"^```(sh|python)\n(.*?)^```$", re.DOTALL | re.MULTILINE)
LINK = re.compile(r"\]\((?!https?:|mailto:)([^)\s]+)\)")


def text(page: str) -> str:
    """A page as Markdown; of the notebook, its text without code."""
    path = ROOT / page
    if path != NOTEBOOK:
        return path.read_text("utf-8")
    cells = json.loads(path.read_text("utf-8"))["cells"]
    return "\n\n".join("".join(c["source"]) for c in cells if c["cell_type"] == "markdown")


def commands(page: str) -> list[str]:
    """The lines of the page's blocks of shell commands."""
    return [step for kind, step in steps(page) if kind == "sh"]


def steps(page: str) -> list[tuple[str, str]]:
    """What a reader of the page does: ("sh", a line) and ("python", a block), in order."""
    done = []
    for kind, block in BLOCK.findall(text(page)):
        done += [(kind, line) for line in block.strip().splitlines()] if kind == "sh" else []
        done += [(kind, block)] if kind == "python" else []
    return done


def links(page: str) -> list[str]:
    """Links of a page to other files of the repository."""
    return LINK.findall(text(page))


def anchors(page: str) -> set[str]:
    """What a link to a heading of the page may name, by the rule that websites share."""
    headings = re.findall(
        r"^#+ (.+)$", re.sub(r"^```.*?^```$", "", text(page), flags=re.M | re.S), re.M
    )
    plain = [re.sub(r"[^\w\- ]", "", heading.lower()) for heading in headings]
    return {heading.strip().replace(" ", "-") for heading in plain}
