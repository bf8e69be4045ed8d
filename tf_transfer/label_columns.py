"""What the cells of a label column say: which are present, whose names they hold, what kind of task they ask for."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np
import pandas as pd

Kind = Literal["auto", "classification", "multilabel", "regression"]
KINDS = ("auto", "classification", "multilabel", "regression")
SEPARATOR = "|"
"""Between the labels of a multi-label cell in a text file: ``sports|politics``."""

MAX_INFERRED_CLASSES = 20
"""Integer columns with more distinct values than this are taken for regression."""
LISTS = (list, tuple, set, frozenset, np.ndarray)
"""What a cell of several labels may be, beside text."""


def infer_kind(values: pd.Series) -> Kind:
    """The kind of task that a column of labels asks for.

    Lists, or text with ``|`` between labels: multilabel. Numbers with a fraction, or integers
    of more than 20 distinct values, or an infinite number (which `Task.encode` then reports):
    regression. Everything else: classification.

    Example:
        >>> [infer_kind(pd.Series(v)) for v in (["a", "b"], [1, 2], [1.5, 2.0], ["sports|news", "news"])]
        ['classification', 'classification', 'regression', 'multilabel']
    """
    values = values[present_rows(values)]
    if any(isinstance(v, LISTS) for v in values) or any(isinstance(v, str) and SEPARATOR in v for v in values):
        return "multilabel"
    if pd.api.types.is_bool_dtype(values) or not pd.api.types.is_numeric_dtype(values.infer_objects()):
        return "classification"
    values = values.to_numpy(np.float64)
    whole = bool(np.all(np.isfinite(values) & (values == np.round(values))))
    return "classification" if whole and len(np.unique(values)) <= MAX_INFERRED_CLASSES else "regression"


def present_rows(column: pd.Series) -> np.ndarray:
    """(rows,) bool: False for NaN, None and empty text; an empty list is a label ("none of them")."""
    present = column.notna().to_numpy(bool)
    if pd.api.types.is_numeric_dtype(column):
        return present
    blank = np.fromiter((isinstance(v, str) and not v.strip() for v in column), bool, len(column))
    return present & ~blank


def plain_class(value):
    """A class name as plain Python: 3.0 in a column with gaps is the class 3."""
    value = value.item() if isinstance(value, np.generic) else value
    if isinstance(value, float) and value.is_integer():
        return int(value)
    return value.strip() if isinstance(value, str) else value


def labels_of(value) -> Sequence:
    """The class names in a multi-label cell."""
    if isinstance(value, str):
        return [part.strip() for part in value.split(SEPARATOR) if part.strip()]
    if isinstance(value, LISTS):
        return [plain_class(v) for v in value]
    return [plain_class(value)]
