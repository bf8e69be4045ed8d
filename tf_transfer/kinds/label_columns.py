"""What the cells of a label column say: which are present, what they hold, other names for it."""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Mapping, Sequence
from decimal import Decimal

import numpy as np
import pandas as pd

from tf_transfer.errors import DataError, shown
from tf_transfer.kinds.class_types import CLASS_TYPES, class_text, plain_class, typed_class

SEPARATOR = "|"
"""Between the labels of a multi-label cell in a text file: ``sports|politics``."""

MAX_INFERRED_CLASSES = 20
"""Integer columns with more distinct values than this are taken for regression."""
LISTS = (list, tuple, set, frozenset, np.ndarray)
"""What a cell of several labels may be, beside text."""
CONTAINERS = (*LISTS, Mapping)
"""What is no single label: lists, and dicts of 0 and 1 by class."""
LONGEST_LIST = 10_000
"""Characters of a list that is written as text."""
_NUMBERS = (int, float, np.integer, np.floating, Decimal)
_NUMBER = re.compile(r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?")
_QUOTED_LABEL = r"""(?:'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*")"""
_PYTHON_LIST = re.compile(rf"[\[({{]\s*(?:{_QUOTED_LABEL}(?:\s*,\s*{_QUOTED_LABEL})*,?)?[\])}}]")
_LIKE_A_LIST = re.compile(r"""\s*[\[({]\s*['"].*[\])}]\s*""", re.DOTALL)


def measured_numbers(values: pd.Series) -> np.ndarray | None:
    """(rows,) float64 of a column that may be a measurement; None for names and codes."""
    if pd.api.types.is_bool_dtype(values) or isinstance(values.dtype, pd.CategoricalDtype):
        return None
    if pd.api.types.is_complex_dtype(values):
        return None
    if pd.api.types.is_numeric_dtype(values):
        return numbers_of(values)
    if not len(values) or not all(isinstance(v, (str, *_NUMBERS)) for v in values):
        return None
    if any(isinstance(v, bool) for v in values):
        return None
    texts = [v for v in values if isinstance(v, str)]
    if texts and not any(re.search("[.eE]", v) for v in texts):
        return None
    numbers = numbers_of(values)
    return None if np.isnan(numbers).any() else numbers


def numbers_of(column: pd.Series) -> np.ndarray:
    """(rows,) float64, see `number_of`; NaN where a cell is missing or no number."""
    if pd.api.types.is_numeric_dtype(column) and not pd.api.types.is_complex_dtype(column):
        return column.to_numpy(np.float64, na_value=np.nan)
    numbers = (number_of(cell) for cell in column)
    return np.array([np.nan if number is None else number for number in numbers], np.float64)


def number_of(value) -> float | None:
    """The number that a cell holds or writes; None where it is none, infinite where float64 ends.

    Example:
        >>> number_of("1e3"), number_of("007"), number_of("3,5"), number_of(10**400)
        (1000.0, 7.0, None, inf)
    """
    if isinstance(value, str):
        return float(value) if _NUMBER.fullmatch(value.strip()) else None
    if not isinstance(value, (*_NUMBERS, np.bool_)):
        return None
    try:
        return float(value)
    except OverflowError:
        return float("inf") if value > 0 else float("-inf")


def present_rows(column: pd.Series) -> np.ndarray:
    """(rows,) bool: False for NaN, None and empty text; an empty list is a label ("none of
    them").
    """
    present = column.notna().to_numpy(bool)
    if pd.api.types.is_numeric_dtype(column):
        return present
    blank = np.fromiter((isinstance(v, str) and not v.strip() for v in column), bool, len(column))
    return present & ~blank


def check_class(value) -> None:
    """Raises:
    DataError: ``value`` cannot be the name of a class: it is missing, has parts, is of a type that
        has no order, or would not come back from a file.
    """
    infinite = isinstance(value, float) and not np.isfinite(value)
    if not isinstance(value, CLASS_TYPES) or infinite or value is pd.NaT:
        raise DataError(
            "A class must have a name: text, a number, a bool, a date, an interval, or bytes.\n"
            f"Received {shown(value)} ({type(value).__name__}).\nMake it text, for instance with "
            "astype(str)."
        )


def labels_of(value) -> Sequence:
    """The class names in a multi-label cell: a list, a list written as text, or text with ``|``.

    Raises:
        DataError: a label in a list is missing, or is a list or mapping itself; or a text that
            looks like a list is none, such as NumPy's ``['a' 'b']`` without commas.

    Example:
        >>> cells = "sports | news", "['sports', 'news']", '["a|b"]', "|"
        >>> tuple(labels_of(cell) for cell in cells)
        (['sports', 'news'], ['sports', 'news'], ['a|b'], [])
    """
    written = written_list(value) if isinstance(value, str) else None
    if isinstance(value, LISTS) or written is not None:
        labels = [typed_class(v) for v in (value if written is None else written)]
        for label in labels:
            check_class(label)
        return [label for label in labels if label != ""]
    if isinstance(value, str) and _LIKE_A_LIST.fullmatch(value):
        raise DataError(
            f"A list that is written as text must have commas, and at most {LONGEST_LIST:,} "
            "characters.\n"
            f"Received {shown(value)}.\nWrite the labels with {SEPARATOR!r} between them, or as "
            "JSON."
        )
    if isinstance(value, str):
        return [part.strip() for part in value.split(SEPARATOR) if part.strip()]
    label = plain_class(value)
    check_class(label)
    return [label]


def is_like_a_list(text: str) -> bool:
    """Whether a text writes a list, or tries to."""
    return written_list(text) is not None or bool(_LIKE_A_LIST.fullmatch(text))


def written_list(text: str) -> list | None:
    """The list that a text writes, as JSON or as Python does; None for any other text.

    NumPy writes arrays without commas, of which Python would make one long label: no list.
    """
    text = text.strip()
    if not text or text[0] not in "[({" or text[-1] not in "])}" or len(text) > LONGEST_LIST:
        return None
    try:
        values = json.loads(text)
    except (ValueError, RecursionError):
        values = ast.literal_eval(text) if _PYTHON_LIST.fullmatch(text) else None
    return (
        sorted(values)
        if isinstance(values, set)
        else list(values)
        if isinstance(values, list | tuple)
        else None
    )


def relabel(column: pd.Series, labels: Mapping | None) -> pd.Series:
    """The column with other names for its labels; None takes a label away.

    Args:
        labels: ``{as it is written: class or None}``. The spelling is compared without blanks
            around it, and as text: 1 stands for ``"1"`` too.

    Returns:
        a column of the same rows. A cell with none of its several labels left is missing.

    Example:
        >>> relabel(pd.Series(["OK", "n/a", "good|OK"]), {"OK": "good", "n/a": None}).tolist()
        ['good', None, ['good']]
    """
    if not labels:
        return column
    names = {spelling(written): name for written, name in labels.items()}
    cells = [
        _renamed(cell, names) if present else None
        for cell, present in zip(column, present_rows(column))
    ]
    return pd.Series(cells, column.index, dtype=object, name=column.name)


def spelling(value) -> str:
    """How a label is written, without blanks around it."""
    return class_text(value)


def _renamed(cell, names: Mapping):
    if isinstance(cell, Mapping):
        return _renamed_keys(cell, names)
    if not isinstance(cell, LISTS) and spelling(cell) in names:
        return names[spelling(cell)]
    several = isinstance(cell, LISTS) or (
        isinstance(cell, str) and (SEPARATOR in cell or written_list(cell))
    )
    if not several:
        return cell
    labels = labels_of(cell)
    if not any(spelling(label) in names for label in labels):
        return cell
    kept = [
        name for name in (names.get(spelling(label), label) for label in labels) if name is not None
    ]
    return list(dict.fromkeys(kept)) if kept or not labels else None


def _renamed_keys(cell: Mapping, names: Mapping) -> dict:
    """0 and 1 by class; of classes that get one name, whether any of them is on."""
    kept = {}
    for label, on in cell.items():
        name = names.get(spelling(label), label)
        if name is not None:
            kept[name] = kept.get(name) or on
    return kept
