"""Spans of texts, moved along when the texts are cleaned."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence

import pandas as pd

from tf_transfer.kinds.answer_spans import can_be_answers
from tf_transfer.kinds.label_columns import LISTS
from tf_transfer.kinds.spans import is_cell_of_spans, is_triple

Clean = Callable[[str], str]
_MARK = "x"


def clean_texts(table: pd.DataFrame, column: str, others: Sequence[str], clean: Clean) -> None:
    """Cleans a column of texts in place, and moves the spans that the columns beside it have of it.

    Args:
        others: columns that hold no spans of these texts.
        clean: of one text. A text in which a span cannot be followed stays as it is.
    """
    texts = table[column].tolist()
    cleaned = [clean(text) for text in texts]
    changed = [row for row, text in enumerate(texts) if text != cleaned[row]]
    cells = {
        place: table.iloc[:, place].tolist()
        for place, name in enumerate(table)
        if name not in (column, *others) and table.dtypes.iloc[place].kind == "O"
    }
    for row in changed:
        moved = {
            place: _move_cell(column_cells[row], texts[row], cleaned[row], clean)
            for place, column_cells in cells.items()
            if _is_cell_of_places(column_cells[row])
        }
        if None in moved.values():
            cleaned[row] = texts[row]
            continue
        for place, cell in moved.items():
            table.iat[row, place] = cell
    table[column] = cleaned


def _is_cell_of_places(cell) -> bool:
    """Whether a cell is a list of dicts with a start and an end or a text, of triples, JSON of
    spans, or lists of answers.
    """
    if can_be_answers(cell) or is_cell_of_spans(cell):
        return True
    return isinstance(cell, LISTS) and len(cell) > 0 and all(map(_has_place, cell))


def _has_place(item) -> bool:
    return isinstance(item, Mapping) and "start" in item and ("end" in item or "text" in item)


def _move_cell(cell, text: str, cleaned: str, clean: Clean):
    """The same spans in ``cleaned``; None where it cannot be said where one of them is."""
    try:
        content = json.loads(cell) if isinstance(cell, str) else cell
        in_columns = isinstance(content, Mapping)
        items = _from_columns(content) if in_columns else content
        moved = [_move_item(item, text, cleaned, clean) for item in items]
    except (TypeError, ValueError, KeyError):  # also of a bad cell, which its task refuses
        return None
    moved = _to_columns(moved) if in_columns else moved
    return json.dumps(moved, ensure_ascii=False) if isinstance(cell, str) else moved


def _from_columns(cell: Mapping) -> list[dict]:
    pairs = zip(cell["answer_start"], cell["text"], strict=True)
    return [{"start": start, "text": text} for start, text in pairs]


def _to_columns(items: list[dict]) -> dict:
    texts = [item["text"] for item in items]
    return {"text": texts, "answer_start": [item["start"] for item in items]}


def _move_item(item, text: str, cleaned: str, clean: Clean):
    """The same of a dict, or of a triple, which stays one."""
    if not is_triple(item):
        return _move(item, text, cleaned, clean)
    start, end, label = item
    moved = _move({"start": start, "end": end}, text, cleaned, clean)
    return type(item)([moved["start"], moved["end"], label])


def _move(span: Mapping, text: str, cleaned: str, clean: Clean) -> dict:
    """Raises:
    ValueError: ``cleaned`` does not have the span behind what is before it.
    """
    first = span["start"]
    end = span["end"] if "end" in span else first + len(span["text"])
    if text[first:end] != span.get("text", text[first:end]):
        raise ValueError(f"The text has something else at {first}.")
    part = clean(text[first:end])
    start = len(clean(text[:first] + _MARK)) - len(_MARK)
    end = start + len(part)
    if not part or cleaned[start:end] != part:
        raise ValueError(f"The span is not at {start}.")
    new = {"start": start, "end": end, "text": part}
    return {name: new.get(name, value) for name, value in span.items()}
