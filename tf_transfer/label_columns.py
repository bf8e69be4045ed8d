"""What the cells of a label column say: which are present, whose names they hold, what kind of task they ask for."""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal
from typing import Literal

import numpy as np
import pandas as pd

from tf_transfer.errors import DataError, setting, shown

Kind = Literal["auto", "classification", "multilabel", "regression"]
KINDS = ("auto", "classification", "multilabel", "regression")
SEPARATOR = "|"
"""Between the labels of a multi-label cell in a text file: ``sports|politics``."""

MAX_INFERRED_CLASSES = 20
"""Integer columns with more distinct values than this are taken for regression."""
LISTS = (list, tuple, set, frozenset, np.ndarray)
"""What a cell of several labels may be, beside text."""
LONGEST_LIST = 10_000
"""Characters of a list that is written as text."""
_NUMBER = re.compile(r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?")
_QUOTED_LABEL = r"""(?:'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*")"""
_PYTHON_LIST = re.compile(rf"[\[({{]\s*(?:{_QUOTED_LABEL}(?:\s*,\s*{_QUOTED_LABEL})*,?)?[\])}}]")
_LIKE_A_LIST = re.compile(r"""\s*[\[({]\s*['"].*[\])}]\s*""", re.DOTALL)


def infer_kind(values: pd.Series) -> Kind:
    """The kind of task that a column of labels asks for.

    Lists, also written as text, or text with ``|`` between labels: multilabel. Numbers with a
    fraction, or integers of more than 20 distinct values, or an infinite number (which
    `Task.encode` then reports): regression; so are texts that are all numbers, where one is
    written with a point or an exponent. Everything else: classification.

    Example:
        >>> [infer_kind(pd.Series(v)) for v in (["a", "b"], [1, 2], [1.5, 2.0], ["sports|news", "news"])]
        ['classification', 'classification', 'regression', 'multilabel']
        >>> [infer_kind(pd.Series(v)) for v in (["007", "12"], ["4.50", "3"], ["['a', 'b']", "[]"])]
        ['classification', 'regression', 'multilabel']
    """
    values = values[present_rows(values)]
    if any(isinstance(v, LISTS) for v in values) or any(isinstance(v, str) and SEPARATOR in v for v in values):
        return "multilabel"
    if len(values) and all(isinstance(v, str) and _is_like_a_list(v) for v in values):
        return "multilabel"
    numbers = _measured(values)
    if numbers is None:
        return "classification"
    whole = bool(np.all(np.isfinite(numbers) & (numbers == np.round(numbers))))
    return "classification" if whole and len(np.unique(numbers)) <= MAX_INFERRED_CLASSES else "regression"


def _measured(values: pd.Series) -> np.ndarray | None:
    """(rows,) float64 of a column that may be a measurement; None for names and codes."""
    if pd.api.types.is_bool_dtype(values) or isinstance(values.dtype, pd.CategoricalDtype):
        return None
    if pd.api.types.is_numeric_dtype(values):
        return numbers_of(values)
    if not len(values) or not all(isinstance(v, int | float | str | np.number) for v in values):
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
    if pd.api.types.is_numeric_dtype(column):
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
    if not isinstance(value, int | float | np.number | np.bool_ | Decimal):
        return None
    try:
        return float(value)
    except OverflowError:
        return float("inf") if value > 0 else float("-inf")


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


def check_class(value) -> None:
    """Raises:
    DataError: ``value`` cannot be the name of a class: it is missing, or has parts.
    """
    parts = isinstance(value, (Mapping, *LISTS))
    if parts or value is None or value is pd.NA or value is pd.NaT or value != value:
        raise DataError(
            f"A class must have a name: a text, a number, a truth value or a date.\nReceived {shown(value)}."
        )


def labels_in(
    column: pd.Series, kind: Kind, task: str, where: str = "the training table"
) -> Iterator[tuple[int, Sequence]]:
    """The rows that have labels, each with its labels as they are written; of a classification one.

    Args:
        task, where: for the message.

    Raises:
        DataError: a cell holds several labels but the kind is a classification, or what is no label.
    """
    cells = column.to_numpy(object)
    for row in np.flatnonzero(present_rows(column)):
        cell, place = cells[row], f"in column {column.name!r}, row {row} of {where}"
        if kind != "multilabel" and isinstance(cell, LISTS):
            several = setting("kind", "multilabel", f"--label {column.name}:multilabel")
            raise DataError(
                f"Task {task!r} is a classification: one class in a row.\n"
                f"Received {shown(cell)} {place}.\nSet {several} in the task."
            )
        try:
            if kind != "multilabel":
                check_class(cell)
            labels = labels_of(cell) if kind == "multilabel" else [cell]
        except DataError as error:
            raise DataError(f"Task {task!r}, {place}: {error}") from None
        yield row, labels


def labels_of(value) -> Sequence:
    """The class names in a multi-label cell: a list, a list written as text, or text with ``|``.

    Raises:
        DataError: a label in a list is missing, or is a list or mapping itself; or a text that looks
            like a list is none, such as NumPy's ``['a' 'b']`` without commas.

    Example:
        >>> labels_of("sports | news"), labels_of("['sports', 'news']"), labels_of('["a|b"]'), labels_of("|")
        (['sports', 'news'], ['sports', 'news'], ['a|b'], [])
    """
    written = written_list(value) if isinstance(value, str) else None
    if isinstance(value, LISTS) or written is not None:
        labels = [plain_class(v) for v in (value if written is None else written)]
        for label in labels:
            check_class(label)
        return [label for label in labels if label != ""]
    if isinstance(value, str) and _LIKE_A_LIST.fullmatch(value):
        raise DataError(
            f"A list that is written as text must have commas, and at most {LONGEST_LIST:,} characters.\n"
            f"Received {shown(value)}.\nWrite the labels with {SEPARATOR!r} between them, or as JSON."
        )
    if isinstance(value, str):
        return [part.strip() for part in value.split(SEPARATOR) if part.strip()]
    check_class(value)
    return [plain_class(value)]


def _is_like_a_list(text: str) -> bool:
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
    return sorted(values) if isinstance(values, set) else list(values) if isinstance(values, list | tuple) else None


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
    cells = [_renamed(cell, names) if present else None for cell, present in zip(column, present_rows(column))]
    return pd.Series(cells, column.index, dtype=object, name=column.name)


def spelling(value) -> str:
    """How a label is written, without blanks around it."""
    return str(plain_class(value))


def _renamed(cell, names: Mapping):
    if not isinstance(cell, LISTS) and spelling(cell) in names:
        return names[spelling(cell)]
    several = isinstance(cell, LISTS) or (isinstance(cell, str) and (SEPARATOR in cell or written_list(cell)))
    if not several:
        return cell
    labels = labels_of(cell)
    kept = [name for name in (names.get(spelling(label), label) for label in labels) if name is not None]
    return list(dict.fromkeys(kept)) if kept or not labels else None
