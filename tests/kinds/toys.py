"""A kind, a metric, a strategy, a gradient rule and a data set that the toolkit does not know, one
object each.
"""

import dataclasses
import hashlib
from typing import ClassVar

import numpy as np
import pandas as pd

from tests.kinds.contract import TONES
from tf_transfer.assets.registry import Entry, File
from tf_transfer.kinds.classification import Classification
from tf_transfer.measures.metric import Metric
from tf_transfer.strategies import LinearProbe
from tf_transfer.training.gradient_rules import GradientRule


def _expected(p) -> np.ndarray:
    """(rows,): the mean place of a class under the probabilities (rows, classes)."""
    return p @ np.arange(p.shape[1])


def _distance(y, p) -> np.ndarray:
    return np.abs(_expected(p) - y)


class Ordered(Classification):
    """Classes with an order, given by ``Task.classes``: far misses cost more than near ones."""

    name = "ordered"
    primary, row_metric = "class_distance", "class_distance"
    metrics = (
        *Classification.metrics,
        Metric.of_rows(
            "class_distance",
            _distance,
            label="distance in classes",
            higher=False,
            range=(0.0, np.inf),
        ),
    )

    def claims(self, column):
        return False

    def row_error(self, y, answers):
        return _distance(y, answers)

    def losses(self, head, y, output):
        """Cross-entropy, and the squared distance of the mean place."""
        from tf_transfer.devices.backend import tf

        places = tf.range(output.shape[-1], dtype=output.dtype)
        distance = tf.linalg.matvec(tf.nn.softmax(output), places) - tf.cast(y, output.dtype)
        return super().losses(head, y, output) + tf.square(distance)


@dataclasses.dataclass(frozen=True)
class Hopeful(LinearProbe):
    """A probe by another name."""

    name: ClassVar[str] = "hopeful"


@dataclasses.dataclass(frozen=True)
class Hardest(GradientRule):
    """The gradient of the task with the greatest share of the loss."""

    name: ClassVar[str] = "hardest"

    def gradients(self, losses, tape, variables, seed):
        from tf_transfer.devices.backend import tf

        shares = list(losses.shares.values())
        hardest = tf.one_hot(tf.argmax(shares), len(shares))
        parts = [tape.gradient(s, variables, unconnected_gradients="zero") for s in shares]
        return [
            tf.tensordot(hardest, [tf.convert_to_tensor(g) for g in found], 1)
            for found in zip(*parts)
        ]


def write_files(folder, table: pd.DataFrame) -> Entry:
    """A data set's file, and what the registry is to know of it."""
    content = table.to_json(orient="records", lines=True).encode()
    (folder / "rows.jsonl").write_bytes(content)
    files = {"rows.jsonl": File("rows.jsonl", hashlib.sha256(content).hexdigest(), len(content))}
    return Entry(
        "toy",
        "dataset",
        "rows of a test",
        "none",
        "https://example.org/toy/toy",
        files,
        commit="0" * 40,
    )


def read_toy(folder) -> pd.DataFrame:
    return pd.read_json(folder / "rows.jsonl", lines=True)


def label(tone: int, text: str) -> str:
    return TONES[tone]
