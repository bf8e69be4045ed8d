"""Source data as the scikit-learn estimators take it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import NamedTuple

import numpy as np
import pandas as pd

from tf_transfer.checks.array_likes import as_list
from tf_transfer.errors import DataError, check_columns
from tf_transfer.kinds.spans import read_cell

TEXT, LABEL = "text", "label"


class Labelled(NamedTuple):
    """Texts (rows,) and their labels (rows,)."""

    texts: list[str]
    labels: np.ndarray


def as_array(labels, what: str = "y") -> np.ndarray:
    """Labels as an array of their own type: whatever `as_list` reads; an array stays as it is."""
    if isinstance(labels, np.ndarray):
        return labels
    rows = as_list(labels, what)
    if any(isinstance(row, list) for row in rows):
        return np.array(rows)
    return pd.Series(rows, dtype=object).infer_objects().to_numpy()


def as_spans(labels, what: str = "y") -> np.ndarray:
    """(rows,) lists of (start, end, label), from what a cell of spans may be.

    Raises:
        DataError: a row is no list of spans; ``[]`` says that a text has none.
    """
    rows = as_list(labels, what)
    cells = np.empty(len(rows), object)
    cells[:] = [read_cell(row, f"in row {number} of {what}") for number, row in enumerate(rows)]
    return cells


def read_sources(sources, read_texts: Callable, read_labels=as_array) -> dict[str, Labelled]:
    """The sources by name.

    Args:
        sources: ``(texts, labels)``, a table with the columns ``text`` and ``label``, a list of
            these, a dict of them by name, or None.
        read_texts: checks texts.
        read_labels: makes an array of labels; its second argument says what they are.

    Raises:
        DataError: they are something else, or labels are too few or too many.
    """
    if sources is None:
        return {}
    if not isinstance(sources, Mapping):
        several = sources if isinstance(sources, list) else [sources]
        sources = {f"source {i}": s for i, s in enumerate(several, 1)}
    return {
        name: _read_source(name, source, read_texts, read_labels)
        for name, source in sources.items()
    }


def _read_source(name: str, source, read_texts: Callable, read_labels: Callable) -> Labelled:
    if isinstance(source, pd.DataFrame):
        check_columns(source, [TEXT, LABEL], f"source {name!r}")
        source = source[TEXT], source[LABEL]
    if not isinstance(source, tuple) or len(source) != 2:
        raise DataError(
            f"A source is a pair (texts, labels), or a table with the columns {TEXT!r} and "
            f"{LABEL!r}.\n"
            f"Received a {type(source).__name__} for {name!r}."
        )
    labels = read_labels(source[1], f"the labels of source {name!r}")
    read = Labelled(read_texts(source[0]), labels)
    check_as_many(read.texts, read.labels, f"source {name!r}")
    return read


def check_as_many(texts, labels, where: str = "X and y") -> None:
    """Raises:
    DataError: there are more texts than labels, or fewer.
    """
    if len(texts) != len(labels):
        raise DataError(
            f"Every text must have a label ({where}).\nReceived {len(texts)} texts and "
            f"{len(labels)} labels."
        )
