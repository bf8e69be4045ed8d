"""Episodes frozen to a file, so that every strategy, machine and version is tested on the same
ones.
"""

from __future__ import annotations

import gzip
import hashlib
import json
import os
from pathlib import Path

import numpy as np
import pandas as pd

from tf_transfer.episodes.episode import Episode
from tf_transfer.episodes.fingerprint import fingerprint
from tf_transfer.episodes.sampler import EpisodeSampler
from tf_transfer.errors import DataError, check_columns, listed
from tf_transfer.files import storage
from tf_transfer.files.file_format import FileFormat
from tf_transfer.files.untrusted import parse_json, read_bytes, unpack
from tf_transfer.kinds.tasks import Task

FORMAT = FileFormat("tf_transfer episodes", 1)
_AGAIN = "Restore the file, or freeze the episodes again."
_MOST_BYTES = 256 * 2**20


def freeze_episodes(
    sampler: EpisodeSampler, count: int, path: str | os.PathLike, start: int = 0
) -> None:
    """Writes episodes ``start`` to ``start + count - 1`` of a sampler as JSON, with hashes of file
    and labels.

    NumPy may draw other rows from the same seed in a later version; a frozen episode stays as it
    is.

    Args:
        path: file; compressed when it ends in ``.gz``. An existing file is replaced in one step.

    Raises:
        DataError: ``count`` or ``start`` out of range, or a class or domain that is neither text,
            number nor bool.
        CheckpointError: the file cannot be written. Nothing is half-written.
    """
    episodes = sampler.sample(count, start)
    content = {
        **FORMAT.note(),
        "sampler": {
            name: getattr(sampler, name)
            for name in ("way", "shot", "num_query", "seed", "domain", "balanced", "drop_small")
        },
        "task": _describe(sampler.task),
        "table": fingerprint(sampler.table, sampler.task, sampler.domain),
        "episodes": [_to_json(episode) for episode in episodes],
    }
    _check_names([*(sampler.task.classes if sampler.task else ()), *sampler.domains])
    document = _text(content | {"sha256": _digest(content)}).encode()
    if str(path).endswith(".gz"):
        document = gzip.compress(document, mtime=0)  # the same episodes give the same bytes
    with storage.whole_file(path) as staging:
        staging.write_bytes(document)


def load_episodes(path: str | os.PathLike, table: pd.DataFrame) -> list[Episode]:
    """The episodes that `freeze_episodes` wrote.

    Args:
        table: the rows that they were drawn from. Its labels and domains are checked, and for
            episodes of rows with any labels (``task=None``) its number of rows.

    Raises:
        DataError: the file is missing or damaged, or the episodes are of another table.
    """
    content = _read(Path(path))
    try:
        return _replayed(content, path, table)
    except DataError:
        raise
    except Exception as error:  # somebody else may have written it, digest and all
        raise _damaged(path, f"{type(error).__name__}: {error}") from error


def _replayed(content: dict, path, table: pd.DataFrame) -> list[Episode]:
    described, domain = content["task"], content["sampler"]["domain"]
    task = described and Task(**described)
    columns = [column for column in (task and task.label, domain) if column is not None]
    check_columns(table, columns, f"the table of the episodes in {str(path)!r}")
    frozen = content["table"]
    if len(table) != frozen["rows"]:
        raise _another_table(
            path, f"a table of {len(table)} rows; the episodes are from {frozen['rows']}"
        )
    try:
        received = fingerprint(table, task, domain)
    except DataError as error:
        raise _another_table(path, f"other labels in column {task.label!r}") from error
    for part, column in (("labels", task and task.label), ("domains", domain)):
        if received[part] != frozen[part]:
            raise _another_table(path, f"other values in column {column!r}")
    return [_from_json(fields, len(table)) for fields in content["episodes"]]


def _another_table(path, difference: str) -> DataError:
    return DataError(
        f"Episodes in {str(path)!r} must be replayed on the table that they were drawn from.\n"
        f"Received {difference}.\nLoad that table, or freeze new episodes from this one."
    )


def _damaged(path, reason: str) -> DataError:
    return DataError(
        f"File {str(path)!r} must hold frozen episodes.\nReceived something else, or a part of "
        f"them: {reason}.\n"
        f"{_AGAIN}"
    )


def _read(path: Path) -> dict:
    if not os.path.isfile(path):
        raise DataError(
            f"Frozen episodes are read from a file.\nReceived {str(path)!r}: there is none."
        )
    try:
        document = read_bytes(path, _MOST_BYTES)
        content = parse_json(
            unpack(document, _MOST_BYTES) if path.name.endswith(".gz") else document
        )
    except (OSError, ValueError) as error:
        raise _damaged(path, str(error)) from error
    FORMAT.check(path, content, _AGAIN, DataError)
    digest = content.pop("sha256", None)
    if digest != _digest(content):
        raise DataError(
            f"File {str(path)!r} must be as it was written, with the sha256 {digest}.\n"
            f"Received content with {_digest(content)}: it is damaged or was edited.\n"
            f"{_AGAIN}"
        )
    return content


def _describe(task: Task | None) -> dict | None:
    if task is None:
        return None
    return {
        "name": task.name,
        "label": task.label,
        "kind": task.kind,
        "classes": list(task.classes),
    }


def _to_json(episode: Episode) -> dict:
    return {
        "index": episode.index,
        "domain": episode.domain,
        "classes": list(episode.classes),
        "support": episode.support.tolist(),
        "query": episode.query.tolist(),
    }


def _from_json(fields: dict, rows: int) -> Episode:
    support, query = (_positions(fields[part], rows) for part in ("support", "query"))
    if set(support) & set(query):
        raise ValueError("a row is in support and query")
    return Episode(support, query, tuple(fields["classes"]), fields["domain"], fields["index"])


def _positions(values: list, rows: int) -> np.ndarray:
    positions = np.array(values, np.int64)
    if positions.ndim != 1 or not len(positions) or positions.min() < 0 or positions.max() >= rows:
        raise ValueError(f"an episode has other rows than 0 to {rows - 1}")
    return positions


def _check_names(names: list) -> None:
    odd = [name for name in names if not isinstance(name, str | int | float | bool)]
    if odd:
        raise DataError(
            "Classes and domains of frozen episodes must be text, numbers or bools.\n"
            f"Received {listed(odd)}.\nConvert the column, for instance with astype(str)."
        )


def _digest(content: dict) -> str:
    return hashlib.sha256(_text(content).encode()).hexdigest()


def _text(content) -> str:
    """JSON with one spelling for one content."""

    def plain(value):
        return value.item()  # a NumPy integer among the sampler's arguments

    return json.dumps(
        content, sort_keys=True, separators=(",", ":"), ensure_ascii=False, default=plain
    )
