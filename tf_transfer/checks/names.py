"""What tasks, sources, targets and strategies may be called: names stand in files, columns and
reports.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable

from tf_transfer.errors import DataError

UNFIT = '/\\:*?"<>|'
"""Characters that a file name cannot have on every system."""
_LONGEST = 100
_LONGEST_COLUMN = 250
_RESERVED = {
    "con",
    "prn",
    "aux",
    "nul",
    *(f"{port}{digit}" for port in ("com", "lpt") for digit in "0123456789¹²³"),
}
"""Names of devices on Windows, with any ending."""
_TURNS = {"LRE", "RLE", "LRO", "RLO", "PDF", "LRI", "RLI", "FSI", "PDI"}
"""Marks that turn the direction of what follows, a report's own words included."""


def check_name(what: str, name: object, in_files: bool = True) -> None:
    """Whether a name can be used.

    Args:
        what: is named, such as ``"task"``.
        in_files: whether files get this name, on any system; else columns do.

    Raises:
        DataError: it cannot; the message says why.
    """
    problem = _problem(name, in_files)
    if problem:
        shown = repr(name) if len(repr(name)) <= 120 else f"{repr(name)[:80]}…"
        remedy = (
            "Give a shorter or plainer name."
            if in_files
            else "Give it another name, and the column as its label."
        )
        raise DataError(f"The name of a {what} {problem}.\nReceived {shown}.\n{remedy}")


def check_names(what: str, names: Iterable[object], in_files: bool = True) -> None:
    """Whether names can be used, and can be told apart.

    Raises:
        DataError: see `check_name`; or two differ by nothing but case or the form of their letters,
            which is no difference to some file systems and to no reader.
    """
    names = list(names)
    for name in names:
        check_name(what, name, in_files)
    check_differ(what, names)


def check_differ(what: str, names: Iterable[str]) -> None:
    """Whether names differ by more than case and the form of their letters.

    Raises:
        DataError: two do not.
    """
    known: dict[str, str] = {}
    for name in names:
        key = _plain(name)
        if key in known:
            # else the two would look alike
            shown = ascii if _composed(name) == _composed(known[key]) else repr
            raise DataError(
                f"Every {what} must have a name that differs from the others by more than case.\n"
                f"Received {shown(known[key])} and {shown(name)}.\nRename one of them."
            )
        known[key] = name


def _problem(name: object, in_files: bool) -> str:
    """What is wrong with a name; empty when nothing is."""
    longest = _LONGEST if in_files else _LONGEST_COLUMN
    if not isinstance(name, str) or not name.strip():
        return "must be a text"
    if any(_is_control(c) for c in name):
        return "must have no control characters"
    if len(name.encode()) > longest:
        return f"must have at most {longest} bytes"
    if name != name.strip():
        return "must not start or end with a blank"
    if not in_files:
        return "must not contain '/'" if "/" in name else ""
    if set(name) & set(UNFIT):
        return f"is used for files: it must have none of {' '.join(UNFIT)}"
    if name.startswith(".") or name.endswith("."):
        return "is used for files: it must not start or end with a dot"
    if name.split(".")[0].strip().lower() in _RESERVED:
        return "is used for files: Windows keeps this one for a device"
    return ""


def _is_control(character: str) -> bool:
    kind = unicodedata.category(character)
    return kind in ("Cc", "Cs", "Zl", "Zp") or unicodedata.bidirectional(character) in _TURNS


def _plain(name: str) -> str:
    folded = unicodedata.normalize("NFKC", name).casefold()
    return unicodedata.normalize("NFKC", folded)


def _composed(name: str) -> str:
    return unicodedata.normalize("NFC", name)
