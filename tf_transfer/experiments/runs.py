"""A run folder: what each cell of an experiment predicted, kept so that any statistic can be made
again.

run.json                                        what the cells have in common, and provenance
targets/TARGET.npz                              labels of the test rows, groups, leakage audit
targets/TARGET.jsonl                            the test rows themselves: texts, all other columns
cells/TARGET/STRATEGY/budget-16-seed-0.npz      scores of every task, and what the cell cost
advice.json                                     of before training, where it was asked for
fitted/STRATEGY-seed-0.backup/                  of source training, until it is done
fitted/STRATEGY-seed-0.safetensors              after source training, until its cells are done
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path

import numpy as np
import pandas as pd

from tf_transfer.data import formats, json_lines
from tf_transfer.errors import CheckpointError, DataError, differing_keys, first_line
from tf_transfer.experiments.array_files import AGAIN, read_arrays, write_arrays
from tf_transfer.experiments.run_checks import (
    check_audit,
    check_classes,
    check_cost,
    check_provenance,
    rows_misfit,
)
from tf_transfer.files.file_format import FileFormat
from tf_transfer.files.storage import write_text
from tf_transfer.files.temporary import remove, sweep
from tf_transfer.files.untrusted import read_bytes, read_json
from tf_transfer.kinds.answers import Answers, packed
from tf_transfer.kinds.tasks import Task

FORMAT = FileFormat("tf_transfer run", 2)
RARE, CLASSES, SCORES, FROZEN = "rare words/", "classes/", "scores", "frozen"
_MOST_ROWS = 2 * 10**9


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
    """The cells of a plan."""
    return [
        Cell(t, s, b, seed) for s in strategies for seed in seeds for t in targets for b in budgets
    ]


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
            differing = differing_keys(common, earlier["common"])
            differing += [
                k
                for k in strategies
                if earlier["strategies"].get(k, strategies[k]) != strategies[k]
            ]
            if differing:
                raise DataError(
                    f"The run folder {self.folder} holds results of another experiment.\n"
                    f"These differ from today's: {', '.join(differing)}.\n"
                    "Choose another folder, or delete this one to start afresh."
                )
            strategies = earlier["strategies"] | strategies
        content = {
            **FORMAT.note(),
            "common": common,
            "strategies": strategies,
            "provenance": provenance,
        }
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
        if content.get("digest") != _hash({k: v for k, v in content.items() if k != "digest"}):
            raise CheckpointError(
                f"{self.folder / 'run.json'} is not as it was written: what was planned and what "
                "was run may differ.\n"
                "Run the experiment again into the same folder: finished cells are kept."
            )
        return content

    def provenance(self) -> dict:
        """The plan of the run, as ``plan``, and what is recorded beside it.

        Raises:
            CheckpointError: as `read`; or it cannot be a plan.
        """
        content = self._content["provenance"]
        check_provenance(content, self.folder / "run.json")
        return content

    def _open(self) -> dict:
        path = self.folder / "run.json"
        if not os.path.exists(path):
            raise CheckpointError(
                f"{self.folder} must be the folder of a run, with run.json.\nReceived: no such "
                "file."
            )
        try:
            content = read_json(path)
        except (OSError, ValueError) as error:
            raise CheckpointError(
                f"{path} is damaged: {error}\nRun the experiment again in a new folder."
            ) from None
        FORMAT.check(path, content, "Run the experiment again in a new folder.")
        lacking = [
            k
            for k in ("common", "strategies", "provenance")
            if not isinstance(content.get(k), dict)
        ]
        if lacking:
            raise CheckpointError(
                f"{path} is damaged: it lacks {lacking}.\nRun the experiment again in a new folder."
            )
        return content

    @property
    def advice_path(self) -> Path:
        """Where the advice of before training is, if it was asked for."""
        return self.folder / "advice.json"

    # -- targets ----------------------------------------------------------------------------------

    def write_target(
        self,
        name: str,
        truth: dict,
        groups: np.ndarray | None,
        leakage: dict,
        *,
        table: pd.DataFrame,
        rare_words: dict[int, np.ndarray] | None = None,
        classes: dict[str, np.ndarray] | None = None,
    ) -> None:
        """Keeps what is known of a target's test rows.

        Args:
            truth: ``{task: (y, present)}``, of each row.
            groups: (rows,) int, or None.
            leakage: the audit.
            table: the test rows.
            rare_words: ``{budget: shares}``, (rows,) float each; see
                `data.rare_words.rare_word_shares`.
            classes: ``{task: (classes,) bool}``: those that occur among the target's own labels.
        """
        arrays = _named("y", {t: y for t, (y, _) in truth.items()})
        arrays |= {f"present/{t}": p for t, (_, p) in truth.items()}
        arrays |= {f"{RARE}{budget}": shares for budget, shares in (rare_words or {}).items()}
        arrays |= {f"{CLASSES}{task}": own for task, own in (classes or {}).items()}
        if groups is not None:
            arrays["groups"] = groups
        text = json_lines.dump(table.loc[:, ~table.columns.duplicated()])
        write_text(self._rows_path(name), text)
        rows = {"table": hashlib.sha256(text.encode()).hexdigest()}
        meta = {"leakage": leakage} | self._target_identity(name) | rows
        write_arrays(self.folder / "targets" / f"{name}.npz", arrays, meta)

    def read_target(self, name: str) -> tuple[dict, np.ndarray | None, dict]:
        """Truth, groups and leakage audit, as they were written; labels that are no array are the
        arrays of their ``pack()``.

        Raises:
            CheckpointError: the file is missing, cut short, edited, or of another target or
                experiment.
        """
        arrays, meta = self._open_target(name)
        return _truth(arrays), arrays.get("groups"), meta["leakage"]

    def read_classes(self, name: str, tasks: Sequence[Task]) -> dict[str, np.ndarray]:
        """``{task: (classes,) bool}``: the classes that occur among the target's own labels.

        Raises:
            CheckpointError: as `read_target`.
        """
        arrays, _ = self._open_target(name)
        classes = _of(CLASSES, arrays)
        check_classes(classes, tasks, self.folder / "targets" / f"{name}.npz", AGAIN)
        return classes

    def read_rows(self, name: str) -> tuple[pd.DataFrame, dict[int, np.ndarray]]:
        """The target's test rows and ``{budget: share of rare words}``.

        Raises:
            CheckpointError: one of the files is missing, or was changed.
        """
        arrays, meta = self._open_target(name)
        path = self._rows_path(name)
        try:
            content = read_bytes(path, most=_MOST_ROWS)
        except (OSError, ValueError) as error:
            raise CheckpointError(f"{path} cannot be read: {first_line(error)}.\n{AGAIN}") from None
        if hashlib.sha256(content).hexdigest() != meta.get("table"):
            raise CheckpointError(f"{path} is damaged: its content was changed.\n{AGAIN}")
        budgets = [key.removeprefix(RARE) for key in arrays if key.startswith(RARE)]
        if not all(budget.isdecimal() for budget in budgets):
            raise CheckpointError(
                f"{self.folder / 'targets' / name}.npz has budgets that are no numbers.\n{AGAIN}"
            )
        shares = {int(budget): arrays[RARE + budget] for budget in budgets}
        table = formats.read(path)
        misfit = rows_misfit(len(next(iter(_truth(arrays).values()))[1]), len(table), shares)
        if misfit:
            raise CheckpointError(f"{path} {misfit}.\n{AGAIN}")
        return table, shares

    def _open_target(self, name: str) -> tuple[dict, dict]:
        path = self.folder / "targets" / f"{name}.npz"
        arrays, meta = read_arrays(path)
        differing = [k for k, v in self._target_identity(name).items() if meta.get(k) != v]
        if differing:
            raise CheckpointError(
                f"{path} belongs to another run: its {', '.join(differing)} is another than the "
                f"folder's.\n{AGAIN}"
            )
        check_audit(meta.get("leakage"), path, AGAIN)
        if not _truth(arrays):
            raise CheckpointError(f"{path} is damaged: it holds no labels.\n{AGAIN}")
        return arrays, meta

    def _target_identity(self, name: str) -> dict:
        return {"target": name, "experiment": _hash(self._content["common"])}

    def _rows_path(self, name: str) -> Path:
        return self.folder / "targets" / f"{name}.jsonl"

    # -- cells ------------------------------------------------------------------------------------

    def path(self, cell: Cell) -> Path:
        return (
            self.folder
            / "cells"
            / cell.target
            / cell.strategy
            / f"budget-{cell.budget}-seed-{cell.seed}.npz"
        )

    def has(self, cell: Cell) -> bool:
        """Whether the cell is done and can be read."""
        try:
            self.read_cell(cell)
        except CheckpointError:
            return False
        return True

    def write_cell(
        self,
        cell: Cell,
        scores: dict[str, Answers],
        meta: dict,
        frozen: dict[str, Answers] | None = None,
    ) -> None:
        """Keeps the scores of every task, rows as in the target's truth.

        Args:
            frozen: the scores of heads solved on the features that the encoder had before the
                target's training.
        """
        arrays = _named(SCORES, scores) | _named(FROZEN, frozen or {})
        write_arrays(self.path(cell), arrays, meta | self._identity(cell))

    def read_cell(self, cell: Cell) -> tuple[dict, dict]:
        """``{task: scores}`` and what was noted beside them; scores that are no array are the
        arrays of their ``pack()``.

        Raises:
            CheckpointError: the file is missing, cut short, edited, or of another cell or
                experiment.
        """
        arrays, meta = self._open_cell(cell)
        return _by_task(SCORES, arrays), meta

    def read_frozen(self, cell: Cell) -> dict[str, np.ndarray]:
        """``{task: scores}`` of heads on frozen features, see `write_cell`; empty where none were
        kept.

        Raises:
            CheckpointError: as `read_cell`.
        """
        return _by_task(FROZEN, self._open_cell(cell)[0])

    def _open_cell(self, cell: Cell) -> tuple[dict[str, np.ndarray], dict]:
        arrays, meta = read_arrays(self.path(cell))
        differing = [k for k, v in self._identity(cell).items() if meta.get(k) != v]
        if differing:
            raise CheckpointError(
                f"{self.path(cell)} belongs to another cell: its {', '.join(differing)} is another "
                f"than the folder's.\n{AGAIN}"
            )
        check_cost(meta, self.path(cell), AGAIN)
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

    def drop_fitted(self, strategy: str, seed: int) -> None:
        """Deletes what source training left for cells that are now done, and what killed processes
        left beside it.
        """
        for path in (self.fitted_path(strategy, seed), self.backup_path(strategy, seed)):
            remove(path)
        sweep(self.folder / "fitted")


def _truth(arrays: dict) -> dict:
    """``{task: (y, present)}`` of a target's arrays."""
    labels = _by_task("y", arrays)
    return {t: (y, arrays[f"present/{t}"]) for t, y in labels.items() if f"present/{t}" in arrays}


def _named(what: str, values: Mapping[str, Answers]) -> dict[str, np.ndarray]:
    """Arrays under ``what/TASK``, or ``what:PART/TASK`` where a task has several."""
    arrays = {}
    for task, answers in values.items():
        for part, array in packed(answers).items():
            arrays[f"{what}:{part}/{task}" if part else f"{what}/{task}"] = array
    return arrays


def _by_task(what: str, arrays: Mapping[str, np.ndarray]) -> dict:
    """What `_named` was given, as an array or as arrays by part."""
    by_task: dict = {}
    for name, array in arrays.items():
        head, _, task = name.partition("/")
        if head == what:
            by_task[task] = array
        elif head.startswith(f"{what}:") and not isinstance(by_task.get(task), np.ndarray):
            by_task.setdefault(task, {})[head.removeprefix(f"{what}:")] = array
    return by_task


def _of(prefix: str, arrays: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    return {
        name.removeprefix(prefix): array
        for name, array in arrays.items()
        if name.startswith(prefix)
    }


def _hash(content) -> str:
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()
