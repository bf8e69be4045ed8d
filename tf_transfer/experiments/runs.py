"""A run folder: what each cell of an experiment predicted, kept so that any statistic can be made again.

run.json                                        what the cells have in common, and provenance
targets/TARGET.npz                              labels of the test rows, groups, leakage audit, rare words
targets/TARGET.jsonl                            the test rows themselves: texts and all other columns
cells/TARGET/STRATEGY/budget-16-seed-0.npz      scores of every task, and what the cell cost
advice.json                                     of before training, where it was asked for
fitted/STRATEGY-seed-0.backup/                  of source training, until it is done
fitted/STRATEGY-seed-0.safetensors              after source training, until its cells are done
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
from functools import cached_property
from pathlib import Path

import numpy as np
import pandas as pd

from tf_transfer import formats, json_lines
from tf_transfer.errors import CheckpointError, DataError
from tf_transfer.storage import whole_file, write_text

FORMAT = "tf_transfer run/2"
AGAIN = "Run the experiment again: only cells that are missing or damaged are computed."
RARE, CLASSES, SCORES, FROZEN = "rare words/", "classes/", "scores/", "frozen/"


@dataclasses.dataclass(frozen=True)
class Cell:
    """One adapted model: a strategy on a target with a number of labels, from one seed."""

    target: str
    strategy: str
    budget: int
    seed: int

    def __str__(self) -> str:
        return f"{self.strategy} on {self.target}, {self.budget} labels, seed {self.seed}"


def all_cells(targets, strategies, budgets, seeds) -> list[Cell]:
    """The cells of a plan, in the order in which they run."""
    return [Cell(t, s, b, seed) for s in strategies for seed in seeds for t in targets for b in budgets]


class Run:
    """Reads and writes a run folder; each file whole or not at all."""

    def __init__(self, folder: str | Path):
        self.folder = Path(folder)

    # -- what the cells have in common ----------------------------------------------------------

    def start(self, common: dict, strategies: dict, provenance: dict) -> None:
        """Opens a new folder, or one that holds cells of the same experiment.

        Args:
            common: data, tasks and encoder: what must be equal for cells to be compared, by name.
            strategies: ``{label: arguments}``.

        Raises:
            DataError: the folder holds a run of other data, or of a strategy with other arguments.
        """
        common, strategies = json.loads(json.dumps(common)), json.loads(json.dumps(strategies))
        if (self.folder / "run.json").exists():
            earlier = self._open()
            names = dict.fromkeys([*common, *earlier["common"]])
            differing = [k for k in names if common.get(k) != earlier["common"].get(k)]
            differing += [k for k in strategies if earlier["strategies"].get(k, strategies[k]) != strategies[k]]
            if differing:
                raise DataError(
                    f"The run folder {self.folder} holds results of another experiment.\n"
                    f"These differ from today's: {', '.join(differing)}.\n"
                    "Choose another folder, or delete this one to start afresh."
                )
            strategies = earlier["strategies"] | strategies
        content = {"format": FORMAT, "common": common, "strategies": strategies, "provenance": provenance}
        content["digest"] = _hash(json.loads(json.dumps(content)))
        write_text(self.folder / "run.json", json.dumps(content, indent=1))
        self.__dict__.pop("_content", None)

    @cached_property
    def _content(self) -> dict:
        return self.read()

    def read(self) -> dict:
        """The content of run.json.

        Raises:
            CheckpointError: it is missing, damaged, changed by hand, or not of this toolkit.
        """
        content = self._open()
        digest = content.get("digest")  # runs of earlier versions have none
        if digest is not None and digest != _hash({k: v for k, v in content.items() if k != "digest"}):
            raise CheckpointError(
                f"{self.folder / 'run.json'} is not as it was written: what was planned and what was run may differ.\n"
                "Run the experiment again into the same folder: finished cells are kept."
            )
        return content

    def _open(self) -> dict:
        path = self.folder / "run.json"
        if not path.is_file():
            raise CheckpointError(f"{self.folder} must be the folder of a run, with run.json.\nReceived: no such file.")
        try:
            content = json.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise CheckpointError(f"{path} is damaged: {error}\nRun the experiment again in a new folder.") from None
        if not isinstance(content, dict) or content.get("format") != FORMAT:
            received = content.get("format", "none") if isinstance(content, dict) else "none"
            raise CheckpointError(
                f"{path} must be of the format {FORMAT!r}.\nReceived {received!r}: another version wrote this run.\n"
                "Run the experiment again in a new folder, or read this one with the version that wrote it."
            )
        lacking = [k for k in ("common", "strategies", "provenance") if not isinstance(content.get(k), dict)]
        if lacking:
            raise CheckpointError(f"{path} is damaged: it lacks {lacking}.\nRun the experiment again in a new folder.")
        return content

    @property
    def advice_path(self) -> Path:
        """Where the advice of before training is, if it was asked for."""
        return self.folder / "advice.json"

    # -- targets ----------------------------------------------------------------------------------

    def write_target(
        self, name: str, truth: dict, groups: np.ndarray | None, leakage: dict, *, table: pd.DataFrame | None = None,
        rare_words: dict[int, np.ndarray] | None = None, classes: dict[str, np.ndarray] | None = None,
    ) -> None:  # fmt: skip
        """Keeps what is known of a target's test rows.

        Args:
            truth: ``{task: (y, present)}``, (rows, …) each.
            groups: (rows,) int, or None.
            leakage: the audit.
            table: the test rows.
            rare_words: ``{budget: shares}``, (rows,) float each; see `rare_words.rare_word_shares`.
            classes: ``{task: (classes,) bool}``: those that occur among the target's own labels.
        """
        arrays = {f"y/{t}": y for t, (y, _) in truth.items()} | {f"present/{t}": p for t, (_, p) in truth.items()}
        arrays |= {f"{RARE}{budget}": shares for budget, shares in (rare_words or {}).items()}
        arrays |= {f"{CLASSES}{task}": own for task, own in (classes or {}).items()}
        if groups is not None:
            arrays["groups"] = groups
        meta = {"leakage": leakage} | self._target_identity(name)
        if table is not None:
            text = json_lines.dump(table.loc[:, ~table.columns.duplicated()])
            write_text(self._rows_path(name), text)
            meta["table"] = hashlib.sha256(text.encode()).hexdigest()
        _write(self.folder / "targets" / f"{name}.npz", arrays, meta)

    def read_target(self, name: str) -> tuple[dict, np.ndarray | None, dict]:
        """Truth, groups and leakage audit, as they were written.

        Raises:
            CheckpointError: the file is missing, cut short, edited, or of another target or experiment.
        """
        arrays, meta = self._open_target(name)
        tasks = [k.removeprefix("y/") for k in arrays if k.startswith("y/")]
        truth = {t: (arrays[f"y/{t}"], arrays[f"present/{t}"]) for t in tasks}
        return truth, arrays.get("groups"), meta["leakage"]

    def read_classes(self, name: str) -> dict[str, np.ndarray]:
        """``{task: (classes,) bool}``: the classes that occur among the target's own labels.

        Raises:
            CheckpointError: as `read_target`.
        """
        arrays, _ = self._open_target(name)
        return _of(CLASSES, arrays)

    def read_rows(self, name: str) -> tuple[pd.DataFrame | None, dict[int, np.ndarray]]:
        """The target's test rows and ``{budget: share of rare words}``; None and {} in runs that kept neither.

        Raises:
            CheckpointError: one of the files is missing, or was changed.
        """
        arrays, meta = self._open_target(name)
        if "table" not in meta:
            return None, {}
        path = self._rows_path(name)
        try:
            content = path.read_bytes()
        except OSError as error:
            raise CheckpointError(f"{path} cannot be read: {error.strerror}.\n{AGAIN}") from None
        if hashlib.sha256(content).hexdigest() != meta["table"]:
            raise CheckpointError(f"{path} is damaged: its content was changed.\n{AGAIN}")
        shares = {int(k.removeprefix(RARE)): v for k, v in arrays.items() if k.startswith(RARE)}
        return formats.read(path), shares

    def _open_target(self, name: str) -> tuple[dict, dict]:
        path = self.folder / "targets" / f"{name}.npz"
        arrays, meta = _read(path)
        if "digest" not in self._content:  # runs of earlier versions did not note whose the file is
            meta = self._target_identity(name) | meta
        differing = [k for k, v in self._target_identity(name).items() if meta.get(k) != v]
        if differing:
            raise CheckpointError(
                f"{path} belongs to another run: its {', '.join(differing)} is another than the folder's.\n{AGAIN}"
            )
        return arrays, meta

    def _target_identity(self, name: str) -> dict:
        return {"target": name, "experiment": _hash(self._content["common"])}

    def _rows_path(self, name: str) -> Path:
        return self.folder / "targets" / f"{name}.jsonl"

    # -- cells ------------------------------------------------------------------------------------

    def path(self, cell: Cell) -> Path:
        return self.folder / "cells" / cell.target / cell.strategy / f"budget-{cell.budget}-seed-{cell.seed}.npz"

    def has(self, cell: Cell) -> bool:
        """Whether the cell is done and can be read."""
        try:
            self.read_cell(cell)
        except CheckpointError:
            return False
        return True

    def write_cell(
        self, cell: Cell, scores: dict[str, np.ndarray], meta: dict, frozen: dict[str, np.ndarray] | None = None
    ) -> None:
        """Keeps the scores of every task, rows as in the target's truth.

        Args:
            frozen: the scores of heads solved on the features that the encoder had before the target's training.
        """
        arrays = {f"{SCORES}{t}": s for t, s in scores.items()}
        arrays |= {f"{FROZEN}{t}": s for t, s in (frozen or {}).items()}
        _write(self.path(cell), arrays, meta | self._identity(cell))

    def read_cell(self, cell: Cell) -> tuple[dict[str, np.ndarray], dict]:
        """``{task: scores}`` and what was noted beside them.

        Raises:
            CheckpointError: the file is missing, cut short, edited, or of another cell or experiment.
        """
        arrays, meta = self._open_cell(cell)
        return _of(SCORES, arrays), meta

    def read_frozen(self, cell: Cell) -> dict[str, np.ndarray]:
        """``{task: scores}`` of heads on frozen features, see `write_cell`; empty where none were kept.

        Raises:
            CheckpointError: as `read_cell`.
        """
        return _of(FROZEN, self._open_cell(cell)[0])

    def _open_cell(self, cell: Cell) -> tuple[dict[str, np.ndarray], dict]:
        arrays, meta = _read(self.path(cell))
        differing = [k for k, v in self._identity(cell).items() if meta.get(k) != v]
        if differing:
            raise CheckpointError(
                f"{self.path(cell)} belongs to another cell: its {', '.join(differing)} is another than the folder's."
                f"\n{AGAIN}"
            )
        return arrays, meta

    def _identity(self, cell: Cell) -> dict:
        shared = [self._content["common"], self._content["strategies"].get(cell.strategy)]
        return dataclasses.asdict(cell) | {"experiment": _hash(shared)}

    def fitted_path(self, strategy: str, seed: int) -> Path:
        """Where the weights after source training wait for the cells that start from them."""
        return self.folder / "fitted" / f"{strategy}-seed-{seed}.safetensors"

    def backup_path(self, strategy: str, seed: int) -> Path:
        """The folder of the backup from which source training goes on after a kill."""
        return self.folder / "fitted" / f"{strategy}-seed-{seed}.backup"


def _of(prefix: str, arrays: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    return {name.removeprefix(prefix): array for name, array in arrays.items() if name.startswith(prefix)}


def _hash(content) -> str:
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def _write(path: Path, arrays: dict[str, np.ndarray], meta: dict) -> None:
    text = json.dumps(meta)
    packed = np.frombuffer(text.encode(), np.uint8)
    digest = np.frombuffer(_digest(arrays, text), np.uint8)
    with whole_file(path) as staging, staging.open("wb") as file:
        np.savez(file, **arrays, meta=packed, digest=digest)


def _read(path: Path) -> tuple[dict[str, np.ndarray], dict]:
    try:
        with np.load(path, allow_pickle=False) as file:
            arrays = {k: file[k] for k in file.files}
        text, digest = bytes(arrays.pop("meta")).decode(), bytes(arrays.pop("digest"))
        if digest != _digest(arrays, text):
            raise ValueError("its content was changed")
        return arrays, json.loads(text)
    except FileNotFoundError:
        raise CheckpointError(f"{path} is missing.\n{AGAIN}") from None
    except Exception as error:  # numpy and zipfile raise all sorts for a changed byte
        raise CheckpointError(f"{path} is damaged: {error}.\n{AGAIN}") from None


def _digest(arrays: dict[str, np.ndarray], text: str) -> bytes:
    digest = hashlib.sha256(text.encode())
    for name in sorted(arrays):
        array = np.ascontiguousarray(arrays[name])
        digest.update(f"{name} {array.dtype.str} {array.shape}".encode() + array.tobytes())
    return digest.digest()
