"""Learning curves over label budgets, the area between them, and where source data starts to
hurt.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from tf_transfer.analysis.sampling import Curves, Sample, dense, each_curves, falls_to_zero
from tf_transfer.experiments.results import Results
from tf_transfer.statistics.intervals import bootstrap_interval

CURVES = ["target", "task", "metric", "strategy", "budget", "value", "low", "high", "note"]
GAINS = [
    *("target", "task", "metric", "strategy", "area", "low", "high", "verdict"),
    *("hurt_from", "crossing", "crossing_low", "crossing_high", "note"),
]


def curves(comparison: Results, *, resamples: int = 2000, confidence: float = 0.95) -> pd.DataFrame:
    """The primary metrics of every strategy at every budget, with bands.

    Args:
        comparison: a `Comparison`.
        resamples, confidence: see `statistics.intervals.bootstrap_interval`.

    Returns:
        ``value`` is the mean over seeds, ``low`` to ``high`` its interval over rows and seeds; NaN
        where the metric is undefined.
    """
    rows = []
    for target in comparison.targets:
        for task in comparison.tasks_of(target):
            y, groups = comparison.truth(target, task)
            metric, kind = comparison.metrics[task], comparison.kind(task)
            for strategy in comparison.strategies:
                for budget in sorted(comparison.budgets):
                    scores = list(comparison.scores(strategy, target, task, budget).values())
                    if scores:
                        interval = bootstrap_interval(
                            metric,
                            kind,
                            y,
                            scores,
                            groups=groups,
                            resamples=resamples,
                            confidence=confidence,
                        )
                        place = [target, task, metric, strategy, budget]
                        rows.append(
                            [*place, interval.value, interval.low, interval.high, interval.note]
                        )
    return pd.DataFrame(rows, columns=CURVES)


def curve_gains(
    comparison: Results, *, resamples: int = 2000, confidence: float = 0.95
) -> pd.DataFrame:
    """What source data gains over all budgets, and from how many labels on it hurts.

    Args:
        comparison: a `Comparison`.
        resamples: int, draws of the rows.
        confidence: in (0, 1).

    Returns:
        A row for each target, task and source strategy. ``area`` is the mean difference to the
        strategy without its source over the logarithm of the labels, positive when better, with its
        interval ``low`` to ``high`` and ``verdict``; of one budget, the difference there.
        ``hurt_from`` is the first measured budget whose difference is below 0 throughout its
        interval and after which no mean difference is at or above 0; NaN for none. ``crossing`` is
        the number of labels at which the mean difference falls below 0 for good; NaN where it does
        not, or is below from the first budget on. Its interval has ``crossing_low`` 0 and
        ``crossing_high`` infinite where the measured budgets do not bound it. Where no seed has a
        defined metric of both at every budget, all is NaN and ``note`` says so.
    """
    rows = []
    for task_curves in each_curves(comparison, resamples):
        for strategy in comparison.source_strategies:
            rows.append(
                [
                    task_curves.target,
                    task_curves.task,
                    task_curves.metric,
                    strategy,
                    *_gain(task_curves, strategy, confidence),
                ]
            )
    return pd.DataFrame(rows, columns=GAINS)


def _gain(task_curves: Curves, strategy: str, confidence: float) -> list:
    baseline = task_curves.comparison.against(strategy)
    budgets = task_curves.budgets(strategy, baseline)
    sample = task_curves.sample([(s, b) for s in (strategy, baseline) for b in budgets])
    if sample is None:
        reason = f"no seed has a defined {task_curves.metric} of both at every budget"
        return [np.nan, np.nan, np.nan, "undecided", *[np.nan] * 4, reason]
    each = np.eye(len(budgets))
    differences = sample.combined(np.concatenate([each, -each]))
    area = differences.combined(_area_weights(budgets)[:, None])
    (low,), (high,) = area.bounds(confidence)
    verdict = "helped" if low > 0 else "hurt" if high < 0 else "undecided"
    return [area.mean[0], low, high, verdict, *_harm(budgets, differences, confidence), sample.note]


def _area_weights(budgets: list[int]) -> np.ndarray:
    """(budgets,) of the trapezoidal rule over the logarithm, divided by its length; they sum to
    1.
    """
    x = np.log2(budgets)
    if len(x) == 1:
        return np.ones(1)
    steps = np.diff(x) / 2
    return (np.append(steps, 0) + np.append(0, steps)) / (x[-1] - x[0])


def _harm(budgets: list[int], differences: Sample, confidence: float) -> list[float]:
    """First budget that hurts for good; crossing and its interval."""
    not_below = np.flatnonzero(differences.mean >= 0)
    last = not_below[-1] if len(not_below) else -1
    hurt = [i for i in np.flatnonzero(differences.bounds(confidence)[1] < 0) if i > last]
    points, weights = dense(budgets)
    between = differences.combined(weights)
    above = np.flatnonzero(between.mean >= 0)
    hurt_from = float(budgets[hurt[0]]) if len(hurt) else np.nan
    if not len(above) or above[-1] == len(points) - 1:
        return [hurt_from, np.nan, np.nan, np.nan]
    a, b = between.mean[above[-1] : above[-1] + 2]
    x = np.log2(points[above[-1] : above[-1] + 2])
    crossing = float(2 ** (x[0] + (x[1] - x[0]) * a / (a - b)))
    bounds = between.bounds(confidence)
    if np.isnan(bounds).any():
        return [hurt_from, crossing, np.nan, np.nan]
    low, high = falls_to_zero(points, *bounds)
    return [hurt_from, crossing, min(low, crossing), max(high, crossing)]
