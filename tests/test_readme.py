"""What the README tells a newcomer to type works."""

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from tests import snippets
from tf_transfer.experiments.experiment import load_experiment

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")


def blocks(language: str) -> list[str]:
    return [content for _, content in snippets.blocks(ROOT / "README.md", language)]


def printed_by(code: str, folder: Path) -> str:
    (folder / "data").symlink_to(ROOT / "data")
    ran = subprocess.run([sys.executable, "-c", code], cwd=folder, capture_output=True, text=True, timeout=300)
    assert ran.returncode == 0, ran.stderr
    return ran.stdout


@pytest.mark.slow
def test_python_runs(tmp_path):
    found = printed_by(blocks("python")[0], tmp_path)
    assert "f1_macro" in found and "sentiment:positive" in found
    assert (tmp_path / "runs" / "reviews" / "model.safetensors").is_file()


@pytest.mark.slow
def test_python_of_meta_learning_runs(tmp_path):
    training, episodes = blocks("python")
    found = printed_by(f"{training.splitlines()[0]}\n{episodes}", tmp_path)
    assert "relative error of the meta-gradient" in found and "diverged" in found


def test_experiment_is_valid():
    (snippet,) = blocks("yaml")
    experiment = load_experiment(yaml.safe_load(snippet))
    assert experiment.strategies["fine_tune"].epochs == 3 and experiment.seeds == [0, 1, 2, 3, 4]


@pytest.mark.parametrize("command", sorted(set(snippets.commands(ROOT / "README.md"))))
def test_commands_are_valid(command):
    snippets.check_command(command)


def test_ci_finds_the_test_command():
    found = re.findall(r"^pip install -e .*pytest.*$", README, flags=re.MULTILINE)
    assert found == ["pip install -e '.[test]' && pytest -n 2 --dist loadscope"]


@pytest.mark.parametrize("path", re.findall(r"\]\(([^)#:]+)\)", README))
def test_links_lead_somewhere(path):
    assert (ROOT / path).exists()


def test_each_line_of_the_layout_uses_only_lines_below_it():
    lines, modules = layout(), list((ROOT / "tf_transfer").rglob("*.py"))
    places = {path: path.relative_to(ROOT / "tf_transfer").parts[0] for path in modules}
    assert set(places.values()) - {"__init__.py"} == set(lines)
    assert [
        f"{path} uses {used}"
        for path, place in places.items()
        for used in used_by(path) & set(lines)
        if place in lines and lines[used] < lines[place]
    ] == []


def layout() -> dict[str, int]:
    """The line of the README's layout that names a module or folder."""
    text = README.split("## Layout")[1].split("```")[1].strip()
    return {
        name.rstrip("/"): n for n, line in enumerate(text.splitlines()) for name in re.findall(r"\w+(?:\.py|/)", line)
    }


def used_by(path: Path) -> set[str]:
    """The top-level modules and folders of the package that a module imports anywhere."""
    found = [n for n in ast.walk(ast.parse(path.read_text(encoding="utf-8"))) if isinstance(n, ast.ImportFrom)]
    dotted = [f"{node.module}.{alias.name}.".split(".") for node in found for alias in node.names if node.module]
    names = {parts[1] for parts in dotted if parts[0] == "tf_transfer"}
    return names | {f"{name}.py" for name in names}
