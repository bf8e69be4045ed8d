"""What kinds whose labels name classes have in common: the names in a column, and probabilities."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence

import numpy as np
import pandas as pd

from tf_transfer.errors import DataError, listed, nearest, setting, shown
from tf_transfer.kinds.base import check_finite
from tf_transfer.kinds.class_types import class_text, typed_class, unified
from tf_transfer.kinds.indicators import check_names
from tf_transfer.kinds.label_columns import CONTAINERS, check_class, labels_of, present_rows
from tf_transfer.kinds.spellings import check_spellings, class_counts

ROUNDING = 0.01
"""Softmax in bfloat16 sums to 1 within 1 %; logits do not."""

_AT_LEAST = {1: "one class", 2: "two classes"}


# -- names of classes ------------------------------------------------------------------------------


def single_labels(
    column: pd.Series, task: str, where: str = "the training table"
) -> Iterator[tuple[int, Sequence]]:
    """The rows that have a label, each with a list of the one as it is written.

    Args:
        task, where: for the message.

    Raises:
        DataError: a cell holds several labels, or what is no label.
    """
    cells = column.to_numpy(object)
    for row in np.flatnonzero(present_rows(column)):
        cell, place = cells[row], f"in column {column.name!r}, row {row} of {where}"
        if isinstance(cell, CONTAINERS):
            several = setting("kind", "multilabel", f"--label {column.name}:multilabel")
            raise DataError(
                f"Task {task!r} is a classification: one class in a row.\n"
                f"Received {shown(cell)} {place}.\nSet {several} in the task."
            )
        try:
            check_class(typed_class(cell))
        except DataError as error:
            raise DataError(f"Task {task!r}, {place}: {error}") from None
        yield row, [cell]


def several_labels(
    column: pd.Series, task: str, where: str = "the training table"
) -> Iterator[tuple[int, Sequence]]:
    """The rows that have labels, each with its labels as they are written; see `single_labels`.

    Args:
        column: not of 0 and 1 for each class, see `indicators`.
    """
    cells = column.to_numpy(object)
    for row in np.flatnonzero(present_rows(column)):
        cell = cells[row]
        try:
            labels = [] if isinstance(cell, Mapping) else labels_of(cell)
            check_names(cell, labels)
        except DataError as error:
            place = f"in column {column.name!r}, row {row} of {where}"
            raise DataError(f"Task {task!r}, {place}: {error}") from None
        yield row, labels


def index_of(task) -> dict:
    """The number of each class, by its name and by its text: a class read from a file is text where
    training saw an int.
    """
    numbers = {class_text(name): number for number, name in enumerate(task.classes)}
    return numbers | {name: number for number, name in enumerate(task.classes)}


def look_up(task, index: Mapping, name, row: int, where: str) -> int:
    """The number of a class.

    Raises:
        DataError: the task does not have it.
    """
    number = index.get(name, index.get(class_text(name)))
    if number is None:
        raise DataError(
            f"Task {task.name!r} knows the classes {listed(task.classes)}.\n"
            f"Received {shown(name)} in column {task.label!r}, row {row} of "
            f"{where}.{nearest(name, map(class_text, task.classes))}\n"
            "A class must be seen in training: add such rows there, name it in the task's classes, "
            "give it another name in its labels, or drop these rows."
        )
    return number


def named_in(
    task, column: pd.Series, counts: Mapping, gaps: bool, least: int, names: Sequence | None = None
) -> tuple:
    """The classes of a column of labels.

    Args:
        task: a `Task` of which the classes are open.
        counts: rows of each label as it is written.
        gaps: whether missing labels have made whole numbers fractions.
        least: how many there must be.
        names: in the order of the outputs; None: those of ``counts``, sorted.

    Raises:
        DataError: too few, or of several types.
    """
    names = _sorted(task, class_counts(counts), gaps) if names is None else names
    if len(names) < least:
        raise DataError(
            f"Task {task.name!r} needs at least {_AT_LEAST[least]} to learn a difference.\n"
            f"Received {listed(names)} in column {task.label!r} ({present_rows(column).sum()} "
            "labelled rows).\n"
            "Add rows of another class, name all classes in the task, or leave this task out."
        )
    check_spellings(task.name, task.label, counts, task.labels or ())
    return tuple(names)


def _sorted(task, names: Collection, gaps: bool) -> tuple:
    try:
        ordered = sorted(names, key=lambda name: (isinstance(name, str), name))
        alike = len({class_text(name) for name in ordered}) == len(ordered)
    except TypeError:  # as a date and a number
        ordered, alike = sorted(names, key=str), False
    if not alike:
        raise DataError(
            f"Classes of task {task.name!r} must be all text or all numbers, or otherwise of one "
            "type.\n"
            f"Received {listed(ordered)} in column {task.label!r}: they are of several.\n"
            "Make the column one type in every table, for instance with "
            f"{setting('as_text', [task.label])}."
        )
    return tuple(unified(ordered, gaps))


# -- probabilities ---------------------------------------------------------------------------------


def checked(y, p, of: str, indices: bool = True) -> tuple[np.ndarray, np.ndarray]:
    """Labels and probabilities as arrays that fit together, the latter finite float64.

    Args:
        of: what they are called in a message, with `` of `` before it.
        indices: labels are (rows,) numbers of classes; else (rows, classes).

    Raises:
        DataError: they do not.
    """
    y, p = np.asarray(y), np.asarray(p, np.float64)
    fits = p.ndim == 2 and y.shape == (p.shape[:1] if indices else p.shape)
    if not fits or not len(y):
        raise DataError(
            f"Labels and scores{of} must be of the same rows, at least one, with a score for each "
            "class.\n"
            f"Received labels of shape {y.shape} and scores of shape {p.shape}."
        )
    check_finite(p, of)
    return y, p


def check_probabilities(y, p, off: np.ndarray, largest: int, of: str) -> None:
    """Whether labels are whole numbers from 0 to ``largest``, and ``p`` probabilities.

    Args:
        off: (rows,) bool, rows of which it is known that they are none.

    Raises:
        DataError: they are not.
    """
    if y.min() < 0 or y.max() > largest or np.any(y != y.astype(int)):
        raise DataError(
            f"Labels{of} must be integers from 0 to {largest}.\nReceived {y.min()} to {y.max()}."
        )
    off = off | (p < 0).any(1) | (p > 1 + ROUNDING).any(1)
    if off.any():
        row = np.flatnonzero(off)[0]
        raise DataError(
            f"Scores{of} must be probabilities.\nReceived {p[row]} in row {row}.\n"
            "Pass logits through a softmax (multi-label: a sigmoid) first."
        )


def probability_fault(p, off: bool = False) -> str:
    """What stored answers are not: empty, or ``"probabilities"``."""
    within = p.min() >= 0 and p.max() <= 1 + ROUNDING
    return "" if within and not off else "probabilities"
