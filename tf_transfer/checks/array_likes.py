"""Lists of Python values from whatever is like a list: how texts, labels and weights are read,
everywhere alike.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence

import numpy as np
import pandas as pd

from tf_transfer.devices.backend import tf
from tf_transfer.errors import DataError, shown


def as_list(values, what: str = "x") -> list:
    """The values, one a row, as plain Python: numbers, text, dates, lists of them.

    Args:
        values: a list, tuple or range; an array or column of NumPy, pandas, pyarrow, SciPy
            (sparse), TensorFlow or Hugging Face `datasets`; a view of a dict; an iterator, which is
            used up.
        what: what to call them in an error.

    Raises:
        DataError: a single value, or a set or mapping, which have no order.
    """
    if hasattr(values, "__array__") and not hasattr(values, "__iter__") and not _is_tensor(values):
        values = np.asarray(values)
    _check_like_a_list(values, what)
    if _is_tensor(values):
        return _of_tensor(values)
    if hasattr(values, "toarray"):  # SciPy's sparse matrices
        values = values.toarray()
    if hasattr(values, "to_pylist"):  # pyarrow
        return values.to_pylist()
    if isinstance(values, np.ndarray) and values.dtype.kind in "mM" and values.ndim == 1:
        # NumPy's own list of dates is one of integers where they are exact to nanoseconds
        values = pd.Series(values)
    rows = values.tolist() if hasattr(values, "tolist") else list(values)
    return [plain_value(row) for row in rows]


def plain_value(value):
    """A value as plain Python; a tuple or an array becomes a list. Bytes stay bytes, but
    TensorFlow's are text.
    """
    if isinstance(value, np.datetime64 | np.timedelta64):
        return pd.Timestamp(value) if isinstance(value, np.datetime64) else pd.Timedelta(value)
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, str | bytes | Mapping):
        return value
    if _is_tensor(value):
        return plain_value(value.numpy()) if value.shape.rank else _text_of_bytes(value.numpy())
    if isinstance(value, list | tuple | np.ndarray):
        return [plain_value(v) for v in value]
    return value.as_py() if hasattr(value, "as_py") else value  # pyarrow


def as_texts(cells: Sequence, what: str = "x") -> list[str]:
    """Cells that all hold text, as `str`; bytes are read as UTF-8.

    Args:
        cells: of `as_list`.
        what: what to call them in an error.

    Raises:
        DataError: a cell holds anything else. It is not turned into text: nobody means "['good',
            'film']".
    """
    texts = [
        _text_of_bytes(cell) if isinstance(cell, bytes | bytearray) else cell for cell in cells
    ]
    for row, text in enumerate(texts):
        if not isinstance(text, str):
            missing = text is None or (pd.api.types.is_scalar(text) and pd.isna(text))
            remedy = (
                "Make it text first, for instance with ' '.join(words) of a list, or str(number)."
            )
            raise DataError(
                f"{what} must hold a text in each row.\nReceived {type(text).__name__} "
                f"{shown(text)} in row {row}.\n"
                + ("Leave out rows without a text." if missing else remedy)
            )
    return texts


def is_batched(x) -> bool:
    """Whether ``x`` is a Keras `Sequence` or the like: batches by number, in a new order each
    epoch.
    """
    return hasattr(x, "__getitem__") and hasattr(x, "__len__") and hasattr(x, "on_epoch_end")


class Stream:
    """An iterator whose first element may be looked at.

    Args:
        iterator: any iterator; it is used up through this object.
    """

    def __init__(self, iterator: Iterator):
        self._iterator = iterator
        self._ahead = []

    def first(self):
        """The next element, which stays in the stream; None at its end."""
        if not self._ahead:
            self._ahead = list(itertools.islice(self._iterator, 1))
        return self._ahead[0] if self._ahead else None

    def __iter__(self):
        return self

    def __next__(self):
        return self._ahead.pop() if self._ahead else next(self._iterator)


def _check_like_a_list(values, what: str) -> None:
    if isinstance(values, str | bytes | bytearray) or getattr(values, "ndim", 1) == 0:
        raise DataError(
            f"{what} must have a value for each row.\nReceived the one value {shown(values)}.\n"
            f"Give a list: [{shown(values)}]."
        )
    if isinstance(values, set | frozenset):
        raise DataError(
            f"{what} must be in order, row by row.\nReceived a {type(values).__name__}, which has "
            "none.\n"
            "Give a list, for instance sorted(values)."
        )
    several = any(
        hasattr(values, name) for name in ("__iter__", "__getitem__", "toarray")
    ) or _is_tensor(values)
    if isinstance(values, Mapping | type) or not several:
        raise DataError(
            f"{what} must be a list, an array, a Series or the like, with a value for each row.\n"
            f"Received {shown(values)}.\nGive the values as a list."
        )


def _is_tensor(value) -> bool:
    return type(value).__module__.partition(".")[0] == "tensorflow"  # without importing it


def _of_tensor(values) -> list:
    if isinstance(values, tf.SparseTensor):
        values = tf.sparse.to_dense(values)
    if hasattr(values, "to_list"):  # of rows of different lengths
        return [_text_of_bytes(row) for row in values.to_list()]
    try:
        return [_text_of_bytes(row) for row in values.numpy().tolist()]
    except (AttributeError, NotImplementedError) as error:
        raise DataError(
            f"Rows must have values to be read.\nReceived a symbolic tensor, {shown(values)}.\n"
            "Give tensors that have been computed, outside of a tf.function."
        ) from error


def _text_of_bytes(value):
    if isinstance(value, list):
        return [_text_of_bytes(v) for v in value]
    if not isinstance(value, bytes | bytearray):
        return value
    try:
        return bytes(value).decode("utf-8")
    except UnicodeDecodeError as error:
        raise DataError(
            f"Bytes are read as text in UTF-8.\nReceived {shown(bytes(value))}, which is none.\n"
            "Decode them first: [text.decode(encoding) for text in texts]."
        ) from error
