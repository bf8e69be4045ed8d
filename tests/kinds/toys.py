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
from tf_transfer.encoders.adapters import attach
from tf_transfer.evaluation.fitted import Fitted
from tf_transfer.kinds.classification import Classification
from tf_transfer.measures.metric import Metric
from tf_transfer.strategies import FineTune, LinearProbe, TargetOnly
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
            tf.tensordot(hardest, [tf.convert_to_tensor(g) for g in of_all], 1)
            for of_all in zip(*parts)
        ]


def with_adapters(model, rank: int):
    """The same model with adapters; ``model`` stays as it is."""
    return model.with_encoder(attach(model.encoder.copy(), rank))


@dataclasses.dataclass(frozen=True)
class AdaptedTarget(TargetOnly):
    """Trains adapters and heads on the target alone."""

    name: ClassVar[str] = "adapted_target"
    rank: int = 2

    def fit(self, model, source=None, *, seed=0, verbose=0, callbacks=None):
        return Fitted(with_adapters(model, self.rank))


@dataclasses.dataclass(frozen=True)
class Adapted(FineTune):
    """Trains adapters and heads on the sources, and the same ones on the target."""

    name: ClassVar[str] = "adapted"
    rank: int = 2

    def fit(self, model, source, *, seed=0, verbose=0, callbacks=None):
        adapted = with_adapters(model, self.rank)
        super().fit(adapted, source, seed=seed, verbose=verbose, callbacks=callbacks)
        return Fitted(adapted, tuple(variable.numpy() for variable in adapted.state))

    def adapt(self, model, support, **options):
        fitted = Fitted.of(model)
        adapted = fitted.model
        if adapted.encoder.adapters is None:  # as from a file
            adapted = with_adapters(adapted, self.rank)
            for variable, value in zip(adapted.state, fitted.learned):
                variable.assign(value)
        return super().adapt(adapted, support, **options)

    def without_source(self):
        shared = {f.name: getattr(self, f.name) for f in dataclasses.fields(AdaptedTarget)}
        return AdaptedTarget(**shared)


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
