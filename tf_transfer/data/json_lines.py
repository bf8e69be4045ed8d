"""JSON lines: an object a row, read and written without losing a digit."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd

from tf_transfer.checks.characters import mend_halves
from tf_transfer.data.exact_columns import from_values
from tf_transfer.data.unpacking import check_unpacked
from tf_transfer.errors import DataError, listed

_POINTER = 8
"""Bytes of a cell, at least."""


def parse(content: str, path: Path) -> pd.DataFrame:
    """The table of the objects; a key that an object lacks is a missing cell.

    Raises:
        DataError: a line is no object, a key occurs twice in one, or the objects share so few keys
            that the table would be far larger than the file.
    """
    records = list(_records(content, path))
    columns = dict.fromkeys(key for record in records for key in record)
    check_unpacked(path, len(records) * len(columns) * _POINTER)
    return pd.DataFrame(
        {name: from_values([record.get(name) for record in records]) for name in columns}
    )


def dump(table: pd.DataFrame) -> str:
    """An object for each row; what JSON does not know, such as a date, as text."""
    rows = table.astype(object)
    rows = rows.where(rows.notna(), None)
    lines = [json.dumps(row, default=_plain, ensure_ascii=False) for row in rows.to_dict("records")]
    return mend_halves("".join(line + "\n" for line in lines))


def _records(content: str, path: Path) -> Iterator[dict]:
    # Not splitlines(): JSON text may hold U+2028 and its like as they are.
    for number, line in enumerate(content.split("\n"), start=1):
        if not line.strip():
            continue
        try:
            record = json.loads(line, object_pairs_hook=_unique_keys)
            if not isinstance(record, dict):
                raise ValueError(f"expected an object {{...}}, received {line.strip()[:40]!r}")
        except RecursionError:
            raise DataError(
                f"Line {number} of {str(path)!r} is nested too deeply to be read."
            ) from None
        except ValueError as error:
            raise DataError(
                f"Line {number} of {str(path)!r} is not a JSON object: {error}."
            ) from error
        yield record if "\\u" not in line else _mended(record)


def _unique_keys(pairs: list[tuple]) -> dict:
    record = dict(pairs)
    if len(record) < len(pairs):
        raise ValueError(f"a key occurs twice among {listed([key for key, _ in pairs])}")
    return record


def _mended(value):
    """The value with U+FFFD for halves of a surrogate pair; only an escape can write them in a
    file.
    """
    if isinstance(value, str):
        return mend_halves(value)
    if isinstance(value, dict):
        return {mend_halves(key): _mended(item) for key, item in value.items()}
    return [_mended(item) for item in value] if isinstance(value, list) else value


def _plain(value):
    if isinstance(value, np.ndarray | np.generic):
        return value.tolist()
    return sorted(value, key=str) if isinstance(value, set | frozenset) else str(value)
