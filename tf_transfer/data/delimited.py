"""CSV and TSV: cells between delimiters, strictly read, and written so that text stays text."""

from __future__ import annotations

import csv
import io
import json
import re
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path

import pandas as pd

from tf_transfer.checks.characters import mend_halves
from tf_transfer.data.exact_columns import from_texts, texts
from tf_transfer.errors import DataError, listed, setting, shown
from tf_transfer.kinds.class_types import plain_class
from tf_transfer.kinds.label_columns import CONTAINERS, LISTS, SEPARATOR

DELIMITERS = {".csv": ",", ".tsv": "\t"}
_QUOTED = "\ufdd0"
"""Marks the cells that stand in quotes while a file is split; Unicode keeps this character free for
that.
"""
_EXCEL = re.compile(r'"?sep=(.)"?\r?\n', re.IGNORECASE)
"""Excel's own first line, which names the delimiter."""


def parse(
    content: str,
    path: Path,
    *,
    strings: Collection[str] = (),
    delimiter: str | None = None,
    default: str = ",",
    quote: str | None = '"',
    decimal: str | None = None,
) -> pd.DataFrame:
    """The table in the text of a file; see `formats.read`."""
    _check_characters(delimiter, quote, decimal)
    named = _EXCEL.match(content)
    if named:
        content = content[named.end() :]
        delimiter = delimiter or named[1]
    _check_delimiter(content, path, delimiter, default)
    header, rows = _split(content, path, delimiter or default, quote, first_line=2 if named else 1)
    columns = list(zip(*rows)) if rows else [()] * len(header)
    tells_types = _quotes_tell_types(header, columns)
    table = {}
    for name, cells in zip(map(_bare, header), columns):
        bare = [_bare(cell) for cell in cells]
        quoted = any(cell[:1] == _QUOTED and len(cell) > 1 for cell in cells)
        if name in strings or (quoted and tells_types and decimal is None):
            table[name] = texts(bare)
        else:
            table[name] = from_texts(bare, decimal)
    table.pop("", None)
    return pd.DataFrame(table)


def dump(table: pd.DataFrame, delimiter: str) -> str:
    """Every text in quotes, every number without, so that `parse` can tell them apart."""
    text = io.StringIO()
    # The names without quotes show that those around cells mean text.
    csv.writer(text, delimiter=delimiter, lineterminator="\n").writerow(table.columns)
    columns = {n: _write_lists(table.iloc[:, n]) for n in range(table.shape[1])}
    cells = pd.DataFrame(columns, index=table.index)
    cells.to_csv(
        text,
        sep=delimiter,
        index=False,
        header=False,
        quoting=csv.QUOTE_NONNUMERIC,
        lineterminator="\n",
    )
    return mend_halves(text.getvalue())


def guess_delimiter(content: str) -> str | None:
    """The likely delimiter of a file by its header, None where there is none."""
    named = _EXCEL.match(content)
    if named:
        return named[1]
    header = content.lstrip("\r\n").split("\n", 1)[0]
    return next((d for d in (",", ";", "\t", "|") if d in header), None)


# -- reading ---------------------------------------------------------------------------------------


def _check_characters(delimiter: str | None, quote: str | None, decimal: str | None) -> None:
    given = {"delimiter": delimiter, "quote": quote, "decimal": decimal}
    for name, value in given.items():
        if value is not None and (
            not isinstance(value, str) or len(value) != 1 or value in f"\r\n\0{_QUOTED}"
        ):
            raise DataError(
                f"{name} must be one character, and no line break.\nReceived {shown(value)}."
            )
    if delimiter is not None and delimiter in (quote, decimal):
        raise DataError(
            f"delimiter must differ from quote and decimal.\nReceived {delimiter!r} for both."
        )


def _check_delimiter(content: str, path: Path, given: str | None, default: str) -> None:
    header = content.lstrip("\r\n").split("\n", 1)[0].rstrip("\r")
    likely = guess_delimiter(content)
    if given is None and default not in header and likely:
        raise DataError(
            f"The cells of {str(path)!r} must be separated by {default!r}.\n"
            f"Received the header {header[:80]!r}, which looks separated by {likely!r}.\n"
            f"Set {setting('delimiter', likely)}."
        )


def _split(content: str, path: Path, delimiter: str, quote: str | None, first_line: int):
    """Header and rows; cells that stand in quotes begin with `_QUOTED`."""
    content = content.replace(_QUOTED, "\ufffd")
    if quote:
        content = _mark_quoted(content, delimiter, quote)
    quoting = csv.QUOTE_MINIMAL if quote else csv.QUOTE_NONE
    lines = io.StringIO(content, newline="")
    limit = csv.field_size_limit(2**31 - 1)
    start = first_line
    header, rows = [], []
    try:
        reader = csv.reader(
            lines, delimiter=delimiter, quotechar=quote, quoting=quoting, strict=True
        )
        for row in reader:
            if row and not header:
                header = [
                    _QUOTED + _bare(name).strip() if name[:1] == _QUOTED else name.strip()
                    for name in row
                ]
            elif row:
                _check_width(row, header, path, start)
                rows.append(row)
            start = reader.line_num + first_line
    except csv.Error as error:
        no_quotes = setting("quote", None, command_line="--quote ''")
        raise DataError(
            f"Line {start} of {str(path)!r} is malformed: {error}.\n"
            "A quote inside a quoted cell is written twice; where quotes are plain text, set "
            f"{no_quotes}."
        ) from error
    finally:
        csv.field_size_limit(limit)
    _check_header([_bare(name) for name in header], rows, path)
    return header, rows


def _mark_quoted(content: str, delimiter: str, quote: str) -> str:
    """Puts `_QUOTED` after each quote that opens a cell; stray ones open none."""
    parts = content.split(quote)
    for i in range(1, len(parts), 2):
        before = parts[i - 1]
        if before[-1:] in (delimiter, "\n", "\r") or (i == 1 and not before):
            parts[i] = _QUOTED + parts[i]
    return quote.join(parts)


def _bare(cell: str) -> str:
    return cell[1:] if cell[:1] == _QUOTED else cell


def _quotes_tell_types(header: Sequence[str], columns: Sequence[Sequence[str]]) -> bool:
    """Whether quotes mean text: not where everything stands in quotes, as in some programs'
    exports.
    """
    return any(cell and cell[0] != _QUOTED for cells in (header, *columns) for cell in cells)


def _check_width(row: list[str], header: list[str], path: Path, line: int) -> None:
    if len(row) != len(header):
        names = listed([_bare(name) for name in header])
        raise DataError(
            f"Every row of {str(path)!r} must have the header's {len(header)} cells {names}.\n"
            f"Received {len(row)} in line {line}, which starts {_bare(row[0])[:40]!r}.\n"
            "Quote the cells that hold a delimiter; leave a missing cell empty but keep its "
            "delimiter."
        )


def _check_header(header: list[str], rows: list[list[str]], path: Path) -> None:
    for name, count in Counter(header).items():
        if count > 1 and name:
            places = [i + 1 for i, other in enumerate(header) if other == name]
            raise DataError(
                f"Column {shown(name)} of file {str(path)!r} must be unique.\n"
                f"Received {count} columns of that name, at {places[:20]}.\nRename or drop all but "
                "one."
            )
    # pandas and R write their index as a first column without a name.
    is_index = header[:1] == [""] and any(
        all(_bare(row[0]) == str(i) for i, row in enumerate(rows, first)) for first in (0, 1)
    )
    if header.count("") - is_index > 0:
        raise DataError(
            f"Every column of file {str(path)!r} must have a name.\n"
            f"Received none for column {header.index('', is_index) + 1} of {len(header)}."
        )


# -- writing ---------------------------------------------------------------------------------------


def _write_lists(column: pd.Series) -> pd.Series:
    """A column of lists as text: ``a|b``, or JSON where that would not be read back as it was.
    Mappings are JSON.
    """
    if column.dtype != object or not any(isinstance(cell, CONTAINERS) for cell in column):
        return column
    column = column.map(lambda cell: _to_json(cell) if isinstance(cell, Mapping) else cell)
    labels = [_in_order(cell) if isinstance(cell, LISTS) else None for cell in column]
    plain = all(_is_plain(label) for row in labels if row is not None for label in row)
    join = _join if plain else _to_json
    cells = [cell if row is None else join(row) for cell, row in zip(column, labels)]
    return pd.Series(cells, column.index, dtype=object)


def _in_order(cell) -> list:
    values = sorted(cell, key=str) if isinstance(cell, set | frozenset) else cell
    return [plain_class(value) for value in values]


def _is_plain(label) -> bool:
    return isinstance(label, str) and bool(label) and SEPARATOR not in label and label[0] != "["


def _join(labels: list[str]) -> str:
    return SEPARATOR.join(labels) or SEPARATOR


def _to_json(labels: list | Mapping) -> str:
    return json.dumps(labels, ensure_ascii=False, default=_plain_json)


def _plain_json(value):
    """What JSON does not know: arrays as lists, all else as text."""
    return value.tolist() if hasattr(value, "tolist") else str(value)
