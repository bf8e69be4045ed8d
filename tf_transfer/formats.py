"""File formats of tables: CSV, TSV, JSON lines and Parquet, strictly read and safely written."""

from __future__ import annotations

import codecs
import csv
import gzip
import io
import json
import zlib
from collections.abc import Collection, Iterator
from pathlib import Path

import pandas as pd

from tf_transfer.errors import DataError, listed, nearest
from tf_transfer.label_columns import SEPARATOR
from tf_transfer.storage import whole_file

DELIMITERS = {".csv": ",", ".tsv": "\t"}
JSON_LINES = (".jsonl", ".ndjson")
PARQUET = ".parquet"
EXTENSIONS = (*DELIMITERS, *JSON_LINES, PARQUET)
MISSING_NUMBERS = frozenset({"na", "n/a", "#n/a", "<na>", "nan", "-nan", "null", "none"})
"""How other programs write a missing number. Only a column of numbers reads these as missing."""


def extension(path: Path) -> str:
    """The extension that names the format, without ``.gz``.

    Raises:
        DataError: it is not one of `EXTENSIONS`.
    """
    name = path.name.lower()
    suffix = Path(name.removesuffix(".gz")).suffix
    if suffix not in EXTENSIONS or (suffix == PARQUET and name.endswith(".gz")):
        raise DataError(
            f"The format of a table is told by its extension: {', '.join(EXTENSIONS)} "
            f"(text formats also with .gz).\nReceived {str(path)!r}.{nearest(suffix, EXTENSIONS)}"
        )
    return suffix


def read(
    path: Path,
    *,
    strings: Collection[str] = (),
    encoding: str = "utf-8",
    delimiter: str | None = None,
    quote: str | None = '"',
) -> pd.DataFrame:
    """The table in a file, with the types that its cells show.

    In CSV and TSV an empty cell is missing, and nothing else is: ``NA``, ``None`` and ``null``
    are words. A column whose other cells are all numbers is the exception: there they are gaps.

    Args:
        path: file with one of `EXTENSIONS`; text formats also with ``.gz``.
        strings: columns of a CSV or TSV whose cells stay text as they stand.
        encoding: of a text format; a UTF-8 byte order mark is dropped.
        delimiter: between cells; comma for ``.csv`` and tab for ``.tsv`` when not given.
        quote: character around cells that hold a delimiter; None where quotes are plain text.

    Raises:
        DataError: the file is missing, empty or not readable in this format; the message names
            the line.
    """
    suffix = extension(path)
    _check_exists(path)
    if suffix == PARQUET:
        return _read_parquet(path)
    content = _read_text(path, encoding)
    if not content.strip():
        raise DataError(f"File {str(path)!r} is empty.\nExpected a header and rows.")
    if suffix in JSON_LINES:
        return pd.DataFrame(list(_parse_json_lines(content, path)))
    _check_delimiter(content, path, delimiter, DELIMITERS[suffix])
    header, rows = _parse_delimited(content, path, delimiter or DELIMITERS[suffix], quote)
    columns = zip(*rows) if rows else [()] * len(header)
    table = pd.DataFrame(
        {
            name: pd.Series(cells, dtype=str) if name in strings else _infer(cells)
            for name, cells in zip(header, columns)
        }
    )
    return table.drop(columns="") if "" in table else table


def write(table: pd.DataFrame, path: Path) -> None:
    """Write ``table`` under a temporary name, then rename: ``path`` holds all of it or is untouched.

    Cells that are lists are written to CSV and TSV as ``a|b``, an empty list as ``|``.

    Raises:
        DataError: the extension is unknown, or the file cannot be written.
    """
    suffix = extension(path)
    with whole_file(path, DataError) as temporary:
        try:
            _write(table, temporary, suffix, "gzip" if path.suffix.lower() == ".gz" else None)
        except (ValueError, TypeError) as error:
            raise DataError(
                f"File {str(path)!r} could not be written: {error}.\nNothing was changed; mend this and try again."
            ) from error


def _write(table: pd.DataFrame, path: Path, suffix: str, compression: str | None) -> None:
    if suffix == PARQUET:
        table.to_parquet(path, index=False)
    elif suffix in JSON_LINES:
        options = {"force_ascii": False, "double_precision": 15, "compression": compression}
        table.to_json(path, orient="records", lines=True, **options)
    else:
        # Every text is quoted: a lone carriage return would otherwise end the row.
        options = {"quoting": csv.QUOTE_NONNUMERIC, "compression": compression}
        table.map(_join_labels).to_csv(path, sep=DELIMITERS[suffix], index=False, **options)


def _join_labels(cell):
    return (SEPARATOR.join(map(str, cell)) or SEPARATOR) if isinstance(cell, list | tuple) else cell


def _check_exists(path: Path) -> None:
    if path.is_file():
        return
    if path.is_dir():
        raise DataError(f"A table must be a file.\nReceived the folder {str(path)!r}.")
    folder = path.parent
    if not folder.is_dir():
        raise DataError(f"File {str(path)!r} does not exist, nor does its folder {str(folder.absolute())!r}.")
    siblings = [p.name for p in folder.iterdir() if p.is_file()]
    raise DataError(f"File {path.name!r} does not exist in {str(folder.absolute())!r}.{nearest(path.name, siblings)}")


def _read_text(path: Path, encoding: str) -> str:
    try:
        data = gzip.decompress(path.read_bytes()) if path.suffix.lower() == ".gz" else path.read_bytes()
    except (OSError, EOFError, zlib.error) as error:
        raise DataError(f"File {str(path)!r} cannot be read: {error}.") from error
    try:
        return data.decode("utf-8-sig" if codecs.lookup(encoding).name == "utf-8" else encoding)
    except LookupError as error:
        raise DataError(f"Python knows no encoding {encoding!r}; try 'utf-8' or 'cp1252'.") from error
    except UnicodeError as error:
        start = getattr(error, "start", 0)
        line = data.count(b"\n", 0, start) + 1
        likely = "utf-16" if data[:2] in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE) else "cp1252"
        raise DataError(
            f"File {str(path)!r} is not {encoding}.\n"
            f"Received byte 0x{data[start]:02x} at offset {start}, line {line}.\n"
            f"Name its encoding, for instance encoding={likely!r}, or save it as UTF-8."
        ) from error


def _check_delimiter(content: str, path: Path, given: str | None, default: str) -> None:
    header = content.lstrip("\r\n").splitlines()[0]
    others = [d for d in (",", ";", "\t", "|") if d in header]
    if given is None and default not in header and others:
        raise DataError(
            f"The cells of {str(path)!r} must be separated by {default!r}.\n"
            f"Received the header {header[:80]!r}, which looks separated by {others[0]!r}.\n"
            f"Pass delimiter={others[0]!r}."
        )


def _parse_delimited(content: str, path: Path, delimiter: str, quote: str | None):
    quoting = csv.QUOTE_MINIMAL if quote else csv.QUOTE_NONE
    reader = csv.reader(
        io.StringIO(content, newline=""), delimiter=delimiter, quotechar=quote, quoting=quoting, strict=True
    )
    limit = csv.field_size_limit(2**31 - 1)
    start = 1
    header, rows = [], []
    try:
        for row in reader:
            if row and not header:
                header = [name.strip() for name in row]
            elif row:
                _check_width(row, header, path, start)
                rows.append(row)
            start = reader.line_num + 1
    except csv.Error as error:
        raise DataError(
            f"Line {start} of {str(path)!r} is malformed: {error}.\n"
            "A quote inside a quoted cell is written twice; where quotes are plain text, pass quote=None."
        ) from error
    finally:
        csv.field_size_limit(limit)
    _check_header(header, rows, path)
    return header, rows


def _check_width(row: list[str], header: list[str], path: Path, line: int) -> None:
    if len(row) != len(header):
        raise DataError(
            f"Every row of {str(path)!r} must have the header's {len(header)} cells {listed(header)}.\n"
            f"Received {len(row)} in line {line}, which starts {row[0][:40]!r}.\n"
            "Quote the cells that hold a delimiter; leave a missing cell empty but keep its delimiter."
        )


def _check_header(header: list[str], rows: list[list[str]], path: Path) -> None:
    for name in header:
        places = [i + 1 for i, other in enumerate(header) if other == name]
        if len(places) > 1 and name:
            raise DataError(
                f"Column {name!r} of file {str(path)!r} must be unique.\n"
                f"Received {len(places)} columns of that name, at {places}.\nRename or drop all but one."
            )
    # pandas writes its index as a first column without a name.
    is_index = header[0] == "" and [row[0] for row in rows] == [str(i) for i in range(len(rows))]
    if header.count("") - is_index > 0:
        raise DataError(
            f"Every column of file {str(path)!r} must have a name.\n"
            f"Received none for column {header.index('', is_index) + 1} of {len(header)}."
        )


def _infer(cells: tuple[str, ...]) -> pd.Series:
    column = pd.Series(cells, dtype=str)
    stripped = column.str.strip()
    empty = stripped == ""
    words = stripped.mask(empty | stripped.str.lower().isin(MISSING_NUMBERS))
    numbers = pd.to_numeric(words, errors="coerce")
    if words.notna().any() and numbers.notna().sum() == words.notna().sum():
        # to_numeric of pandas 2 may miss the nearest float by one bit; astype does not.
        return words.astype(float) if numbers.dtype == float else numbers
    return column.mask(empty)


def _parse_json_lines(content: str, path: Path) -> Iterator[dict]:
    # Not splitlines(): JSON text may hold U+2028 and its like as they are.
    for number, line in enumerate(content.split("\n"), start=1):
        if not line.strip():
            continue
        try:
            record = json.loads(line, object_pairs_hook=_unique_keys)
            if not isinstance(record, dict):
                raise ValueError(f"expected an object {{...}}, received {line.strip()[:40]!r}")
        except ValueError as error:
            raise DataError(f"Line {number} of {str(path)!r} is not a JSON object: {error}.") from error
        yield record


def _unique_keys(pairs: list[tuple]) -> dict:
    record = dict(pairs)
    if len(record) < len(pairs):
        raise ValueError(f"a key occurs twice among {listed([key for key, _ in pairs])}")
    return record


def _read_parquet(path: Path) -> pd.DataFrame:
    try:
        return pd.read_parquet(path)
    except (OSError, ValueError) as error:
        raise DataError(f"File {str(path)!r} cannot be read as Parquet: {error}.") from error
