"""Which classes a strategy takes for which."""

from __future__ import annotations

import pandas as pd
from sklearn.metrics import confusion_matrix

from tf_transfer.errors import DataError
from tf_transfer.experiments.results import Results
from tf_transfer.kinds import kind_of


def confusion(
    comparison: Results, target: str, task: str, strategy: str, budget: int
) -> pd.DataFrame:
    """Numbers of rows, summed over seeds: true classes in rows, predicted classes in columns.

    Args:
        comparison: a `Comparison`.

    Raises:
        DataError: the task is no classification, or no seed of the cell can be used.
    """
    classes = {t.name: t.classes for t in comparison.tasks if kind_of(t).one_class}.get(task)
    if classes is None:
        raise DataError(f"Only a classification has a confusion matrix.\nReceived task {task!r}.")
    labelled = task in comparison.tasks_of(target)
    scores = comparison.scores(strategy, target, task, budget) if labelled else {}
    if not scores:
        raise DataError(
            f"No predictions of {strategy} for {task} on {target} with {budget} labels can be used."
        )
    y, _ = comparison.truth(target, task)
    numbers = range(len(classes))
    counts = sum(confusion_matrix(y, each.argmax(1), labels=numbers) for each in scores.values())
    return pd.DataFrame(counts, pd.Index(classes, name="true"), pd.Index(classes, name="predicted"))
