"""Which numbers: the metric suite of each kind of task, from NumPy arrays, over whole splits.

What is undefined is NaN with an `UndefinedMetricWarning`, never a silent zero;
`kinds.class_metrics` says when that is, and which classes an average leaves out.
"""

from __future__ import annotations

import os
import warnings
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np
from threadpoolctl import threadpool_limits

from tf_transfer.errors import listed
from tf_transfer.kinds import Classification, Multilabel, Regression, kind_named
from tf_transfer.measures.metric import measured, weighted
from tf_transfer.measures.ranked import Weights

_BLOCK = 2**18
"""Weights at a time: 2 MB of float64, which stay in the processor's cache."""
_ORDERED_BLOCK = 2**22
"""The same for metrics that need order, which walk over the rows once a block."""

_THREADS = 8
"""At most as many blocks at a time, for their memory."""


class UndefinedMetricWarning(UserWarning):
    """A metric is NaN, or an average leaves classes out; the message names the metric and the
    reason.
    """


def classification_suite(
    y, probabilities, classes=None, where: str = ""
) -> dict[str, float | np.ndarray]:
    """Every classification metric.

    Args:
        y: (rows,) int class index.
        probabilities: (rows, classes) float; each row sums to 1.
        classes: names for the warnings.
        where: what the rows are called in warnings and errors, for instance ``"test/sentiment"``.

    Returns:
        The metrics of a classification; ``precision``, ``recall``, ``f1`` and ``support``,
        (classes,) arrays; ``confusion_matrix``, (classes, classes) int with the true class in rows.
        AUROC and average precision take class 1 as positive where there are two classes, else the
        mean over one-vs-rest. The Brier score is the mean squared error of class 1 for two classes,
        else the squared errors summed over classes (as scikit-learn). Log-loss is in nats.

    Raises:
        DataError: shapes that do not fit, no row, or numbers that are no probabilities.

    Reference:
        Calibration: Guo et al. 2017, "On Calibration of Modern Neural Networks": 15 equal-width
        bins of the likeliest class's probability.

    Example:
        >>> scores = [[0.9, 0.1], [0.2, 0.8], [0.4, 0.6], [0.7, 0.3]]
        >>> suite = classification_suite([0, 1, 1, 1], scores)
        >>> suite["accuracy"], round(float(suite["f1_macro"]), 3)
        (0.75, 0.733)
        >>> suite["confusion_matrix"].tolist()
        [[1, 0], [1, 2]]
    """
    return _suite(Classification.name, y, probabilities, classes, where)


def multilabel_suite(
    y, probabilities, classes=None, where: str = ""
) -> dict[str, float | np.ndarray]:
    """Every multi-label metric, a label being predicted from a probability of 0.5.

    Args:
        y: (rows, classes) of 0 and 1.
        probabilities: (rows, classes) float in [0, 1].
        classes, where: see `classification_suite`.

    Returns:
        The metrics of a multi-label task and ``precision``, ``recall``, ``f1``, ``support``,
        (classes,) arrays. Log-loss (nats) and Brier are means over labels; F1 over samples leaves
        out rows with neither a label nor a prediction.

    Raises:
        DataError: shapes that do not fit, no row, or numbers that are no probabilities.

    Example:
        >>> suite = multilabel_suite([[1, 0], [1, 1]], [[0.9, 0.2], [0.8, 0.4]])
        >>> suite["subset_accuracy"], suite["hamming_loss"]
        (0.5, 0.25)
    """
    return _suite(Multilabel.name, y, probabilities, classes, where)


def regression_suite(y, prediction, where: str = "") -> dict[str, float]:
    """Every regression metric; errors in the unit of the labels.

    Args:
        y: (rows,) float.
        prediction: (rows,) float.
        where: see `classification_suite`.

    Raises:
        DataError: shapes that do not fit, no row, or a number that is not finite.

    Example:
        >>> suite = regression_suite([1.0, 2.0, 3.0], [1.5, 2.5, 3.5])
        >>> suite["mae"], round(float(suite["pearson"]), 6)
        (0.5, 1.0)
    """
    return _suite(Regression.name, y, prediction, None, where)


def suite(task, y, scores, where: str = "") -> dict[str, float | np.ndarray]:
    """The suite of a resolved `Task`: labels as `Task.encode` gives them, scores as `Prediction`
    has them.
    """
    return _suite(task.kind, y, scores, task.classes, where)


def resampled(metric: str, kind: str, y, scores, counts) -> np.ndarray:
    """One metric of many bootstrap resamples; see `resampled_suite`.

    Returns:
        (resamples,) float64.
    """
    return resampled_suite(kind, y, [scores], counts, [metric])[metric][:, 0]


def resampled_suite(kind: str, y, scores, counts, names=None) -> dict[str, np.ndarray]:
    """Metrics of many bootstrap resamples: the suite's values on ``np.repeat(rows, counts[i])``.

    Args:
        kind: kind of the task.
        y: labels as for the suite of the kind, ``rows`` long.
        scores: list of scores of the same rows, for instance of each seed and strategy.
        counts: (resamples, rows) int, how often each row was drawn.
        names: of metrics of the kind; None for all.

    Returns:
        For each metric (resamples, scores) float64; NaN where it is undefined, without a warning.

    Raises:
        DataError: an unknown metric, or what the suite raises.
    """
    of = kind_named(kind)
    chosen = list(of.metrics) if names is None else [of.metric(name) for name in names]
    pairs = [of.checked(y, each) for each in scores]
    values = {metric.name: np.empty((len(counts), len(pairs))) for metric in chosen}
    for in_order, size in ((False, _BLOCK), (True, _ORDERED_BLOCK)):
        alike = [metric for metric in chosen if (metric.ordered is not None) == in_order]
        formulas = [weighted(alike, *pair) for pair in pairs] if alike else []
        _fill(values, formulas, counts, max(1, size // len(y)))
    return values


def _fill(values: dict, formulas: Sequence, counts, step: int) -> None:
    """Writes what formulas give for ``step`` resamples at a time, on all processors."""

    def block(start: int) -> None:
        weights = Weights(counts[start : start + step])
        for column, formula in enumerate(formulas):
            with np.errstate(divide="ignore", invalid="ignore"):
                block_values = formula(weights)
            for metric, each in block_values.items():
                values[metric][start : start + step, column] = each

    starts = range(0, len(counts) if formulas else 0, step)
    if len(starts) < 2:
        for start in starts:
            block(start)
        return
    # Blocks side by side, each in one thread: small matrix products gain nothing from threads of
    # their own.
    with (
        threadpool_limits(1),
        ThreadPoolExecutor(min(len(starts), os.cpu_count() or 1, _THREADS)) as pool,
    ):
        list(pool.map(block, starts))


def _suite(kind: str, y, scores, classes, where: str) -> dict:
    of = kind_named(kind)
    y, scores = of.checked(y, scores, f" of {where}" if where else "")
    with np.errstate(divide="ignore", invalid="ignore"):
        values = measured(of.metrics, y, scores)
        details = of.details(y, scores)
    for metric in of.metrics:
        if np.isnan(values[metric.name]):
            _warn(metric.name, where, f"is undefined, so NaN: {metric.undefined}.")
    if "support" in details:
        _warn_of_absent(details["support"], classes, where)
    return {name: values[name] for name in of.metric_names} | details


def _warn(what: str, where: str, reason: str, stacklevel: int = 4) -> None:
    """Warns at the line that asked for the suite."""
    of = f" of {where}" if where else ""
    warnings.warn(f"{what}{of} {reason}", UndefinedMetricWarning, stacklevel=stacklevel)


def _warn_of_absent(support, classes, where) -> None:
    absent = [classes[i] if classes is not None else int(i) for i in np.flatnonzero(support == 0)]
    if absent:
        reason = f"is undefined for {listed(absent)} (no rows): left out of averages over classes."
        _warn("recall", where, reason, stacklevel=5)
