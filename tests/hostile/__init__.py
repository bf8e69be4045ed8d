"""Inputs that are meant to break something, made from seeds: each kind in a file of its own.

A kind has ``prepare(folder)``, which makes what its inputs start from once, and ``make(draws, base,
folder)``, which makes one input in an empty folder and returns the function that takes it in. What
that raises must be the toolkit's own, and what it writes, into the folder ``out`` of that folder,
must be whole or not there.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import sys
import time
import traceback
import warnings
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import NamedTuple
from unittest import mock

import numpy as np

from tf_transfer.assets import registry
from tf_transfer.devices.backend import tf
from tf_transfer.errors import TransferError
from tf_transfer.experiments.memory import forget_peak, peak_gb

KINDS = {
    "tables": 1500,
    "experiment_files": 900,
    "names": 600,
    "archives": 500,
    "episodes": 400,
    "command_line": 300,
    "runs": 300,
    "encoders": 250,
    "checkpoints": 250,
}
"""How many inputs there are of each kind."""


class Outcome(NamedTuple):
    """What came of an input.

    Args:
        kind, number: which; the same input is made again from them.
        answer: ``"taken"``, ``"refused"`` or ``"fault"``.
        fault: what is wrong, with its place in the code; empty when nothing is.
        seconds, gb: how long it took, and how much memory more than before.
    """

    kind: str
    number: int
    answer: str
    fault: str
    seconds: float
    gb: float


class Kind:
    """The inputs of one kind.

    Args:
        name: of `KINDS`.
        root: an empty folder.
    """

    def __init__(self, name: str, root: Path):
        self.name, self.root, self._module = name, root, import_module(f"tests.hostile.{name}")
        self.base = root / "base"
        self.base.mkdir(parents=True)
        with _as_it_was():
            self._module.prepare(self.base)

    def try_one(self, number: int) -> Outcome:
        """Makes an input and lets it be taken in."""
        folder = self.root / "input"
        shutil.rmtree(folder, ignore_errors=True)
        (folder / "out").mkdir(parents=True)
        draws = np.random.default_rng([list(KINDS).index(self.name), number])
        with warnings.catch_warnings(), _as_it_was(), _elsewhere(folder):
            warnings.simplefilter("ignore")
            take = self._module.make(draws, self.base, folder)
            before, held = _contents(folder / "out"), _held_gb()
            forget_peak()
            start = time.perf_counter()
            answer, fault = _answer(take)
            seconds, gb = time.perf_counter() - start, max((peak_gb() or held) - held, 0.0)
        if not fault:
            fault = _half_written(before, _contents(folder / "out"), answer)
        return Outcome(self.name, number, "fault" if fault else answer, fault, seconds, gb)


def _answer(take: Callable[[], object]) -> tuple[str, str]:
    try:
        take()
    except TransferError as error:
        return "refused", "" if str(error).strip() else "an error without a message"
    except Exception as error:
        return "fault", _place(error)
    return "taken", ""


def _place(error: BaseException) -> str:
    """The kind of an error and the line of the package that it came from."""
    frames = [
        f
        for f in traceback.extract_tb(error.__traceback__)
        if f"{os.sep}tf_transfer{os.sep}" in f.filename
    ]
    place = (
        f"{Path(frames[-1].filename).name}:{frames[-1].name}"
        if frames
        else "outside of the package"
    )
    return f"{type(error).__name__} in {place}: {(str(error).splitlines() or [''])[0][:90]}"


def _contents(folder: Path) -> dict[str, bytes | None]:
    return {
        str(p.relative_to(folder)): p.read_bytes() if p.is_file() else None
        for p in folder.rglob("*")
    }


def _half_written(before: dict, after: dict, answer: str) -> str:
    left = [name for name in after if name.endswith((".tf_transfer", ".part"))]
    if left:
        return f"left behind: {left[0]}"
    if answer == "refused" and {k: v for k, v in after.items() if v is not None} != {
        k: v for k, v in before.items() if v is not None
    }:
        return "files were written although it was refused"
    return ""


def _held_gb() -> float:
    with contextlib.suppress(OSError, ValueError):
        return (
            int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 1e9
        )
    return 0.0


@contextlib.contextmanager
def _as_it_was():
    """What an input changes of the process is put back. TensorFlow runs eagerly: an input is tried
    once.
    """
    eager = tf.config.functions_run_eagerly()
    tf.config.run_functions_eagerly(True)
    try:
        with (
            mock.patch.dict(os.environ),
            mock.patch.dict(registry.ENTRIES),
            mock.patch.object(sys, "argv", sys.argv),
        ):
            yield
    finally:
        tf.config.run_functions_eagerly(eager)


@contextlib.contextmanager
def _elsewhere(folder: Path):
    """In another working folder, without output."""
    before = Path.cwd()
    os.chdir(folder)
    try:
        with (
            open(os.devnull, "w") as nowhere,
            contextlib.redirect_stdout(nowhere),
            contextlib.redirect_stderr(nowhere),
        ):
            yield
    finally:
        os.chdir(before)
        sys.stdout.flush()
