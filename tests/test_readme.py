"""What the README tells a newcomer to type works."""

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
    ran = subprocess.run(
        [sys.executable, "-c", code], cwd=folder, capture_output=True, text=True, timeout=300
    )
    assert ran.returncode == 0, ran.stderr
    return ran.stdout


@pytest.mark.slow
def test_python_runs(tmp_path):
    (code,) = blocks("python")
    found = printed_by(code, tmp_path)
    assert "f1_macro" in found and "sentiment:positive" in found
    assert (tmp_path / "runs" / "reviews" / "model.safetensors").is_file()


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


def test_it_is_read_in_minutes():
    assert len(README.encode()) < 12_000


@pytest.mark.parametrize("path", re.findall(r"\]\(([^)#:]+)\)", README))
def test_links_lead_somewhere(path):
    assert (ROOT / path).exists()
