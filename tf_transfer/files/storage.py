"""Writing files and folders whole or not at all, whatever ends the process.

A file or folder is made beside its place under a temporary name, brought to the disk, and takes its
place in one step. Its writer holds a lock on it, which the system gives up with the process:
whoever writes into the same folder next removes what nobody holds.

A folder changes places with the earlier one in a single step where the system can do that (Linux).
Elsewhere the earlier folder gets another name first, by which `restore` finds it again. It is never
deleted while nothing stands in its place.
"""

from __future__ import annotations

import contextlib
import errno
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

from tf_transfer.errors import CheckpointError, TransferError, listed
from tf_transfer.files.temporary import EARLIER, exchange, hidden, mark, remove, to_disk, unfinished


@contextlib.contextmanager
def whole_folder(folder: str | Path, overwrite: bool = True) -> Iterator[Path]:
    """A temporary folder that takes the place of ``folder`` when the block ends well.

    A process that is killed leaves the earlier folder or the new one.

    Raises:
        CheckpointError: the disk is full or cannot be written, or the folder exists and must not
            be overwritten; an earlier folder of that name is kept as it was.
    """
    with explained(folder):
        folder = _place(folder)
        restore(folder)
        if folder.exists() and not overwrite:
            raise CheckpointError(f"{folder} exists already.\nGive overwrite=True or another name.")
        check_folder_name(folder)
        folder.parent.mkdir(parents=True, exist_ok=True)
        with unfinished(folder, folder=True) as staging:
            yield staging
            to_disk(staging)
            _put(staging, folder)
            _discard(hidden(folder, EARLIER))
            to_disk(folder.parent, deep=False)


@contextlib.contextmanager
def whole_file(path: str | Path, kind: type[TransferError] = CheckpointError) -> Iterator[Path]:
    """The path of an empty temporary file that takes the place of ``path`` when the block ends
    well.

    Args:
        path: the file's place; of a link, what it leads to.
        kind: of the error.

    Raises:
        CheckpointError: or ``kind``, as `whole_folder`.
    """
    with explained(path, kind):
        path = _place(path)
        check_file_name(path, kind)
        path.parent.mkdir(parents=True, exist_ok=True)
        with unfinished(path, folder=False) as staging:
            yield staging
            to_disk(staging)
            os.replace(staging, path)
            to_disk(path.parent, deep=False)


def write_text(path: str | Path, text: str) -> None:
    """Writes a UTF-8 file whole or not at all."""
    with whole_file(path) as staging:
        staging.write_text(text, encoding="utf-8")


def restore(folder: str | Path) -> None:
    """Puts an earlier folder back that a killed process had moved away, where nothing has taken its
    place.
    """
    folder = Path(os.path.realpath(folder))
    moved = hidden(folder, EARLIER)
    with contextlib.suppress(OSError):
        if moved.is_dir() and not folder.exists():
            os.rename(moved, folder)


def _put(staging: Path, folder: Path) -> None:
    """Gives a finished folder its name: before and after each step the earlier folder or the new
    one can be found.
    """
    for last in (False, False, True):
        if folder.exists():
            if exchange(staging, folder):
                return  # the temporary name is now the earlier folder's
            _discard(hidden(folder, EARLIER))
            os.rename(folder, hidden(folder, EARLIER))
        try:
            os.rename(staging, folder)
        except OSError as error:
            restore(folder)
            # another process was quicker
            if last or error.errno not in (errno.ENOTEMPTY, errno.EEXIST):
                raise
        else:
            return


def _discard(folder: Path) -> None:
    """Deletes a folder; a part of it is never found under its name."""
    if folder.is_dir():
        unwanted = hidden(folder, mark())
        os.rename(folder, unwanted)
        remove(unwanted)


def check_folder_name(folder: str | Path) -> None:
    """Whether a folder may be written there.

    Raises:
        CheckpointError: there is something else of that name, or the system refuses the name.
    """
    with explained(folder):
        folder = _place(folder)
        if os.path.lexists(folder) and not folder.is_dir():
            raise CheckpointError(
                f"{folder} is a file; a folder is to be written there.\nGive another name."
            )
        if folder == folder.parent:
            raise CheckpointError(
                f"{folder} holds all others; a folder is to be written there.\nGive another name."
            )


def check_writable(path: str | Path) -> None:
    """Makes the folder that ``path`` is to be in, to know before long work that it takes files.

    Raises:
        CheckpointError: it cannot be made, takes no file, or no file of that name.
    """
    with explained(path):
        path = _place(path)
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=path.parent):
            pass


def check_output(path: str | Path) -> None:
    """As `check_writable`, and whether what is there already is a file that can be replaced.

    Raises:
        CheckpointError: it is a folder, a pipe or a device.
    """
    check_writable(path)
    with explained(path):
        check_file_name(_place(path))


def check_strangers(folder: str | Path, staging: str | Path) -> None:
    """Whether ``staging`` may take the place of ``folder``; called inside `whole_folder`.

    Raises:
        CheckpointError: ``folder`` has files of names that ``staging`` has not: it is something
            else.
    """
    folder = Path(folder)
    names = {p.name for p in folder.iterdir()} if folder.is_dir() else set()
    strangers = sorted(names - {p.name for p in Path(staging).iterdir()})
    if strangers:
        raise CheckpointError(
            f"{folder} holds something else; it is kept as it is.\nReceived a folder with "
            f"{listed(strangers)}.\n"
            "Give another name."
        )


def _place(path: str | Path) -> Path:
    """The path with its links followed, where the system takes such a name."""
    path = Path(os.path.realpath(path))
    with contextlib.suppress(FileNotFoundError):
        os.lstat(path)
    return path


def check_file_name(path: Path, kind: type[TransferError] = CheckpointError) -> None:
    """Whether a file may be written there.

    Raises:
        CheckpointError: or ``kind``; there is a folder, a pipe or a device of that name.
    """
    if path.exists() and not path.is_file():
        what = "a folder" if path.is_dir() else "a pipe or a device"
        raise kind(f"{path} is {what}; a file is to be written there.\nGive another name.")


# -- what the system says --------------------------------------------------------------------------


_REASONS = {
    errno.ENOSPC: "the disk is full.\nFree some space and save again",
    errno.EDQUOT: "the disk quota is used up.\nFree some space and save again",
    errno.EFBIG: "the file would be larger than is allowed.\nRaise the limit, or choose another "
    "disk",
    errno.EROFS: "the file system is read-only.\nChoose a folder that can be written",
    errno.EACCES: "it may not be written.\nChoose a folder that can be written",
    errno.EPERM: "it may not be written.\nChoose a folder that can be written",
    errno.ENAMETOOLONG: "its name is too long.\nGive a shorter name",
    errno.ENOTDIR: "a file is where a folder should be.\nGive another name",
    errno.EEXIST: "a file is where a folder should be.\nGive another name",
    errno.EINVAL: "the system takes no such name.\nGive another name",
    errno.EXDEV: "this file system cannot rename what is there.\nGive another name",
    errno.EIO: "the disk failed.\nLook at the disk, or choose another one",
}
_QUOTED = set(_REASONS) - {errno.EINVAL, errno.EEXIST}
"""Errors whose words mean the disk wherever they stand."""


@contextlib.contextmanager
def explained(path: str | Path, kind: type[TransferError] = CheckpointError) -> Iterator[None]:
    """Says of a failure to write what it was about.

    Raises:
        CheckpointError: or ``kind``, instead of an `OSError` or of what a library makes of one.
    """
    try:
        yield
    except TransferError:
        raise
    except Exception as error:
        number = system_error(error)
        if number is None:
            raise
        reason = _REASONS.get(number, f"{os.strerror(number)}.\nMend this and save again")
        raise kind(
            f"Could not write {str(path)!r}: {reason}; nothing was changed there."
        ) from error


def system_error(error: BaseException) -> int | None:
    """The system's number of what went wrong, in whichever form a library passes it on; None for
    other errors.

    TensorFlow, PyArrow and the tokenizers raise errors of their own that only quote the system's
    words.
    """
    if isinstance(error, OSError) and error.errno is not None:
        return error.errno
    text = str(error)
    if isinstance(error, UnicodeEncodeError) or (
        isinstance(error, ValueError) and "null byte" in text
    ):
        return errno.EINVAL  # of a name
    return next((number for number in _QUOTED if os.strerror(number) in text), None)
