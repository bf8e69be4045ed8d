"""Arrow's tables, from Parquet files and `datasets`, to pandas without losing a digit."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from tf_transfer.data.unpacking import check_unpacked
from tf_transfer.errors import DataError

_CELL = 8
"""Bytes of a cell in memory, about."""


def read_parquet(path: Path, encoding: str = "utf-8") -> pd.DataFrame:
    """The table of a Parquet file.

    Args:
        encoding: of texts that the file holds as bytes; a column that is not written so stays
            bytes.

    Raises:
        DataError: it cannot be read, or would fill far more memory than its size on the disk.
    """
    import pyarrow
    from pyarrow import parquet

    try:
        file = parquet.ParquetFile(path)
        check_unpacked(path, file.metadata.num_rows * file.metadata.num_columns * _CELL)
        batches, size = [], 0
        for batch in file.iter_batches():
            size += batch.nbytes
            check_unpacked(path, size)
            batches.append(batch)
        return to_pandas(pyarrow.Table.from_batches(batches, file.schema_arrow), encoding)
    except (OSError, ValueError, NotImplementedError, KeyError, pyarrow.ArrowException) as error:
        if isinstance(error, DataError):
            raise
        raise DataError(f"File {str(path)!r} cannot be read as Parquet: {error}.") from error


def to_pandas(table, encoding: str = "utf-8") -> pd.DataFrame:
    """A `pyarrow.Table` as a DataFrame: integers with gaps as Int64, bytes that are text as
    text.
    """
    import pyarrow

    frame = table.to_pandas(integer_object_nulls=True)
    for field in table.schema:
        if field.name not in frame:
            continue  # pandas made it the index
        column = frame[field.name]
        if pyarrow.types.is_integer(field.type) and column.dtype == object:
            kind = "UInt64" if pyarrow.types.is_unsigned_integer(field.type) else "Int64"
            frame[field.name] = column.astype(kind)
        elif pyarrow.types.is_binary(field.type) or pyarrow.types.is_large_binary(field.type):
            frame[field.name] = _decoded(column, encoding)
    return frame


def _decoded(column: pd.Series, encoding: str) -> pd.Series:
    try:
        cells = [cell.decode(encoding) if isinstance(cell, bytes) else None for cell in column]
    except UnicodeDecodeError:
        return column
    return pd.Series(cells, column.index, dtype=object)
