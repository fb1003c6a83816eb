"""The model file that a run folder keeps, and whether it may be executed.

A model file is Python: building its network executes it. So a folder from somebody else could do
anything. A kept file is executed only if it is unchanged since the run began, and if it is one of
the project's own models, was used for a run of this user before, or the user consents.
"""

from __future__ import annotations

import ast
import hashlib
import shutil
from collections.abc import Iterable, Mapping
from pathlib import Path

from shd_genn.support.errors import ConfigError
from shd_genn.support.files import cache_dir, written_aside
from shd_genn.support.user_files import project_folder

MODEL = "model.py"
"""The name of the model file in a run folder; modules that it imports keep theirs."""

Digests = dict[str, str]
"""File → checksum, 16 hexadecimal digits."""


def keep(model_file: Path, folder: Path) -> Digests:
    """Copy a model file, and the modules beside it that it imports, into a run folder.

    Returns:
        The digests of the copies; the first one is the model file's.

    Raises:
        ConfigError: if a module cannot be kept under its name, or a file cannot be written.
    """
    root = model_file.parent
    modules = {path: path.relative_to(root).as_posix() for path in modules_beside(model_file)}
    if MODEL in modules.values():
        raise ConfigError(
            f"model {model_file} imports {root / MODEL}, but a run folder keeps the model file "
            f"itself as {MODEL}; rename the imported module"
        )
    copies = {model_file: MODEL} | modules
    for source, name in copies.items():
        with written_aside(folder / name) as aside:
            shutil.copyfile(source, aside)
    return {name: digest(folder / name) for name in copies.values()}


def modules_beside(model_file: Path) -> list[Path]:
    """The Python files in a model file's folder that it imports, directly or through others.

    Found in the text: nothing is executed. A file that is no Python has none.
    """
    root = model_file.parent
    found: dict[Path, None] = {}
    waiting = [model_file]
    while waiting:
        for path in _imported(waiting.pop(), root):
            if path not in found and path != model_file:
                found[path] = None
                waiting.append(path)
    return sorted(found)


def _imported(file: Path, root: Path) -> Iterable[Path]:
    try:
        tree = ast.parse(file.read_bytes())
    except (OSError, SyntaxError, ValueError):
        return
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:  # relative: from a package that lies beside the model
                above = file.parents[node.level - 1].relative_to(root).parts
                base = ".".join((*above, *([base] if base else [])))
            names = [base, *(f"{base}.{alias.name}" for alias in node.names)]
        else:
            continue
        for name in names:
            yield from _files_of(name, root)


def _files_of(name: str, root: Path) -> Iterable[Path]:
    """The files that importing a dotted name executes, as far as they lie under a folder."""
    parts = [part for part in name.split(".") if part]
    for i in range(len(parts)):
        place = root.joinpath(*parts[: i + 1])
        for path in (place.with_name(f"{place.name}.py"), place / "__init__.py"):
            if path.is_file():
                yield path


def digest(path: Path) -> str:
    """A checksum of a file.

    Raises:
        ConfigError: if the file cannot be read.
    """
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest()[:16]
    except OSError as error:
        raise ConfigError(f"{path} cannot be read ({error.strerror}); restore the file") from error


def remember(digests: Mapping[str, str]) -> None:
    """Note in the user's cache that this user trains with a model: it may be executed again."""
    (_remembered() / _combined(digests)).touch()


def check(folder: Path, recorded: Mapping[str, str], trust: bool = False) -> Path:
    """The model file that a run folder keeps, if it may be executed.

    Args:
        folder: The run folder.
        recorded: The digests that the run recorded.
        trust: The user consents to execute it.

    Raises:
        ConfigError: if a file has changed since the run began, or it is somebody else's.
    """
    for name, was in recorded.items():
        if digest(folder / name) != was:
            raise ConfigError(
                f"{folder / name} has changed since the run began, so its parameters belong to "
                "another network; restore the file, or start a new run with it as --model"
            )
    new = {path.relative_to(folder).as_posix() for path in modules_beside(folder / MODEL)}
    if added := ", ".join(sorted(new - set(recorded))):
        raise ConfigError(
            f"{folder} has {added}, which {MODEL} imports, but which the run began without; "
            "remove it"
        )
    combined = _combined(recorded)
    known = trust or _is_ours(recorded) or (_remembered() / combined).is_file()
    if not known:
        raise ConfigError(
            f"{folder / MODEL} was not used by you on this machine before, and opening the run "
            "executes it; read the file, and if you trust it add --trust-model (trust_model=True)"
        )
    remember(recorded)
    return folder / MODEL


def _is_ours(digests: Mapping[str, str]) -> bool:
    ours = {digest(path) for path in project_folder("models").glob("*.py")}
    return set(digests) == {MODEL} and digests[MODEL] in ours


def _combined(digests: Mapping[str, str]) -> str:
    return hashlib.sha256(repr(sorted(digests.items())).encode()).hexdigest()[:32]


def _remembered() -> Path:
    return cache_dir("trusted-models")
