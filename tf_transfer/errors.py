"""How bad input is reported: what is wrong, what was expected, what was received, and the remedy."""

from __future__ import annotations

import difflib
import numbers
import reprlib
from collections.abc import Collection, Iterable

_SHORT = reprlib.Repr()
_SHORT.maxstring = _SHORT.maxother = _SHORT.maxlong = 100


class TransferError(Exception):
    """Base of every error that a user can mend; the command line prints it and exits with code 2."""


class DataError(TransferError, ValueError):
    """A table, column, label or experiment file is not what was expected."""


class AssetError(TransferError, RuntimeError):
    """An encoder or data set could not be fetched, verified or stored."""


class CheckpointError(TransferError, RuntimeError):
    """A saved model or run folder cannot be read or written."""


class TrainingError(TransferError, ArithmeticError):
    """Training cannot go on, for instance because a loss became NaN."""


class DistributionError(TransferError, RuntimeError):
    """The devices or workers that were asked for are not there, do not agree, or were lost."""


class VersionError(TransferError, ImportError):
    """An installed package has a version that this toolkit does not work with."""


def shown(value: object) -> str:
    """The value as Python writes it, cut where it is long.

    Example:
        >>> shown("short"), len(shown("long " * 1000))
        ("'short'", 100)
    """
    return _SHORT.repr(value)


def nearest(name: object, choices: Iterable[str]) -> str:
    """The sentence ``Did you mean '...'?``, or an empty string when nothing is near.

    Example:
        >>> nearest("fine_tun", ["fine_tune", "multi_task"])
        " Did you mean 'fine_tune'?"
    """
    found = difflib.get_close_matches(str(name), [str(c) for c in choices], n=1)
    return f" Did you mean {found[0]!r}?" if found else ""


def listed(names: Collection[object], most: int = 8) -> str:
    """Up to ``most`` names in quotes, and how many were left out."""
    shown = ", ".join(repr(n) for n in list(names)[:most])
    return shown + (f" and {len(names) - most} more" if len(names) > most else "") if names else "none"


def check_choice(what: str, value: object, choices: Collection[str]) -> None:
    """Raises:
    DataError: ``value`` is not one of ``choices``; the message names the nearest one.
    """
    if value not in choices:
        raise DataError(
            f"{what} must be one of {listed(sorted(choices), most=30)}.\nReceived {value!r}.{nearest(value, choices)}"
        )


def is_whole(value: object) -> bool:
    """Whether it is an integer, Python's or NumPy's; a bool is none."""
    return isinstance(value, numbers.Integral) and not isinstance(value, bool)


def check_whole(name: str, value: object, least: int = 1) -> None:
    """Raises:
    DataError: ``value`` is no whole number of at least ``least``.
    """
    if not is_whole(value) or value < least:
        raise DataError(f"{name} must be a whole number of at least {least}.\nReceived {value!r}.")


def check_table(table, where: str = "the table") -> None:
    """Raises:
    DataError: ``table`` is no DataFrame.
    """
    if not hasattr(table, "columns") or not hasattr(table, "iloc"):
        raise DataError(
            f"{where[0].upper() + where[1:]} must be a DataFrame with named columns.\n"
            f"Received a {type(table).__name__}.\nOf a column, for instance, series.to_frame('text') makes one."
        )


def check_columns(table, columns: Iterable[str], where: str = "the table") -> None:
    """Raises:
    DataError: ``table`` is no DataFrame, lacks one of ``columns``, or has two columns of that name.
    """
    check_table(table, where)
    for column in columns:
        count = int((table.columns == column).sum())
        if count > 1:
            raise DataError(
                f"Column {column!r} of {where} must be unique.\n"
                f"Received {count} columns of that name.\nRename or drop all but one."
            )
        if count == 0:
            raise DataError(
                f"{where[0].upper() + where[1:]} must have a column {column!r}.\n"
                f"Received the columns {listed(list(table.columns), most=20)}."
                f"{nearest(column, table.columns)}"
            )
