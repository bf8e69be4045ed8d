"""The tables of an experiment: loaded, audited for leakage, and checked, before anything is
trained.
"""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Mapping

import numpy as np
import pandas as pd

from tf_transfer.checks.characters import mend_halves
from tf_transfer.data.leakage import audit_leakage
from tf_transfer.data.leakage_report import LeakageReport
from tf_transfer.data.rare_words import rare_word_shares
from tf_transfer.errors import DataError, check_choice, listed, speaking
from tf_transfer.experiments.experiment import Experiment
from tf_transfer.kinds import kind_of
from tf_transfer.kinds.answers import joined
from tf_transfer.kinds.class_types import class_text, class_to_json
from tf_transfer.kinds.label_columns import relabel
from tf_transfer.kinds.tasks import Task, describe


@dataclasses.dataclass(frozen=True)
class PreparedTarget:
    """A target's tables, its test labels ``{task: (y, present)}``, groups (rows,) int, and audit.

    ``classes`` says of each task with classes which of them occur in its own tables, ``{task:
    (classes,) bool}``.
    """

    train: pd.DataFrame
    test: pd.DataFrame
    truth: dict
    groups: np.ndarray | None
    leakage: dict
    classes: dict


@dataclasses.dataclass(frozen=True)
class Prepared:
    """The tables of an experiment.

    Args:
        sources: ``{name: table}``.
        targets: ``{name: PreparedTarget}``.
        tasks: resolved on all training rows.
        common: hashes of the tables and the tasks: what cells must share to be compared.
        learned: a line for each task, with its classes and their rows in training.
    """

    sources: dict[str, pd.DataFrame]
    targets: dict[str, PreparedTarget]
    tasks: list[Task]
    common: dict
    learned: tuple[str, ...] = ()

    @classmethod
    @speaking("yaml")
    def load(cls, experiment: Experiment) -> Prepared:
        """Loads, audits and checks.

        Raises:
            DataError: a table cannot be read or does not fit the tasks, a class occurs only in a
                test split, a budget exceeds a target's rows, or no target has a column of
                ``slices``.
        """
        sources = experiment.load_sources()
        tables = {name: experiment.load_target(name) for name in experiment.targets}
        _check_slices(experiment.slices, [test for _, test in tables.values()])
        audits = {
            name: _audit(experiment, train, test, sources) for name, (train, test) in tables.items()
        }
        if experiment.drop_leaks:
            tables = {n: (audits[n].drop(train), test) for n, (train, test) in tables.items()}
            sources = {n: _drop_all(table, n, audits.values()) for n, table in sources.items()}
        learned = pd.concat(
            [*sources.values(), *(train for train, _ in tables.values())], ignore_index=True
        )
        tasks = [spec.task().resolve(learned) for spec in experiment.tasks]
        for name, table in sources.items():
            _labelled(tasks, table, f"source {name!r}")
        targets = {}
        for name, (train, test) in tables.items():
            train = _labelled(tasks, train, f"the training rows of target {name!r}")
            _check_budgets(experiment.budgets, train, name)
            groups = _groups(test, experiment.targets[name].group)
            truth, classes = _truth(tasks, test, name), _classes(tasks, train, test)
            targets[name] = PreparedTarget(
                train, test, truth, groups, audits[name].to_dict(), classes
            )
        hashes = {f"source {n}": _hash(t) for n, t in sources.items()}
        for name, target in targets.items():
            hashes |= {
                f"target {name} (train)": _hash(target.train),
                f"target {name} (test)": _hash(target.test),
            }
        common = hashes | {
            "order of sources": list(sources),
            "tasks": [plain_task(t) for t in tasks],
        }
        return cls(
            sources, targets, tasks, common, tuple(describe(task, learned) for task in tasks)
        )

    def rare_words(self, experiment: Experiment, name: str) -> dict[int, np.ndarray]:
        """``{budget: shares}`` of a target's test rows, (rows,) each: see
        `data.rare_words.rare_word_shares`.
        """
        target, columns = (
            self.targets[name],
            [c for c in (experiment.text, experiment.text_pair) if c is not None],
        )

        def texts(table: pd.DataFrame) -> list[str]:
            return list(map(" ".join, zip(*(table[c].fillna("").astype(str) for c in columns))))

        tests, known = (
            texts(target.test),
            [text for table in self.sources.values() for text in texts(table)],
        )
        shares = {}
        for budget in experiment.budgets:
            supports = (
                texts(draw_support(target.train, name, budget, seed)) for seed in experiment.seeds
            )
            shares[budget] = rare_word_shares(tests, known, supports)
        return shares


def _audit(
    experiment: Experiment, train: pd.DataFrame, test: pd.DataFrame, sources: dict
) -> LeakageReport:
    """The leakage audit, by the labels as the tasks read them."""
    tasks = [spec.task() for spec in experiment.tasks]

    def read(table: pd.DataFrame) -> pd.DataFrame:
        renamed = [task for task in tasks if task.labels and task.label in table]
        return table.assign(
            **{task.label: relabel(table[task.label], task.labels) for task in renamed}
        )

    sources = {name: read(table) for name, table in sources.items()}
    columns = {
        "text": experiment.text,
        "text_pair": experiment.text_pair,
        "label": [task.label for task in tasks],
    }
    return audit_leakage(read(train), read(test), source=sources, **columns)


def _drop_all(table: pd.DataFrame, name: str, audits) -> pd.DataFrame:
    leaked = {row for audit in audits for row in audit.overlaps[name].leaked["row"]}
    return table.drop(index=sorted(leaked)).reset_index(drop=True)


def _labelled(tasks: list[Task], table: pd.DataFrame, where: str) -> pd.DataFrame:
    """The rows with a label for any task: only they teach something, or can be bought with a
    budget.
    """
    if not len(table):
        raise DataError(
            f"{where[0].upper() + where[1:]} must have rows that no test has.\n"
            "Received only rows of a target's test, which were dropped.\nGive other rows, or set "
            "drop_leaks: false."
        )
    labelled = np.any([task.encode(table, where)[1] for task in tasks], axis=0)
    if not labelled.any():
        raise DataError(
            f"{where[0].upper() + where[1:]} must have labels in one of the columns "
            f"{listed([t.label for t in tasks])}.\nReceived none in {len(table)} rows with the "
            f"columns {listed(list(table.columns), 20)}."
        )
    return table[labelled].reset_index(drop=True)


def _check_slices(columns: list[str], tests: list[pd.DataFrame]) -> None:
    known = dict.fromkeys(str(column) for test in tests for column in test)
    for column in columns:
        check_choice("Every column of slices", column, known)


def _check_budgets(budgets: list[int], train: pd.DataFrame, name: str) -> None:
    if max(budgets) > len(train):
        raise DataError(
            f"A label budget must not exceed the target's labelled training rows.\n"
            f"Received a budget of {max(budgets)}; target {name!r} has {len(train)} such rows.\n"
            "Lower the budget, or the target's test_size."
        )


def _groups(test: pd.DataFrame, column: str | None) -> np.ndarray | None:
    """(rows,) int; a row without a group is one of its own."""
    if column is None:
        return None
    groups = pd.factorize(test[column])[0]
    return np.where(groups < 0, len(test) + np.arange(len(test)), groups)


def _truth(tasks: list[Task], test: pd.DataFrame, name: str) -> dict:
    encoded = {}
    for task in tasks:
        y, present = task.encode(test, f"the test rows of target {name!r}")
        if present.any():
            encoded[task.name] = (y, present)
    if not encoded:
        raise DataError(
            f"The test rows of target {name!r} must have labels.\nReceived none for any task."
        )
    return encoded


def _classes(tasks: list[Task], *tables: pd.DataFrame) -> dict[str, np.ndarray]:
    """``{task: (classes,) bool}``: which classes the tables have labels of."""
    classes = {}
    for task in tasks:
        labels = [y[present] for y, present in map(task.encode, tables)]
        if kind_of(task).has_classes:
            classes[task.name] = kind_of(task).occurring(task, joined(labels))
    return classes


def _hash(table: pd.DataFrame) -> str:
    text = table.apply(_as_text).to_csv(index=False)
    return hashlib.sha256(text.encode()).hexdigest()


def _as_text(column: pd.Series) -> pd.Series:
    if column.dtype == object:  # may hold what cannot be written in UTF-8
        cells = [
            mend_halves(c) if isinstance(c, str) else repr(c) if isinstance(c, bytes) else c
            for c in column
        ]
        column = pd.Series(cells, column.index, dtype=object)
    return column.astype(str)


def draw_support(train: pd.DataFrame, target: str, budget: int, seed: int) -> pd.DataFrame:
    """The target rows whose labels a budget buys: the first of a random order of the seed."""
    entropy = int(hashlib.sha256(target.encode()).hexdigest()[:8], 16)
    order = np.random.default_rng([entropy, seed]).permutation(len(train))
    return train.iloc[order[:budget]].reset_index(drop=True)


def plain_task(task: Task) -> dict:
    """A task's fields as plain types for JSON."""
    fields = dataclasses.asdict(task) | {"classes": [class_to_json(c) for c in task.classes]}
    if isinstance(task.class_weight, Mapping):  # the keys of a JSON object are text
        fields["class_weight"] = {class_text(c): factor for c, factor in task.class_weight.items()}
    if task.labels:
        fields["labels"] = {written: class_to_json(c) for written, c in task.labels.items()}
    return {key: value for key, value in fields.items() if key != "labels" or value}
