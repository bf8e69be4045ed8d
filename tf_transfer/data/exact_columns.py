"""Columns of a table that say what their cells said: a number only where nothing of the cell is
lost.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence

import numpy as np
import pandas as pd

MISSING_NUMBERS = frozenset({"na", "n/a", "#n/a", "<na>", "nan", "-nan", "null", "none"})
"""How other programs write a missing number. Only a column of numbers reads these as missing."""
LONGEST_NUMBER = 32
"""Characters of a number; a float needs 24, a sign and 19 digits are the longest integer."""
LARGEST_EXACT = 2**53
"""Up to here float64 holds every integer."""


def from_texts(cells: Sequence[str], decimal: str | None = None) -> np.ndarray | pd.Series:
    """The column of a text file: numbers where Python writes each number as its cell is, else text.

    ``7`` and ``0.5`` are numbers; ``007``, ``1.10``, ``1e5`` and integers beyond 64 bits would be
    written otherwise, so that a column with one of them stays text, and no two cells become one.
    An empty cell is missing; `MISSING_NUMBERS` are so among numbers.

    Args:
        decimal: mark of decimal numbers, such as a comma. A column of numbers in which it occurs is
            read as numbers however they are written.

    Returns:
        int64 (Int64 where cells are missing), float64 or text (rows,).
    """
    numbers = _numbers(cells, _exact_number)
    if numbers is None and decimal is not None:
        numbers = _decimal_numbers(cells, decimal)
    if numbers is not None:
        return from_values(numbers)
    return texts(cells)


def texts(cells: Sequence[str]) -> pd.Series:
    """The cells as they are; those that are empty or blank are missing."""
    column = pd.Series(cells, dtype=str)
    blank = [not cell or cell.isspace() for cell in cells]
    return column.mask(blank) if any(blank) else column


def from_values(values: Sequence) -> np.ndarray | pd.Series:
    """A column of Python's values, None where there is none.

    Integers stay integers, as Int64 where some are missing, and as objects beyond 64 bits; among
    numbers with a fraction they become floats only up to `LARGEST_EXACT`.
    """
    kinds = {type(value) for value in values}
    if kinds <= {int, float, type(None)} and int in kinds:
        whole = [value for value in values if type(value) is int]
        if float in kinds:
            exact = max(map(abs, whole)) <= LARGEST_EXACT
            return _floats(values) if exact else pd.Series(values, dtype=object)
        if not -(2**63) <= min(whole) <= max(whole) < 2**63:
            return pd.Series(values, dtype=object)
        return (
            pd.Series(values, dtype="Int64") if type(None) in kinds else np.array(values, np.int64)
        )
    if kinds <= {float, type(None)} and float in kinds:
        return _floats(values)
    if kinds <= {str, type(None)} and str in kinds:
        return pd.Series(values, dtype=str).mask([value is None for value in values])
    return pd.Series(values, dtype=object).infer_objects()


def _floats(values: Sequence) -> np.ndarray:
    return np.array([math.nan if value is None else value for value in values], np.float64)


def _numbers(cells: Sequence[str], read) -> list | None:
    """Numbers and gaps; None where a cell is neither, or where there is no number."""
    numbers = []
    for cell in cells:
        word = cell.strip()
        number = read(word) if word else None
        if number is None and word and word.lower() not in MISSING_NUMBERS:
            return None
        numbers.append(number)
    whole = {number for number in numbers if type(number) is int}
    fractions = {number for number in numbers if type(number) is float}
    if fractions and whole and (whole & fractions or max(map(abs, whole)) > LARGEST_EXACT):
        return None  # 3 and 3.0 would become one
    return numbers if whole or fractions else None


def _exact_number(word: str) -> int | float | None:
    """The number that Python writes as ``word``; None where there is none."""
    if len(word) > LONGEST_NUMBER:
        return None
    try:
        whole = int(word)
        return whole if str(whole) == word and -(2**63) <= whole < 2**63 else None
    except ValueError:
        pass
    try:
        number = float(word)
        return number if repr(number) == word and number == number else None
    except ValueError:
        return None


def _decimal_numbers(cells: Sequence[str], mark: str) -> list[float | None] | None:
    number = re.compile(rf"[+-]?[0-9]+(?:{re.escape(mark)}[0-9]+)?(?:[eE][+-]?[0-9]+)?")
    if not any(mark in cell for cell in cells):
        return None
    return _numbers(
        cells, lambda word: float(word.replace(mark, ".")) if number.fullmatch(word) else None
    )
