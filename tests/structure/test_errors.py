"""Every error message of the package is a whole sentence, with a cure after a semicolon.

The messages are read from the source: each call of `require` and `refuse_unless`, and each call of
a class derived from `ShdGennError`, with values rendered as ``{expression}``.
"""

import ast
import re
from dataclasses import dataclass
from pathlib import Path

import pytest

from shd_genn.support import errors

PACKAGE = Path(errors.__file__).parents[1]
CLASSES = {
    name
    for name, value in vars(errors).items()
    if isinstance(value, type) and issubclass(value, errors.ShdGennError)
} - {"PrunedError"}  # PrunedError ends a trial of a sweep; its text is the reason in the study


def listed(text: str) -> frozenset[str]:
    """The words of a text."""
    return frozenset(text.split())


VERBS = listed(
    """
    agree agrees allow allows am are begin begins belong belongs break breaks can cannot change
    changes come comes contain contains count counts covers define defines depend depends
    describe describes differ differs divides do does empties end ends exceed exceeds exist
    exists expects fail failed fails fit fits follow follows give gives go goes got had has have
    hear hears hold holds is keep keeps lack lacks last lasts leave leaves lie lies lists loses
    made make makes may mean means measures must name names need needs offer offers overflow
    overflows points raised raises reaches read reads repeat repeats return returned returns
    replaces runs say says sets share shares shows simulates start starts stop stops takes
    trains tried use uses was were will works writes wrote
    """
)
"""Finite verbs that messages use. A new one may be added; a message without any is no sentence."""
IMPERATIVES = listed(
    """
    add allow ask build change check choose clear clip close compile connect convert copy
    correct create cut delete draw empty encode evaluate export fetch find free generate give go
    increase install join label leave lengthen let list listen load look lower make mount move
    name number open pass pip put raise re-encode record reduce remove rename repeat replace
    restart restore resume run save say see select send set shorten split start stop swap take
    train try turn type unset update use wait write
    """
)
"""Verbs that a cure may have instead."""
RELATION = re.compile(r"^[^,;]+?( (<|<=|>|>=|=|!=|in) [^;]+?)+$")


@dataclass(frozen=True)
class Message:
    """One error message of the source."""

    file: str
    line: int
    relation: str | None
    text: str

    def __str__(self) -> str:
        return f"{self.file}:{self.line}: {self.text}"


def template(node: ast.expr) -> str:
    """A message with its values as ``{expression}``."""
    if isinstance(node, ast.Constant):
        return str(node.value)
    if isinstance(node, ast.JoinedStr):
        return "".join(template(part) for part in node.values)
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
        return template(node.left) + template(node.right)
    if isinstance(node, ast.FormattedValue):
        return f"{{{ast.unparse(node.value)}}}"
    return f"{{{ast.unparse(node)}}}"


def argument(call: ast.Call, position: int, name: str) -> str:
    """A call's argument, by its position or its name."""
    by_name = {keyword.arg: keyword.value for keyword in call.keywords}
    return template(by_name[name] if name in by_name else call.args[position])


def messages_of(source: str, file: str) -> list[Message]:
    """All error messages of a file."""
    found = []
    for call in ast.walk(ast.parse(source)):
        if not isinstance(call, ast.Call) or not isinstance(call.func, ast.Name | ast.Attribute):
            continue
        name = call.func.id if isinstance(call.func, ast.Name) else call.func.attr
        if name == "require":
            relation, cure = argument(call, 1, "relation"), argument(call, 3, "cure")
            text = f"{relation} must hold, but got {argument(call, 2, 'value')}; {cure}"
            found.append(Message(file, call.lineno, relation, text))
        elif name == "require_positive":
            relation = f"0 < {argument(call, 0, 'name')} < inf"
            text = f"{relation} must hold, but got {{value}}; {argument(call, 2, 'cure')}"
            found.append(Message(file, call.lineno, relation, text))
        elif name == "refuse_unless":
            text = f"{argument(call, 1, 'problem')}; {argument(call, 2, 'cure')}"
            found.append(Message(file, call.lineno, None, text))
        elif name in CLASSES and call.args:
            text = template(call.args[1 if name == "BusyError" else 0])
            found.append(Message(file, call.lineno, None, text))
    return found


def words(text: str) -> list[str]:
    """The words of a message, without its values."""
    return re.findall(r"[a-z-]+", re.sub(r"\{.*?\}", " ", text).lower())


def has_verb(text: str) -> bool:
    """Whether a finite verb is among the words."""
    return bool(VERBS & set(words(text)))


def faults(message: Message) -> list[str]:
    """What is wrong with a message."""
    text = message.text
    if re.fullmatch(r"(\{.*?\}[:;]? ?)+", text):
        return []  # passes on another message, e.g. with a file's name before it
    problem, *rest = re.split(r";\s", re.sub(r"(?s)\{.*?\}", placeholder, text), maxsplit=1)
    cure = rest[0] if rest else ""
    found = []
    if message.relation is not None and not RELATION.match(placeholders(message.relation)):
        found.append(f"{message.relation!r} is no relation: use refuse_unless")
    if message.relation is None and "must hold," in problem:
        before = problem.partition(" must hold,")[0]
        if not RELATION.match(before.rpartition(": ")[2]):
            found.append("'must hold' is said of what is no relation")
    if re.search(r"must (?:\w+ ){1,12}?but got none|must .* but has not\b", problem):
        found.append("ends in the middle: 'but got none', 'but has not'")
    if not has_verb(problem):
        found.append("has no finite verb")
    if not cure:
        found.append("has no cure after ';'")
    elif not (set(words(cure)) & (VERBS | IMPERATIVES)) and "VALUE" not in cure:
        found.append(f"the cure {cure!r} has no verb")
    return found


def placeholder(match: re.Match[str]) -> str:
    """A value in a message, as a word."""
    return "VALUE"


def placeholders(text: str) -> str:
    """A message with VALUE for each of its values."""
    return re.sub(r"\{.*?\}", placeholder, text)


FILES = sorted(path.relative_to(PACKAGE).as_posix() for path in PACKAGE.rglob("*.py"))


@pytest.mark.parametrize("file", FILES)
def test_messages_are_whole_sentences(file):
    found = messages_of((PACKAGE / file).read_text(encoding="utf-8"), file)
    wrong = [f"{m}: {', '.join(faults(m))}" for m in found if faults(m)]
    assert not wrong, "\n".join(wrong)


def test_all_messages_are_found():
    found = [m for f in FILES for m in messages_of((PACKAGE / f).read_text("utf-8"), f)]
    assert len(found) > 200  # 250 at the time of writing
    assert len({m.file for m in found}) > 40


@pytest.mark.parametrize(
    "call",
    [
        'require(a, "unique population names", names, "rename one")',
        'require(a, "something to measure", "none", "leave options out")',
        'require(a, "1 <= n", n, "SHD: 700")',
        'refuse_unless(a, "no file", "name one")',
        'refuse_unless(a, f"{path} is missing", "the path")',
        'raise ConfigError(f"{path} is missing")',
        'raise ConfigError(f"a backend of {names} must hold, but got {name}; take one")',
        'raise DataError("espeak-ng must have the voice, but has not; install it")',
    ],
)
def test_broken_sentences_are_noticed(call):
    (message,) = messages_of(call, "example.py")
    assert faults(message)


@pytest.mark.parametrize(
    "call",
    [
        'require(a, "1 <= n", n, "SHD has 700")',
        'require(a, f"readout in {names}", value, "choose one of them")',
        'refuse_unless(a, f"{path} is missing", "correct the path")',
        'raise ConfigError(f"{path}: 0 <= n must hold, but got {n}; correct it")',
        'raise DataError(f"{path}: {error}")',
    ],
)
def test_whole_sentences_pass(call):
    (message,) = messages_of(call, "example.py")
    assert not faults(message)
