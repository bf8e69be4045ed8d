"""Metrics as formulas of row weights: the arithmetic under `metrics`.

``weights`` is (..., rows). With ones it gives the metric; with the counts of bootstrap resamples,
(resamples, rows), the metric of each resample's repeated rows, all in one matrix product. Metrics that
need the rows in order (ranks, medians) have no such formula and are computed resample by resample.

Arguments everywhere: ``kind`` of the task; ``y``, (rows,) int class indices, (rows, classes) of 0 and 1, or
(rows,) float; ``p`` or ``prediction``, float64 of the shape that `Prediction.scores` has.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable

import numpy as np
from scipy import stats
from sklearn import metrics as sk

BY_CLASS = ("precision", "recall", "f1")
AVERAGES = ("macro", "micro", "weighted")
CALIBRATION_BINS = 15


def direct(metric: str, kind: str, y, scores) -> float:
    """The metric of all rows; NaN where it is undefined."""
    if metric in ("auroc", "average_precision"):
        return _one_vs_rest(_RANKED[metric], kind, y, scores)
    if metric in _REGRESSION:
        return _of_varied(_REGRESSION[metric], y, scores, both=metric not in ("r2", "explained_variance"))
    if metric == "median_absolute_error":
        return float(np.median(np.abs(scores - y)))
    return float(weighted(metric, kind, y, scores)(np.ones(len(y))))


def weighted(metric: str, kind: str, y, scores) -> Callable:
    """The metric as a function of weights (..., rows) to values (...)."""
    if metric in FROM_SUMS:
        hits = class_hits(kind, y, scores)
        return lambda weights: FROM_SUMS[metric](*class_sums(hits, weights))
    if metric in _ROW_MEANS:
        rows = _ROW_MEANS[metric](kind, y, scores).astype(np.float64)
        return lambda weights: weights @ rows / weights.sum(-1)
    if metric == "expected_calibration_error":
        gaps = _calibration_gaps(y, scores)
        return lambda weights: np.abs(weights @ gaps).sum(-1) / weights.sum(-1)
    if metric == "f1_samples":
        rows = _row_f1(y, scores)
        return lambda weights: weights @ np.nan_to_num(rows) / (weights @ np.isfinite(rows))
    if metric in ("rmse", "r2", "explained_variance", "pearson"):
        return lambda weights: _from_moments(metric, y, scores, weights)
    return lambda weights: _row_by_row(metric, kind, y, scores, weights)


def class_hits(kind: str, y, p) -> np.ndarray:
    """(rows, 3 classes) of 0 and 1: whether each class is both true and predicted, predicted, true."""
    true = _targets(kind, y, p)
    predicted = np.eye(p.shape[1])[p.argmax(1)] if kind == "classification" else (p >= 0.5).astype(float)
    return np.concatenate([true * predicted, predicted, true], axis=1)


def class_sums(hits, weights) -> tuple[np.ndarray, ...]:
    """True positives, predicted and true rows of each class, (..., classes) each, and all rows, (...)."""
    return *np.split(weights @ hits, 3, axis=-1), weights.sum(-1)


def by_class(tp, predicted, true) -> tuple[np.ndarray, ...]:
    """Precision, recall and F1 of each class; NaN for 0 / 0."""
    return tp / predicted, tp / true, 2 * tp / (predicted + true)


def _targets(kind, y, p) -> np.ndarray:
    return np.eye(p.shape[1])[y] if kind == "classification" else np.asarray(y, np.float64)


def _mean_over(values, included):
    """The mean over the included classes; NaN when one of them is NaN, or none is included."""
    return np.where(included, values, 0.0).sum(-1) / included.sum(-1)


def _macro(tp, predicted, true, total):
    precision, recall, f1 = by_class(tp, predicted, true)
    met = (predicted + true) > 0
    return _mean_over(precision, met), _mean_over(recall, true > 0), _mean_over(f1, met)


def _micro(tp, predicted, true, total):
    return by_class(tp.sum(-1), predicted.sum(-1), true.sum(-1))


def _weighted_by_support(tp, predicted, true, total):
    parts = (np.where(true > 0, true * value, 0.0) for value in by_class(tp, predicted, true))
    return tuple(part.sum(-1) / true.sum(-1) for part in parts)


def _balanced_accuracy(tp, predicted, true, total):
    return np.where((true > 0).sum(-1) > 1, _mean_over(tp / true, true > 0), np.nan)


def _matthews(tp, predicted, true, total):
    covariance = tp.sum(-1) * total - (predicted * true).sum(-1)
    spread = (total**2 - (predicted**2).sum(-1)) * (total**2 - (true**2).sum(-1))
    return covariance / np.sqrt(spread)


def _cohen_kappa(tp, predicted, true, total):
    chance = (predicted * true).sum(-1)
    return (tp.sum(-1) * total - chance) / (total**2 - chance)


def _nth(function: Callable, n: int) -> Callable:
    return lambda *sums: function(*sums)[n]


FROM_SUMS: dict[str, Callable] = {
    "balanced_accuracy": _balanced_accuracy,
    "matthews": _matthews,
    "cohen_kappa": _cohen_kappa,
    **{
        f"{name}_{average}": _nth(function, n)
        for n, name in enumerate(BY_CLASS)
        for average, function in zip(AVERAGES, (_macro, _micro, _weighted_by_support))
    },
}
"""Metrics that need no more than the `class_sums`."""


def _row_log_loss(kind, y, p) -> np.ndarray:
    smallest = np.finfo(np.float64).eps
    p = np.clip(p, smallest, 1 - smallest)
    if kind == "classification":
        return -np.log(p[np.arange(len(y)), y])
    return -np.where(y > 0, np.log(p), np.log1p(-p)).mean(1)


def _row_brier(kind, y, p) -> np.ndarray:
    squared = (p - _targets(kind, y, p)) ** 2
    if kind == "classification":
        return squared[:, 1] if p.shape[1] == 2 else squared.sum(1)
    return squared.mean(1)


_ROW_MEANS: dict[str, Callable] = {
    "accuracy": lambda kind, y, p: p.argmax(1) == y,
    "subset_accuracy": lambda kind, y, p: ((p >= 0.5) == (y > 0)).all(1),
    "hamming_loss": lambda kind, y, p: ((p >= 0.5) != (y > 0)).mean(1),
    "log_loss": _row_log_loss,
    "brier": _row_brier,
    "mae": lambda kind, y, p: np.abs(p - y),
}


def _row_f1(y, p) -> np.ndarray:
    predicted, true = p >= 0.5, y > 0
    with np.errstate(invalid="ignore"):
        return 2 * (predicted & true).sum(1) / (predicted.sum(1) + true.sum(1))


def _calibration_gaps(y, p) -> np.ndarray:
    """(rows, bins): correct minus confidence in the row's bin, 0 elsewhere; the first bin is (0, 1/15]."""
    edges = np.linspace(0, 1, CALIBRATION_BINS + 1)
    confidence = p.max(1)
    gap = (p.argmax(1) == y) - confidence
    return np.eye(CALIBRATION_BINS)[np.digitize(confidence, edges[1:-1], right=True)] * gap[:, None]


def _from_moments(metric, y, prediction, weights) -> np.ndarray:
    """Metrics made of means and variances, from columns centred on their medians."""
    if weights.ndim == 1:
        return _from_moments(metric, y, prediction, weights[None])[0]
    a, b, e = (v - np.median(v) for v in (y, prediction, prediction - y))
    columns = np.stack([a, b, e, a * a, b * b, e * e, a * b, (prediction - y) ** 2], axis=1)
    a, b, e, aa, bb, ee, ab, squared = (weights @ columns / weights.sum(-1, keepdims=True)).T
    if metric == "rmse":
        return np.sqrt(squared)
    var_a, var_b = aa - a * a, bb - b * b
    values = {
        "r2": lambda: 1 - squared / var_a,
        "explained_variance": lambda: 1 - (ee - e * e) / var_a,
        "pearson": lambda: (ab - a * b) / np.sqrt(var_a * var_b),
    }[metric]()
    # A (nearly) constant resample: the difference of moments has too few correct digits.
    doubtful = var_a <= 1e-3 * aa
    if metric == "pearson":
        doubtful |= var_b <= 1e-3 * bb
    values[doubtful] = _row_by_row(metric, "regression", y, prediction, weights[doubtful])
    return values


def _row_by_row(metric, kind, y, scores, weights) -> np.ndarray:
    drawn = (np.repeat(np.arange(len(y)), row.astype(int)) for row in np.atleast_2d(weights))
    return np.array([direct(metric, kind, y[rows], scores[rows]) for rows in drawn])


_RANKED = {"auroc": sk.roc_auc_score, "average_precision": sk.average_precision_score}


def _one_vs_rest(function, kind, y, p) -> float:
    targets = _targets(kind, y, p)
    columns = [1] if kind == "classification" and p.shape[1] == 2 else range(p.shape[1])
    mixed = [c for c in columns if 0 < targets[:, c].sum() < len(targets)]
    return float(np.mean([function(targets[:, c], p[:, c]) for c in mixed])) if mixed else np.nan


_REGRESSION = {
    "r2": sk.r2_score,
    "explained_variance": sk.explained_variance_score,
    "pearson": lambda y, prediction: stats.pearsonr(y, prediction).statistic,
    "spearman": lambda y, prediction: stats.spearmanr(y, prediction).statistic,
    "kendall": lambda y, prediction: stats.kendalltau(y, prediction).statistic,
}


def _of_varied(function, y, prediction, both: bool) -> float:
    """``function``, or NaN where the labels (or, when ``both``, the predictions) are constant."""
    if np.ptp(y) == 0 or (both and np.ptp(prediction) == 0):
        return np.nan
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", stats.NearConstantInputWarning)
        return float(function(y, prediction))
