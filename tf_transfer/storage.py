"""Writing files and folders whole or not at all."""

from __future__ import annotations

import contextlib
import errno
import os
import secrets
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

from tf_transfer.errors import CheckpointError, listed


@contextlib.contextmanager
def whole_folder(folder: str | Path, overwrite: bool = True) -> Iterator[Path]:
    """A temporary folder that takes the place of ``folder`` when the block ends well.

    Raises:
        CheckpointError: the disk is full or cannot be written, or the folder exists and must not
            be overwritten; an earlier folder of that name is kept as it was.
    """
    folder = Path(folder)
    if folder.exists() and not overwrite:
        raise CheckpointError(f"{folder} exists already.\nGive overwrite=True or another name.")
    if folder.is_file():
        raise CheckpointError(f"{folder} is a file; a folder is to be written there.\nGive another name.")
    with explained(folder):
        folder.parent.mkdir(parents=True, exist_ok=True)
        staging = folder.with_name(f".{folder.name}-{secrets.token_hex(4)}")
        staging.mkdir()  # not mkdtemp: its folders cannot be read by others
        try:
            yield staging
            retired = staging.with_name(staging.name + "-old")
            if folder.exists():
                os.replace(folder, retired)
            try:
                os.replace(staging, folder)
            except OSError:
                if retired.exists():
                    os.replace(retired, folder)
                raise
            shutil.rmtree(retired, ignore_errors=True)
        finally:
            shutil.rmtree(staging, ignore_errors=True)


def check_strangers(folder: str | Path, staging: str | Path) -> None:
    """Whether ``staging`` may take the place of ``folder``; called inside `whole_folder`.

    Raises:
        CheckpointError: ``folder`` has files of names that ``staging`` has not: it is something else.
    """
    folder = Path(folder)
    names = {p.name for p in folder.iterdir()} if folder.is_dir() else set()
    strangers = sorted(names - {p.name for p in Path(staging).iterdir()})
    if strangers:
        raise CheckpointError(
            f"{folder} holds something else; it is kept as it is.\nReceived a folder with {listed(strangers)}.\n"
            "Give another name."
        )


@contextlib.contextmanager
def whole_file(path: str | Path) -> Iterator[Path]:
    """A temporary file name that takes the place of ``path`` when the block ends well.

    Raises:
        CheckpointError: as `whole_folder`.
    """
    path = Path(path)
    staging = path.with_name(f".{path.name}.{os.getpid()}.part")
    with explained(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            yield staging
            os.replace(staging, path)
        finally:
            staging.unlink(missing_ok=True)


def check_writable(path: str | Path) -> None:
    """Makes the folder that ``path`` is to be in, to know before long work that it takes files.

    Raises:
        CheckpointError: it cannot be made, or takes no file.
    """
    path = Path(path)
    with explained(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=path.parent):
            pass


def write_text(path: str | Path, text: str) -> None:
    """Writes a UTF-8 file whole or not at all."""
    with whole_file(path) as staging:
        staging.write_text(text, encoding="utf-8")


@contextlib.contextmanager
def explained(path: Path) -> Iterator[None]:
    """Says of a failure to write what it was about.

    Raises:
        CheckpointError: instead of an `OSError`.
    """
    try:
        yield
    except OSError as error:
        reasons = {
            errno.ENOSPC: "the disk is full.\nFree some space and save again",
            errno.EDQUOT: "the disk quota is used up.\nFree some space and save again",
            errno.EROFS: "the file system is read-only.\nChoose a folder that can be written",
            errno.EACCES: "it may not be written.\nChoose a folder that can be written",
        }
        reason = reasons.get(error.errno, f"{error.strerror or error}.\nMend this and save again")
        raise CheckpointError(f"Could not write {path}: {reason}; nothing was changed there.") from error
