"""Several worker processes: whether they agree before they train, what is said of a lost one."""

from __future__ import annotations

import contextlib
import hashlib
import platform
from collections.abc import Iterator, Mapping, Sequence
from importlib import metadata

import numpy as np
import pandas as pd

from tf_transfer.backend import tf
from tf_transfer.distribution import workers_of
from tf_transfer.errors import DistributionError

PACKAGES = ("tf-transfer", "tensorflow", "tf-keras", "transformers", "tokenizers", "numpy")
FACTS, CHARACTERS = 16, 96
"""Room for what the workers tell each other: facts, and characters of each."""


def check_agreement(distribution: tf.distribute.Strategy, facts: Mapping[str, str]) -> None:
    """Compares ``facts`` among all workers; all of them must call it, and all of them hear of a difference.

    Args:
        facts: up to `FACTS` texts by name, such as versions and hashes.

    Raises:
        DistributionError: the workers' facts differ; the message says which, and each worker's.
    """
    if workers_of(distribution) == 1:
        return
    codes = tf.constant(_to_codes(facts))
    with lost_workers_explained(distribution):
        gathered = _gathered(distribution, codes).numpy()
    said = [_from_codes(rows) for rows in gathered[:: len(gathered) // workers_of(distribution)]]
    names = dict.fromkeys(name for facts in said for name in facts)
    differing = [n for n in names if len({facts.get(n) for facts in said}) > 1]
    if differing:
        lines = [f"{n}: " + ", ".join(f"worker {i} {f.get(n, 'none')}" for i, f in enumerate(said)) for n in differing]
        raise DistributionError(
            "All workers must have the same data, model and versions.\nReceived different ones:\n"
            + "\n".join(lines)
            + "\nGive every worker the same files and the same environment. Nothing was trained."
        )


def versions() -> dict[str, str]:
    """The versions that results depend on, by package."""
    found = {"python": platform.python_version()}
    for package in PACKAGES:
        with contextlib.suppress(metadata.PackageNotFoundError):
            found[package] = metadata.version(package)
    return found


def hash_of_table(table: pd.DataFrame) -> str:
    """Rows, and the start of a SHA-256 of all cells."""
    return f"{len(table)} rows {hashlib.sha256(table.to_csv(index=False).encode()).hexdigest()[:16]}"


def hash_of_weights(variables: Sequence[tf.Variable]) -> str:
    """The start of a SHA-256 of all values."""
    digest = hashlib.sha256()
    for variable in variables:
        digest.update(np.ascontiguousarray(variable.numpy()))
    return digest.hexdigest()[:16]


@contextlib.contextmanager
def lost_workers_explained(distribution: tf.distribute.Strategy) -> Iterator[None]:
    """Within it, the failure of another worker is one message instead of the network's.

    Raises:
        DistributionError: another worker no longer answers.
    """
    try:
        yield
    except Exception as error:
        lost = (
            tf.errors.UnavailableError, tf.errors.AbortedError, tf.errors.CancelledError, tf.errors.UnknownError,
            tf.errors.DeadlineExceededError, tf.errors.FailedPreconditionError, tf.errors.InternalError,
        )  # fmt: skip
        if workers_of(distribution) == 1 or not isinstance(error, lost):
            raise
        raise DistributionError(
            f"Another of the {workers_of(distribution)} workers no longer answers, so this one has stopped "
            f"({type(error).__name__}).\nLook at that worker's output, then start all workers again: with "
            "tt.Resume(folder) among fit's callbacks, and a folder that they share, training goes on where the last "
            "backup was made."
        ) from None


def _gathered(distribution, codes: tf.Tensor) -> tf.Tensor:
    """(replicas, …): ``codes`` (…) of every replica."""

    def gather():
        return distribution.gather(distribution.run(lambda: codes[None]), axis=0)

    return tf.function(gather, autograph=False)()


def _to_codes(facts: Mapping[str, str]) -> np.ndarray:
    """(FACTS, CHARACTERS) int32."""
    codes = np.zeros((FACTS, CHARACTERS), np.int32)
    for row, (name, value) in zip(codes, list(facts.items())[:FACTS]):
        text = f"{name}\n{value}".encode()[:CHARACTERS]
        row[: len(text)] = list(text)
    return codes


def _from_codes(codes: np.ndarray) -> dict[str, str]:
    texts = (bytes(row[row > 0].tolist()).decode(errors="replace") for row in codes)
    return dict(text.split("\n", 1) for text in texts if text)
