"""What a trial is scored on: parts of the labelled rows that training has not seen; never a test
row.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping

import numpy as np
import pandas as pd
from sklearn.model_selection import (
    GroupShuffleSplit,
    KFold,
    ShuffleSplit,
    StratifiedGroupKFold,
    StratifiedKFold,
    StratifiedShuffleSplit,
)

from tf_transfer.errors import DataError
from tf_transfer.experiments.prepared import draw_support
from tf_transfer.experiments.tune_spec import TuneSpec
from tf_transfer.kinds import kind_of
from tf_transfer.kinds.tasks import Task

MOST_ROWS = 1000
"""Rows of a source that plays the target, on which a trial is scored."""


@dataclasses.dataclass(frozen=True, eq=False)
class Measurement:
    """One training and scoring of a trial, the same for all trials.

    Args:
        name: such as ``"repeat 1, fold 2"``.
        stage: measurements of one stage share sources and seed, and so the source training.
        seed: of the training.
        sources: names of the source tables.
        support: the labelled rows that `Strategy.adapt` learns from.
        validation: the rows that are scored.
    """

    name: str
    stage: str
    seed: int
    sources: tuple[str, ...]
    support: pd.DataFrame
    validation: pd.DataFrame


def measurements(
    spec: TuneSpec,
    task: Task,
    support: pd.DataFrame,
    sources: Mapping[str, pd.DataFrame],
    *,
    group: str | None = None,
    budget: int | None = None,
) -> tuple[list[Measurement], float]:
    """The plan of every trial.

    A fold or held-out part is drawn from the rows with a label of the objective's task, class by
    class, and by whole groups where the target has some; the other rows always train.

    Args:
        spec: says how to validate.
        task: of the objective, resolved.
        support: the target's labelled rows that the budget buys.
        sources: the source tables.
        group: column of the target's groups.
        budget: rows that a source which plays the target has labels of; None: as many as
            ``support``.

    Returns:
        The measurements in their order, and the overlap that `scores.score_interval` wants.

    Raises:
        DataError: too few labelled rows, classes or groups for such parts, or too few sources.
    """
    if spec.validation == "sources":
        return list(_sources(spec, task, sources, budget or len(support))), 0.0
    if spec.validation == "folds":
        return list(_folds(spec, task, support, tuple(sources), group)), 1 / (spec.folds - 1)
    return list(_holdout(spec, task, support, tuple(sources), group)), 0.0


def seed_of(spec: TuneSpec, repeat: int) -> int:
    """Of the folds and the training of a repeat."""
    return int(np.random.default_rng([spec.seed, repeat]).integers(2**31))


def _folds(spec, task, support, sources, group) -> Iterator[Measurement]:
    rows, classes, groups = _labelled(task, support, group)
    units = len(np.unique(groups)) if groups is not None else len(rows)
    least = spec.folds if groups is not None else 2 * spec.folds
    if units < least:
        what = (
            f"groups of {group!r}"
            if groups is not None
            else f"rows with a label of task {task.name!r}"
        )
        raise DataError(
            f"{spec.folds} folds need at least {least} {what} among the rows that the budget "
            "buys.\n"
            f"Received {units}.\nLower tune.folds, raise tune.budget, or set tune.validation: "
            "sources."
        )
    for repeat in range(spec.repeats):
        seed = seed_of(spec, repeat)
        options = {"n_splits": spec.folds, "shuffle": True, "random_state": seed}
        if groups is not None:
            kind = StratifiedGroupKFold(**options)
        else:
            kind = (
                StratifiedKFold(**options)
                if _can_stratify(classes, spec.folds)
                else KFold(**options)
            )
        for fold, (_, held) in enumerate(kind.split(rows, classes, groups)):
            parts = _parted(support, rows[held])
            yield Measurement(
                f"repeat {repeat}, fold {fold}", f"repeat {repeat}", seed, sources, *parts
            )


def _holdout(spec, task, support, sources, group) -> Iterator[Measurement]:
    rows, classes, groups = _labelled(task, support, group)
    held_rows = round(spec.holdout * len(rows))
    if held_rows < 2 or len(rows) - held_rows < 2:
        raise DataError(
            "tune.holdout must leave at least 2 rows to train and 2 to score.\nReceived "
            f"{spec.holdout:g} of {len(rows)} rows with a label of task {task.name!r}.\nRaise "
            "tune.budget."
        )
    options = {"n_splits": 1, "test_size": spec.holdout, "random_state": seed_of(spec, 0)}
    if groups is not None:
        kind = GroupShuffleSplit(**options)
    else:
        stratified = _can_stratify(classes, 2) and len(np.unique(classes)) <= min(
            held_rows, len(rows) - held_rows
        )
        kind = StratifiedShuffleSplit(**options) if stratified else ShuffleSplit(**options)
    _, held = next(kind.split(rows, classes, groups))
    parts = _parted(support, rows[held])
    for repeat in range(spec.repeats):
        yield Measurement(
            f"seed {repeat}", f"seed {repeat}", seed_of(spec, repeat), sources, *parts
        )


def _sources(spec, task, sources, budget: int) -> Iterator[Measurement]:
    labelled = {
        name: table[task.encode(table)[1]].reset_index(drop=True) for name, table in sources.items()
    }
    fit = [name for name, table in labelled.items() if len(table) >= budget + 2]
    if len(sources) < 2 or not fit:
        raise DataError(
            "tune.validation: sources lets each source in turn play the target: it needs two or "
            f"more, and one with {budget + 2} rows with a label of task {task.name!r}.\nReceived "
            f"{ {name: len(table) for name, table in labelled.items()} }.\nGive more, or set "
            "tune.validation: folds."
        )
    for repeat in range(spec.repeats):
        for name in fit:
            seed, others = seed_of(spec, repeat), tuple(other for other in sources if other != name)
            order = draw_support(labelled[name], name, len(labelled[name]), seed)
            parts = order[:budget], order[budget : budget + MOST_ROWS].reset_index(drop=True)
            yield Measurement(
                f"repeat {repeat}, {name}", f"repeat {repeat}, {name}", seed, others, *parts
            )


def _labelled(task: Task, support: pd.DataFrame, group: str | None):
    """Positions of the rows with a label, what to stratify them by, and their groups or None."""
    y, present = task.encode(support)
    rows = np.flatnonzero(present)
    classes = y[rows] if kind_of(task).one_class else np.zeros(len(rows), int)
    if group is None:
        return rows, classes, None
    codes = pd.factorize(support[group])[0]
    # a row without a group is its own
    codes = np.where(codes < 0, len(support) + np.arange(len(support)), codes)
    return rows, classes, codes[rows]


def _can_stratify(classes: np.ndarray, parts: int) -> bool:
    return bool(np.unique(classes, return_counts=True)[1].min() >= parts)


def _parted(support: pd.DataFrame, held: np.ndarray) -> tuple[pd.DataFrame, pd.DataFrame]:
    out = np.zeros(len(support), bool)
    out[held] = True
    return support[~out].reset_index(drop=True), support[out].reset_index(drop=True)
