"""Reliability: do predictions mean what they say?"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pandas as pd
from scipy.special import ndtri, stdtrit

from tf_transfer.formulas import CALIBRATION_BINS

COLUMNS = [
    *("target", "task", "strategy", "budget", "bin", "above", "up_to"),
    *("rows", "predicted", "observed", "low", "high"),
]
DECILES = 10


def reliability(
    comparison, *, target: str | None = None, task: str | None = None, strategy: str | None = None,
    budget: int | None = None, bins: int = CALIBRATION_BINS, confidence: float = 0.95,
) -> pd.DataFrame:  # fmt: skip
    """Predictions in bins, with what was observed there.

    Args:
        comparison: a `Comparison`.
        target, task, strategy, budget: keep only these; None keeps all.
        bins: int, of equal width over probabilities; 15 are those of ``expected_calibration_error``.
        confidence: in (0, 1).

    Returns:
        A row for each bin that has rows; seeds are pooled, and ``rows`` is their mean number. Classification:
        ``predicted`` is the mean probability of the likeliest class, ``observed`` the share in which it is right.
        Multilabel: the same of every label of every row, its probability and whether it is there. ``low`` to
        ``high`` is Wilson's interval for ``rows`` rows, since seeds say little more of the same rows. Regression:
        tenths of the predictions of each seed, the mean prediction and the mean label, with Student's interval.

    Reference:
        Guo et al. 2017, "On Calibration of Modern Neural Networks"; Wilson 1927, "Probable Inference".
    """
    rows = []
    for place in _places(comparison, target, task, strategy, budget):
        place_target, place_task, place_strategy, place_budget = place
        y, _ = comparison.truth(place_target, place_task)
        scores = list(comparison.scores(place_strategy, place_target, place_task, place_budget).values())
        if scores:
            kind = comparison.kind(place_task)
            if kind == "regression":
                found = _of_numbers(y, scores, confidence)
            else:
                found = _of_probabilities(kind, y, scores, bins, confidence)
            rows += [[*place, *row] for row in found]
    return pd.DataFrame(rows, columns=COLUMNS)


def wilson(share, rows, confidence: float = 0.95) -> tuple[np.ndarray, np.ndarray]:
    """Wilson's interval of proportions; ``share`` in [0, 1] and ``rows`` > 0 (need not be whole), (n,) each."""
    z = ndtri(1 - (1 - confidence) / 2)
    centre = (share + z**2 / (2 * rows)) / (1 + z**2 / rows)
    margin = z / (1 + z**2 / rows) * np.sqrt(share * (1 - share) / rows + z**2 / (4 * rows**2))
    return np.maximum(centre - margin, 0), np.minimum(centre + margin, 1)


def _places(comparison, target, task, strategy, budget) -> Iterator[tuple]:
    for t in [target] if target is not None else comparison.targets:
        for k in [task] if task is not None else comparison.tasks_of(t):
            for s in [strategy] if strategy is not None else comparison.strategies:
                for b in [budget] if budget is not None else comparison.budgets:
                    yield t, k, s, b


def _of_probabilities(kind: str, y, scores: list, bins: int, confidence: float) -> list[list]:
    if kind == "multilabel":
        predicted, right = np.concatenate([s.ravel() for s in scores]), np.tile(np.asarray(y).ravel() > 0, len(scores))
    else:
        predicted = np.concatenate([s.max(1) / s.sum(1) for s in scores])
        right = np.concatenate([s.argmax(1) == y for s in scores])
    edges = np.linspace(0, 1, bins + 1)
    places = np.digitize(predicted, edges[1:-1], right=True)
    counts = np.bincount(places, minlength=bins)
    kept = np.flatnonzero(counts)
    rows = counts[kept] / len(scores)
    confidences = np.bincount(places, predicted.astype(np.float64), bins)[kept] / counts[kept]
    shares = np.bincount(places, right, bins)[kept] / counts[kept]
    low, high = wilson(shares, rows, confidence)
    return [list(r) for r in zip(kept, edges[kept], edges[kept + 1], rows, confidences, shares, low, high)]


def _of_numbers(y, scores: list, confidence: float) -> list[list]:
    """Tenths of each seed's predictions, the same tenth of all seeds pooled."""
    ranks = np.arange(len(y)) * min(DECILES, len(y)) // len(y)
    orders = [np.argsort(s, kind="stable") for s in scores]
    found = []
    for tenth in np.unique(ranks):
        predicted = np.concatenate([s[order[ranks == tenth]] for s, order in zip(scores, orders)]).astype(np.float64)
        observed = np.concatenate([y[order[ranks == tenth]] for order in orders])
        rows = len(observed) / len(scores)
        quantile = stdtrit(rows - 1, 1 - (1 - confidence) / 2) if rows > 1 else np.nan
        margin = quantile * observed.std() / np.sqrt(max(rows - 1, 1))
        mean = observed.mean()
        span = predicted.min(), predicted.max()
        found.append([int(tenth), *span, rows, predicted.mean(), mean, mean - margin, mean + margin])
    return found
