"""Users' files: what they may do, and what is said of an error in them."""

import sys

import pytest

from shd_genn.support import user_files
from shd_genn.support.errors import ConfigError, require


def write(path, text, encoding="utf-8"):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding=encoding)
    return path


@pytest.mark.parametrize(
    ("text", "line", "words"),
    [
        ("x = 1\ny = x +\n", "y = x +", "SyntaxError"),
        ("def f(:\n    pass\n", "def f(:", "SyntaxError"),
        ("x = 1\nassert x == 2, 'x is odd'\n", "assert x == 2, 'x is odd'", "AssertionError: x is"),
        ("import nothing_of_this_name\n", "import nothing_of_this_name", "ModuleNotFoundError"),
        ("\n\nraise OSError('no')\n", "raise OSError('no')", "OSError: no"),
        ("def f():\n    return [][3]\nf()\n", "return [][3]", "IndexError: list index"),
    ],
)
def test_an_error_has_file_line_source_and_message(tmp_path, text, line, words):
    path = write(tmp_path / "mine.py", text)
    with pytest.raises(ConfigError) as error:
        user_files.run("model", path)
    number = 1 + text[: text.index(line)].count("\n")
    message = str(error.value)
    assert message.startswith(f"model {path} must run, but {words}")
    assert message.endswith(f"(line {number}: {line}); correct the file")


def test_an_error_in_a_module_beside_it(tmp_path):
    write(tmp_path / "beside.py", "def size():\n    return 1 / 0\n")
    path = write(tmp_path / "mine.py", "from beside import size\nsize()\n")
    with pytest.raises(
        ConfigError, match=r"ZeroDivisionError: .* \(beside\.py, line 2: return 1 / 0\)"
    ):
        user_files.run("model", path)


def test_an_error_in_a_function_that_is_called_later(tmp_path):
    path = write(tmp_path / "mine.py", "def build():\n    raise ValueError('odd')\n")
    build = user_files.run("model", path)["build"]
    with pytest.raises(ConfigError, match=r"ValueError: odd \(line 2: raise .*\); correct"):
        user_files.call("model", path, build)


def test_a_relation_that_the_file_breaks_keeps_its_words(tmp_path):
    text = "from shd_genn.support.errors import require\ndef build():\n    require(False, *ARGS)\n"
    path = write(tmp_path / "mine.py", f"ARGS = ('0 < tau', -1, 'use 20')\n{text}")
    build = user_files.run("model", path)["build"]
    with pytest.raises(ConfigError, match=r"line 4: .*: 0 < tau must hold, but got -1; use 20$"):
        user_files.call("model", path, build)
    assert require


def test_modules_beside_the_file_are_imported_and_forgotten(tmp_path):
    for name, size in (("one", 1), ("two", 2)):
        write(tmp_path / name / "beside.py", f"SIZE = {size}\n")
        write(tmp_path / name / "package" / "__init__.py", "from package.inner import DEEP\n")
        write(tmp_path / name / "package" / "inner.py", f"DEEP = {size}\n")
        write(
            tmp_path / name / "mine.py",
            "from beside import SIZE\nimport package\ndef late():\n    import beside\n"
            "    return beside.SIZE\n",
        )
    before, paths = set(sys.modules), list(sys.path)
    for name, size in (("one", 1), ("two", 2)):
        path = tmp_path / name / "mine.py"
        found = user_files.run("model", path)
        assert found["SIZE"] == found["package"].DEEP == size
        assert user_files.call("model", path, found["late"]) == size
    assert set(sys.modules) == before and sys.path == paths
    assert not list(tmp_path.rglob("__pycache__"))


def test_dataclasses_with_future_annotations(tmp_path):
    path = write(
        tmp_path / "mine.py",
        "from __future__ import annotations\nimport dataclasses\n"
        "from typing import ClassVar\n"
        "@dataclasses.dataclass\nclass P:\n    n: int = 3\n    m: ClassVar[int] = 4\n",
    )
    assert user_files.run("model", path)["P"]().n == 3
    assert "mine" not in sys.modules


def test_a_file_named_as_a_module_of_python(tmp_path):
    import json

    path = write(tmp_path / "json.py", "X = 1\n")
    assert user_files.run("model", path)["X"] == 1
    assert sys.modules["json"] is json


def test_a_mark_at_the_begin_and_other_encodings(tmp_path):
    path = write(tmp_path / "a.py", "X = 'ä'\n", "utf-8-sig")
    assert user_files.run("model", path)["X"] == "ä"
    path = write(tmp_path / "b.py", "X = 'ä'\n", "latin-1")
    with pytest.raises(ConfigError, match="must be a text file in UTF-8"):
        user_files.run("model", path)


def test_files_are_found_by_name_or_path(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    write(tmp_path / "own" / "one.py", "")
    assert user_files.find("model", "one", tmp_path / "own") == tmp_path / "own" / "one.py"
    assert user_files.find("model", "~/own/one.py", tmp_path) == tmp_path / "own" / "one.py"
    with pytest.raises(ConfigError, match="model must be one of one, but is 'two'; choose one"):
        user_files.find("model", "two", tmp_path / "own")
    with pytest.raises(ConfigError, match=r"two\.py must be a file, but there is none; correct"):
        user_files.find("model", "two.py", tmp_path)


def test_an_interrupt_passes(tmp_path):
    path = write(tmp_path / "mine.py", "raise KeyboardInterrupt\n")
    with pytest.raises(KeyboardInterrupt):
        user_files.run("model", path)
