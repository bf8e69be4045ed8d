"""Metrics of answers that are classes, from how often each class is right, answered and true.

What is undefined is NaN, never a silent zero:

* Precision of a class that is never predicted, recall of a class without rows, F1 of a class with
  neither.
* Averages over classes leave out what no row speaks of. Recall, AUROC and average precision run
  over the classes with rows; precision and F1 over the classes with rows or predictions, so that a
  class predicted without cause counts as 0. Where a class with rows is never predicted, its
  precision is unknown, and so is the average; its F1 is 0.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from tf_transfer.measures import ranked
from tf_transfer.measures.metric import Formula, Metric
from tf_transfer.measures.ranked import Weights

BY_CLASS = ("precision", "recall", "f1")
AVERAGES = ("macro", "micro", "weighted")
CALIBRATION_BINS = 15
"""Of the calibration error, of equal width: Guo et al. 2017."""
_MIXED = "no class has both rows with it and rows without it"
_WRITTEN = {"f1_macro": "macro F1", "f1_micro": "micro F1", "f1_weighted": "weighted F1"}


def hits(true, answered) -> np.ndarray:
    """(rows, 3 classes) of 0 and 1: whether each class is both true and answered, answered, true.

    Args:
        true, answered: (rows, classes) of 0 and 1.
    """
    return np.concatenate([true * answered, answered, true], axis=1)


def by_class(right, answered, true) -> tuple[np.ndarray, ...]:
    """Precision, recall and F1 of each class from numbers of rows; NaN for 0 / 0."""
    return right / answered, right / true, 2 * right / (answered + true)


def class_details(columns: np.ndarray) -> dict[str, np.ndarray]:
    """``precision``, ``recall``, ``f1`` and ``support``, (classes,) each, from the columns of
    `hits`.
    """
    right, answered, true = np.split(columns.sum(0), 3)
    return dict(zip(BY_CLASS, by_class(right, answered, true))) | {"support": true.astype(int)}


def averages(columns: Callable, proportions: bool) -> tuple[Metric, ...]:
    """Precision, recall and F1, averaged over classes in three ways.

    Args:
        columns: the `hits` of labels and answers.
        proportions: whether the averages over rows ("micro") are shares of rows that are right.
    """
    ways = dict(zip(AVERAGES, (_macro, _micro, _weighted_by_support)))
    return tuple(
        from_hits(
            f"{name}_{average}",
            columns,
            _nth(way, place),
            label=_WRITTEN.get(f"{name}_{average}", ""),
            proportion=proportions and average == "micro",
            **(
                {"undefined": "a class with rows is never predicted"} if name == "precision" else {}
            ),
        )
        for place, name in enumerate(BY_CLASS)
        for average, way in ways.items()
    )


def from_hits(name: str, columns: Callable, formula: Callable, **known) -> Metric:
    """A metric that is a ``formula`` of right, answered and true rows of each class (..., classes),
    and all rows.
    """
    return Metric(
        name, columns, lambda sums, total: formula(*np.split(sums, 3, axis=-1), total), **known
    )


def _mean_over(values, included):
    """The mean over the included classes; NaN when one of them is NaN, or none is included."""
    return np.where(included, values, 0.0).sum(-1) / included.sum(-1)


def _macro(right, answered, true, total):
    precision, recall, f1 = by_class(right, answered, true)
    met = (answered + true) > 0
    return _mean_over(precision, met), _mean_over(recall, true > 0), _mean_over(f1, met)


def _micro(right, answered, true, total):
    return by_class(right.sum(-1), answered.sum(-1), true.sum(-1))


def _weighted_by_support(right, answered, true, total):
    parts = (np.where(true > 0, true * value, 0.0) for value in by_class(right, answered, true))
    return tuple(part.sum(-1) / true.sum(-1) for part in parts)


def balanced_accuracy(right, answered, true, total):
    """The mean recall; NaN where the labels hold a single class."""
    return np.where((true > 0).sum(-1) > 1, _mean_over(right / true, true > 0), np.nan)


def matthews(right, answered, true, total):
    """Matthews' correlation; NaN where scikit-learn returns 0 for constants."""
    covariance = right.sum(-1) * total - (answered * true).sum(-1)
    spread = (total**2 - (answered**2).sum(-1)) * (total**2 - (true**2).sum(-1))
    return covariance / np.sqrt(spread)


def cohen_kappa(right, answered, true, total):
    """Cohen's κ: agreement beyond that of chance."""
    chance = (answered * true).sum(-1)
    return (right.sum(-1) * total - chance) / (total**2 - chance)


def _nth(function: Callable, n: int) -> Callable:
    return lambda *sums: function(*sums)[n]


def areas(true_of: Callable, classes_of: Callable) -> tuple[Metric, Metric]:
    """AUROC and average precision: means over the classes that have both rows with and rows without
    them.

    Args:
        true_of: from ``y`` and probabilities to (rows, classes) of 0 and 1.
        classes_of: from probabilities to the numbers of the classes that count.
    """

    def ordered(y, p) -> Formula:
        true = true_of(y, p) > 0
        classes = [ranked.areas(true[:, c], p[:, c]) for c in classes_of(p)]

        def formula(weights: Weights) -> dict[str, np.ndarray]:
            values = np.array([area(weights) for area in classes])  # (classes, 2, resamples)
            means = np.nansum(values, axis=0) / np.isfinite(values).sum(0)
            return {"auroc": means[0], "average_precision": means[1]}

        return formula

    def of_all(name: str) -> Callable:
        def direct(y, p) -> float:
            from sklearn import metrics

            area = {
                "auroc": metrics.roc_auc_score,
                "average_precision": metrics.average_precision_score,
            }[name]
            true = true_of(y, p)
            mixed = [c for c in classes_of(p) if 0 < true[:, c].sum() < len(true)]
            return float(np.mean([area(true[:, c], p[:, c]) for c in mixed])) if mixed else np.nan

        return direct

    names = {"auroc": "AUROC", "average_precision": ""}
    made = (
        Metric(n, ordered=ordered, direct=of_all(n), label=t, undefined=_MIXED)
        for n, t in names.items()
    )
    return tuple(made)


def clipped(p: np.ndarray) -> np.ndarray:
    """Probabilities whose logarithm is finite."""
    smallest = np.finfo(np.float64).eps
    return np.clip(p, smallest, 1 - smallest)
