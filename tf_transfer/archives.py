"""Named files out of a folder, a tar or a zip: opened for reading, never unpacked by their own names."""

from __future__ import annotations

import contextlib
import gzip
import itertools
import lzma
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path, PurePosixPath
from typing import BinaryIO

from tf_transfer.errors import AssetError

_CORRUPT = (tarfile.TarError, zipfile.BadZipFile, zlib.error, lzma.LZMAError, gzip.BadGzipFile, EOFError)

Members = dict[str, Callable[[], BinaryIO]]
"""``{path in the archive or folder: function that opens the file for reading}``."""


@contextlib.contextmanager
def open_members(source: Path, inner: str = "") -> Iterator[Members]:
    """The regular files of ``source``, a folder, tar (also compressed) or zip (also a wheel).

    Args:
        source: an existing path.
        inner: path of an archive within it, whose files are added when it is there.

    Yields:
        `Members`, without those whose path leads out of the archive. They can be opened until
        the context ends.

    Raises:
        AssetError: ``source`` is no such archive, or is damaged where it is read.
    """
    with contextlib.ExitStack() as stack:
        try:
            members = _folder(source) if source.is_dir() else _archive(stack, source.open("rb"))
            if inner and (found := locate(members, inner)):
                members.update(_archive(stack, members[found]()))
            yield members
        except _CORRUPT as error:
            raise AssetError(
                f"{str(source)!r} must be a whole tar or zip archive, or a folder.\n"
                f"Received a file that cannot be read as one: {error}.\nDownload or copy it again."
            ) from error


def locate(members: Members, wanted: str) -> str | None:
    """The member that shares the most last parts with the path ``wanted``; None without its file name."""
    best = max(members, key=lambda name: (_shared_parts(name, wanted), -len(name)), default=None)
    return best if best is not None and _shared_parts(best, wanted) else None


def _shared_parts(name: str, wanted: str) -> int:
    pairs = zip(PurePosixPath(name).parts[::-1], PurePosixPath(wanted).parts[::-1])
    return sum(1 for _ in itertools.takewhile(lambda pair: pair[0] == pair[1], pairs))


def _folder(source: Path) -> Members:
    files = (path for path in source.rglob("*") if path.is_file())
    return {path.relative_to(source).as_posix(): partial(path.open, "rb") for path in files}


def _archive(stack: contextlib.ExitStack, stream: BinaryIO) -> Members:
    stack.enter_context(stream)
    try:
        tar = stack.enter_context(tarfile.TarFile.open(fileobj=stream))
        members = {m.name: partial(tar.extractfile, m) for m in tar if m.isfile()}
    except tarfile.ReadError:
        stream.seek(0)
        archive = stack.enter_context(zipfile.ZipFile(stream))
        members = {m.filename: partial(archive.open, m) for m in archive.infolist() if not m.is_dir()}
    return {name: opener for name, opener in members.items() if not _leads_out(name)}


def _leads_out(name: str) -> bool:
    path = PurePosixPath(name)
    return path.is_absolute() or ".." in path.parts
