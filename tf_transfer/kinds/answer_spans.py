"""Answers that stand in a text: as people write them in a cell, and as values of rows."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence

import numpy as np

from tf_transfer.errors import DataError, shown
from tf_transfer.kinds.answers import Ragged

SPAN = np.dtype([("start", np.int64), ("text", object)])
NO_SPAN = np.zeros(0, SPAN)
FORM = (
    "Give {'text': ['in May'], 'answer_start': [17]} with the first character of each answer, or "
    "[{'start': 17, 'text': 'in May'}]. tf_transfer.locate_answers(table) makes such cells of "
    "places alone and of texts alone."
)
_PLACES = ("start", "answer_start")
_BYTES = "surrogatepass"
"""Half a character, which a table may hold, goes into a file too."""


class AnswerSpans(Ragged):
    """Answers of rows: the place of each one's first character in its text, and its characters.

    Args:
        values: (n,) of `SPAN`, those of a row in the order in which they were given.
        lengths: (rows,) int.

    Example:
        >>> spans = AnswerSpans.of_rows([[(17, "in May")], []])
        >>> spans.values["text"].tolist(), spans.ends.tolist(), spans.lengths.tolist()
        (['in May'], [23], [1, 0])
    """

    @classmethod
    def of_rows(cls, rows: Sequence[Sequence[tuple[int, str]]]) -> AnswerSpans:
        """From a list of lists of (start, text)."""
        return cls.of([list(row) for row in rows], NO_SPAN)

    @classmethod
    def unpack(cls, arrays: Mapping[str, np.ndarray]) -> AnswerSpans:
        if set(arrays) != {"starts", "bytes", "sizes", "lengths"}:
            raise ValueError("Answers are starts, bytes, sizes and lengths.")
        starts, sizes, lengths = (arrays[name] for name in ("starts", "sizes", "lengths"))
        content = arrays["bytes"]
        numbers = all(array.dtype.kind in "iu" for array in (starts, sizes, lengths))
        if not numbers or content.dtype != np.uint8:
            raise ValueError("Starts, sizes and lengths are whole numbers, and texts are bytes.")
        if (sizes < 0).any() or starts.shape != sizes.shape or content.shape != (sizes.sum(),):
            raise ValueError("Every answer has a start and some of the bytes.")
        ends = np.cumsum(sizes)
        parts = [content[end - size : end].tobytes() for end, size in zip(ends, sizes)]
        values = np.zeros(len(starts), SPAN)
        values["start"] = starts
        values["text"] = [part.decode("utf-8", _BYTES) for part in parts]
        return cls(values, lengths)

    def pack(self) -> dict[str, np.ndarray]:
        """Arrays without objects: the texts are UTF-8, end to end, with the bytes of each."""
        encoded = [text.encode("utf-8", _BYTES) for text in self.values["text"]]
        return {
            "starts": self.values["start"],
            "bytes": np.frombuffer(b"".join(encoded), np.uint8),
            "sizes": np.fromiter(map(len, encoded), np.int64, len(encoded)),
            "lengths": self.lengths,
        }

    @property
    def ends(self) -> np.ndarray:
        """(n,) int: the character behind the last of each answer."""
        sizes = np.fromiter(map(len, self.values["text"]), np.int64, len(self.values))
        return self.values["start"] + sizes

    @property
    def first(self) -> AnswerSpans:
        """The first answer of each row that has any."""
        some = self.lengths > 0
        return self.like(self.values[self.starts[some]], some.astype(np.int64))


# -- cells -----------------------------------------------------------------------------------------


def is_cell_of_answers(cell) -> bool:
    """Whether a cell can be nothing else: lists ``text`` and ``answer_start``, or JSON of them."""
    if isinstance(cell, str):
        return cell.lstrip().startswith("{") and _is_columns(_parsed(cell))
    return _is_columns(cell)


def can_be_answers(cell) -> bool:
    """Whether a cell has one of the forms that `read_answers` reads, with a text in each answer."""
    if isinstance(cell, str) and cell.lstrip()[:1] not in ("[", "{"):
        return False
    content = _parsed(cell) if isinstance(cell, str) else cell
    if _is_columns(content):
        return True
    return _is_list(content) and len(content) > 0 and all(map(_has_text, content))


def read_answers(cell, place: str) -> list[tuple[int, str]]:
    """``(start, text)`` of each answer of a cell; none where the text does not hold an answer.

    Args:
        cell: ``{"text": […], "answer_start": […]}`` as data sets of Hugging Face have it, a list
            of ``{"start", "text"}``, or JSON of either.
        place: what to call the cell in an error.

    Raises:
        DataError: it is none, or an answer is empty or begins before its text.
    """
    return [_read_item(item, place) for item in items_of(cell, place)]


def items_of(cell, place: str) -> list:
    """The answers of a cell as they are written.

    Raises:
        DataError: it is neither a list nor as many starts as texts.
    """
    content = _parsed(cell) if isinstance(cell, str) else cell
    if _is_columns(content):
        texts, starts = list(content["text"]), list(content["answer_start"])
        if len(texts) == len(starts):
            return [{"start": start, "text": text} for start, text in zip(starts, texts)]
    if not _is_list(content):
        raise DataError(
            f"Answers are a list, or as many starts as texts.\nReceived {shown(cell)} "
            f"{place}.\n{FORM}"
        )
    return list(content)


def start_of(item: Mapping):
    """The first character of an answer, under either of its names; None where it has none."""
    return next((item[name] for name in _PLACES if name in item), None)


def is_place(number) -> bool:
    """Whether a number can be that of a character."""
    whole = isinstance(number, int | np.integer) and not isinstance(number, bool)
    return whole and number >= 0


def _read_item(item, place: str) -> tuple[int, str]:
    text = item.get("text") if isinstance(item, Mapping) else None
    start = start_of(item) if isinstance(item, Mapping) else None
    if not isinstance(text, str) or not text or not is_place(start):
        raise DataError(
            "An answer has a text and the place of its first character, from 0 on.\n"
            f"Received {shown(item)} {place}.\n{FORM}"
        )
    return int(start), text


def _parsed(cell: str):
    """What JSON says; None where it is none."""
    try:
        return json.loads(cell)
    except (ValueError, RecursionError):
        return None


def _has_text(item) -> bool:
    return isinstance(item, Mapping) and "text" in item and start_of(item) is not None


def _is_list(content) -> bool:
    return isinstance(content, list | tuple | np.ndarray)


def _is_columns(content) -> bool:
    names = {"text", "answer_start"}
    return (
        isinstance(content, Mapping)
        and set(content) == names
        and all(_is_list(content[name]) for name in names)
    )
