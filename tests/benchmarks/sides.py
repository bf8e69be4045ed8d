"""The two sides of a comparison: a process each, kept warm, computing only when it is its turn.

A request and an answer are a line of JSON each, on the process' standard input and output. The
module needs the standard library alone, because the rivals' environment has no more in common
with ours.
"""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

ROOT = Path(__file__).parents[2]
PEERS = "PEERS_PYTHON"
"""Environment variable that names the Python of the rivals' environment."""

_SETTINGS = {
    "HF_HUB_OFFLINE": "1",
    "TRANSFORMERS_OFFLINE": "1",
    "TRANSFORMERS_VERBOSITY": "error",
    "TOKENIZERS_PARALLELISM": "true",
}


class SideError(Exception):
    """A side's process could not start, or ended before it answered."""


class Side:
    """One side: the process ``python -m module arguments``, which calls `serve`.

    Raises:
        SideError: the process cannot be started or ends before it is ready.
    """

    def __init__(self, python: str, module: str, *arguments: str):
        self.name = module
        self._log = tempfile.TemporaryFile("w+", errors="replace")  # noqa: SIM115 (closed with the side)
        command = [python, "-m", module, *arguments]
        try:
            self._process = subprocess.Popen(
                command, cwd=ROOT, env={**os.environ, **_SETTINGS}, text=True,
                stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self._log,
            )  # fmt: skip
        except OSError as error:
            raise SideError(f"{python!r} could not be started: {error.strerror}.") from error
        self.about = self._answer()

    def ask(self, **request) -> dict:
        """The answer to one request; other sides wait meanwhile."""
        self._process.stdin.write(json.dumps(request) + "\n")
        self._process.stdin.flush()
        return self._answer()

    def close(self) -> None:
        """Ends the process."""
        with contextlib.suppress(OSError):
            self._process.stdin.close()
        try:
            self._process.wait(timeout=30)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._log.close()

    def _answer(self) -> dict:
        line = self._process.stdout.readline()
        if not line:
            self._log.seek(0)
            last = "\n".join(self._log.read().strip().splitlines()[-5:])
            self.close()
            raise SideError(
                f"{self.name} ended with exit code {self._process.returncode}.\n{last}\n"
            )
        return json.loads(line)


@contextlib.contextmanager
def own_side(module: str, *arguments: str) -> Iterator[Side]:
    """Our side, in this Python."""
    side = Side(sys.executable, module, *arguments)
    try:
        yield side
    finally:
        side.close()


@contextlib.contextmanager
def peer_side(module: str, *arguments: str) -> Iterator[Side | str]:
    """The rival's side in the Python that `PEERS` names, or a sentence that says why there is
    none.
    """
    python = os.environ.get(PEERS)
    if not python:
        yield (
            f"The environment variable {PEERS} names no Python: see "
            "tests/benchmarks/peers/README.md."
        )
        return
    try:
        side = Side(python, module, *arguments)
    except SideError as error:
        yield f"{str(error).strip()}\n{PEERS} is {python!r}: see tests/benchmarks/peers/README.md."
        return
    try:
        yield side
    finally:
        side.close()


def in_turn(turns: dict[str, Callable[[int], dict]], rounds: int) -> dict[str, list[dict]]:
    """The answers of every side, asked one after the other: A B A B …

    Args:
        turns: what a side does in round 0, 1, …, by name.
    """
    answers: dict[str, list[dict]] = {name: [] for name in turns}
    for number in range(rounds):
        for name, turn in turns.items():
            answers[name].append(turn(number))
    return answers


def serve(about: dict, answer: Callable[[dict], dict]) -> None:
    """The loop of a side's process: says that it is ready, then answers until its input ends.

    Args:
        about: facts for the report, such as versions.
        answer: called with each request; what it prints goes to standard error.
    """
    out = sys.stdout
    with contextlib.redirect_stdout(sys.stderr):
        print(json.dumps(about), file=out, flush=True)
        for line in sys.stdin:
            print(json.dumps(answer(json.loads(line))), file=out, flush=True)
