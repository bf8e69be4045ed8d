"""What a class may be: text, numbers, dates and the like; how it comes back with the type that went
in.
"""

from __future__ import annotations

import datetime
import decimal
from collections.abc import Collection, Sequence

import numpy as np
import pandas as pd

from tf_transfer.errors import DataError

CLASS_TYPES = (
    str,
    bytes,
    bool,
    int,
    float,
    decimal.Decimal,
    datetime.date,
    datetime.time,
    datetime.timedelta,
    pd.Interval,
    pd.Period,
)
"""Dates with a time, pandas' `Timestamp` and `Timedelta` are among them: they are subclasses."""


def plain_class(value):
    """A class name as plain Python: 3.0 in a column with gaps is the class 3."""
    value = typed_class(value)
    return int(value) if isinstance(value, float) and value.is_integer() else value


def typed_class(value):
    """A class name as plain Python, of the type that it has."""
    if isinstance(value, np.datetime64 | np.timedelta64):
        return pd.Timestamp(value) if isinstance(value, np.datetime64) else pd.Timedelta(value)
    value = value.item() if isinstance(value, np.generic) else value
    return value.strip() if isinstance(value, str) else value


def unified(classes: Collection, gaps: bool = False) -> list:
    """Classes of a column, of one type: whole floats are integers, unless all classes are floats.

    Args:
        gaps: the column has rows without a label, for which pandas makes integers floats.
    """
    if classes and all(isinstance(c, float) for c in classes) and not gaps:
        return list(classes)
    return [plain_class(c) for c in classes]


def class_text(value) -> str:
    """A class as a text file has it, the same for 3 and 3.0, "neg" and b"neg"."""
    if isinstance(value, bytes):
        return value.decode("utf-8", errors="replace").strip()
    return str(plain_class(value))


def class_array(classes: Sequence) -> np.ndarray:
    """(classes,) of the classes' own type where that is one of NumPy's numbers or bools, else of
    objects.
    """
    kinds = {type(c) for c in classes}
    if kinds in ({int}, {float}, {bool}):
        try:
            return np.array(
                classes, dtype={int: np.int64, float: np.float64, bool: np.bool_}[kinds.pop()]
            )
        except OverflowError:  # beyond 64 bits
            pass
    array = np.empty(len(classes), object)
    array[:] = classes
    return array


# -- JSON ------------------------------------------------------------------------------------------

_WRITE = {
    "timestamp": (pd.Timestamp, lambda c: c.isoformat()),
    "timedelta": (pd.Timedelta, lambda c: c.isoformat()),
    "datetime": (datetime.datetime, lambda c: c.isoformat()),
    "date": (datetime.date, lambda c: c.isoformat()),
    "time": (datetime.time, lambda c: c.isoformat()),
    "duration": (datetime.timedelta, lambda c: [c.days, c.seconds, c.microseconds]),
    "decimal": (decimal.Decimal, str),
    "bytes": (bytes, bytes.hex),
    "interval": (pd.Interval, lambda c: [class_to_json(c.left), class_to_json(c.right), c.closed]),
    "period": (pd.Period, lambda c: [str(c), c.freqstr]),
}
"""By the name in the file: the type, and how it is written; a subclass stands before its base."""

_READ = {
    "timestamp": pd.Timestamp,
    "timedelta": pd.Timedelta,
    "datetime": datetime.datetime.fromisoformat,
    "date": datetime.date.fromisoformat,
    "time": datetime.time.fromisoformat,
    "duration": lambda parts: datetime.timedelta(*parts),
    "decimal": decimal.Decimal,
    "bytes": bytes.fromhex,
    "interval": lambda parts: pd.Interval(
        class_from_json(parts[0]), class_from_json(parts[1]), parts[2]
    ),
    "period": lambda parts: pd.Period(parts[0], freq=parts[1]),
}


def class_to_json(value):
    """A class for a JSON file: itself where JSON has its type, else ``{type: text}``."""
    for name, (kind, write) in _WRITE.items():
        if isinstance(value, kind):
            return {name: write(value)}
    return value


def class_from_json(content):
    """The class that `class_to_json` wrote, of the same type; anything else as it is."""
    if not isinstance(content, dict) or len(content) != 1 or not set(content) <= set(_READ):
        return content
    ((name, written),) = content.items()
    try:
        return _READ[name](written)
    except (ValueError, TypeError, ArithmeticError, LookupError) as error:
        raise DataError(
            f"A class of the type {name!r} must be written as such.\nReceived {content!r}: {error}."
        ) from error
