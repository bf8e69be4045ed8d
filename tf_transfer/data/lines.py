"""The lines of text files whose encoding is mixed."""

from __future__ import annotations

from pathlib import Path


def decode_lines(path: Path) -> list[str]:
    """Lines of a UTF-8 file; a line that is not UTF-8 is read as Latin-1.

    Some sources mix both in one file, so neither reads all of it right.
    """
    return [_decode(line) for line in path.read_bytes().splitlines()]


def _decode(line: bytes) -> str:
    try:
        return line.decode("utf-8")
    except UnicodeDecodeError:
        return line.decode("latin-1")
