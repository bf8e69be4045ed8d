"""File formats of tables: CSV, TSV, JSON lines and Parquet, strictly read and safely written."""

from __future__ import annotations

import codecs
import contextlib
import gzip
from collections.abc import Collection
from pathlib import Path

import pandas as pd

from tf_transfer.data import arrow_tables, delimited, json_lines
from tf_transfer.data.delimited import DELIMITERS
from tf_transfer.data.unpacking import read_bytes
from tf_transfer.errors import DataError, check_columns, nearest, setting, shown
from tf_transfer.files.storage import whole_file

JSON_LINES = (".jsonl", ".ndjson")
PARQUET = ".parquet"
EXTENSIONS = (*DELIMITERS, *JSON_LINES, PARQUET)
NO_TEXT_FILE = frozenset({"idna", "punycode", "undefined", "unicode-escape", "raw-unicode-escape"})
"""Encodings of names or of program text, of which no table is written."""


def extension(path: Path) -> str:
    """The extension that names the format, without ``.gz``.

    Raises:
        DataError: it is not one of `EXTENSIONS`.
    """
    name = path.name.lower()
    suffix = Path(name.removesuffix(".gz")).suffix
    if suffix not in EXTENSIONS or (suffix == PARQUET and name.endswith(".gz")):
        raise DataError(
            f"The format of a table is told by its extension: {', '.join(EXTENSIONS)} (text "
            f"formats also with .gz).\nReceived {str(path)!r}.{nearest(suffix, EXTENSIONS)}"
        )
    return suffix


def read(
    path: Path,
    *,
    strings: Collection[str] = (),
    encoding: str = "utf-8",
    delimiter: str | None = None,
    quote: str | None = '"',
    decimal: str | None = None,
) -> pd.DataFrame:
    """The table in a file, with the types that its cells show.

    In CSV and TSV an empty cell is missing, and nothing else is: ``NA``, ``None`` and ``null``
    are words, but gaps in a column of numbers. A cell is a number only where nothing is lost, see
    `exact_columns.from_texts`, and where it does not stand in quotes that others do without.

    Args:
        path: file with one of `EXTENSIONS`; text formats also with ``.gz``.
        strings: columns of a CSV or TSV whose cells stay text as they stand.
        encoding: of a text format; a byte order mark is dropped.
        delimiter: between cells; when not given what Excel's line ``sep=;`` names, else comma for
            ``.csv`` and tab for ``.tsv``.
        quote: character around cells that hold a delimiter; None where quotes are plain text.
        decimal: mark of decimal numbers other than the point.

    Raises:
        DataError: the file is missing, empty or not readable in this format; the message names
            the line.
    """
    suffix = extension(path)
    _check_exists(path)
    _check_encoding(encoding)
    if suffix == PARQUET:
        return arrow_tables.read_parquet(path, encoding)
    content = _decode(read_bytes(path), path, encoding)
    if not content.strip():
        raise DataError(f"File {str(path)!r} is empty.\nExpected a header and rows.")
    if suffix in JSON_LINES:
        return json_lines.parse(content, path)
    options = {
        "delimiter": delimiter,
        "default": DELIMITERS[suffix],
        "quote": quote,
        "decimal": decimal,
    }
    return delimited.parse(content, path, strings=strings, **options)


def likely_delimiter(path: Path, encoding: str = "utf-8") -> str | None:
    """What separates the cells of a CSV or TSV by its header, where that is not what its name says.

    Raises:
        DataError: as `read`.
    """
    default = DELIMITERS.get(extension(path))
    _check_exists(path)
    if default is None:
        return None
    header = _decode(read_bytes(path), path, encoding).lstrip("\r\n").split("\n", 1)[0]
    return None if default in header else delimited.guess_delimiter(header)


def write(table: pd.DataFrame, path: Path) -> None:
    """Write ``table`` under a temporary name, then rename: ``path`` holds all of it or is
    untouched.

    `read` gives every text and number back; a date or truth value comes back as text from CSV and
    TSV, which hold nothing else. Cells that are lists are written there as ``a|b``, an empty list
    as ``|``, and as JSON where a label holds ``|`` or is no text; mappings are JSON.

    Raises:
        DataError: the extension is unknown, or the file cannot be written.
    """
    suffix = extension(path)
    check_columns(table, table.columns[table.columns.duplicated()])
    with whole_file(path, DataError) as temporary:
        try:
            if suffix == PARQUET:
                table.to_parquet(temporary, index=False)
            else:
                temporary.write_bytes(_pack(_to_text(table, suffix), path))
        except (ValueError, TypeError, OverflowError, NotImplementedError) as error:
            raise DataError(
                f"File {str(path)!r} could not be written: {error}.\nNothing was changed; mend "
                "this and try again."
            ) from error


def _to_text(table: pd.DataFrame, suffix: str) -> str:
    if suffix in JSON_LINES:
        return json_lines.dump(table)
    return delimited.dump(table, DELIMITERS[suffix])


def _pack(content: str, path: Path) -> bytes:
    data = content.encode("utf-8")
    return gzip.compress(data, mtime=0) if path.suffix.lower() == ".gz" else data


def _check_exists(path: Path) -> None:
    if path.is_file():
        return
    if path.is_dir():
        raise DataError(f"A table must be a file.\nReceived the folder {str(path)!r}.")
    folder = path.parent
    if not folder.is_dir():
        raise DataError(
            f"File {str(path)!r} does not exist, nor does its folder {str(folder.absolute())!r}."
        )
    siblings = [p.name for p in folder.iterdir() if p.is_file()]
    raise DataError(
        f"File {path.name!r} does not exist in "
        f"{str(folder.absolute())!r}.{nearest(path.name, siblings)}"
    )


def _check_encoding(encoding: str) -> str:
    """Python's own name of an encoding of texts."""
    try:
        name = codecs.lookup(encoding).name
        if name in NO_TEXT_FILE:
            raise LookupError
        with contextlib.suppress(UnicodeError):
            b"ab".decode(encoding)
        return name
    except (LookupError, ValueError, TypeError) as error:
        raise DataError(
            f"Python knows no encoding {shown(encoding)}.\nSet {setting('encoding', 'utf-8')}, or "
            "'cp1252'."
        ) from error


def _decode(data: bytes, path: Path, encoding: str) -> str:
    name = _check_encoding(encoding)
    try:
        content = data.decode("utf-8-sig" if name == "utf-8" else encoding).removeprefix("\ufeff")
    except UnicodeError as error:
        raise _wrong_encoding(data, path, encoding, getattr(error, "start", 0)) from error
    likely = _wide_encoding(data)
    if name == "utf-8" and likely:
        raise _wrong_encoding(data, path, encoding, data.index(0))
    return content


def _wrong_encoding(data: bytes, path: Path, encoding: str, start: int) -> DataError:
    line = data.count(b"\n", 0, start) + 1
    likely = _wide_encoding(data) or "cp1252"
    return DataError(
        f"File {str(path)!r} is not {encoding}.\n"
        f"Received byte 0x{data[start]:02x} at offset {start}, line {line}.\n"
        f"Name its encoding, for instance {setting('encoding', likely)}, or save it as UTF-8."
    )


def _wide_encoding(data: bytes) -> str | None:
    """UTF-16 or UTF-32, told by its mark, or by the zero bytes that Latin letters have there."""
    if data[:4] in (codecs.BOM_UTF32_LE, codecs.BOM_UTF32_BE):
        return "utf-32"
    if data[:2] in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE):
        return "utf-16"
    even, odd = data[:4096:2], data[1:4096:2]
    if 2 * odd.count(0) > len(odd) > 0 and not even.count(0):
        return "utf-16-le"
    return "utf-16-be" if 2 * even.count(0) > len(even) > 0 and not odd.count(0) else None
