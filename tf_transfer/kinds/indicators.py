"""Labels of several classes written as 0 and 1 for each class ("multi-hot"): rows of lists, or
dicts by class.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from tf_transfer.errors import DataError, listed, shown

ROWS = list | tuple | np.ndarray


class Indicators(NamedTuple):
    """0 and 1 for each class.

    Args:
        classes: the names in the order of the columns; 0, 1, … where the rows do not name them.
        on: (rows, classes) bool.
        named: whether the rows name the classes.
        maybe_names: whether they could be lists of names as well: each row holds 0 and 1 once, the
            classes 0 and 1.
    """

    classes: tuple
    on: np.ndarray
    named: bool
    maybe_names: bool


def indicators_of(cells: Sequence) -> Indicators | None:
    """What the cells of a column say as 0 and 1 for each class; None where they say anything else.

    That is rows of one length that hold 0 and 1 alone (as numbers or bools), or dicts of the same
    classes with 0 and 1. Rows of one number are lists of one class, unless they are bools.

    Example:
        >>> indicators_of([[0, 1, 0], [1, 1, 1]]).on.tolist()
        [[False, True, False], [True, True, True]]
        >>> indicators_of([{"a": 0, "b": 1}]).classes
        ('a', 'b')
        >>> indicators_of([[0, 1], [1]]) is None  # the classes 0 and 1; the class 1
        True
    """
    if len(cells) and all(isinstance(cell, Mapping) for cell in cells):
        classes = tuple(cells[0])
        alike = all(set(cell) == set(classes) for cell in cells)
        on = _flags([[cell[c] for c in classes] for cell in cells]) if alike else None
        return (
            None
            if on is None
            else Indicators(classes, on.astype(bool), named=True, maybe_names=False)
        )
    if not all(isinstance(cell, ROWS) for cell in cells) or len({len(cell) for cell in cells}) != 1:
        return None
    on = _flags([list(cell) for cell in cells])
    if on is None or (on.shape[1] == 1 and on.dtype != bool):
        return None
    width = on.shape[1]
    maybe_names = on.dtype != bool and width == 2 and bool((on.sum(1) == 1).all())
    return Indicators(tuple(range(width)), on.astype(bool), named=False, maybe_names=maybe_names)


def _flags(rows: list[list]) -> np.ndarray | None:
    """(rows, classes) of numbers or bools where all are 0 or 1."""
    if not rows[0] or any(isinstance(value, ROWS | Mapping) for row in rows for value in row):
        return None
    array = np.array(rows)
    return array if array.dtype.kind in "biuf" and np.isin(array, (0, 1)).all() else None


def checked_indicators(task, values: Sequence, where: str) -> Indicators | None:
    """The cells of a multi-label task's column, where they are 0 and 1 for each of its classes;
    else None.

    Args:
        task: a `Task`; its classes may be open.
        where: what to call the table in an error.

    Raises:
        DataError: they are for another number of classes, or could mean two things.
    """
    read = indicators_of(values)
    if read is None or read.named:
        return read
    width, known = len(read.classes), len(task.classes)
    numbered = not known or {0, 1} <= set(task.classes)
    if known not in (0, width):
        if read.maybe_names and numbered:
            return None
        raise DataError(
            f"Labels of the multi-label task {task.name!r} must be 0 or 1 for each of {known} "
            f"classes, {listed(task.classes)}.\nReceived rows of {width} in column {task.label!r} "
            f"of {where}.\n"
            "Give a column for each class, or lists of their names."
        )
    if numbered and read.maybe_names and not read.on[:, 0].any():
        raise DataError(
            f"Labels of the multi-label task {task.name!r} must have one meaning.\n"
            f"Received [0, 1] in every row of column {task.label!r} of {where}: the classes 0 and "
            "1, or the second of two classes.\nGive bools for each class, or the names of the "
            "classes."
        )
    if task.kind == "auto" and (read.on.sum(1) == 1).all():
        raise DataError(
            f"Task {task.name!r} has 0 and 1 for each of {width} classes, and one of them in every "
            "row.\n"
            f"Received rows as {read.on[0].astype(int).tolist()} in column {task.label!r} of "
            f"{where}.\n"
            "Give class numbers, y.argmax(1), if a row has one class; if it may have several, set "
            "kind='multilabel'."
        )
    return read


def check_names(cell, labels: Sequence) -> None:
    """Raises:
    DataError: the ``labels`` that a multi-label cell lists are no names of classes, but a part of
        something else: of 0 and 1 for each class, or of probabilities.
    """
    flags = bool(labels) and all(isinstance(c, int | float) and c in (0, 1) for c in labels)
    gaps = isinstance(cell, ROWS) and len(cell) > len(labels)
    fractions = any(isinstance(c, float) and not c.is_integer() for c in labels)
    if (
        isinstance(cell, Mapping)
        or fractions
        or (flags and (gaps or len(set(labels)) < len(labels)))
    ):
        raise DataError(
            "Several labels must be lists of classes, or 0 or 1 for each class.\nReceived "
            f"{shown(cell)}.\n"
            "Rows of 0 and 1 need one length and no gaps; dicts need the same keys in every row."
        )
