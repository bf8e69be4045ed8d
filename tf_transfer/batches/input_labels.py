"""The labels and row weights that `fit` and `evaluate` may be given beside the texts."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import numpy as np
import pandas as pd

from tf_transfer.checks.array_likes import as_list
from tf_transfer.errors import DataError, check_choice, listed
from tf_transfer.kinds import AUTO, kind_of
from tf_transfer.kinds.tasks import Task


def with_labels(table: pd.DataFrame, y, tasks: Sequence[Task]) -> pd.DataFrame:
    """A copy of ``table`` with the labels ``y`` in the tasks' columns.

    Whole numbers are classes by their place in ``Task.classes``, as in Keras, where the classes are
    names.

    Args:
        y: labels of the only task, or ``{task name or label column: labels}``. A multi-label task
            takes lists of classes, or 0 and 1 for each class: rows of an array or of lists, or
            columns of a frame.

    Raises:
        DataError: labels for an unknown task, of another number of rows, or of several tasks in one
            array.
    """
    y = y.to_pandas() if is_frame(y) else y
    if isinstance(y, pd.DataFrame):
        y = _by_column(y, tasks)
    if not isinstance(y, Mapping):
        if len(tasks) != 1:
            names = [t.name for t in tasks]
            raise DataError(
                f"y must name the tasks that it labels: {{task: labels}} with {listed(names)}.\n"
                f"Received a {type(y).__name__}."
            )
        y = {tasks[0].name: y}
    by_name = {t.label: t for t in tasks} | {t.name: t for t in tasks}
    columns = {}
    for name, labels in y.items():
        check_choice("A task that y labels", name, list(by_name))
        columns[by_name[name].label] = _labels(by_name[name], labels)
    check_lengths({"x": len(table)} | {f"y of {c!r}": len(v) for c, v in columns.items()})
    return table.assign(
        **{c: column_of(v).set_axis(table.index).infer_objects() for c, v in columns.items()}
    )


def _by_column(y: pd.DataFrame, tasks: Sequence[Task]):
    """Labels by task, or a dict of 0 and 1 by class in each row where the columns are classes."""
    if y.shape[1] == 1 and len(tasks) == 1:
        return as_list(y.iloc[:, 0], "y")
    names = {name for t in tasks for name in (t.name, t.label)}
    several = [t for t in tasks if _may_have_several(t)]
    if len(tasks) == 1 and several and not names & set(y.columns):
        return y.to_dict("records")
    return {c: y[c] for c in y.columns}


def _labels(task: Task, labels) -> list:
    """A list of one label a row: a class, a number, a list of classes, or of a bool for each
    class.
    """
    rows = as_list(labels, f"y of task {task.name!r}")
    several, sure = _may_have_several(task), _has_several(task)
    if several and len(getattr(labels, "shape", ())) == 2 and (sure or labels.shape[1] > 1):
        return _indicators(task, rows)
    column = bool(rows) and all(isinstance(row, list) and len(row) == 1 for row in rows)
    if column and not sure:
        rows = [row[0] for row in rows]
    elif not several and any(isinstance(row, list) for row in rows):
        raise DataError(
            f"Task {task.name!r} takes one label a row.\nReceived labels of {_width(rows)}.\n"
            "Give class names or numbers, for instance y.argmax(1) of one-hot rows, or set "
            "kind='multilabel'."
        )
    return _by_place(task, rows)


def _has_several(task: Task) -> bool:
    """Whether a row of the task may have several classes, as far as is known."""
    return task.kind != AUTO and kind_of(task).several


def _may_have_several(task: Task) -> bool:
    return task.kind == AUTO or kind_of(task).several


def _width(rows: list) -> str:
    return f"the shape ({len(rows)}, {max(len(row) for row in rows if isinstance(row, list))})"


def _indicators(task: Task, rows: list) -> list:
    """Rows of an array as lists of bools: those are never taken for lists of the classes 0 and
    1.
    """
    array = np.asarray(rows)
    if array.dtype.kind not in "biuf":
        return rows
    wrong = array[~np.isin(array, (0, 1))]
    if wrong.size or (task.classes and array.shape[1] != len(task.classes)):
        held = f" with {wrong[0]}" if wrong.size else ""
        raise DataError(
            f"Labels of the multi-label task {task.name!r} must be 0 or 1 for each of "
            f"{len(task.classes) or 'its'} classes.\nReceived an array of shape "
            f"{array.shape}{held}.\n"
            "Give a column for each class, or lists of their names."
        )
    return array.astype(bool).tolist()


def _by_place(task: Task, rows: list) -> list:
    """Names of classes instead of their numbers, where the classes are names and no number is one
    of them.
    """
    names = all(isinstance(c, str) for c in task.classes) and set(task.classes)
    if (
        not names
        or _has_several(task)
        or not all(type(row) is int and str(row) not in names for row in rows)
    ):
        return rows
    wrong = [row for row in rows if not 0 <= row < len(task.classes)]
    if wrong:
        raise DataError(
            f"Numbers of classes of task {task.name!r} must be 0 to {len(task.classes) - 1}.\n"
            f"Received {wrong[0]}.\nThe classes are {listed(task.classes)}."
        )
    return [task.classes[row] for row in rows]


def is_frame(x) -> bool:
    """Whether ``x`` is a table of another library, as pyarrow's or polars'."""
    return hasattr(x, "to_pandas") and hasattr(x, "columns") and not isinstance(x, pd.DataFrame)


def column_of(values: Sequence) -> pd.Series:
    """A column of the values as they are, of no type that would change them."""
    return pd.Series(list(values), dtype=object)


def check_lengths(lengths: Mapping[str, int]) -> None:
    """Raises:
    DataError: the numbers of rows, by what has them, differ.
    """
    if len(set(lengths.values())) > 1:
        received = ", ".join(f"{n} {what}" for what, n in lengths.items())
        raise DataError(f"Every row must have a label, every label a row.\nReceived {received}.")


def check_weights(weights, rows: int, tasks: Iterable[Task]) -> dict[str, np.ndarray] | None:
    """``{task: (rows,) float32}`` from ``weights``; None for None.

    Args:
        weights: (rows,) numbers of at least 0, or a mapping from a task's name to them.

    Raises:
        DataError: of another shape, negative, not finite, or of an unknown task.
    """
    names = [t.name for t in tasks]
    if weights is None:
        return None
    if not isinstance(weights, Mapping):
        return dict.fromkeys(names, _weights(weights, rows))
    for name in weights:
        check_choice("A task in sample_weight", name, names)
    ones = np.ones(rows, np.float32)
    return {name: _weights(weights[name], rows) if name in weights else ones for name in names}


def _weights(weights, rows: int) -> np.ndarray:
    values = as_list(weights, "sample_weight")
    try:
        array = np.array(values, np.float32)
    except (TypeError, ValueError):
        array = np.full((len(values),), np.nan, np.float32)
    if array.shape != (rows,) or not np.isfinite(array).all() or (array < 0).any():
        received = f" with {array.min()}" if array.size else ""
        raise DataError(
            f"sample_weight must be {rows} numbers of at least 0, one a row.\n"
            f"Received the shape {array.shape}{received}.\nGive 0 for a row that is not to count."
        )
    return array
