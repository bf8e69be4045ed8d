"""Labelled spans of texts: as people write them in a cell, and as numbers."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable, Mapping, Sequence

import numpy as np

from tf_transfer.errors import DataError, shown
from tf_transfer.kinds.answers import Ragged

NO_SPAN = np.zeros((0, 3), np.int64)
_FORM = (
    "Give a list of {'start': 0, 'end': 5, 'label': 'person'}, or of (0, 5, 'person'), with the "
    "first character and the one behind the last."
)


class Spans(Ragged):
    """Spans of texts: first character, the one behind the last, and the number of the type.

    Args:
        values: (n, 3) int, those of a row in the order of the text.
        lengths: (rows,) int.
        types: how many types there are.
    """

    def __init__(self, values: np.ndarray, lengths: np.ndarray, types: int):
        super().__init__(values, lengths)
        self.types = types

    @classmethod
    def of_rows(cls, rows: Sequence, types: int) -> Spans:
        """From a list of lists of (start, end, type)."""
        ragged = Ragged.of(rows, NO_SPAN)
        return cls(ragged.values, ragged.lengths, types)

    @classmethod
    def unpack(cls, arrays: Mapping[str, np.ndarray]) -> Spans:
        parts = dict(arrays)
        types = np.asarray(parts.pop("types", -1))
        ragged = Ragged.unpack(parts)
        values = ragged.values
        if types.ndim or types.dtype.kind not in "iu" or types < 1:
            raise ValueError("It needs the number of types.")
        if values.ndim != 2 or values.shape[1] != 3 or values.dtype.kind not in "iu":
            raise ValueError(f"Spans are (n, 3) whole numbers, and not {values.shape}.")
        return cls(values.astype(np.int64), ragged.lengths, int(types))

    def pack(self) -> dict[str, np.ndarray]:
        return super().pack() | {"types": np.array(self.types)}

    def like(self, values: np.ndarray, lengths: np.ndarray) -> Spans:
        return Spans(values, lengths, self.types)


def hits(y: Spans, answers: Spans) -> np.ndarray:
    """(rows, 3 types): how many spans of each type are right, answered and true.

    A span is right where its characters and its type are those of a true one.
    """
    right = np.isin(*_keys(answers, y))
    kept = answers.values[right], answers.row_numbers[right]
    parts = (
        _counts(*kept, len(y), y.types),
        _counts(answers.values, answers.row_numbers, len(y), y.types),
        _counts(y.values, y.row_numbers, len(y), y.types),
    )
    return np.concatenate(parts, axis=1)


def count_types(spans: Spans) -> np.ndarray:
    """(rows, types) int: how many spans of each type each row has."""
    return _counts(spans.values, spans.row_numbers, len(spans), spans.types).astype(np.int64)


def _keys(one: Spans, other: Spans) -> tuple[np.ndarray, np.ndarray]:
    """A number for each span of two, equal where row, characters and type are."""
    both = [np.column_stack([spans.row_numbers, spans.values]) for spans in (one, other)]
    _, keys = np.unique(np.concatenate(both), axis=0, return_inverse=True)
    return tuple(np.split(keys.ravel(), [len(one.values)]))


def _counts(values: np.ndarray, rows: np.ndarray, count: int, types: int) -> np.ndarray:
    """(rows, types) float64: how many of the spans each row has of each type."""
    places = rows * types + values[:, 2]
    return np.bincount(places, minlength=count * types).reshape(count, types).astype(np.float64)


def all_right(y: Spans, answers: Spans) -> np.ndarray:
    """(rows,): 1 where all spans of a row are right and none is missing, else 0."""
    right, answered, true = (part.sum(1) for part in np.split(hits(y, answers), 3, axis=1))
    return ((right == answered) & (right == true)) * 1.0


# -- cells -----------------------------------------------------------------------------------------


def is_cell_of_spans(cell) -> bool:
    """Whether a cell can be nothing else: a list of dicts with a start or of triples with two
    places, or such a list as text.
    """
    if isinstance(cell, str):
        start = cell.lstrip()
        if start.startswith("[["):
            return _is_list_of(is_triple, _parsed(cell))
        return start.startswith("[{") and '"start"' in start
    return _is_list_of(_has_start, cell) or _is_list_of(is_triple, cell)


def is_triple(item) -> bool:
    """Whether an item is (start, end, label) with two places of characters."""
    if not _is_list(item) or len(item) != 3:
        return False
    places = [isinstance(place, int | np.integer) for place in item[:2]]
    return all(places) and not any(isinstance(place, bool) for place in item[:2])


def read_cell(cell, place: str) -> list[tuple[int, int, object]]:
    """``(start, end, label)`` of each span of a cell, in the order of the text.

    Args:
        cell: a list of dicts or of triples, or JSON of one.
        place: what to call the cell in an error.

    Raises:
        DataError: it is none; a span is reversed, empty or before the text; or two overlap.
    """
    items = _from_json(cell, place) if isinstance(cell, str) else cell
    if not _is_list(items):
        raise DataError(f"Spans are a list.\nReceived {shown(cell)} {place}.\n{_FORM}")
    spans = sorted((_read_item(item, place) for item in items), key=lambda span: span[:2])
    for before, span in itertools.pairwise(spans):
        if span[0] < before[1]:
            raise DataError(
                f"Spans must not overlap.\nReceived {before} and {span} {place}.\n"
                "Keep one of them, or make a task of each sort."
            )
    return spans


def _from_json(cell: str, place: str):
    try:
        return json.loads(cell)
    except ValueError as error:
        raise DataError(
            f"Spans that are text must be JSON.\nReceived {shown(cell)} {place}: {error}.\n{_FORM}"
        ) from None


def _parsed(cell: str):
    """What JSON says; None where it is none."""
    try:
        return json.loads(cell)
    except (ValueError, RecursionError):
        return None


def _is_list_of(condition: Callable, cell) -> bool:
    return _is_list(cell) and len(cell) > 0 and all(map(condition, cell))


def _is_list(cell) -> bool:
    return isinstance(cell, list | tuple | np.ndarray)


def _has_start(item) -> bool:
    return isinstance(item, Mapping) and {"start", "end", "label"} <= set(item)


def _read_item(item, place: str) -> tuple[int, int, object]:
    if _has_start(item):
        start, end, label = item["start"], item["end"], item["label"]
    elif _is_list(item) and len(item) == 3:
        start, end, label = item
    else:
        raise DataError(
            f"A span has a start, an end and a label.\nReceived {shown(item)} {place}.\n{_FORM}"
        )
    try:
        first, behind = int(start), int(end)
    except (TypeError, ValueError, OverflowError):
        first, behind = 0, 0
    if (first, behind) != (start, end) or not 0 <= first < behind:
        raise DataError(
            "A span begins at a character from 0 on and ends behind it.\n"
            f"Received start={shown(start)}, end={shown(end)} {place}.\n{_FORM}"
        )
    return first, behind, label
