"""Reading files that somebody else may have written: plain files alone, of bounded size and depth,
and only as data.

What is wrong is an `OSError` or a `ValueError`, which the caller tells in its own words.
"""

from __future__ import annotations

import json
import os
import stat
import zlib
from pathlib import Path

MOST_TEXT = 64 * 2**20
"""Bytes of a JSON file; the largest tokenizers have about half of it."""
MOST_ENTRIES = 10_000
_MOST_DEPTH = 200


def check_plain(path: str | Path, most: int | None = None) -> None:
    """Whether it is a file that can be read to its end: no pipe, on which one would wait for ever,
    and no device.

    Args:
        most: bytes that it may have; None for any number.

    Raises:
        OSError: it is missing.
        ValueError: it is no plain file, or larger.
    """
    status = os.stat(path)
    if not stat.S_ISREG(status.st_mode):
        raise ValueError(
            f"it is {'a folder' if stat.S_ISDIR(status.st_mode) else 'a pipe or a device'}, not a "
            "file"
        )
    if most is not None and status.st_size > most:
        raise ValueError(f"it has {status.st_size:,} bytes; at most {most:,} are read")


def check_folder(folder: str | Path) -> None:
    """Whether all that is in a folder, and in the folders in it, are plain files, and texts of
    bounded size.

    Raises:
        OSError: it cannot be read.
        ValueError: it holds something else, or too much.
    """
    count = 0
    for parent, _, names in os.walk(folder):
        for name in names:
            count += 1
            if count > MOST_ENTRIES:
                raise ValueError(f"it holds more than {MOST_ENTRIES:,} files")
            try:
                check_plain(
                    Path(parent, name), MOST_TEXT if name.endswith((".json", ".txt")) else None
                )
            except ValueError as error:
                raise ValueError(f"{name}: {error}") from None


def read_bytes(path: str | Path, most: int = MOST_TEXT) -> bytes:
    """The content of a file.

    Raises:
        OSError, ValueError: see `check_plain`.
    """
    check_plain(path, most)
    return Path(path).read_bytes()


def read_text(path: str | Path, most: int = MOST_TEXT) -> str:
    """The content of a UTF-8 file; a byte order mark is dropped.

    Raises:
        OSError, ValueError: see `check_plain`; or it is not UTF-8.
    """
    return read_bytes(path, most).decode("utf-8-sig")


def read_json(path: str | Path, most: int = MOST_TEXT):
    """The content of a JSON file.

    Raises:
        OSError, ValueError: see `check_plain`; or it is no JSON, or nested too deeply.
    """
    return parse_json(read_text(path, most))


def parse_json(text: str | bytes):
    """What a JSON text says.

    Raises:
        ValueError: it is none, or nested too deeply for what works with it.
    """
    try:
        content = json.loads(text)
    except RecursionError:
        raise ValueError("it is nested too deeply") from None
    _check_depth(content)
    return content


def unpack(data: bytes, most: int = MOST_TEXT) -> bytes:
    """What a gzip file holds.

    Raises:
        ValueError: it is none, is cut short, or holds more than ``most`` bytes.
    """
    reader = zlib.decompressobj(wbits=zlib.MAX_WBITS | 16)
    try:
        content = reader.decompress(data, most + 1)
    except zlib.error as error:
        raise ValueError(f"it cannot be unpacked: {error}") from None
    if len(content) > most:
        raise ValueError(f"it unpacks to more than {most:,} bytes")
    if not reader.eof:
        raise ValueError("it is cut short")
    return content


def _check_depth(content) -> None:
    """Without recursion, which is what is to be spared."""
    level = [content]
    for _ in range(_MOST_DEPTH):
        level = [v for value in level for v in _children(value) if isinstance(v, dict | list)]
        if not level:
            return
    raise ValueError(f"it is nested more than {_MOST_DEPTH} deep")


def _children(value):
    if isinstance(value, dict):
        return value.values()
    return value if isinstance(value, list) else ()
