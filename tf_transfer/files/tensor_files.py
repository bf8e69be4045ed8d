"""Arrays and a note in one safetensors file, with a hash by which a damaged one is known."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import safetensors
import safetensors.numpy

from tf_transfer.errors import CheckpointError, first_line
from tf_transfer.files.untrusted import check_plain

HASH = "sha256"


def write_tensors(path: Path, tensors: Mapping[str, np.ndarray], note: Mapping[str, str]) -> None:
    """Writes the file; `storage.whole_file` gives a path that makes it whole or not at all."""
    tensors = {key: np.asarray(value, order="C") for key, value in tensors.items()}
    # Not save_file: its files can be read by their owner alone, and its errors hide a full disk.
    path.write_bytes(
        safetensors.numpy.save(tensors, metadata={**note, HASH: digest(tensors, note)})
    )


def file_size(path: str | Path, remedy: str) -> int:
    """Bytes of a file of arrays.

    Raises:
        CheckpointError: as `read_tensors`.
    """
    try:
        check_plain(path)
        return Path(path).stat().st_size
    except (OSError, ValueError) as error:
        raise CheckpointError(f"{path} is missing or damaged: {error}\n{remedy}") from None


def read_tensors(
    path: str | Path, remedy: str
) -> tuple[dict[str, np.ndarray], dict[str, str], bool]:
    """The arrays, the note, and whether they are what was written.

    Raises:
        CheckpointError: the file is missing, no plain file, or cannot be read; the message ends
            with ``remedy``.
    """
    file_size(path, remedy)
    try:
        with safetensors.safe_open(path, framework="np") as file:
            tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118 (no mapping)
            note = file.metadata() or {}
    except Exception as error:  # NumPy and safetensors raise all sorts for a changed byte
        raise CheckpointError(
            f"{path} is missing or damaged: {first_line(error)}\n{remedy}"
        ) from error
    written = note.pop(HASH, None)
    return tensors, note, written == digest(tensors, note)


def digest(tensors: Mapping[str, np.ndarray], note: Mapping[str, str]) -> str:
    """A hash of the arrays and the note."""
    hasher = hashlib.sha256()
    for key in sorted(tensors):
        hasher.update(key.encode())
        hasher.update(np.ascontiguousarray(tensors[key]))
    for key in sorted(note):
        hasher.update(f"{key}\0{note[key]}\0".encode())
    return hasher.hexdigest()
