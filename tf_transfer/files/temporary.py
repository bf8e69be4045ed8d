"""Temporary files and folders that vanish with the process that makes them, and the steps that
`storage` is made of.

Each is ``.NAME.MARK.tf_transfer`` beside the file NAME that it is to become. Its maker holds a lock
on it. What can be locked by somebody else was left behind by a process that was killed.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import hashlib
import os
import re
import secrets
import shutil
import sys
import time
from collections.abc import Iterator
from pathlib import Path

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None

EARLIER = "earlier"
"""Marks a folder that another one is about to replace, where the two cannot change places in one
step.
"""
_TEMPORARY = re.compile(r"\..+\.[0-9a-f]{8}\.tf_transfer")
_OLD = 86_400
"""Seconds after which a temporary file counts as left behind where the system cannot tell by its
lock.
"""
_LONGEST = 200
_HERE, _EXCHANGE = -100, 2
"""Linux's ``AT_FDCWD`` and ``RENAME_EXCHANGE``."""


def mark() -> str:
    """What tells two temporary files of one name apart."""
    return secrets.token_hex(4)


def hidden(path: Path, mark: str) -> Path:
    """The name that belongs to ``path`` and a mark."""
    name = path.name
    if len(os.fsencode(name)) > _LONGEST:
        name = hashlib.sha256(os.fsencode(name)).hexdigest()
    return path.with_name(f".{name}.{mark}.tf_transfer")


@contextlib.contextmanager
def unfinished(path: Path, folder: bool) -> Iterator[Path]:
    """A new file or folder beside ``path``; what has its name when the block ends is removed.

    What killed processes have left in the same folder is removed first.

    Raises:
        OSError: it cannot be made.
    """
    sweep(path.parent)
    staging, lock = _make(path, folder)
    try:
        yield staging
    finally:
        remove(staging)
        _close(lock)


def sweep(folder: str | Path) -> None:
    """Removes the temporary files and folders in ``folder`` that nobody is writing; errors are
    passed over.
    """
    with contextlib.suppress(OSError):
        for name in filter(_TEMPORARY.fullmatch, os.listdir(folder)):
            _remove_if_left(Path(folder, name))


def _remove_if_left(path: Path) -> None:
    lock = None
    try:
        lock = _lock(path)
    except BlockingIOError:
        return
    except OSError:
        if time.time() - path.lstat().st_mtime < _OLD:
            return
    remove(path)
    _close(lock)


def remove(path: Path) -> None:
    """Deletes a file or a folder as far as that is possible."""
    with contextlib.suppress(OSError):
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)


def to_disk(path: Path, deep: bool = True) -> None:
    """Waits until a file, or a folder with all that is in it, would survive a loss of power.

    Args:
        deep: False for the names in a folder alone.

    Raises:
        OSError: the disk is full or has failed, which some file systems tell only now.
    """
    if path.is_dir() and deep:
        for entry in path.iterdir():
            to_disk(entry)
    if path.is_dir() and os.name == "nt":
        return
    file = os.open(path, os.O_RDWR if os.name == "nt" else os.O_RDONLY)
    try:
        os.fsync(file)
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.ENOTSUP):  # of a folder, on some network drives
            raise
    finally:
        os.close(file)


def exchange(first: Path, second: Path) -> bool:
    """Whether two paths have changed places, in one step; False where the system cannot do that.

    Raises:
        OSError: it can, but not with these two.
    """
    call = (
        getattr(ctypes.CDLL(None, use_errno=True), "renameat2", None)
        if sys.platform == "linux"
        else None
    )
    if call is None:
        return False
    if call(_HERE, os.fsencode(first), _HERE, os.fsencode(second), _EXCHANGE) == 0:
        return True
    number = ctypes.get_errno()
    # an old kernel, or a file system without it
    if number in (errno.EINVAL, errno.ENOSYS, errno.ENOTSUP):
        return False
    raise OSError(number, os.strerror(number), str(second))


# -- locks -----------------------------------------------------------------------------------------


def _make(path: Path, folder: bool) -> tuple[Path, int | None]:
    """A new file or folder and the lock on it; None where it cannot be locked."""
    while True:
        staging = hidden(path, mark())
        if folder:
            staging.mkdir()  # not mkdtemp: its folders cannot be read by others
        else:
            staging.open("xb").close()
        try:
            lock = _lock(staging)
        except (BlockingIOError, FileNotFoundError):
            continue  # a sweeping process was quicker than we, between the two steps
        except OSError:
            return staging, None
        if _holds(lock, staging):
            return staging, lock
        _close(lock)


def _lock(path: Path) -> int:
    """A descriptor that holds the lock until it is closed.

    Raises:
        BlockingIOError: somebody else holds it.
        OSError: it cannot be locked: on Windows, and folders on network drives.
    """
    if fcntl is None:
        raise OSError(errno.ENOTSUP, os.strerror(errno.ENOTSUP))
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        _close(descriptor)
        raise
    return descriptor


def _holds(lock: int, path: Path) -> bool:
    """Whether ``path`` is still what was locked."""
    try:
        return os.path.samestat(os.fstat(lock), os.lstat(path))
    except FileNotFoundError:
        return False


def _close(lock: int | None) -> None:
    if lock is not None:
        os.close(lock)
