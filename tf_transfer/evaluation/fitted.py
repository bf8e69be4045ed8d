"""What a strategy's `fit` returns and its `adapt` starts from."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Protocol

import numpy as np
import pandas as pd

from tf_transfer.evaluation.predictions import Predictions
from tf_transfer.evaluation.scores import Evaluation
from tf_transfer.kinds.tasks import Task


class Predictor(Protocol):
    """A model that answers: a `TransferModel`, or the word counts of `TfIdf`.

    The result of every `adapt` is one.
    """

    tasks: Sequence[Task]

    def predict(self, table: pd.DataFrame, verbose="auto") -> Predictions:
        """The answers to the rows of a table."""

    def evaluate(self, splits) -> Evaluation:
        """The full metric suite of ``{name: table}``."""


@dataclasses.dataclass(frozen=True, eq=False)
class Fitted:
    """A model after `fit`, with what its weights do not hold.

    Args:
        model: the model that `fit` has trained.
        learned: arrays that were learned beside the model's weights, in the order of the strategy;
            those of `MetaSGD` are its inner rates.
        classes: ``{"training": ((domain, class), …), "validation": …}`` of the episodes that were
            learned from; a domain or a class that is not known is None.

    Example:
        >>> from tf_transfer import LinearProbe, Task, TransferModel, tiny_encoder
        >>> texts, moods = ["warm light", "cold rain"], ["glad", "sad"]
        >>> table = pd.DataFrame({"text": texts * 4, "mood": moods * 4})
        >>> model = TransferModel(tiny_encoder(texts=table["text"]), Task("mood"), max_length=8)
        >>> strategy = LinearProbe()
        >>> fitted = strategy.fit(model, table)
        >>> fitted.model is model
        True
        >>> adapted = strategy.adapt(fitted, table)
    """

    model: Predictor
    learned: tuple[np.ndarray, ...] = ()
    classes: Mapping[str, tuple] = dataclasses.field(default_factory=dict)

    @classmethod
    def of(cls, start: Fitted | Predictor) -> Fitted:
        """What a `fit` returned as it is; of a model alone, one that has learned nothing more, with
        the classes that the model has noted.
        """
        if isinstance(start, cls):
            return start
        return cls(start, classes=getattr(start, "episode_classes", {}))

    @property
    def rates(self) -> tuple[np.ndarray, ...]:
        """The inner rates of `MetaSGD`: one for each weight that the inner loop changes."""
        return self.learned

    def predict(self, table: pd.DataFrame, verbose="auto") -> Predictions:
        """What the model answers before it is adapted."""
        return self.model.predict(table, verbose=verbose)

    def evaluate(self, splits) -> Evaluation:
        """The full metric suite of the model before it is adapted."""
        return self.model.evaluate(splits)
