"""Metrics as formulas of row weights: the arithmetic under `metrics`.

A weight is how often a row counts: ones give the metric, the counts of a bootstrap resample the metric of its
repeated rows. Most metrics are made of weighted sums of a few columns, so that one matrix product serves all
resamples and all metrics; those that need the rows in order are in `ranked`.

Arguments everywhere: ``kind`` of the task; ``y``, (rows,) int class indices, (rows, classes) of 0 and 1, or
(rows,) float; ``p`` or ``prediction``, float64 of the shape that `Prediction.scores` has.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable

import numpy as np
from scipy import stats
from sklearn import metrics as sk

from tf_transfer import ranked
from tf_transfer.ranked import Weights

BY_CLASS = ("precision", "recall", "f1")
AVERAGES = ("macro", "micro", "weighted")
CALIBRATION_BINS = 15


def direct(metric: str, kind: str, y, scores) -> float:
    """The metric of all rows; NaN where it is undefined."""
    if metric in ("auroc", "average_precision"):
        return _one_vs_rest(_AREAS[metric], kind, y, scores)
    if metric in _REGRESSION:
        return _of_varied(_REGRESSION[metric], y, scores, both=metric not in ("r2", "explained_variance"))
    if metric == "median_absolute_error":
        return float(np.median(np.abs(scores - y)))
    return float(weighted([metric], kind, y, scores)(Weights(np.ones((1, len(y)))))[metric][0])


def weighted(names, kind: str, y, scores) -> Callable[[Weights], dict[str, np.ndarray]]:
    """Some metrics as one function of `Weights`, to ``{metric: (resamples,)}``; what they share is computed once."""
    in_order = {m: _RANKED[m](y, scores) for m in names if m in _RANKED}
    linear = _linear([m for m in names if m in _FROM_COLUMNS], kind, y, scores)
    areas = _mean_areas(kind, y, scores) if {"auroc", "average_precision"} & set(names) else lambda weights: {}

    def formula(weights: Weights) -> dict[str, np.ndarray]:
        values = linear(weights) | areas(weights) | {m: f(weights) for m, f in in_order.items()}
        return {m: values[m] for m in names}

    return formula


def _linear(names, kind, y, scores) -> Callable[[Weights], dict[str, np.ndarray]]:
    """The metrics made of weighted sums of columns."""
    if not names:
        return lambda weights: {}
    needed = list(dict.fromkeys(_FROM_COLUMNS[m][0] for m in names))
    columns = [_COLUMNS[name](kind, y, scores) for name in needed]
    matrix = np.concatenate(columns, axis=1, dtype=np.float64)
    ends = np.cumsum([c.shape[1] for c in columns])[:-1]

    def formula(weights: Weights) -> dict[str, np.ndarray]:
        sums = dict(zip(needed, np.split(weights.by_resample @ matrix, ends, axis=1)))
        values = {m: _FROM_COLUMNS[m][1](sums[_FROM_COLUMNS[m][0]], weights.total) for m in names}
        for metric in (m for m in names if m in _FROM_MOMENTS):
            # A (nearly) constant resample: the difference of moments has too few correct digits.
            doubtful = np.flatnonzero(_doubtful(metric, sums["moments"], weights.total))
            repeated = (np.repeat(np.arange(len(y)), weights.counts[i].astype(int)) for i in doubtful)
            values[metric][doubtful] = [direct(metric, kind, y[rows], scores[rows]) for rows in repeated]
        return values

    return formula


def class_hits(kind: str, y, p) -> np.ndarray:
    """(rows, 3 classes) of 0 and 1: whether each class is both true and predicted, predicted, true."""
    true = _targets(kind, y, p)
    predicted = np.eye(p.shape[1])[p.argmax(1)] if kind == "classification" else (p >= 0.5).astype(float)
    return np.concatenate([true * predicted, predicted, true], axis=1)


def class_sums(sums, total) -> tuple[np.ndarray, ...]:
    """True positives, predicted and true rows of each class, (..., classes) each, and all rows, (...).

    Args:
        sums: (..., 3 classes), sums of the rows of `class_hits`.
        total: (...), numbers of rows.
    """
    return *np.split(sums, 3, axis=-1), total


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


ROW_VALUES: dict[str, Callable] = {
    "accuracy": lambda kind, y, p: p.argmax(1) == y,
    "subset_accuracy": lambda kind, y, p: ((p >= 0.5) == (y > 0)).all(1),
    "hamming_loss": lambda kind, y, p: ((p >= 0.5) != (y > 0)).mean(1),
    "log_loss": _row_log_loss,
    "brier": _row_brier,
    "mae": lambda kind, y, p: np.abs(p - y),
}
"""Metrics that are the mean of a number a row, with that number: functions of kind, y and p to (rows,)."""


def _row_f1(y, p) -> np.ndarray:
    """(rows, 2): the F1 of each row, 0 where it is undefined; whether it is defined."""
    predicted, true = p >= 0.5, y > 0
    size = predicted.sum(1) + true.sum(1)
    return np.stack([2 * (predicted & true).sum(1) / np.maximum(size, 1), size > 0], axis=1)


def _calibration_gaps(y, p) -> np.ndarray:
    """(rows, bins): correct minus confidence in the row's bin, 0 elsewhere; the first bin is (0, 1/15]."""
    edges = np.linspace(0, 1, CALIBRATION_BINS + 1)
    confidence = p.max(1)
    gap = (p.argmax(1) == y) - confidence
    return np.eye(CALIBRATION_BINS)[np.digitize(confidence, edges[1:-1], right=True)] * gap[:, None]


def _moments(kind, y, prediction) -> np.ndarray:
    """Labels a, predictions b and errors e, centred on their medians, and their products."""
    a, b, e = (v - np.median(v) for v in (y, prediction, prediction - y))
    return np.stack([a, b, e, a * a, b * b, e * e, a * b, (prediction - y) ** 2], axis=1)


def _from_moments(metric: str) -> Callable:
    def finish(sums, total):
        a, b, e, aa, bb, ee, ab, squared = (sums / total[:, None]).T
        if metric == "rmse":
            return np.sqrt(squared)
        var_a, var_b = aa - a * a, bb - b * b
        if metric == "pearson":
            return (ab - a * b) / np.sqrt(var_a * var_b)
        return 1 - (squared if metric == "r2" else ee - e * e) / var_a

    return finish


def _doubtful(metric: str, sums, total) -> np.ndarray:
    """Resamples of which the labels (for Pearson's r, also the predictions) hardly vary."""
    a, b, _, aa, bb = (sums / total[:, None]).T[:5]
    flat_a, flat_b = aa - a * a <= 1e-3 * aa, bb - b * b <= 1e-3 * bb
    return (flat_a & (metric != "rmse")) | (flat_b & (metric == "pearson"))


_FROM_MOMENTS = ("rmse", "r2", "explained_variance", "pearson")

_COLUMNS: dict[str, Callable] = {
    "class_sums": class_hits,
    "expected_calibration_error": lambda kind, y, p: _calibration_gaps(y, p),
    "f1_samples": lambda kind, y, p: _row_f1(y, p),
    "moments": _moments,
    **{m: lambda *args, rows=rows: rows(*args)[:, None] for m, rows in ROW_VALUES.items()},
}
"""(rows, columns) float, of which metrics need the weighted sums."""

_FROM_COLUMNS: dict[str, tuple[str, Callable]] = {
    **{m: ("class_sums", lambda sums, total, f=f: f(*class_sums(sums, total))) for m, f in FROM_SUMS.items()},
    **{m: (m, lambda sums, total: sums[:, 0] / total) for m in ROW_VALUES},
    **{m: ("moments", _from_moments(m)) for m in _FROM_MOMENTS},
    "expected_calibration_error": (
        "expected_calibration_error",
        lambda sums, total: np.abs(sums).sum(-1) / total,
    ),
    "f1_samples": ("f1_samples", lambda sums, total: sums[:, 0] / sums[:, 1]),
}
"""Of each metric the columns it needs, and the metric as a function of their sums and the number of rows."""


def _mean_areas(kind, y, p) -> Callable[[Weights], dict[str, np.ndarray]]:
    """AUROC and average precision, means over the classes that have both rows with and without them."""
    targets = _targets(kind, y, p) > 0
    classes = [ranked.areas(targets[:, c], p[:, c]) for c in _ranked_classes(kind, p)]

    def formula(weights: Weights) -> dict[str, np.ndarray]:
        found = np.array([area(weights) for area in classes])  # (classes, 2, resamples)
        means = np.nansum(found, axis=0) / np.isfinite(found).sum(0)
        return {"auroc": means[0], "average_precision": means[1]}

    return formula


def _ranked_classes(kind, p) -> list[int]:
    return [1] if kind == "classification" and p.shape[1] == 2 else list(range(p.shape[1]))


_RANKED: dict[str, Callable] = {
    "spearman": ranked.spearman,
    "kendall": ranked.kendall,
    "median_absolute_error": lambda y, prediction: ranked.median(np.abs(prediction - y)),
}


ORDERED = ("auroc", "average_precision", *_RANKED)
"""Metrics that need the rows in order."""


def _one_vs_rest(function, kind, y, p) -> float:
    targets = _targets(kind, y, p)
    mixed = [c for c in _ranked_classes(kind, p) if 0 < targets[:, c].sum() < len(targets)]
    return float(np.mean([function(targets[:, c], p[:, c]) for c in mixed])) if mixed else np.nan


_AREAS = {"auroc": sk.roc_auc_score, "average_precision": sk.average_precision_score}
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
