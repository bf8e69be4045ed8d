"""Answers that are written as texts or as places alone, to cells that hold both."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
import pandas as pd

from tf_transfer.checks.array_likes import as_list, as_texts
from tf_transfer.errors import DataError, LabelWarning, check_columns, nearest, shown
from tf_transfer.kinds.answer_spans import is_cell_of_answers, is_place, items_of, start_of
from tf_transfer.kinds.label_columns import present_rows

_BEGINNING = 60
"""Characters of a text that a message shows."""


def locate_answers(
    table: pd.DataFrame, answers: str = "answers", text: str = "text"
) -> pd.DataFrame:
    """A table whose answers have a text and a place, as a `Task` of kind ``"span"`` reads them.

    Args:
        table: with a column of texts and one of answers.
        answers: the column of answers. A cell holds one answer or a list of answers, of which each
            is a text that occurs in its row's text, ``(start, end)`` or ``{"start", "end"}`` in
            characters, ``{"start", "text"}``, or ``{"text"}``; or it is one that `Task` reads
            already. An empty list says that the text holds no answer, a missing cell nothing.
        text: the column of texts.

    Returns:
        The same columns; those of the answers are ``{"text": […], "answer_start": […]}``. A text
        that occurs several times is placed where it occurs first, and counted in a `LabelWarning`.

    Raises:
        DataError: an answer that is not in its text, or none of these; the message names the row.

    Example:
        >>> rows = {"text": ["It rained in May."], "answers": [["in May", (0, 2)]]}
        >>> locate_answers(pd.DataFrame(rows))["answers"][0]
        {'text': ['in May', 'It'], 'answer_start': [10, 0]}
    """
    check_columns(table, [text, answers])
    texts = as_texts(as_list(table[text]), f"Column {text!r}")
    cells, doubtful = np.full(len(table), None, object), []
    for row in np.flatnonzero(present_rows(table[answers])):
        place = f"in column {answers!r}, row {row}"
        items = [_parts(item, place) for item in _items(table[answers].iloc[row], place)]
        starts = [_start(item, texts[row], place) for item in items]
        ends = [_end(item, start) for item, start in zip(items, starts)]
        written = [texts[row][start:end] for start, end in zip(starts, ends)]
        cells[row] = {"text": written, "answer_start": starts}
        doubtful += [row for item in items if _is_doubtful(item, texts[row])]
    if doubtful:
        warnings.warn(
            f"{len(doubtful)} answers occur several times in their text, and are placed where they "
            f"occur first; the first is in row {doubtful[0]}.",
            LabelWarning,
            stacklevel=2,
        )
    return table.assign(**{answers: pd.Series(cells, table.index, dtype=object)})


class _Parts(NamedTuple):
    """What is written of an answer; the rest is None."""

    start: int | None = None
    end: int | None = None
    text: str | None = None


def _items(cell, place: str) -> list:
    """The answers of a cell: a list of them, or one."""
    if isinstance(cell, str) and cell.lstrip()[:1] not in ("[", "{"):
        return [cell]
    alone = isinstance(cell, Mapping) and not is_cell_of_answers(cell)
    return [cell] if alone or _is_pair(cell) else items_of(cell, place)


def _parts(item, place: str) -> _Parts:
    if isinstance(item, str):
        parts = _Parts(text=item)
    elif _is_pair(item):
        parts = _Parts(*map(int, item))
    elif isinstance(item, Mapping):
        parts = _Parts(start_of(item), item.get("end"), item.get("text"))
    else:
        parts = _Parts()
    places = [number for number in parts[:2] if number is not None]
    known = bool(parts.text) or len(places) == 2
    if not known or not all(map(is_place, places)) or not isinstance(parts.text, str | None):
        raise DataError(
            "An answer is a text, or a first character and the one behind the last, from 0 on.\n"
            f"Received {shown(item)} {place}.\n"
            "Give 'in May', (10, 16), {'start': 10, 'end': 16} or {'start': 10, 'text': 'in May'}."
        )
    return parts


def _start(item: _Parts, text: str, place: str) -> int:
    """Where an answer begins."""
    start = text.find(item.text) if item.start is None else int(item.start)
    end = _end(item, start)
    fits = 0 <= start < end <= len(text)
    if not fits or (item.text is not None and text[start:end] != item.text):
        raise DataError(
            "An answer must stand in its text.\n"
            f"Received {_written(item)} {place}, whose text begins "
            f"{text[:_BEGINNING]!r}.{_nearest(item, text)}\n"
            "Mend the answer, or leave it out. Places count characters, not bytes."
        )
    return start


def _end(item: _Parts, start: int) -> int:
    return int(item.end) if item.text is None else start + len(item.text)


def _written(item: _Parts) -> str:
    parts = {name: value for name, value in item._asdict().items() if value is not None}
    return shown(item.text if set(parts) == {"text"} else parts)


def _nearest(item: _Parts, text: str) -> str:
    """What of a text is most like an answer that is not in it."""
    own, words = (item.text or "").split(), text.split()
    firsts = range(len(words) - len(own) + 1)
    parts = [" ".join(words[first : first + len(own)]) for first in firsts]
    return nearest(item.text, parts) if own else ""


def _is_doubtful(item: _Parts, text: str) -> bool:
    """Whether an answer without a place could stand in several."""
    return item.start is None and text.find(item.text, text.find(item.text) + 1) >= 0


def _is_pair(item) -> bool:
    several = isinstance(item, list | tuple | np.ndarray) and len(item) == 2
    return several and all(map(is_place, item))
