"""What of a table its episodes depend on, and whether episodes were drawn from a table."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence

import numpy as np
import pandas as pd

from tf_transfer.episodes.episode import Episode
from tf_transfer.episodes.pools import read_domains
from tf_transfer.episodes.sampler import EpisodeSampler
from tf_transfer.errors import DataError, listed
from tf_transfer.kinds.answers import Answers
from tf_transfer.kinds.class_types import class_text
from tf_transfer.kinds.tasks import Task


def fingerprint(table: pd.DataFrame, task: Task | None, domain: str | None) -> dict:
    """Number of rows, and sha256 of the labels and of the domains, whatever the types of their
    columns.
    """
    labels = domains = None
    if task is not None:
        y, present = task.encode(table)
        labels = hashlib.sha256(_bytes(y) + present.tobytes()).hexdigest()
    if domain is not None:
        numbers, names = read_domains(table, domain)
        spelt = json.dumps(
            [str(n) for n in names], separators=(",", ":"), ensure_ascii=False
        ).encode()
        domains = hashlib.sha256(numbers.astype("<i8").tobytes() + spelt).hexdigest()
    return {"rows": len(table), "labels": labels, "domains": domains}


def _bytes(y: Answers) -> bytes:
    """What labels say, the same on every machine."""
    if isinstance(y, np.ndarray):
        return y.astype("<f8").tobytes()
    parts = sorted(y.pack().items())
    return b"".join(name.encode() + part.astype(_plain(part)).tobytes() for name, part in parts)


def _plain(part: np.ndarray) -> str:
    return "u1" if part.dtype == np.uint8 else "<i8"


def check_rows(sampler: EpisodeSampler, episodes: Sequence[Episode]) -> None:
    """Checks that episodes hold rows of a sampler's table, or of another one with the same labels.

    Raises:
        DataError: an episode has rows, classes or labels that the table has not.
    """
    task, drawn_by = sampler.task, {}
    known = {class_text(c) for c in task.classes} if task else set()
    for episode in episodes:
        rows, foreign = np.concatenate([episode.support, episode.query]), episode.sampler
        unknown = {class_text(c) for c in episode.classes} - known
        if foreign not in drawn_by:
            drawn_by[foreign] = foreign in (None, sampler) or _same_labels(foreign, sampler)
        if not drawn_by[foreign] or unknown or rows.max() >= len(sampler.table):
            what = (
                f"the unknown classes {listed(sorted(unknown))}"
                if unknown
                else "rows of another table"
            )
            raise DataError(
                f"Episodes must be drawn from the sampler's table, of {len(sampler.table)} rows.\n"
                f"Received episode {episode.index} with {what}.\nGive the sampler that drew it."
            )


def _same_labels(a: EpisodeSampler, b: EpisodeSampler) -> bool:
    classes = [s.task and [*map(class_text, s.task.classes)] for s in (a, b)]
    return classes[0] == classes[1] and fingerprint(a.table, a.task, None) == fingerprint(
        b.table, b.task, None
    )
