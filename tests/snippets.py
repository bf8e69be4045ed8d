"""The fenced blocks of a Markdown page, and how each language of them is checked."""

from __future__ import annotations

import configparser
import contextlib
import doctest
import importlib.util
import io
import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import typer
import yaml

from tf_transfer.command_line import cli
from tf_transfer.experiments.experiment import load_experiment
from tf_transfer.experiments.specs import build_strategies

ROOT = Path(__file__).parents[1]
_BLOCK = re.compile(r"^```([\w-]*)\n(.*?)^```", re.MULTILINE | re.DOTALL)
_INLINE = re.compile(r"`((?:tf-transfer|python -m tests|pip install)[^`]*)`")
_ALWAYS = {"source", "cd", "export"}
"""Commands of a shell that no package brings."""


def blocks(page: Path, *languages: str) -> list[tuple[str, str]]:
    """``(language, content)`` of the fenced blocks in these languages, in their order."""
    found = _BLOCK.findall(page.read_text(encoding="utf-8"))
    return [(language, content) for language, content in found if language in languages]


def commands(page: Path) -> Iterator[str]:
    """The command lines of a page, in fenced blocks and in running text."""
    for language, content in blocks(page, "", "shell"):
        for line in re.sub(r"\\\n *", "", content).splitlines():
            if re.match(r"[a-z]" if language else r"(tf-transfer|pip|python|pytest)\b", line):
                yield from re.split(r"\s+(?:&&|\|\|)\s+", line)
    for command in _INLINE.findall(page.read_text(encoding="utf-8")):
        yield from re.split(r"\s+(?:&&|\|\|)\s+", command)


def run(page: Path, names: dict) -> str:
    """Executes the Python of a page from top to bottom; what it printed.

    Raises:
        AssertionError: an example of a console does not print what the page says.
    """
    parser = doctest.DocTestParser()
    runner = doctest.DocTestRunner(optionflags=doctest.ELLIPSIS | doctest.IGNORE_EXCEPTION_DETAIL)
    printed = io.StringIO()
    for number, (language, content) in enumerate(blocks(page, "python", "pycon"), 1):
        place = f"{page.name}, snippet {number}"
        if language == "python":
            with contextlib.redirect_stdout(printed):
                exec(compile(content, place, "exec"), names)
            continue
        test = parser.get_doctest(content, names, place, str(page), 0)
        said = []
        assert not runner.run(test, out=said.append, clear_globs=False).failed, "".join(said)
        names.update(test.globs)
    return printed.getvalue()


def check_yaml(content: str) -> None:
    """An experiment, or its strategies alone.

    Raises:
        DataError, ValueError: it is neither.
    """
    read = yaml.safe_load(content)
    build_strategies(read["strategies"]) if set(read) == {"strategies"} else load_experiment(read)


def check_command(command: str) -> None:
    """A line of a shell: its subcommand, options, module or extra exists.

    A word in capitals stands for what the reader has to fill in.

    Raises:
        AssertionError: it would not be understood.
    """
    # in running text, brackets stand around what may be left out
    if command.startswith("tf-transfer"):
        command = re.sub(r"\[(--[^]]*)\]", r"\1", command).replace("…", "")
    first, *words = shlex.split(command, comments=True)
    if first == "tf-transfer":
        _check_arguments(words)
    elif (first, *words[:1]) == ("pip", "install"):
        _check_extras(words[1:])
    elif (first, *words[:1]) == ("python", "-m"):
        assert importlib.util.find_spec(words[1]), f"no module {words[1]!r}: {command}"
        if words[1].startswith("tests.benchmarks"):
            source = Path(importlib.util.find_spec(words[1]).origin).read_text(encoding="utf-8")
            for option in (w for w in words[2:] if w.startswith("--")):
                assert f'"{option}"' in source, f"{words[1]} has no option {option}"
    else:
        assert first in _ALWAYS | {"pytest", "sphinx-build"}, f"unknown command: {command}"


def _check_arguments(words: list[str]) -> None:
    """As the command line's own parser reads them; a bare name, as in running text, has only to
    exist.
    """
    root = typer.main.get_command(cli.app)
    if words and (words[0] in ("--version", "--help") or words[0].isupper()):
        return
    assert words and words[0] in root.commands, f"tf-transfer has no command {words[:1]}"
    command = root.commands[words[0]]
    known = {option for parameter in command.params for option in parameter.opts}
    unknown = {w for w in words[1:] if w.startswith("-")} - known
    assert not unknown, f"tf-transfer {words[0]} has no options {unknown}; it has {sorted(known)}"
    if len(words) > 1 and not any(word.isupper() for word in words):
        try:
            command.make_context(words[0], words[1:])
        except Exception as error:  # Typer's own error classes have no public name
            raise AssertionError(f"tf-transfer {shlex.join(words)}: {error}") from error


def _check_extras(words: list[str]) -> None:
    settings = configparser.ConfigParser()
    settings.read(ROOT / "setup.cfg", encoding="utf-8")
    extras = [
        e for word in words for found in re.findall(r"^\.\[(.*)\]$", word) for e in found.split(",")
    ]
    unknown = set(extras) - set(settings["options.extras_require"])
    assert not unknown, f"setup.cfg has no extras {unknown}"
