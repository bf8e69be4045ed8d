"""Tables of text and labels: loaded and checked, cleaned and saved."""

from __future__ import annotations

import os
from collections.abc import Collection, Sequence
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd

from tf_transfer.checks.characters import mend_halves
from tf_transfer.data import formats, hugging_face
from tf_transfer.data.cleaning import clean_text, find_stop_words
from tf_transfer.data.moved_spans import clean_texts
from tf_transfer.errors import DataError, check_columns, check_texts, setting

__all__ = ["clean_table", "clean_text", "load_table", "save_table"]


def load_table(
    source,
    text: str = "text",
    text_pair: str | None = None,
    *,
    as_text: str | Collection[str] = (),
    encoding: str = "utf-8",
    delimiter: str | None = None,
    quote: str | None = '"',
    decimal: str | None = None,
    drop_empty: bool = False,
) -> pd.DataFrame:
    """A checked table: its text columns hold text in every row.

    In CSV and TSV an empty cell is missing, and nothing else is: ``NA``, ``None`` and ``null``
    are words, in texts and among classes. A column whose other cells are all numbers is the
    exception: there they are gaps.

    A cell is a number only where nothing of it is lost: a column with ``007``, ``1.10``, ``1e5`` or
    an integer beyond 64 bits stays text. Such texts still serve as labels of a regression.

    Args:
        source: file (``.csv``, ``.tsv``, ``.jsonl``, ``.ndjson``, each also with ``.gz``;
            ``.parquet``), a DataFrame, which is copied, or a Hugging Face `datasets.Dataset`.
        text: column of texts.
        text_pair: column of second texts, for tasks on pairs.
        as_text: a column, or several, that are text although they look like numbers, such as codes.
        encoding: of a text file; a byte order mark is dropped.
        delimiter: between the cells of a CSV (comma when not given) or TSV (tab); Excel's first
            line ``sep=;`` names it too.
        quote: character around cells that hold a delimiter; None where quotes are plain text.
        decimal: mark of decimal numbers in CSV and TSV where it is not the point, such as ``","``.
        drop_empty: leave out rows without text instead of raising.

    Returns:
        the rows in file order, index 0 to rows - 1. Integers with gaps are Int64.

    Raises:
        DataError: the file is missing or malformed, a column is missing or occurs twice, a text
            is empty or no string, there are no rows. The message names file, line, row or column.

    Example:
        >>> rows = pd.DataFrame({"text": ["fine", " ", "awful"], "stars": [4, 3, 1]})
        >>> load_table(rows, drop_empty=True)["stars"].tolist()
        [4, 1]
    """
    columns = [text] if text_pair is None else [text, text_pair]
    as_text = [as_text] if isinstance(as_text, str) else list(as_text)
    if isinstance(source, pd.DataFrame):
        table, where = source, "the table"
    elif hugging_face.is_dataset(source) or hugging_face.is_dataset_dict(source):
        table, where = hugging_face.from_dataset(source), "the dataset"
    elif isinstance(source, str | os.PathLike):
        path = Path(source)
        options = {"encoding": encoding, "delimiter": delimiter, "quote": quote, "decimal": decimal}
        table = formats.read(path, strings={*columns, *as_text}, **options)
        where = f"file {str(path)!r}"
    else:
        raise DataError(
            "A table is a file's path, a DataFrame or a datasets.Dataset.\nReceived a "
            f"{type(source).__name__}."
        )
    check_columns(table, [*columns, *as_text], where)
    table = table.assign(**{column: _as_text(table[column]) for column in as_text})
    table = _check_texts(table.reset_index(drop=True), columns, where, drop_empty)
    if not len(table):
        raise DataError(f"{where[0].upper() + where[1:]} must have rows with text.\nReceived none.")
    return table


def _as_text(column: pd.Series) -> pd.Series:
    """Every cell as Python writes it; a missing one stays missing."""
    cells = [None if missing else str(cell) for cell, missing in zip(column, column.isna())]
    return pd.Series(cells, column.index, dtype=object).infer_objects()


def save_table(table: pd.DataFrame, path: str | os.PathLike) -> None:
    """Write a table so that `load_table` reads it back; an existing file is replaced in one step.

    Every text and number comes back as it was, an empty text as a missing one. CSV and TSV hold
    nothing else: dates and truth values come back as text, lists of labels as ``a|b``.

    Args:
        path: file; its extension names the format, as in `load_table`.

    Raises:
        DataError: unknown extension, or the file cannot be written. Nothing is half-written.
    """
    formats.write(table, Path(path))


def is_tables(x) -> bool:
    """Whether ``x`` is a DataFrame, or a non-empty list of them."""
    if isinstance(x, pd.DataFrame):
        return True
    return isinstance(x, list | tuple) and bool(x) and all(isinstance(t, pd.DataFrame) for t in x)


def join_tables(x) -> pd.DataFrame:
    """One table of all rows; a column that a table lacks is missing in its rows."""
    if isinstance(x, pd.DataFrame):
        return x
    for table in x:  # pandas would not say which column
        check_columns(table, table.columns)
    return pd.concat(x, ignore_index=True)


def clean_table(
    table: pd.DataFrame,
    text: str = "text",
    text_pair: str | None = None,
    *,
    drop_empty: bool = False,
    **options,
) -> pd.DataFrame:
    """A copy of ``table`` whose texts went through `clean_text`.

    Spans of the texts (lists of dicts with a ``start`` and an ``end``, or a ``text``) move along; a
    text in which a span cannot be followed stays as it is.

    Args:
        drop_empty: leave out rows of which no text remains instead of raising.
        options: of `clean_text`.

    Raises:
        DataError: a column is missing, or no text remains in a row.

    Example:
        >>> clean_table(pd.DataFrame({"text": ["so <i>good</i>"], "stars": [5]}))["text"].tolist()
        ['so good']
    """
    columns = [text] if text_pair is None else [text, text_pair]
    if options.get("stop_words") is not None:
        options["stop_words"] = find_stop_words(options["stop_words"])
    check_columns(table, columns)
    table = _check_texts(table.reset_index(drop=True), columns, "the table", drop_empty)
    clean = partial(clean_text, **options)
    clean_texts(table, text, columns, clean)
    if text_pair is not None:  # spans and answers are of the first texts
        table[text_pair] = [clean(cell) for cell in table[text_pair]]
    return _check_texts(table, columns, "the table after cleaning", drop_empty)


def _check_texts(
    table: pd.DataFrame, columns: Sequence[str], where: str, drop_empty: bool
) -> pd.DataFrame:
    """The rows with text, halves of emoji mended."""
    check_texts(table, columns, where)
    for column in columns:
        missing = table[column].isna().to_numpy(bool)
        empty = missing | np.array(
            [isinstance(cell, str) and not cell.strip() for cell in table[column]], bool
        )
        if empty.any() and not drop_empty:
            rows = np.flatnonzero(empty)
            raise DataError(
                f"Every row of {where} must have text in column {column!r}.\n"
                f"Received {len(rows)} of {len(table)} rows without, first "
                f"{', '.join(map(str, rows[:5]))} (counted from 0).\n"
                f"Fill them in, or set {setting('drop_empty', True)} to leave these rows out."
            )
        if empty.any():
            table = table[~empty].reset_index(drop=True)
        mended = [mend_halves(cell) for cell in table[column]]
        if mended != table[column].tolist():
            table = table.assign(**{column: mended})
    return table
