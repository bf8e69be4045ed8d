"""Reliability: do predictions mean what they say?"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pandas as pd
from scipy.special import ndtri, stdtrit

from tf_transfer.experiments.results import Results
from tf_transfer.kinds import kind_named
from tf_transfer.kinds.class_metrics import CALIBRATION_BINS
from tf_transfer.statistics.bootstrap import group_codes
from tf_transfer.statistics.proportions import wilson

COLUMNS = [
    *("target", "task", "strategy", "budget", "bin", "above", "up_to"),
    *("rows", "predicted", "observed", "low", "high"),
]
DECILES = 10


def reliability(
    comparison: Results,
    *,
    target: str | None = None,
    task: str | None = None,
    strategy: str | None = None,
    budget: int | None = None,
    bins: int = CALIBRATION_BINS,
    confidence: float = 0.95,
) -> pd.DataFrame:
    """Predictions in bins, with what was observed there.

    Args:
        comparison: a `Comparison`.
        target, task, strategy, budget: keep only these; None keeps all.
        bins: int, of equal width over probabilities; 15 are those of
            ``expected_calibration_error``.
        confidence: in (0, 1).

    Returns:
        A row for each bin that has rows; seeds are pooled, and ``rows`` is their mean number. Of a
        classification, ``predicted`` is the mean probability of the likeliest class, ``observed``
        the share in which it is right. A multilabel task has the same of every label of every row,
        its probability and whether it is there. ``low`` to ``high`` is Wilson's interval for
        ``rows`` rows, since seeds say little more of the same rows. A regression has tenths of the
        predictions of each seed, the mean prediction and the mean label, with Student's interval. A
        kind whose answers are neither is left out. The labels of a row, and the rows of a group
        where there are groups, are drawn together: they count as the number of rows that would give
        the variance between rows (groups). Ends are NaN where these are a single one, but for
        Wilson's.

    Reference:
        Guo et al. 2017, "On Calibration of Modern Neural Networks"; Kish 1965, "Survey Sampling",
        of the design effect.
    """
    rows = []
    for place in _places(comparison, target, task, strategy, budget):
        place_target, place_task, place_strategy, place_budget = place
        y, groups = comparison.truth(place_target, place_task)
        scores = list(
            comparison.scores(place_strategy, place_target, place_task, place_budget).values()
        )
        if scores:
            kind = kind_named(comparison.kind(place_task))
            if kind.reliability_words is None:
                continue
            units = None if groups is None else group_codes(len(y), groups)[0]
            sure = [kind.confidences(y, seed) for seed in scores]
            if sure[0] is None:
                lines = _of_numbers(y, scores, units, confidence)
            else:
                lines = _of_probabilities(sure, len(y), kind.several, units, bins, confidence)
            rows += [[*place, *line] for line in lines]
    return pd.DataFrame(rows, columns=COLUMNS)


def _places(comparison: Results, target, task, strategy, budget) -> Iterator[tuple]:
    for t in [target] if target is not None else comparison.targets:
        for k in [task] if task is not None else comparison.tasks_of(t):
            for s in [strategy] if strategy is not None else comparison.strategies:
                for b in [budget] if budget is not None else comparison.budgets:
                    yield t, k, s, b


def _of_probabilities(
    sure: list, count: int, several: bool, units, bins: int, confidence: float
) -> list[list]:
    """Bins of the confidences of each seed.

    Args:
        sure: of each seed `Kind.confidences`, as many for each of ``count`` rows.
        several: whether those of a row are drawn together, in all seeds.
        units: (count,) numbers of groups, or None.
    """
    predicted = np.concatenate([confidences for confidences, _ in sure])
    right = np.concatenate([hits for _, hits in sure])
    if several:
        units = np.repeat(np.arange(count) if units is None else units, len(sure[0][0]) // count)
    units = None if units is None else np.tile(units, len(sure))
    edges = np.linspace(0, 1, bins + 1)
    places = np.digitize(predicted, edges[1:-1], right=True)
    records = []
    for place in np.unique(places):
        inside = places == place
        share, rows = right[inside].mean(), inside.sum() / len(sure)
        size, quantile = rows, -ndtri((1 - confidence) / 2)
        if units is not None:
            size, freedom = _worth(right[inside], units[inside], rows)
            quantile = _quantile(freedom, confidence)
        low, high = wilson(share, size, quantile)
        span = edges[place], edges[place + 1]
        records.append(
            [int(place), *span, rows, predicted[inside].astype(np.float64).mean(), share, low, high]
        )
    return records


def _of_numbers(y, scores: list, units, confidence: float) -> list[list]:
    """Tenths of each seed's predictions, the same tenth of all seeds pooled."""
    ranks = np.arange(len(y)) * min(DECILES, len(y)) // len(y)
    orders = [np.argsort(s, kind="stable") for s in scores]
    records = []
    for tenth in np.unique(ranks):
        chosen = [order[ranks == tenth] for order in orders]
        predicted = np.concatenate([s[rows] for s, rows in zip(scores, chosen)]).astype(np.float64)
        chosen = np.concatenate(chosen)
        observed, rows = y[chosen], len(chosen) / len(scores)
        size, freedom = (
            (rows - 1, rows - 1) if units is None else _worth(observed, units[chosen], rows)
        )
        margin = _quantile(freedom, confidence) * observed.std() / np.sqrt(max(size, 1))
        mean = observed.mean()
        span = predicted.min(), predicted.max()
        records.append(
            [int(tenth), *span, rows, predicted.mean(), mean, mean - margin, mean + margin]
        )
    return records


def _worth(values, units, rows: float) -> tuple[float, float]:
    """How many independent rows give the variance of a mean whose units are drawn whole, and
    degrees of freedom.

    Args:
        values, units: (n,), with the number of the unit of each, of ``rows`` rows in several seeds.
    """
    number, codes = np.unique(units, return_inverse=True)
    number = min(len(number), rows)
    gaps = values - values.mean()
    between = (np.bincount(codes, gaps) ** 2).sum() / len(values) ** 2
    if number < 2 or not between:
        return number, number - 1
    return min(gaps.var() * (number - 1) / number / between, rows), number - 1


def _quantile(freedom: float, confidence: float) -> float:
    return stdtrit(freedom, 1 - (1 - confidence) / 2) if freedom > 0 else np.nan
