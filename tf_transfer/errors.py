"""How bad input is reported: what is wrong, what was expected, what was received, and the
remedy.
"""

from __future__ import annotations

import contextlib
import contextvars
import difflib
import itertools
import json
import numbers
import reprlib
from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import Literal

Language = Literal["python", "yaml", "command line"]
_LANGUAGE: contextvars.ContextVar[Language] = contextvars.ContextVar("language", default="python")
_SHORT = reprlib.Repr()
_SHORT.maxstring = _SHORT.maxother = _SHORT.maxlong = 100
LONGEST_NAME = 200
"""Names of more characters are not compared to guess which one was meant: that takes their length
squared.
"""
MOST_CHOICES = 10_000
"""Nor are more names than these."""


class TransferError(Exception):
    """Base of every error that a user can mend; the command line prints it and exits with code
    2.
    """


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


class LabelWarning(UserWarning):
    """Labels that differ only in how they are written, or that may mean that there is none."""


class PenaltyWarning(UserWarning):
    """The penalty of a solved head was chosen at an end of what was tried."""


@contextlib.contextmanager
def speaking(language: Language) -> Iterator[None]:
    """Messages of the block name settings as the reader has to write them; see `setting`."""
    token = _LANGUAGE.set(language)
    try:
        yield
    finally:
        _LANGUAGE.reset(token)


def setting(name: str, value: object, command_line: str | None = None) -> str:
    """How a setting is written where the message is read: in Python, an experiment file, or a
    command.

    Args:
        command_line: what to write in a command, where the option's name or value is another.

    Example:
        >>> setting("delimiter", ";")
        "delimiter=';'"
        >>> with speaking("yaml"):
        ...     print(setting("drop_empty", True))
        drop_empty: true
        >>> with speaking("command line"):
        ...     print(setting("drop_empty", True), setting("delimiter", ";"))
        --drop-empty --delimiter ';'
    """
    language = _LANGUAGE.get()
    if language == "python":
        return f"{name}={value!r}"
    if language == "yaml":
        return f"{name}: {json.dumps(value, ensure_ascii=False)}"  # JSON is YAML
    option = f"--{name.replace('_', '-')}"
    return command_line or (option if value is True else f"{option} {value!r}")


def shown(value: object) -> str:
    """The value as Python writes it, cut where it is long.

    Example:
        >>> shown("short"), len(shown("long " * 1000))
        ("'short'", 100)
    """
    return _SHORT.repr(value)


def nearest(name: object, choices: Iterable[str]) -> str:
    """The sentence ``Did you mean '...'?``, or an empty string when nothing but ``name`` itself is
    near.

    Example:
        >>> nearest("fine_tun", ["fine_tune", "multi_task"])
        " Did you mean 'fine_tune'?"
    """
    short = [
        c
        for c in map(str, itertools.islice(choices, MOST_CHOICES))
        if len(c) <= LONGEST_NAME and c != str(name)
    ]
    matches = difflib.get_close_matches(str(name)[:LONGEST_NAME], short, n=1)
    return f" Did you mean {matches[0]!r}?" if matches else ""


def first_line(error: BaseException) -> str:
    """What an error of another library says first, or its kind where it says nothing."""
    return (str(error).strip() or type(error).__name__).splitlines()[0]


def listed(names: Collection[object], most: int = 8) -> str:
    """Up to ``most`` names in quotes, and how many were left out."""
    first = ", ".join(shown(n) for n in list(names)[:most])
    return (
        first + (f" and {len(names) - most} more" if len(names) > most else "") if names else "none"
    )


def differing_keys(a: Mapping, b: Mapping) -> list:
    """The keys of two mappings whose values differ, or that one alone has with a value."""
    return [key for key in dict.fromkeys([*a, *b]) if a.get(key) != b.get(key)]


def check_choice(what: str, value: object, choices: Collection[str]) -> None:
    """Raises:
    DataError: ``value`` is not one of ``choices``; the message names the nearest one.
    """
    if value not in choices:
        raise DataError(
            f"{what} must be one of {listed(sorted(choices), most=30)}.\nReceived "
            f"{value!r}.{nearest(value, choices)}"
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
            f"Received a {type(table).__name__}.\nOf a column, for instance, "
            "series.to_frame('text') makes one."
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
                f"Column {shown(column)} of {where} must be unique.\n"
                f"Received {count} columns of that name.\nRename or drop all but one."
            )
        if count == 0:
            raise DataError(
                f"{where[0].upper() + where[1:]} must have a column {shown(column)}.\n"
                f"Received the columns {listed(list(table.columns), most=20)}."
                f"{nearest(column, table.columns)}"
            )


def check_texts(table, columns: Iterable[str], where: str = "the table") -> None:
    """Raises:
    DataError: a cell of ``columns`` of ``table`` (a DataFrame) is neither text nor missing: a list,
        a mapping or a number is not read as if it were one.
    """
    for column in columns:
        missing = table[column].isna()
        for row, (cell, is_missing) in enumerate(zip(table[column], missing)):
            if not is_missing and not isinstance(cell, str):
                raise DataError(
                    f"Column {column!r} of {where} must hold text.\n"
                    f"Received {shown(cell)} ({type(cell).__name__}) in row {row}.\n"
                    f"Set {setting('as_text', column)}, or convert it, for instance with "
                    "astype(str)."
                )
