"""Named files out of a folder, a tar or a zip: opened for reading, never unpacked by their own
names.

Whatever an archive claims, no more is read of it than is asked for.
"""

from __future__ import annotations

import bz2
import contextlib
import gzip
import itertools
import lzma
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path, PurePosixPath
from typing import BinaryIO

from tf_transfer.errors import AssetError, TransferError

_CORRUPT = (
    *(
        tarfile.TarError,
        zipfile.BadZipFile,
        zlib.error,
        lzma.LZMAError,
        gzip.BadGzipFile,
        EOFError,
        struct.error,
    ),
    # Encrypted or oddly compressed; a number or a name that cannot be one.
    *(RuntimeError, ValueError, OverflowError),
)
_COMPRESSED = {
    b"\x1f\x8b": gzip.open,
    b"BZh": bz2.open,
    b"\xfd7zXZ": lzma.open,
    b"]\0\0": lzma.open,
}
"""By the first bytes of a file."""
_MOST_MEMBERS = 100_000
_MOST_HEADER = 2**24

Members = dict[str, Callable[[], BinaryIO]]
"""``{path in the archive or folder: function that opens the file for reading}``."""


@contextlib.contextmanager
def open_members(source: Path, inner: str = "", most: int = 10**10) -> Iterator[Members]:
    """The regular files of ``source``, a folder, tar (also compressed) or zip (also a wheel).

    Args:
        source: an existing path.
        inner: path of an archive within it, whose files are added when it is there.
        most: bytes that a tar may unpack to.

    Yields:
        `Members`, without those whose path leads out of the archive. They can be opened until
        the context ends.

    Raises:
        AssetError: ``source`` is no such archive, or is damaged where it is read.
    """
    with contextlib.ExitStack() as stack:
        try:
            members = (
                _folder(source) if source.is_dir() else _archive(stack, source.open("rb"), most)
            )
            if inner and (name := locate(members, inner)):
                members.update(_archive(stack, members[name](), most))
            yield members
        except TransferError:
            raise
        except (*_CORRUPT, OSError) as error:
            if isinstance(error, OSError) and error.errno is not None:
                raise  # of the disk, not of the archive
            raise AssetError(
                f"{str(source)!r} must be a whole tar or zip archive, or a folder.\n"
                f"Received a file that cannot be read as one: {error}.\nDownload or copy it again."
            ) from error


def locate(members: Members, wanted: str) -> str | None:
    """The member that shares the most last parts with the path ``wanted``; None without its file
    name.
    """
    best = max(members, key=lambda name: (_shared_parts(name, wanted), -len(name)), default=None)
    return best if best is not None and _shared_parts(best, wanted) else None


def _shared_parts(name: str, wanted: str) -> int:
    pairs = zip(PurePosixPath(name).parts[::-1], PurePosixPath(wanted).parts[::-1])
    return sum(1 for _ in itertools.takewhile(lambda pair: pair[0] == pair[1], pairs))


def _folder(source: Path) -> Members:
    paths = list(itertools.islice(source.rglob("*"), _MOST_MEMBERS + 1))
    if len(paths) > _MOST_MEMBERS:
        raise ValueError(f"it holds more than {_MOST_MEMBERS:,} files")
    return {
        path.relative_to(source).as_posix(): partial(path.open, "rb")
        for path in paths
        if path.is_file()
    }


def _archive(stack: contextlib.ExitStack, stream: BinaryIO, most: int) -> Members:
    stack.enter_context(stream)
    try:
        members = _tar(stack, stream, most)
    except tarfile.ReadError:
        stream.seek(0)
        archive = stack.enter_context(zipfile.ZipFile(stream))
        members = {
            m.filename: partial(archive.open, m) for m in archive.infolist() if not m.is_dir()
        }
    return {name: opener for name, opener in members.items() if not _leads_out(name)}


def _tar(stack: contextlib.ExitStack, stream: BinaryIO, most: int) -> Members:
    start = stream.read(6)
    stream.seek(0)
    reader = next(
        (opened for magic, opened in _COMPRESSED.items() if start.startswith(magic)), None
    )
    unpacked = stream if reader is None else stack.enter_context(reader(stream))
    tar = stack.enter_context(tarfile.TarFile(fileobj=_Bounded(unpacked, most)))
    members: Members = {}
    for count, member in enumerate(tar):
        # a size below 0 leads back: Python would go round for ever
        if member.size < 0 or count >= _MOST_MEMBERS:
            raise ValueError("it holds a file of a size below 0, or too many files")
        if member.isfile():
            members[member.name] = partial(tar.extractfile, member)
    return members


class _Bounded:
    """An unpacked tar of which no more than ``most`` bytes are read, and no large part at once."""

    def __init__(self, stream: BinaryIO, most: int):
        self._stream, self._most = stream, most
        self.tell, self.seekable = stream.tell, stream.seekable

    def read(self, size: int) -> bytes:
        if size > _MOST_HEADER:
            raise ValueError(f"it holds a header of {size:,} bytes")
        self._check(self.tell() + size)
        return self._stream.read(size)

    def seek(self, place: int) -> int:
        self._check(place)
        return self._stream.seek(place)

    def _check(self, place: int) -> None:
        if place > self._most:
            raise ValueError(f"it unpacks to more than {self._most:,} bytes")


def _leads_out(name: str) -> bool:
    path = PurePosixPath(name)
    return path.is_absolute() or ".." in path.parts
