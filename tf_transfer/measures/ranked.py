"""Metrics that need the rows in order, as formulas of row weights: areas, rank correlations,
medians.

A weight is how often a row counts. The rows are sorted once; what lies below a row in each of many
resamples is then a cumulative sum of weights. Arrays are (rows, resamples), so that sorting the
rows moves whole stretches of memory. Counts are added as whole numbers, so that sums are exact.
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
        self._of_labels: dict = {}

    @cached_property
    def by_resample(self) -> np.ndarray:
        """(resamples, rows) float64."""
        return np.asarray(self.counts, np.float64)

    @cached_property
    def by_row(self) -> np.ndarray:
        """(rows, resamples) float32: half the memory to move; sums of counts are exact up to
        2**24.
        """
        return np.ascontiguousarray(self.counts.T).astype(np.float32)

    @cached_property
    def total(self) -> np.ndarray:
        """(resamples,) rows drawn, float64."""
        return self.counts.sum(1, dtype=np.float64)

    def of_labels(self, name: str, compute: Callable):
        """``compute(self)``, once for all predictions of the same labels."""
        if name not in self._of_labels:
            self._of_labels[name] = compute(self)
        return self._of_labels[name]


def cumulative(weights: np.ndarray) -> np.ndarray:
    """(rows + 1, resamples): the sums of the first 0, 1, … rows of ``weights``.

    In two steps, within blocks of rows and over blocks: NumPy's own, down the columns, takes many
    times as long.
    """
    rows, resamples = weights.shape
    width = max(1, int(np.sqrt(rows)))
    blocks = -(-rows // width)
    sums = np.zeros((blocks * width + 1, resamples), weights.dtype)
    sums[1 : rows + 1] = weights
    inside = sums[1:].reshape(blocks, width, resamples)
    for row in range(1, width):
        inside[:, row] += inside[:, row - 1]
    for block in range(1, blocks):
        inside[block] += inside[block - 1, -1]
    return sums[: rows + 1]


def _dot(a, b) -> np.ndarray:
    """(resamples,) float64: the sums of a times b, without loss."""
    return np.einsum("ij,ij->j", a.astype(np.float64, copy=False), b.astype(np.float64, copy=False))


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
    beaten, upto = (
        np.searchsorted(score[negative], score[positive], side) for side in ("left", "right")
    )
    tied = not np.array_equal(beaten, upto)

    def formula(weights: Weights):
        hit = weights.by_row[positive]
        true, false = cumulative(hit), cumulative(weights.by_row[negative])
        ahead = false[beaten].astype(np.float64)
        wins = _dot(hit, (ahead + false[upto]) / 2 if tied else ahead)
        # Of all rows from a row with the target on, ties included: those with the target, and those
        # without.
        right, wrong = true[-1] - true[below], false[-1] - ahead
        precision = right / np.maximum(right + wrong, 1)
        undefined = (true[-1] == 0) | (false[-1] == 0)
        roc, average = wins / true[-1] / false[-1], _dot(hit, precision) / true[-1]
        return np.where(undefined, np.nan, roc), np.where(undefined, np.nan, average)

    return formula


class _Ranks:
    """Ranks of values, (rows,), under weights."""

    def __init__(self, values):
        self.order = np.argsort(values, kind="stable")
        _, first, self.code = np.unique(values, return_index=True, return_inverse=True)
        self.starts = np.searchsorted(values[self.order], values[first])
        self.distinct = len(first) == len(values)

    def ties(self, weights: Weights) -> np.ndarray:
        """(values, resamples): the weight of each distinct value, in order."""
        in_order = weights.by_row[self.order]
        return in_order if self.distinct else np.add.reduceat(in_order, self.starts, axis=0)

    def __call__(self, weights: Weights) -> tuple[np.ndarray, np.ndarray]:
        """The centred ranks, twice, (rows, resamples), and the `ties`."""
        ties = self.ties(weights)
        sums = cumulative(ties)
        middle = sums[1:] + sums[:-1]
        middle -= sums[-1]
        return middle[self.code], ties


def spearman(y, prediction) -> Callable[[Weights], np.ndarray]:
    """Spearman's rank correlation with midranks for ties; see `areas`."""
    of_y, of_prediction = _Ranks(y), _Ranks(prediction)

    def labels(weights: Weights):
        ranks, ties = of_y(weights)
        return weights.by_row * ranks.astype(np.float64), _spread(weights, ties)

    def formula(weights: Weights):
        weighted, spread = weights.of_labels("spearman", labels)
        ranks, ties = of_prediction(weights)
        return _dot(weighted, ranks) / np.sqrt(spread * _spread(weights, ties))

    return formula


def _spread(weights: Weights, ties) -> np.ndarray:
    """The sum of the squared centred ranks, twice each."""
    ties = ties.astype(np.float64)
    return (weights.total**3 - _dot(ties, ties * ties)) / 3


def kendall(y, prediction) -> Callable[[Weights], np.ndarray]:
    """Kendall's tau-b; see `areas`.

    The rows are put into about √rows bins by label and, again, by prediction. Pairs that share a
    bin are compared one by one, as a matrix product with signs; of all others the order of the bins
    tells. Time and memory grow with rows**1.5 instead of rows**2.
    """
    of_y, of_prediction = _bins(y), _bins(prediction)
    ranks_y, ranks = _Ranks(y), _Ranks(prediction)

    def untied(weights: Weights, ranks: _Ranks) -> np.ndarray:
        ties = weights.by_row if ranks.distinct else ranks.ties(weights)
        return weights.total**2 - _dot(ties, ties)

    def formula(weights: Weights):
        twice = _shared_bin(weights, of_y, y, prediction, None)
        twice += _shared_bin(weights, of_prediction, y, prediction, of_y)
        twice += _separate_bins(weights, of_y, of_prediction)
        pairs_y = weights.of_labels("kendall", lambda weights: untied(weights, ranks_y))
        return twice / np.sqrt(pairs_y * untied(weights, ranks))

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
    """Twice concordant less discordant pairs within bins; only pairs that differ in ``apart``, if
    given.
    """
    excess = np.zeros(weights.by_row.shape[1])
    of_bin = y if apart is None else prediction
    for rows in _members(bins):
        if of_bin[rows[0]] == of_bin[rows[-1]] and np.ptp(of_bin[rows]) == 0:
            continue
        signs = _signs(y[rows]) * _signs(prediction[rows])
        if apart is not None:
            signs *= apart[rows][:, None] != apart[rows]
        drawn = weights.by_row[rows]
        excess += _dot(signs @ drawn, drawn)
    return excess


def _separate_bins(weights: Weights, of_y, of_prediction) -> np.ndarray:
    """Twice concordant less discordant pairs in different bins, both by label and by prediction."""
    bins = of_prediction.max() + 1
    order = _signs(np.arange(bins))
    # of each bin by prediction, lower labels
    below = np.zeros((bins, weights.by_row.shape[1]), np.float32)
    excess = np.zeros(below.shape[1])
    for rows in _members(of_y):
        inside = (
            np.equal.outer(np.arange(bins), of_prediction[rows]).astype(np.float32)
            @ weights.by_row[rows]
        )
        excess += 2 * _dot(order @ below, inside)
        below += inside
    return excess


def _members(bins) -> list[np.ndarray]:
    order = np.argsort(bins, kind="stable")
    return np.split(order, np.flatnonzero(np.diff(bins[order])) + 1)


def _signs(values) -> np.ndarray:
    """(n, n) float32: the sign of row value less column value."""
    return np.sign(np.subtract.outer(values, values)).astype(np.float32)


def median(values) -> Callable[[Weights], np.ndarray]:
    """The median of values, (rows,); the mean of the middle two for an even number of rows."""
    order = np.argsort(values, kind="stable")
    in_order = values[order]

    def formula(weights: Weights):
        sums = cumulative(weights.by_row[order])
        middle = [_reached(sums, rank) for rank in ((weights.total - 1) // 2, weights.total // 2)]
        return in_order[middle].mean(0)

    return formula


def _reached(sums, rank) -> np.ndarray:
    """(resamples,) the last row of which ``sums``, (rows + 1, resamples), is at most ``rank``, by
    bisection.
    """
    columns = np.arange(sums.shape[1])
    low, high = np.zeros(len(columns), int), np.full(len(columns), len(sums) - 1)
    while (high - low > 1).any():
        middle = (low + high) // 2
        below = sums[middle, columns] <= rank
        low, high = np.where(below, middle, low), np.where(below, high, middle)
    return low
