"""What the cells of a label column say: which are present, whose names they hold, what kind of task they ask for."""

from __future__ import annotations

import decimal
from collections.abc import Mapping, Sequence
from typing import Literal

import numpy as np
import pandas as pd

from tf_transfer.class_types import plain_class, typed_class

Kind = Literal["auto", "classification", "multilabel", "regression"]
KINDS = ("auto", "classification", "multilabel", "regression")
SEPARATOR = "|"
"""Between the labels of a multi-label cell in a text file: ``sports|politics``."""

MAX_INFERRED_CLASSES = 20
"""Integer columns with more distinct values than this are taken for regression."""
LISTS = (list, tuple, set, frozenset, np.ndarray)
"""What a cell of several labels may be, beside text."""
CONTAINERS = (*LISTS, Mapping)
"""What is no single label: lists, and dicts of 0 and 1 by class."""


def infer_kind(values: pd.Series) -> Kind:
    """The kind of task that a column of labels asks for.

    Lists, dicts of 0 and 1 by class, or text with ``|`` between labels: multilabel. Numbers with a
    fraction, or integers of more than 20 distinct values, or an infinite number (which
    `Task.encode` then reports): regression. Everything else: classification.

    Example:
        >>> [infer_kind(pd.Series(v)) for v in (["a", "b"], [1, 2], [1.5, 2.0], ["sports|news", "news"])]
        ['classification', 'classification', 'regression', 'multilabel']
    """
    values = values[present_rows(values)]
    if any(isinstance(v, CONTAINERS) for v in values) or any(isinstance(v, str) and SEPARATOR in v for v in values):
        return "multilabel"
    if len(values) and all(isinstance(v, decimal.Decimal) for v in values):
        values = values.astype(np.float64)
    inferred = values.infer_objects()
    numeric = pd.api.types.is_numeric_dtype(inferred) and not pd.api.types.is_complex_dtype(inferred)
    if pd.api.types.is_bool_dtype(values) or not numeric:
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


def labels_of(value) -> Sequence:
    """The class names in a multi-label cell; empty ones, as None, NaN or "", are left out."""
    if isinstance(value, str):
        return [part.strip() for part in value.split(SEPARATOR) if part.strip()]
    if not isinstance(value, LISTS):
        return [plain_class(value)]
    return [typed_class(v) for v in value if not _is_missing(v)]


def _is_missing(value) -> bool:
    return (isinstance(value, str) and not value.strip()) or (pd.api.types.is_scalar(value) and pd.isna(value))
