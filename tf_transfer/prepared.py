"""The tables of an experiment: loaded, audited for leakage, and checked, before anything is trained."""

from __future__ import annotations

import dataclasses
import hashlib

import numpy as np
import pandas as pd

from tf_transfer.errors import DataError
from tf_transfer.experiment import Experiment
from tf_transfer.leakage import audit_leakage
from tf_transfer.tasks import Task


@dataclasses.dataclass(frozen=True)
class PreparedTarget:
    """A target's tables, its test labels ``{task: (y, present)}``, groups (rows,) int, and audit."""

    train: pd.DataFrame
    test: pd.DataFrame
    truth: dict
    groups: np.ndarray | None
    leakage: dict


@dataclasses.dataclass(frozen=True)
class Prepared:
    """The tables of an experiment.

    Args:
        sources: ``{name: table}``.
        targets: ``{name: PreparedTarget}``.
        tasks: resolved on all training rows.
        common: hashes of the tables and the tasks: what cells must share to be compared.
    """

    sources: dict[str, pd.DataFrame]
    targets: dict[str, PreparedTarget]
    tasks: list[Task]
    common: dict

    @classmethod
    def load(cls, experiment: Experiment) -> Prepared:
        """Loads, audits and checks.

        Raises:
            DataError: a table cannot be read or does not fit the tasks, a class occurs only in a
                test split, or a budget exceeds a target's rows.
        """
        sources = experiment.load_sources()
        tables = {name: experiment.load_target(name) for name in experiment.targets}
        audits = {}
        for name, (train, test) in tables.items():
            audits[name] = audit_leakage(
                train, test, source=sources, text=experiment.text, text_pair=experiment.text_pair
            )
        if experiment.drop_leaks:
            tables = {n: (audits[n].drop(train), test) for n, (train, test) in tables.items()}
            sources = {n: _drop_all(table, n, audits.values()) for n, table in sources.items()}
        labels = [spec.task().label for spec in experiment.tasks]
        tables = {n: (_labelled(train, labels, n), test) for n, (train, test) in tables.items()}
        learned = pd.concat([*sources.values(), *(train for train, _ in tables.values())], ignore_index=True)
        tasks = [spec.task().resolve(learned) for spec in experiment.tasks]
        targets = {}
        for name, (train, test) in tables.items():
            _check_budgets(experiment.budgets, train, name)
            truth = _truth(tasks, train, test, name)
            group = experiment.targets[name].group
            groups = None if group is None or group not in test else pd.factorize(test[group])[0]
            targets[name] = PreparedTarget(train, test, truth, groups, audits[name].to_dict())
        for name, table in sources.items():
            for task in tasks:
                task.encode(table, f"source {name!r}")
        hashes = {f"source {n}": _hash(t) for n, t in sources.items()}
        for name, target in targets.items():
            hashes |= {
                f"target {name} (train)": _hash(target.train),
                f"target {name} (test)": _hash(target.test),
            }
        common = hashes | {"tasks": [plain_task(t) for t in tasks]}
        return cls(sources, targets, tasks, common)


def _drop_all(table: pd.DataFrame, name: str, audits) -> pd.DataFrame:
    leaked = {row for audit in audits for row in audit.overlaps[name].leaked["row"]}
    return table.drop(index=sorted(leaked)).reset_index(drop=True)


def _labelled(train: pd.DataFrame, labels: list[str], name: str) -> pd.DataFrame:
    """The rows with a label for any task: only they can be bought with a budget."""
    found = [column for column in labels if column in train]
    if not found:
        raise DataError(
            f"Target {name!r} must have one of the label columns {labels}.\nReceived {list(train.columns)}."
        )
    return train[train[found].notna().any(axis=1)].reset_index(drop=True)


def _check_budgets(budgets: list[int], train: pd.DataFrame, name: str) -> None:
    if max(budgets) > len(train):
        raise DataError(
            f"A label budget must not exceed the target's labelled training rows.\n"
            f"Received a budget of {max(budgets)}; target {name!r} has {len(train)} such rows.\n"
            "Lower the budget, or the target's test_size."
        )


def _truth(tasks: list[Task], train: pd.DataFrame, test: pd.DataFrame, name: str) -> dict:
    encoded = {}
    for task in tasks:
        task.encode(train, f"the training rows of target {name!r}")
        y, present = task.encode(test, f"the test rows of target {name!r}")
        if present.any():
            encoded[task.name] = (y, present)
    if not encoded:
        raise DataError(f"The test rows of target {name!r} must have labels.\nReceived none for any task.")
    return encoded


def _hash(table: pd.DataFrame) -> str:
    text = table.astype(str).to_csv(index=False)
    return hashlib.sha256(text.encode()).hexdigest()


def draw_support(train: pd.DataFrame, target: str, budget: int, seed: int) -> pd.DataFrame:
    """The target rows whose labels a budget buys: the first of a random order of the seed."""
    entropy = int(hashlib.sha256(target.encode()).hexdigest()[:8], 16)
    order = np.random.default_rng([entropy, seed]).permutation(len(train))
    return train.iloc[order[:budget]].reset_index(drop=True)


def plain_task(task: Task) -> dict:
    """A task's fields as plain types for JSON."""
    fields = dataclasses.asdict(task)
    return fields | {"classes": list(task.classes)}
