"""The texts and labels that `fit`, `predict` and `evaluate` may be given, made into a table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd

from tf_transfer import hugging_face
from tf_transfer.backend import tf
from tf_transfer.errors import DataError, check_choice, listed
from tf_transfer.tables import is_tables, join_tables
from tf_transfer.tasks import Task


class Rows(NamedTuple):
    """A table, and a factor for each row's loss, (rows,) float32, or None."""

    table: pd.DataFrame
    weights: np.ndarray | None = None


def rows_of(
    x, y=None, weights=None, *, tasks: Sequence[Task], text: str = "text", text_pair: str | None = None
) -> Rows | None:
    """Texts and labels as a table; None for what holds token ids.

    Args:
        x: tables, a `datasets.Dataset`, texts (a list, array or Series; with ``text_pair`` pairs of them),
            ``{text: texts, text_pair: texts}``, or `tf.data` of texts or ``(texts, labels[, weights])``,
            which is read once.
        y: the labels in the order of the rows, or ``{task: labels}``; None: columns of ``x``.
        weights: (rows,) factors of the rows' losses, or None.

    Raises:
        DataError: texts or labels that cannot be read so, or of another number of rows.
    """
    if isinstance(x, tf.data.Dataset):
        if not _holds_texts(x.element_spec, text):
            return None
        x, y, weights = _read_dataset(x, y, weights)
    table = _to_table(x, text, text_pair)
    if table is None:
        return None
    table = table if y is None else with_labels(table, y, tasks)
    return Rows(table, None if weights is None else check_weights(weights, len(table)))


def _to_table(x, text: str, text_pair: str | None) -> pd.DataFrame | None:
    if is_tables(x):
        return join_tables(x)
    if hugging_face.is_dataset(x) or hugging_face.is_dataset_dict(x):
        return hugging_face.from_dataset(x)
    if isinstance(x, Mapping):
        columns = {c: _plain(x[c]) for c in (text, text_pair) if c is not None and c in x}
        if text not in columns:
            return None
        _check_lengths({f"x[{c!r}]": len(v) for c, v in columns.items()})
        return pd.DataFrame(columns)
    if isinstance(x, str | bytes) or (isinstance(x, np.ndarray) and not x.ndim):
        raise DataError(f"x must hold a text for each row.\nReceived the one text {x!r}.\nGive a list: [{x!r}].")
    if not isinstance(x, list | tuple | np.ndarray | pd.Series | pd.Index):
        return None
    return _texts_table(x, text, text_pair)


def _texts_table(x, text: str, text_pair: str | None) -> pd.DataFrame:
    cells = _plain(x)
    if cells and all(isinstance(c, list | tuple) for c in cells) and len({len(c) for c in cells}) == 1:
        width = len(cells[0])  # a column of texts, or pairs of them
        if width == 1 or (width == 2 and text_pair is not None):
            return pd.DataFrame(dict(zip((text, text_pair), map(list, zip(*cells)))))
        raise DataError(
            f"x must hold one text a row{' or a pair of texts' if text_pair else ''}.\n"
            f"Received rows of {width}.\n"
            + ("" if text_pair else "For pairs of texts, make the model with text_pair='...' (the second column).")
        )
    wrong = next((i for i, c in enumerate(cells) if not isinstance(c, str)), None)
    if wrong is not None or not cells:
        found = f"{type(cells[wrong]).__name__} {cells[wrong]!r} in row {wrong}" if cells else "none"
        raise DataError(
            "x must hold texts: a table, a list, array or Series of str, a datasets.Dataset, tf.data, or a dict with "
            f"input_ids and attention_mask.\nReceived {found}."
        )
    return pd.DataFrame({text: pd.Series(cells, dtype=object)})


def with_labels(table: pd.DataFrame, y, tasks: Sequence[Task]) -> pd.DataFrame:
    """A copy of ``table`` with the labels ``y`` in the tasks' columns.

    Whole numbers are classes by their place in ``Task.classes``, as in Keras, where the classes are names.

    Args:
        y: labels of the only task, or ``{task name or label column: labels}``. A multi-label task takes
            lists of classes, or an array (rows, classes) of 0 and 1.

    Raises:
        DataError: labels for an unknown task, of another number of rows, or of several tasks in one array.
    """
    if isinstance(y, pd.DataFrame) and not (y.shape[1] == 1 and len(tasks) == 1):
        y = {c: y[c] for c in y.columns}
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
    _check_lengths({"x": len(table)} | {f"y of {c!r}": len(v) for c, v in columns.items()})
    return table.assign(**{c: pd.Series(v, table.index, dtype=object).infer_objects() for c, v in columns.items()})


def _labels(task: Task, labels) -> list:
    """A list of one label a row: a class, a number, or a list of classes."""
    rows = _plain(labels)
    if task.kind == "multilabel":
        array = np.asarray(labels) if isinstance(labels, np.ndarray | tf.Tensor) else None
        if array is not None and array.ndim == 2 and array.dtype.kind in "biuf":
            return [list(c) for c in _from_indicators(task, array)]
        return rows
    if rows and all(isinstance(r, list) for r in rows):
        if any(len(r) != 1 for r in rows):
            raise DataError(
                f"Task {task.name!r} takes one label a row.\nReceived labels of the shape {np.shape(labels)}.\n"
                "Give class names or numbers, for instance y.argmax(1) of one-hot rows, or set kind='multilabel'."
            )
        rows = [r[0] for r in rows]
    names = all(isinstance(c, str) for c in task.classes) and {str(c) for c in task.classes}
    if names and rows and all(type(r) is int and str(r) not in names for r in rows):
        wrong = [r for r in rows if not 0 <= r < len(task.classes)]
        if wrong:
            raise DataError(
                f"Numbers of classes of task {task.name!r} must be 0 to {len(task.classes) - 1}.\n"
                f"Received {wrong[0]}.\nThe classes are {listed(task.classes)}."
            )
        return [task.classes[r] for r in rows]
    return rows


def _from_indicators(task: Task, array: np.ndarray):
    classes = task.classes or range(array.shape[1])
    if array.shape[1] != len(classes) or not np.isin(array, (0, 1)).all():
        raise DataError(
            f"Labels of the multi-label task {task.name!r} must be 0 or 1 for each of {len(classes)} classes.\n"
            f"Received an array of shape {array.shape} with values from {array.min()} to {array.max()}."
        )
    return ((c for c, on in zip(classes, row) if on) for row in array)


# -- tf.data ----------------------------------------------------------------------------------------


def _holds_texts(spec, text: str) -> bool:
    first = spec[0] if isinstance(spec, tuple) else spec
    first = first.get(text) if isinstance(first, Mapping) else first
    return getattr(first, "dtype", None) == tf.string


def _read_dataset(dataset, y, weights) -> tuple:
    """All texts, labels and weights of a data set of single rows or of batches."""
    if y is not None or weights is not None:
        raise DataError(
            "A data set holds its own labels: (texts, labels) or (texts, labels, weights).\nReceived y too."
        )
    if int(dataset.cardinality()) == tf.data.INFINITE_CARDINALITY:
        raise DataError(
            "The texts of a data set are read once, and kept.\nReceived one that never ends.\nCut it: dataset.take(n)."
        )
    parts = [element if isinstance(element, tuple) else (element,) for element in dataset.as_numpy_iterator()]
    if not parts:
        raise DataError("A data set must have rows.\nReceived none.")
    scalar = not _first(dataset.element_spec).shape.rank
    columns = [_joined(column, scalar) for column in zip(*parts)]
    return tuple(columns + [None] * (3 - len(columns)))


def _first(spec):
    spec = spec[0] if isinstance(spec, tuple) else spec
    return next(iter(spec.values())) if isinstance(spec, Mapping) else spec


def _joined(parts: Sequence, scalar: bool):
    if isinstance(parts[0], Mapping):
        return {key: _joined([p[key] for p in parts], scalar) for key in parts[0]}
    return np.stack(parts) if scalar else np.concatenate(parts)


# -- arrays -----------------------------------------------------------------------------------------


def _plain(values) -> list:
    """Python values, rows in order: NumPy's numbers and TensorFlow's bytes become Python's and text."""
    if isinstance(values, tf.Tensor):
        values = values.numpy()
    if isinstance(values, pd.DataFrame):
        values = values.to_numpy(object)
    rows = values.tolist() if hasattr(values, "tolist") else list(values)
    return [_python(row) for row in rows]


def _python(value):
    if isinstance(value, bytes):
        return value.decode("utf-8")
    if isinstance(value, list | tuple):
        return [_python(v) for v in value]
    return value.item() if isinstance(value, np.generic) else value


def _check_lengths(lengths: Mapping[str, int]) -> None:
    if len(set(lengths.values())) > 1:
        found = ", ".join(f"{n} {what}" for what, n in lengths.items())
        raise DataError(f"Every row must have a label, every label a row.\nReceived {found}.")


def check_weights(weights, rows: int) -> np.ndarray:
    """(rows,) float32 from ``weights``.

    Raises:
        DataError: of another shape, negative, or not finite.
    """
    weights = np.asarray(weights, np.float32)
    if weights.shape != (rows,) or not np.isfinite(weights).all() or (weights < 0).any():
        raise DataError(
            f"sample_weight must be {rows} numbers of at least 0, one a row.\nReceived the shape {weights.shape}"
            + (f" with {weights.min()}." if weights.size else ".")
        )
    return weights
