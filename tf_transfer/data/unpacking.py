"""Packed files: read only while what comes out is not far larger than what lies on the disk."""

from __future__ import annotations

import gzip
import zlib
from pathlib import Path

from tf_transfer.errors import DataError

MOST_UNPACKED = 2**29
"""Bytes that any packed table may fill in memory."""
MOST_GROWTH = 100
"""How many times its size on the disk a larger table may fill. Tables of text grow 3 to 20
times.
"""
_BLOCK = 2**20


def read_bytes(path: Path) -> bytes:
    """The content of a file, unpacked where its name ends in ``.gz``.

    Raises:
        DataError: it cannot be read, or unpacks to more than `MOST_UNPACKED` and `MOST_GROWTH`
            allow.
    """
    try:
        if path.suffix.lower() != ".gz":
            return path.read_bytes()
        content = bytearray()
        with gzip.open(path) as packed:
            while block := packed.read(_BLOCK):
                content += block
                check_unpacked(path, len(content))
        return bytes(content)
    except (OSError, EOFError, zlib.error) as error:
        raise DataError(f"File {str(path)!r} cannot be read: {error}.") from error


def check_unpacked(path: Path, size: int) -> None:
    """Raises:
    DataError: ``size``, in bytes, is more than a file of its size may fill in memory.
    """
    packed = path.stat().st_size
    most = max(MOST_UNPACKED, MOST_GROWTH * packed)
    if size > most:
        raise DataError(
            f"File {str(path)!r} of {packed:,} bytes may fill at most {most:,} bytes of memory.\n"
            "Received more: a file that grows so much is damaged, or made to fill the memory.\n"
            "Unpack it yourself if it is what you mean, or cut it into parts."
        )
