"""Every command and every block of Python of README and docs runs as it is written, page by page.

Each page starts in a folder like that of a reader who has followed the README: it has recordings,
datasets that were encoded from them, and a run. Options are added that make a command quick: one
epoch, few neurons. Commands run in this process, which saves the time to import everything again.
"""

import io
import re
import runpy
import shlex
import shutil
import subprocess
import sys
from contextlib import redirect_stderr, redirect_stdout

import numpy as np
import pytest
import soundfile
from helpers.pages import PAGES, ROOT, commands, steps

NOT_RUN = {
    "python -m shd_genn.serve": "runs until Ctrl-C; tests/serve starts the server and the page",
    "python3 -m venv .venv": "the gate runs it: it installs the package",
    ".venv/bin/pip install": "the gate runs it: it installs the package",
    "bin/python -m pytest": "the gate runs it: all tests",
    "python -m pytest -m genn": "the gate runs it: all tests",
    "analysis/gedanken.py": "takes 15 s; tests/behaviour/test_gedanken.py runs it, quicker",
    "analysis/convolution.py": "needs PyTorch; tests/behaviour/test_convolution.py runs it",
    "campaign.py": "takes minutes; tests/crashes and tests/fuzz run it, quicker",
    "python tests/campaigns/": "takes minutes, and measures memory and time",
    "cd tests": "goes with the next command",
    "-m helpers.sanitizing": "takes minutes; tests/sanitizers runs a short version",
    "postgresql://user@host": "needs a PostgreSQL server; tests/sweep/test_postgres.py starts one",
    "--dask tcp://host": "needs a Dask cluster; tests/sweep/test_dask.py starts one",
    "shd_genn.bench gpu": "needs a GPU; tests/bench/test_gpu.py runs it on an emulated one",
    "--study tune_": "three studies; tests/learning/test_methods.py calls their space",
    "--backend genn": "needs GeNN; tests/backends/test_genn.py runs it where GeNN is installed",
}
"""Commands that are not run here, by a part of them, and why."""

QUICK = {
    "pytest test_my_backend.py": "-k recorded",
    "shd_genn.run": "--epochs 1 --hidden-sizes {few} --n-threads 1",
    "shd_genn.sweep": "--epochs 1 --trials {trials} --seeds 1 --n-threads 1",
    "shd_genn.bench noise": "--train 60 --test 20",
    "shd_genn.bench roofline": "--hidden-sizes 64 --topologies recurrent --repetitions 1",
    "shd_genn.bench neurons": "--neurons adlif --hidden 16 --repetitions 1",
    "shd_genn.bench recipes": "--recipes shd-genn-small --samples 4 --repetitions 1 --threads 1",
    "shd_genn.bench scaling": "--quantities threads --repetitions 1",
    "shd_genn.bench peers": "--peers native --n-steps 100 --hidden-sizes 64 --repetitions 1"
    " --topologies recurrent",
    "shd_genn.bench speed": "--hidden-sizes 64 --topologies recurrent --threads 1 --repetitions 1"
    " --features plain --batch-sizes 8",
}
"""Options that make a command quick; the last one given counts."""

PARAMETERS = {"epochs": 1}
"""Arguments that make a block of Python quick."""

FAKE_TONIC = '''
from pathlib import Path
import h5py, numpy as np

class SHD:
    """Writes a file as large as SHD's in samples, with three or four spikes each."""

    def __init__(self, save_to, train=True, **_):
        n = 8156 if train else 2264
        folder = Path(save_to) / "SHD"
        folder.mkdir(parents=True, exist_ok=True)
        with h5py.File(folder / f"shd_{'train' if train else 'test'}.h5", "w") as file:
            times = file.create_dataset("spikes/times", (n,), h5py.vlen_dtype(np.float16))
            units = file.create_dataset("spikes/units", (n,), h5py.vlen_dtype(np.uint16))
            of_all = np.empty((2, n), object)
            for i in range(n):
                of_all[0, i] = np.array([0.0, 0.1, 0.5, 0.6], np.float16)[: 3 + i % 2]
                of_all[1, i] = np.array([i % 700, 3, 699, 5], np.uint16)[: 3 + i % 2]
            times[:], units[:] = of_all
            file["labels"] = np.arange(n, dtype=np.uint16) % 20
            file["extra/speaker"] = np.arange(n, dtype=np.uint16) % 4
            file["extra/keys"] = [f"word {i}".encode() for i in range(20)]
'''


def run(line, folder):
    """Run a command in a folder; what it printed, and its exit status."""
    words = shlex.split(line, comments=True)
    if words[0] != "python" or "pytest" in words:
        line = re.sub(r"^python\b", sys.executable, line)
        done = subprocess.run(
            ["bash", "-c", line], cwd=folder, capture_output=True, text=True, check=False
        )
        return done.stdout + done.stderr, done.returncode
    printed, arguments, modules = io.StringIO(), sys.argv, dict(sys.modules)
    try:
        with redirect_stdout(printed), redirect_stderr(printed):
            if words[1] == "-m":
                sys.argv = words[2:]
                # another test may have imported it, which runpy warns of
                is_package = hasattr(sys.modules.get(words[2]), "__path__")
                sys.modules.pop(f"{words[2]}.__main__" if is_package else words[2], None)
                runpy.run_module(words[2], run_name="__main__", alter_sys=True)
            else:
                sys.argv = words[1:]
                runpy.run_path(words[1], run_name="__main__")
    except SystemExit as end:
        return f"{printed.getvalue()}{end.code or ''}", end.code or 0
    finally:
        sys.argv = arguments
        leave(modules, folder)
    return printed.getvalue(), 0


def leave(modules, folder):
    """Undo what a command did to the imported modules that later tests would see."""
    stand_ins = str(folder / "stand_ins")
    for name, module in list(sys.modules.items()):
        if (getattr(module, "__file__", None) or "").startswith(stand_ins):
            del sys.modules[name]
    for name, module in modules.items():  # the command itself, which was removed to run anew
        sys.modules.setdefault(name, module)


def quick(line):
    """The command with the options that make it quick."""
    if "--list-presets" in line:
        return line
    for name, options in QUICK.items():
        if f"python -m {name} " in f"{line} ":
            layers = re.search(r"--hidden-sizes((?: \d+)+)", line)
            few = " ".join(["16"] * (len(layers[1].split()) if layers else 1))
            # figures compare the trials of a study that has a name; elsewhere one is enough
            trials = 6 if "--study" in line and "--folds" not in line else 1
            line += f" {options.format(few=few, trials=trials)}"
    if re.search("python -m shd_genn.(run|sweep) ", line) and "--dataset" not in line:
        line += " --dataset data/words --batch-size 8"
    return line


def expand(line):
    """The commands of a line: a loop of the shell as often as it runs."""
    loop = re.fullmatch(r"for (\w+) in ([\w ]+); do (.*); done", line)
    return [loop[3].replace(f"${loop[1]}", value) for value in loop[2].split()] if loop else [line]


def record_words(folder):
    """Recordings of two words, and manifests that name their speakers."""
    rng = np.random.default_rng(0)
    for split, takes in (("train", 8), ("test", 2)):
        manifest = ["file,word,speaker"]
        for pitch, word in ((200, "yes"), (2000, "no")):
            for take in range(1, takes + 1):
                path = folder / "recordings" / split / word / f"{take}.wav"
                path.parent.mkdir(parents=True, exist_ok=True)
                t = np.arange(1600) / 16_000
                sound = 0.3 * np.sin(2 * np.pi * pitch * t) + 0.01 * rng.normal(size=len(t))
                soundfile.write(path, sound, 16_000)
                speaker = ("anna", "ben", "cleo", "dora")[take % 4]
                manifest.append(f"{path.relative_to(folder)},{word},{speaker}")
        (folder / f"{split}.csv").write_text("\n".join(manifest) + "\n")


@pytest.fixture(scope="session")
def reader(tmp_path_factory):
    """The folder of someone who has followed the README: recordings, datasets, a run."""
    folder = tmp_path_factory.mktemp("reader")
    record_words(folder)
    for name in ("models", "sweeps", "analysis"):
        (folder / name).symlink_to(ROOT / name)
    (folder / "stand_ins/tonic").mkdir(parents=True)
    (folder / "stand_ins/tonic/__init__.py").write_text("")
    (folder / "stand_ins/tonic/datasets.py").write_text(FAKE_TONIC)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        for line in (
            "python -m shd_genn.encode train.csv -o data/words/train.h5 --workers 1",
            "python -m shd_genn.encode test.csv -o data/words/test.h5 --workers 1",
            "cp -r data/words data/speakers",
            quick("python -m shd_genn.run --dataset data/words --batch-size 8 --name words"),
        ):
            printed, status = run(line, folder)
            assert status == 0, f"{line}\n{printed}"
    return folder


def run_block(code, folder):
    """Save a block of Python that names its file, or run it in a process of its own."""
    if name := re.match(r"# file: (\S+)\n", code):
        (folder / name[1]).write_text(code)
        return "", 0
    for option, small in PARAMETERS.items():
        code = re.sub(rf"\b{option}=[\w]+", f"{option}={small}", code)
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=folder, capture_output=True, text=True, check=False
    )
    return done.stdout + done.stderr, done.returncode


@pytest.mark.slow
@pytest.mark.usefixtures("quick_engines")
@pytest.mark.parametrize("page", [page for page in PAGES if steps(page)])
def test_commands_of(page, reader, tmp_path, monkeypatch):
    folder = tmp_path / "reader"
    shutil.copytree(reader, folder, symlinks=True)
    if page in ("README.md", "docs/guide.md"):  # their own commands make it
        shutil.rmtree(folder / "runs")
    monkeypatch.chdir(folder)
    monkeypatch.syspath_prepend(folder / "stand_ins")
    monkeypatch.syspath_prepend(folder)
    monkeypatch.setenv("SHD_GENN_DATA", str(folder / "official"))
    for kind, written in steps(page):
        if kind == "python":
            printed, status = run_block(written, folder)
            assert status == 0, f"{page}: {written}\n{printed}"
            continue
        if any(part in written for part in NOT_RUN):
            continue
        if written.startswith("pip install"):
            extra = re.fullmatch(r"pip install -e '\.\[(\w+)\]'", written)
            assert extra, written
            assert f"\n{extra[1]} = [" in (ROOT / "pyproject.toml").read_text(), written
            continue
        for line in expand(written):
            printed, status = run(quick(line), folder)
            assert status == 0, f"{page}: {written}\n{printed}"


def test_every_reason_not_to_run_a_command_is_needed():
    lines = [line for page in PAGES for line in commands(page)]
    for part in NOT_RUN:
        assert any(part in line for line in lines), part


def test_the_first_two_blocks_of_the_readme_set_up():
    first, second = commands("README.md")[:2]
    assert first.endswith("python -m shd_genn.run")
    assert second.endswith("pytest")
