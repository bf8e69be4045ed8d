"""The texts and labels that `fit`, `predict` and `evaluate` may be given, made into a table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd

from tf_transfer.batches.input_labels import (
    check_lengths,
    check_weights,
    column_of,
    is_frame,
    with_labels,
)
from tf_transfer.checks.array_likes import Stream, as_list, as_texts, is_batched, plain_value
from tf_transfer.data import hugging_face
from tf_transfer.data.tables import is_tables, join_tables
from tf_transfer.devices.backend import tf
from tf_transfer.errors import DataError, listed, shown
from tf_transfer.kinds.tasks import Task

IDS, MASK, TYPES = "input_ids", "attention_mask", "token_type_ids"


class Rows(NamedTuple):
    """A table, and factors of each row's losses, ``{task: (rows,) float32}``, or None."""

    table: pd.DataFrame
    weights: Mapping[str, np.ndarray] | None = None

    def times(self, factors: Mapping[str, np.ndarray]) -> Rows:
        """The same rows, whose losses have further factors, ``{task: (rows,)}``."""
        weights = self.weights or {}
        return Rows(
            self.table, {task: f * weights.get(task, np.float32(1)) for task, f in factors.items()}
        )

    def cut(self, place: int) -> tuple[Rows, Rows]:
        """The rows before a place, and those from it on."""
        weights = [None, None]
        if self.weights is not None:
            weights = [
                {t: w[part] for t, w in self.weights.items()}
                for part in (slice(place), slice(place, None))
            ]
        return Rows(self.table.iloc[:place], weights[0]), Rows(self.table.iloc[place:], weights[1])


def opened(x):
    """``x`` itself, and an iterator as one whose first element `rows_of` may look at without using
    it up.
    """
    return Stream(x) if hasattr(x, "__next__") and not isinstance(x, Stream) else x


def rows_of(
    x,
    y=None,
    weights=None,
    *,
    tasks: Sequence[Task],
    text: str = "text",
    text_pair: str | None = None,
) -> Rows | None:
    """Texts and labels as a table; None for what holds token ids.

    Args:
        x: tables, a `datasets.Dataset`, texts (whatever `as_list` reads; with ``text_pair`` pairs
            of them), ``{text: texts, text_pair: texts, label: labels}``; or `tf.data` or a Keras
            `Sequence` of texts or ``(texts, labels[, weights])``, which is read once.
        y: the labels in the order of the rows, or ``{task: labels}``; None: columns of ``x``.
        weights: (rows,) factors of the rows' losses, or ``{task: factors}``, or None.

    Raises:
        DataError: texts or labels that cannot be read so, or of another number of rows.
    """
    if isinstance(x, tf.data.Dataset) or is_batched(x):
        parts = _parts_of(x, text)
        if parts is None:
            return None
        if y is not None or weights is not None:
            raise DataError(
                "A data set holds its own labels: (texts, labels) or (texts, labels, "
                "weights).\nReceived y too.\n"
                "Leave y and sample_weight out, or give the texts as a list."
            )
        x, y, weights = parts
    table = _to_table(x, text, text_pair, [t.label for t in tasks])
    if table is None:
        return None
    if not len(table):
        raise DataError(
            "There must be rows.\nReceived none.\nGive a table or list with at least one text."
        )
    table = table if y is None else with_labels(table, y, tasks)
    return Rows(table, check_weights(weights, len(table), tasks))


def _to_table(x, text: str, text_pair: str | None, labels: Sequence[str]) -> pd.DataFrame | None:
    if is_tables(x):
        return join_tables(x)
    if hugging_face.is_dataset(x) or hugging_face.is_dataset_dict(x):
        return hugging_face.from_dataset(x)
    if is_frame(x):
        return x.to_pandas()
    if isinstance(x, Mapping):
        if text not in x:
            return _no_texts(x, text)
        columns = {
            c: as_list(x[c], f"x[{c!r}]")
            for c in (text, text_pair, *labels)
            if c is not None and c in x
        }
        check_lengths({f"x[{c!r}]": len(v) for c, v in columns.items()})
        return pd.DataFrame({c: column_of(v) for c, v in columns.items()})
    if hasattr(x, "__next__"):
        x = opened(x)
        if _holds_ids(x.first()):
            return None
        _check_stream(x.first(), text_pair)
    return _texts_table(as_list(x), text, text_pair)


def _no_texts(x: Mapping, text: str) -> None:
    if not any(field in x for field in (IDS, MASK)):
        raise DataError(
            f"x must hold texts under {text!r}, the model's text column, or token ids under "
            f"{IDS!r}.\n"
            f"Received a dict with {listed(list(x))}.\nRename the key, or make the model with "
            "text='...'."
        )


def _check_stream(first, text_pair: str | None) -> None:
    pair = (
        isinstance(first, list | tuple)
        and text_pair is not None
        and all(isinstance(v, str) for v in first)
    )
    if first is not None and not pair and not isinstance(plain_value(first), str | bytes):
        raise DataError(
            "An iterator must give one text at a time.\n"
            f"Received one that gives {type(first).__name__}: {shown(first)}.\n"
            "Give lists of texts and labels: fit(texts, labels); or batches as tf.data."
        )


def _texts_table(cells: list, text: str, text_pair: str | None) -> pd.DataFrame:
    if cells and all(isinstance(c, list) for c in cells) and len({len(c) for c in cells}) == 1:
        width = len(cells[0])  # a column of texts, or pairs of them
        if width == 1 or (width == 2 and text_pair is not None):
            columns = dict(zip((text, text_pair), zip(*cells)))
            return pd.DataFrame(
                {name: column_of(as_texts(column)) for name, column in columns.items()}
            )
        raise DataError(
            f"x must hold one text a row{' or a pair of texts' if text_pair else ''}.\n"
            f"Received rows of {width}.\n"
            + (
                ""
                if text_pair
                else "For pairs of texts, make the model with text_pair='...' (the second column)."
            )
        )
    return pd.DataFrame({text: column_of(as_texts(cells))})


# -- batches of texts ------------------------------------------------------------------------------


def _parts_of(x, text: str) -> tuple | None:
    """All texts, labels and weights of `tf.data` or a Keras `Sequence`; None where it holds token
    ids.
    """
    if isinstance(x, tf.data.Dataset):
        first = _first(x.element_spec)
        if _holds_ids(first) or getattr(_of_texts(first, text), "dtype", None) != tf.string:
            return None
        if int(x.cardinality()) == tf.data.INFINITE_CARDINALITY:
            raise DataError(
                "The texts of a data set are read once, and kept.\nReceived one that never ends.\n"
                "Cut it: dataset.take(n)."
            )
        single = not _of_texts(first, text).shape.rank
        elements = list(x)
    else:
        if len(x) and _holds_ids(x[0]):
            return None
        single, elements = False, [x[number] for number in range(len(x))]
    if not elements:
        raise DataError(
            "A data set must have rows.\nReceived none.\nGive one with at least one batch."
        )
    parts = [element if isinstance(element, tuple) else (element,) for element in elements]
    columns = [_joined(column, single) for column in zip(*parts)]
    return tuple(columns + [None] * (3 - len(columns)))


def _first(element):
    return element[0] if isinstance(element, tuple) else element


def _of_texts(part, text: str):
    return part.get(text) if isinstance(part, Mapping) else part


def _holds_ids(element) -> bool:
    part = _first(element)
    return isinstance(part, Mapping) and IDS in part


def _joined(parts: Sequence, single: bool):
    if isinstance(parts[0], Mapping):
        return {key: _joined([part[key] for part in parts], single) for key in parts[0]}
    if single:
        return [plain_value(part) for part in parts]
    return [row for part in parts for row in as_list(part)]
