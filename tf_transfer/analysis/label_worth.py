"""How many target labels a strategy needs without its source to match itself with it."""

from __future__ import annotations

import numpy as np
import pandas as pd
from scipy.optimize import isotonic_regression

from tf_transfer.analysis.sampling import Curves, dense, each_curves, falls_to_zero
from tf_transfer.experiments.results import Results

COLUMNS = [
    "target",
    "task",
    "metric",
    "strategy",
    "budget",
    "labels",
    "low",
    "high",
    "censored",
    "confidence",
    "note",
]


def label_worth(
    comparison: Results, *, resamples: int = 2000, confidence: float = 0.95
) -> pd.DataFrame:
    """The number of labels with which each source strategy is as good without its source as with
    its budget.

    Between measured budgets the curve without source, its mean over seeds made monotone by isotonic
    regression, is read linearly in the logarithm of the labels; beyond them it is not read at all.
    The interval holds the numbers of labels at which the difference between strategy and baseline
    could be 0: rows are drawn jointly for both and for all budgets, seeds are paired. So a strategy
    that helped at a budget is worth more than that budget throughout its interval.

    Args:
        comparison: a `Comparison`.
        resamples: int, draws of the rows.
        confidence: in (0, 1).

    Returns:
        A row for each target, task, source strategy and budget. ``labels`` is NaN where
        ``censored`` says "more than 256" or "fewer than 16", the ends of the measured budgets; else
        ``censored`` is empty. An end of the interval that is not measured is 0 or infinity. All are
        NaN where nothing can be compared; ``note`` says why, or which seeds are missing.

    Reference:
        The interval inverts a test, as Fieller 1954, "Some Problems in Interval Estimation".
    """
    rows = []
    for curves in each_curves(comparison, resamples):
        for strategy in comparison.source_strategies:
            for budget in curves.budgets(strategy):
                place = [curves.target, curves.task, curves.metric, strategy, budget]
                rows.append(place + _worth(curves, strategy, budget, confidence))
    return pd.DataFrame(rows, columns=COLUMNS)


def _worth(curves: Curves, strategy: str, budget: int, confidence: float) -> list:
    baseline = curves.comparison.against(strategy)
    budgets = curves.budgets(baseline)
    sample = curves.sample([(strategy, budget), *((baseline, b) for b in budgets)])
    if not budgets or sample is None:
        reason = f"no seed has a defined {curves.metric} of both at every budget"
        return [np.nan, np.nan, np.nan, "", confidence, reason]
    labels, censored = _read(budgets, sample.mean[1:], sample.mean[0])
    points, weights = dense(budgets)
    ahead = sample.combined(np.concatenate([np.ones((1, len(points))), -weights]))
    bounds = ahead.bounds(confidence)
    if np.isnan(bounds).any():
        return [
            np.nan,
            np.nan,
            np.nan,
            "",
            confidence,
            sample.note or "too few test rows for an interval",
        ]
    low, high = falls_to_zero(points, *bounds)
    # Where the curve is not monotone, the isotonic one may be read beside the points that the test
    # accepts.
    if censored:
        low, high = (low, np.inf) if censored.startswith("more") else (0.0, high)
    else:
        low, high = min(low, labels), max(high, labels)
    return [labels, low, high, censored, confidence, sample.note]


def _read(budgets: list[int], means: np.ndarray, level: float) -> tuple[float, str]:
    """The fewest labels with which the monotone curve through ``means`` reaches ``level``; or what
    is known of them.
    """
    heights = isotonic_regression(means).x
    if level < heights[0]:
        return np.nan, f"fewer than {budgets[0]}"
    if level > heights[-1]:
        return np.nan, f"more than {budgets[-1]}"
    above = int(np.searchsorted(heights, level))
    if above == 0:
        return float(budgets[0]), ""
    x = np.log2(budgets)
    return float(
        2 ** np.interp(level, heights[above - 1 : above + 1], x[above - 1 : above + 1])
    ), ""
