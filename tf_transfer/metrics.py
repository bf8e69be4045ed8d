"""Which numbers: the metric suite of each kind of task, from NumPy arrays, over whole splits.

What is undefined is NaN with an `UndefinedMetricWarning`, never a silent zero:

* Precision of a class that is never predicted, recall of a class without rows, F1 of a class with neither;
  balanced accuracy and AUROC of a single class; R² and correlations of constants; Matthews with constant
  labels or predictions, where scikit-learn returns 0.
* Averages over classes leave out what no row speaks of. Recall, AUROC and average precision run over the
  classes with rows; precision and F1 over the classes with rows or predictions, so that a class predicted
  without cause counts as 0. Where a class with rows is never predicted, its precision is unknown, and so
  is the average; its F1 is 0.
"""

from __future__ import annotations

import os
import warnings
from concurrent.futures import ThreadPoolExecutor

import numpy as np
from sklearn.metrics import confusion_matrix
from threadpoolctl import threadpool_limits

from tf_transfer import formulas
from tf_transfer.errors import DataError, check_choice, listed
from tf_transfer.formulas import AVERAGES, BY_CLASS

_AVERAGED = tuple(f"{name}_{average}" for name in BY_CLASS for average in AVERAGES)

SCALARS: dict[str, tuple[str, ...]] = {
    "classification": (
        *("accuracy", "balanced_accuracy", *_AVERAGED, "matthews", "cohen_kappa"),
        *("auroc", "average_precision", "log_loss", "brier", "expected_calibration_error"),
    ),
    "multilabel": (
        *("subset_accuracy", "hamming_loss", *_AVERAGED, "f1_samples"),
        *("auroc", "average_precision", "log_loss", "brier"),
    ),
    "regression": (
        *("mae", "rmse", "r2", "explained_variance"),
        *("pearson", "spearman", "kendall", "median_absolute_error"),
    ),
}
"""The metrics of each kind that are one number, in the order of the tables."""

PRIMARY = {"classification": "f1_macro", "multilabel": "f1_macro", "regression": "pearson"}
"""The metric of each kind that a verdict is given on."""

_LOSSES = {"hamming_loss", "log_loss", "brier", "expected_calibration_error"}
_LOSSES |= {"mae", "rmse", "median_absolute_error"}
HIGHER_IS_BETTER: dict[str, bool] = {m: m not in _LOSSES for names in SCALARS.values() for m in names}

RANGES = dict.fromkeys(HIGHER_IS_BETTER, (0.0, 1.0))
"""The lowest and highest value that each metric can take."""
RANGES |= dict.fromkeys(("matthews", "cohen_kappa", "pearson", "spearman", "kendall"), (-1.0, 1.0))
RANGES |= dict.fromkeys(("log_loss", "mae", "rmse", "median_absolute_error"), (0.0, np.inf))
RANGES |= dict.fromkeys(("r2", "explained_variance"), (-np.inf, 1.0)) | {"brier": (0.0, 2.0)}

_MICRO = tuple(f"{name}_micro" for name in BY_CLASS)
PROPORTIONS = {"classification": ("accuracy", *_MICRO), "multilabel": ("subset_accuracy",)}
"""Metrics that are the share of rows that are right."""

_BLOCK = 2**18
"""Weights at a time: 2 MB of float64, which stay in the processor's cache."""
_ORDERED_BLOCK = 2**22
"""The same for metrics that need order, which walk over the rows once a block."""

_THREADS = 8
"""At most as many blocks at a time, for their memory."""

_UNDEFINED = {
    "balanced_accuracy": "the labels hold a single class",
    "matthews": "the labels or the predictions are constant",
    "cohen_kappa": "labels and predictions are the same constant",
    "auroc": "no class has both rows with it and rows without it",
    "average_precision": "no class has both rows with it and rows without it",
    "r2": "the labels are constant",
    "explained_variance": "the labels are constant",
} | dict.fromkeys(("pearson", "spearman", "kendall"), "the labels or the predictions are constant")
_UNDEFINED |= dict.fromkeys(_AVERAGED[:3], "a class with rows is never predicted")


class UndefinedMetricWarning(UserWarning):
    """A metric is NaN, or an average leaves classes out; the message names the metric and the reason."""


def classification_suite(y, probabilities, classes=None, where: str = "") -> dict[str, float | np.ndarray]:
    """Every classification metric.

    Args:
        y: (rows,) int class index.
        probabilities: (rows, classes) float; each row sums to 1.
        classes: names for the warnings.
        where: what the rows are called in warnings and errors, for instance ``"test/sentiment"``.

    Returns:
        The `SCALARS` of classification; ``precision``, ``recall``, ``f1`` and ``support``, (classes,)
        arrays; ``confusion_matrix``, (classes, classes) int with the true class in rows. AUROC and average
        precision take class 1 as positive where there are two classes, else the mean over one-vs-rest.
        The Brier score is the mean squared error of class 1 for two classes, else the squared errors
        summed over classes (as scikit-learn). Log-loss is in nats.

    Raises:
        DataError: shapes that do not fit, no row, or numbers that are no probabilities.

    Reference:
        Calibration: Guo et al. 2017, "On Calibration of Modern Neural Networks": 15 equal-width bins of
        the likeliest class's probability.

    Example:
        >>> suite = classification_suite([0, 1, 1, 1], [[0.9, 0.1], [0.2, 0.8], [0.4, 0.6], [0.7, 0.3]])
        >>> suite["accuracy"], round(float(suite["f1_macro"]), 3)
        (0.75, 0.733)
        >>> suite["confusion_matrix"].tolist()
        [[1, 0], [1, 2]]
    """
    y, p = checked("classification", y, probabilities, where)
    suite = _suite("classification", y, p, classes, where)
    suite["confusion_matrix"] = confusion_matrix(y, p.argmax(1), labels=np.arange(p.shape[1]))
    return suite


def multilabel_suite(y, probabilities, classes=None, where: str = "") -> dict[str, float | np.ndarray]:
    """Every multi-label metric, a label being predicted from a probability of 0.5.

    Args:
        y: (rows, classes) of 0 and 1.
        probabilities: (rows, classes) float in [0, 1].
        classes, where: see `classification_suite`.

    Returns:
        The `SCALARS` of multilabel and ``precision``, ``recall``, ``f1``, ``support``, (classes,) arrays.
        Log-loss (nats) and Brier are means over labels; F1 over samples leaves out rows with neither
        a label nor a prediction.

    Raises:
        DataError: shapes that do not fit, no row, or numbers that are no probabilities.

    Example:
        >>> suite = multilabel_suite([[1, 0], [1, 1]], [[0.9, 0.2], [0.8, 0.4]])
        >>> suite["subset_accuracy"], suite["hamming_loss"]
        (0.5, 0.25)
    """
    y, p = checked("multilabel", y, probabilities, where)
    return _suite("multilabel", y, p, classes, where)


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
    return _suite("regression", *checked("regression", y, prediction, where), None, where)


def suite(task, y, scores, where: str = "") -> dict[str, float | np.ndarray]:
    """The suite of a resolved `Task`: labels as `Task.encode` gives them, scores as `Prediction` has them."""
    if task.kind == "regression":
        return regression_suite(y, scores, where)
    function = multilabel_suite if task.kind == "multilabel" else classification_suite
    return function(y, scores, task.classes, where)


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
        names: some of ``SCALARS[kind]``; None for all.

    Returns:
        For each metric (resamples, scores) float64; NaN where it is undefined, without a warning.

    Raises:
        DataError: an unknown metric, or what the suite raises.
    """
    names = list(SCALARS[kind] if names is None else names)
    for metric in names:
        check_choice(f"metric of a {kind}", metric, SCALARS[kind])
    pairs = [checked(kind, y, each) for each in scores]
    values = {m: np.empty((len(counts), len(pairs))) for m in names}
    for ordered, size in ((False, _BLOCK), (True, _ORDERED_BLOCK)):
        chosen = [m for m in names if (m in formulas.ORDERED) == ordered]
        formula_of = [formulas.weighted(chosen, kind, *pair) for pair in pairs] if chosen else []
        _fill(values, formula_of, counts, max(1, size // len(y)))
    return values


def _fill(values: dict, formula_of: list, counts, step: int) -> None:
    """Writes what formulas give for ``step`` resamples at a time, on all processors."""

    def block(start: int) -> None:
        weights = formulas.Weights(counts[start : start + step])
        for column, formula in enumerate(formula_of):
            with np.errstate(divide="ignore", invalid="ignore"):
                found = formula(weights)
            for metric, each in found.items():
                values[metric][start : start + step, column] = each

    starts = range(0, len(counts) if formula_of else 0, step)
    if len(starts) < 2:
        for start in starts:
            block(start)
        return
    # Blocks side by side, each in one thread: small matrix products gain nothing from threads of their own.
    with threadpool_limits(1), ThreadPoolExecutor(min(len(starts), os.cpu_count() or 1, _THREADS)) as pool:
        list(pool.map(block, starts))


def _suite(kind, y, scores, classes, where) -> dict:
    with np.errstate(divide="ignore", invalid="ignore"):
        values = {} if kind == "regression" else _from_class_sums(kind, y, scores)
        values |= {m: formulas.direct(m, kind, y, scores) for m in SCALARS[kind] if m not in values}
    for metric in SCALARS[kind]:
        if np.isnan(values[metric]):
            _warn(metric, where, f"is undefined, so NaN: {_UNDEFINED.get(metric, 'nothing to average')}.")
    if kind != "regression":
        _warn_of_absent(values["support"], classes, where)
    return {m: values.pop(m) for m in SCALARS[kind]} | values


def _from_class_sums(kind, y, scores) -> dict:
    sums = formulas.class_sums(formulas.class_hits(kind, y, scores).sum(0), float(len(y)))
    values = {m: float(formula(*sums)) for m, formula in formulas.FROM_SUMS.items() if m in SCALARS[kind]}
    return values | dict(zip(BY_CLASS, formulas.by_class(*sums[:3]))) | {"support": sums[2].astype(int)}


def _warn(what: str, where: str, reason: str) -> None:
    of = f" of {where}" if where else ""
    warnings.warn(f"{what}{of} {reason}", UndefinedMetricWarning, stacklevel=4)


def _warn_of_absent(support, classes, where) -> None:
    absent = [classes[i] if classes is not None else int(i) for i in np.flatnonzero(support == 0)]
    if absent:
        _warn(
            "recall",
            where,
            f"is undefined for {listed(absent)} (no rows): left out of averages over classes.",
        )


def checked(kind, y, scores, where="") -> tuple[np.ndarray, np.ndarray]:
    """Both as arrays that fit together, scores as float64; rows of class probabilities sum to 1 exactly."""
    y, scores = np.asarray(y), np.asarray(scores, np.float64)
    of = f" of {where}" if where else ""
    width = 1 if kind == "regression" else 2
    fits = scores.ndim == width and y.shape == (scores.shape[:1] if kind == "classification" else scores.shape)
    if not fits or not len(y):
        raise DataError(
            f"Labels and scores{of} must be of the same rows, at least one"
            f"{', with a score for each class' if width == 2 else ''}.\n"
            f"Received labels of shape {y.shape} and scores of shape {scores.shape}."
        )
    bad = np.flatnonzero(~np.isfinite(scores.reshape(len(y), -1)).all(1))
    if len(bad):
        raise DataError(
            f"Scores{of} must be finite.\nReceived {scores[bad[0]]} in row {bad[0]} ({len(bad)} such rows).\n"
            "The model has diverged: train it with a lower learning rate."
        )
    if kind == "regression":
        if not np.isfinite(y).all():
            raise DataError(f"Labels{of} must be finite.\nReceived {y[~np.isfinite(y)][0]}.")
        return y.astype(np.float64), scores
    _check_classes(kind, y, scores, of)
    return (y.astype(int), scores / scores.sum(1, keepdims=True)) if kind == "classification" else (y, scores)


def _check_classes(kind, y, p, of) -> None:
    largest = p.shape[1] - 1 if kind == "classification" else 1
    if y.min() < 0 or y.max() > largest or np.any(y != y.astype(int)):
        raise DataError(f"Labels{of} must be integers from 0 to {largest}.\nReceived {y.min()} to {y.max()}.")
    # Softmax in bfloat16 sums to 1 within 1 %; logits do not.
    off = (p < 0).any(1) | (p > 1.01).any(1)
    if kind == "classification":
        off |= np.abs(p.sum(1) - 1) > 0.01
    if off.any():
        row = np.flatnonzero(off)[0]
        raise DataError(
            f"Scores{of} must be probabilities.\nReceived {p[row]} in row {row}.\n"
            "Pass logits through a softmax (multi-label: a sigmoid) first."
        )
