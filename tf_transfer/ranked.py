"""Metrics that need the rows in order, as formulas of row weights: areas, rank correlations, medians.

A weight is how often a row counts. The rows are sorted once; what lies below a row in each of many resamples
is then a cumulative sum of weights. Arrays are (rows, resamples), so that sorting the rows moves whole
stretches of memory. Everything but `median` counts in whole numbers, so that results are exact.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property

import numpy as np


class Weights:
    """The weights of some resamples, in the layouts that formulas want; each is made once.

    Args:
        counts: (resamples, rows), how often each row was drawn.
    """

    def __init__(self, counts):
        self.counts = np.asarray(counts)
        self._of_labels: dict[str, tuple] = {}

    @cached_property
    def by_resample(self) -> np.ndarray:
        """(resamples, rows) float64."""
        return np.asarray(self.counts, np.float64)

    @cached_property
    def by_row(self) -> np.ndarray:
        """(rows, resamples) float64."""
        return np.ascontiguousarray(self.counts.T).astype(np.float64)

    @cached_property
    def single(self) -> np.ndarray:
        """(rows, resamples) float32, exact up to 2**24 rows."""
        return self.by_row.astype(np.float32)

    @cached_property
    def total(self) -> np.ndarray:
        """(resamples,) rows drawn, float64."""
        return self.counts.sum(1, dtype=np.float64)

    def of_labels(self, name: str, compute: Callable) -> tuple:
        """``compute(self)``, once for all predictions of the same labels."""
        if name not in self._of_labels:
            self._of_labels[name] = compute(self)
        return self._of_labels[name]


def cumulative(weights: np.ndarray) -> np.ndarray:
    """(rows + 1, resamples): the sums of the first 0, 1, … rows of ``weights``."""
    sums = np.empty((len(weights) + 1, weights.shape[1]), weights.dtype)
    sums[0] = 0
    if weights.shape[1] < 32:
        np.cumsum(weights, axis=0, out=sums[1:])
    else:  # NumPy's cumsum down the columns takes ten times as long.
        for row, weight in enumerate(weights):
            np.add(sums[row], weight, out=sums[row + 1])
    return sums


def areas(target, score) -> Callable[[Weights], tuple[np.ndarray, np.ndarray]]:
    """The area under the ROC curve and the average precision of one class.

    Args:
        target: (rows,) bool.
        score: (rows,) float; higher speaks for the target.

    Returns:
        A function of `Weights` to two (resamples,) arrays; NaN where targets are all alike.
    """
    order = np.argsort(score, kind="stable")
    positive, negative = order[target[order]], order[~target[order]]
    below = np.searchsorted(score[positive], score[positive], "left")
    beaten, upto = (np.searchsorted(score[negative], score[positive], side) for side in ("left", "right"))

    def formula(weights: Weights):
        hit = weights.by_row[positive]
        true, false = cumulative(hit), cumulative(weights.by_row[negative])
        ahead = false[beaten]
        wins = np.einsum("ij,ij->j", hit, ahead + false[upto]) / 2
        # Precision at each row with the target, ties included: true[-1] - true[below] of all rows from there.
        found = true[-1] - true[below]
        with np.errstate(divide="ignore", invalid="ignore"):
            precision = found / (found + (false[-1] - ahead))
        precision[hit == 0] = 0.0
        undefined = (true[-1] == 0) | (false[-1] == 0)
        roc, average = wins / (true[-1] * false[-1]), np.einsum("ij,ij->j", hit, precision) / true[-1]
        return np.where(undefined, np.nan, roc), np.where(undefined, np.nan, average)

    return formula


class _Ranks:
    """Ranks of values under weights."""

    def __init__(self, values):
        self.order = np.argsort(values, kind="stable")
        in_order = values[self.order]
        self.left, self.right = (np.searchsorted(in_order, values, side) for side in ("left", "right"))
        self.starts = np.append(np.unique(self.left), len(values))

    def __call__(self, weights: Weights) -> tuple[np.ndarray, np.ndarray]:
        """Centred ranks, twice, (rows, resamples); weights of the distinct values, (values, resamples)."""
        sums = cumulative(weights.by_row[self.order])
        return sums[self.left] + sums[self.right] - sums[-1], np.diff(sums[self.starts], axis=0)


def spearman(y, prediction) -> Callable[[Weights], np.ndarray]:
    """Spearman's rank correlation with midranks for ties; see `areas`."""
    of_y, of_prediction = _Ranks(y), _Ranks(prediction)

    def labels(weights: Weights):
        ranks, ties = of_y(weights)
        return weights.by_row * ranks, _spread(weights, ties)

    def formula(weights: Weights):
        weighted, spread = weights.of_labels("spearman", labels)
        ranks, ties = of_prediction(weights)
        return np.einsum("ij,ij->j", weighted, ranks) / np.sqrt(spread * _spread(weights, ties))

    return formula


def _spread(weights: Weights, ties) -> np.ndarray:
    """The sum of the squared centred ranks, twice each."""
    return (weights.total**3 - np.einsum("ij,ij,ij->j", ties, ties, ties)) / 3


def kendall(y, prediction) -> Callable[[Weights], np.ndarray]:
    """Kendall's tau-b; see `areas`.

    The rows are put into about √rows bins by label and, again, by prediction. Pairs that share a bin are
    compared one by one, as a matrix product with signs; of all others the order of the bins tells.
    Time and memory grow with rows**1.5 instead of rows**2.
    """
    of_y, of_prediction = _bins(y), _bins(prediction)
    ties_y, ties_prediction = _tie_starts(y), _tie_starts(prediction)

    def formula(weights: Weights):
        twice = _shared_bin(weights, of_y, y, prediction, None)
        twice += _shared_bin(weights, of_prediction, y, prediction, of_y)
        twice += _separate_bins(weights, of_y, of_prediction)
        pairs_y, pairs = (weights.total**2 - _squares(weights, *t) for t in (ties_y, ties_prediction))
        return twice / np.sqrt(pairs_y * pairs)

    return formula


def _bins(values) -> np.ndarray:
    """(rows,) the bin of each row, in the order of the values; equal values share one.

    A value with more than √rows rows has a bin of its own, in which all pairs are ties.
    """
    _, code, count = np.unique(values, return_inverse=True, return_counts=True)
    width = max(1, int(np.sqrt(len(values))))
    start = np.cumsum(count) - count
    return np.unique(2 * (start // width) + (count > width), return_inverse=True)[1][code]


def _shared_bin(weights: Weights, bins, y, prediction, apart) -> np.ndarray:
    """Twice concordant less discordant pairs within bins; only pairs that differ in ``apart``, if given."""
    found = np.zeros(weights.single.shape[1])
    of_bin = y if apart is None else prediction
    for rows in _members(bins):
        if of_bin[rows[0]] == of_bin[rows[-1]] and np.ptp(of_bin[rows]) == 0:
            continue
        signs = _signs(y[rows]) * _signs(prediction[rows])
        if apart is not None:
            signs *= apart[rows][:, None] != apart[rows]
        drawn = weights.single[rows]
        found += np.einsum("ij,ij->j", signs @ drawn, drawn)
    return found


def _separate_bins(weights: Weights, of_y, of_prediction) -> np.ndarray:
    """Twice concordant less discordant pairs in different bins, both by label and by prediction."""
    bins = of_prediction.max() + 1
    order = _signs(np.arange(bins))
    below = np.zeros((bins, weights.single.shape[1]), np.float32)  # of each bin by prediction, lower labels
    found = np.zeros(below.shape[1])
    for rows in _members(of_y):
        inside = np.equal.outer(np.arange(bins), of_prediction[rows]).astype(np.float32) @ weights.single[rows]
        found += 2 * np.einsum("ij,ij->j", (order @ below).astype(np.float64), inside)
        below += inside
    return found


def _members(bins) -> list[np.ndarray]:
    order = np.argsort(bins, kind="stable")
    return np.split(order, np.flatnonzero(np.diff(bins[order])) + 1)


def _signs(values) -> np.ndarray:
    """(n, n) float32: the sign of row value less column value."""
    return np.sign(np.subtract.outer(values, values)).astype(np.float32)


def _tie_starts(values) -> tuple[np.ndarray, np.ndarray]:
    order = np.argsort(values, kind="stable")
    return order, np.flatnonzero(np.append(True, np.diff(values[order]) != 0))


def _squares(weights: Weights, order, starts) -> np.ndarray:
    ties = np.add.reduceat(weights.by_row[order], starts, axis=0)
    return np.einsum("ij,ij->j", ties, ties)


def median(values) -> Callable[[Weights], np.ndarray]:
    """The median of values, (rows,); the mean of the middle two for an even number of rows."""
    order = np.argsort(values, kind="stable")
    in_order = values[order]

    def formula(weights: Weights):
        sums = cumulative(weights.by_row[order])[1:]
        middle = [(sums <= rank).sum(0) for rank in ((weights.total - 1) // 2, weights.total // 2)]
        return in_order[middle].mean(0)

    return formula
