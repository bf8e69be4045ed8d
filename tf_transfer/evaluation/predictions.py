"""What a model says of the rows of a table: the type that flows from models to evaluation."""

from __future__ import annotations

import dataclasses

import numpy as np
import pandas as pd

from tf_transfer.kinds import kind_of
from tf_transfer.kinds.tasks import Task


@dataclasses.dataclass(frozen=True)
class Prediction:
    """One task's predictions, in the order of the table's rows.

    Args:
        task: the resolved task.
        scores: classification (rows, classes), probabilities that sum to 1; multilabel
            (rows, classes), one probability a class; regression (rows,), in the label's own unit.
    """

    task: Task
    scores: np.ndarray

    @property
    def probabilities(self) -> np.ndarray | None:
        """(rows, classes) float, or None for a regression."""
        return kind_of(self.task).probabilities(self.scores)

    @property
    def labels(self) -> np.ndarray:
        """(rows,): the likeliest class, the tuple of classes of at least 0.5, or the number.

        Classes have the type that went in. Those of a classification that are all integers, floats
        or bools are an array of that type, others one of objects.
        """
        return kind_of(self.task).labels_of(self.task, self.scores)


class Predictions(dict):
    """``{task name: Prediction}``, all for the same rows.

    Example:
        >>> mood = Task("mood", kind="classification", classes=("glad", "sad"))
        >>> said = Predictions(mood=Prediction(mood, np.array([[0.9, 0.1], [0.2, 0.8]])))
        >>> print(said.to_frame())
           mood  mood:glad  mood:sad
        0  glad        0.9       0.1
        1   sad        0.2       0.8
    """

    def to_frame(self, index=None) -> pd.DataFrame:
        """A column of decoded labels for each task, and ``task:class`` columns of probabilities."""
        columns = {}
        for name, prediction in self.items():
            columns[name] = prediction.labels
            if prediction.probabilities is not None:
                for c, column in zip(prediction.task.classes, prediction.probabilities.T):
                    columns[f"{name}:{c}"] = column
        return pd.DataFrame(columns, index=index)
