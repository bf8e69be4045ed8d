"""Several worker processes: whether they agree before they train, what is said of a lost one."""

from __future__ import annotations

import contextlib
import hashlib
import platform
from collections.abc import Callable, Iterator, Mapping, Sequence
from importlib import metadata

import numpy as np
import pandas as pd

from tf_transfer.devices.backend import tf
from tf_transfer.devices.distribution import workers_of
from tf_transfer.errors import DistributionError

PACKAGES = ("tf-transfer", "tensorflow", "tf-keras", "transformers", "tokenizers", "numpy")
FACTS, CHARACTERS, HASH = 40, 96, 16
"""Room for what the workers tell each other: facts, characters of each, and those of a hash."""


def check_training(model, settings: Callable[[], Mapping]) -> None:
    """Compares ``settings``, the model's weights and the versions among all workers, where there
    are several.

    Args:
        model: a `TransferModel`.
        settings: gives what the workers must share beside those, by name; dicts in it are compared
            entry by entry.

    Raises:
        DistributionError: as `check_agreement`.
    """
    if workers_of(model.distribute_strategy) > 1:
        weights = hash_of_weights(model.state) if model.heads else "open"
        check_agreement(
            model.distribute_strategy, {"weights": weights, **_flat(settings()), **versions()}
        )


def check_agreement(distribution: tf.distribute.Strategy, facts: Mapping[str, str]) -> None:
    """Compares ``facts`` among all workers; all of them must call it, and all of them hear of a
    difference.

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
        lines = [
            f"{n}: " + ", ".join(f"worker {i} {f.get(n, 'none')}" for i, f in enumerate(said))
            for n in differing
        ]
        raise DistributionError(
            "All workers must have the same data, settings, weights and versions.\nReceived "
            "different ones:\n"
            + "\n".join(lines)
            + "\nGive every worker the same program, files and environment. Nothing was trained."
        )


def versions() -> dict[str, str]:
    """The versions that results depend on, by package."""
    by_package = {"python": platform.python_version()}
    for package in PACKAGES:
        with contextlib.suppress(metadata.PackageNotFoundError):
            by_package[package] = metadata.version(package)
    return by_package


def hash_of_table(table: pd.DataFrame) -> str:
    """Rows, and the start of a SHA-256 of all cells."""
    return f"{len(table)} rows {_hash(table.to_csv(index=False).encode())}"


def hash_of_weights(variables: Sequence[tf.Variable]) -> str:
    """The start of a SHA-256 of all values."""
    digest = hashlib.sha256()
    for variable in variables:
        digest.update(np.ascontiguousarray(variable.numpy()))
    return digest.hexdigest()[:HASH]


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
            tf.errors.UnavailableError,
            tf.errors.AbortedError,
            tf.errors.CancelledError,
            tf.errors.UnknownError,
            tf.errors.DeadlineExceededError,
            tf.errors.FailedPreconditionError,
            tf.errors.InternalError,
        )
        if workers_of(distribution) == 1 or not isinstance(error, lost):
            raise
        raise DistributionError(
            f"Another of the {workers_of(distribution)} workers no longer answers, so this one has "
            f"stopped ({type(error).__name__}).\nLook at that worker's output, then start all "
            "workers again: with tt.Resume(folder) among fit's callbacks, and a folder that they "
            "share, training goes on where the last backup was made."
        ) from None


def _flat(settings: Mapping) -> dict[str, str]:
    """``{"data: rows": "16"}`` of ``{"data": {"rows": 16}}``."""
    flat = {}
    for name, value in settings.items():
        inner = _flat(value) if isinstance(value, Mapping) else None
        flat |= (
            {name: str(value)} if inner is None else {f"{name}: {n}": v for n, v in inner.items()}
        )
    return flat


def _hash(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()[:HASH]


def _gathered(distribution, codes: tf.Tensor) -> tf.Tensor:
    """(replicas, …): ``codes`` (…) of every replica."""

    def gather():
        return distribution.gather(distribution.run(lambda: codes[None]), axis=0)

    return tf.function(gather, autograph=False)()


def _to_codes(facts: Mapping[str, str]) -> np.ndarray:
    """(FACTS, CHARACTERS) int32; of a longer text its start and a hash.

    Raises:
        ValueError: more facts than there is room for.
    """
    if len(facts) > FACTS:
        raise ValueError(f"There is room for {FACTS} facts.\nReceived {len(facts)}.")
    codes = np.zeros((FACTS, CHARACTERS), np.int32)
    for row, (name, value) in zip(codes, facts.items()):
        text = f"{name}\n{value}".encode()
        if len(text) > CHARACTERS:
            text = text[: CHARACTERS - HASH - 4] + f"... {_hash(text)}".encode()
        row[: len(text)] = list(text)
    return codes


def _from_codes(codes: np.ndarray) -> dict[str, str]:
    texts = (bytes(row[row > 0].tolist()).decode(errors="replace") for row in codes)
    return dict(text.split("\n", 1) for text in texts if text)
