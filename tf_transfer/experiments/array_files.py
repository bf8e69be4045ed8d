"""Arrays and a note in one npz file, with a digest by which a damaged one is known."""

from __future__ import annotations

import hashlib
import json
import zipfile
from pathlib import Path

import numpy as np

from tf_transfer.errors import CheckpointError, first_line
from tf_transfer.files.storage import whole_file
from tf_transfer.files.untrusted import check_plain, parse_json

AGAIN = "Run the experiment again: only cells that are missing or damaged are computed."


def write_arrays(path: Path, arrays: dict[str, np.ndarray], note: dict) -> None:
    """Writes the file whole or not at all.

    Raises:
        CheckpointError: it cannot be written.
    """
    text = json.dumps(note)
    packed = np.frombuffer(text.encode(), np.uint8)
    digest = np.frombuffer(_digest(arrays, text), np.uint8)
    with whole_file(path) as staging, staging.open("wb") as file:
        np.savez(file, **arrays, meta=packed, digest=digest)


def read_arrays(path: Path) -> tuple[dict[str, np.ndarray], dict]:
    """The arrays and the note that `write_arrays` wrote.

    Raises:
        CheckpointError: the file is missing, no plain file, or not as it was written.
    """
    try:
        check_plain(path)
        _check_archive(path)
        with np.load(path, allow_pickle=False) as file:
            arrays = {k: file[k] for k in file.files}
        text, digest = bytes(arrays.pop("meta")).decode(), bytes(arrays.pop("digest"))
        if digest != _digest(arrays, text):
            raise ValueError("its content was changed")
        note = parse_json(text)
        if not isinstance(note, dict):
            raise ValueError("its note is none")
        return arrays, note
    except FileNotFoundError:
        raise CheckpointError(f"{path} is missing.\n{AGAIN}") from None
    except Exception as error:  # numpy and zipfile raise all sorts for a changed byte
        raise CheckpointError(f"{path} is damaged: {first_line(error)}.\n{AGAIN}") from None


def _check_archive(path: Path) -> None:
    """Nothing is compressed, as NumPy writes it: so what is read cannot be larger than the file."""
    with zipfile.ZipFile(path) as archive:
        members = archive.infolist()
    packed = any(m.compress_type != zipfile.ZIP_STORED for m in members)
    if packed or sum(m.file_size for m in members) > path.stat().st_size:
        raise ValueError("it claims to hold more than it does")


def _digest(arrays: dict[str, np.ndarray], text: str) -> bytes:
    digest = hashlib.sha256(text.encode())
    for name in sorted(arrays):
        array = np.ascontiguousarray(arrays[name])
        digest.update(f"{name} {array.dtype.str} {array.shape}".encode() + array.tobytes())
    return digest.digest()
