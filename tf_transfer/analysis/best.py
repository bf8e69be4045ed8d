"""The best strategy of each place, and those that cannot be told from it."""

from __future__ import annotations

import pandas as pd

from tf_transfer.experiments.results import Results
from tf_transfer.kinds import METRICS

COLUMNS = ["target", "task", "budget", "metric", "strategy", "value", "alike"]
ALPHA = 0.05


def best(comparison: Results) -> pd.DataFrame:
    """The strategy with the best mean of the primary metric in each place.

    Args:
        comparison: a `Comparison`.

    Returns:
        A row for each target, task and budget. ``value`` is the mean over seeds; ``alike`` lists
        the strategies whose difference to the best is not clear: p at least .05, divided by the
        number of strategies that it was looked for among.

    Reference:
        Hsu 1996, "Multiple Comparisons: Theory and Methods", chapter 4 (comparisons with the best),
        with Bonferroni's bound.
    """
    rows = []
    for place, metric, means in comparison.means():
        means = means.dropna()
        if means.empty:
            continue
        first = means.idxmax() if METRICS[metric].higher else means.idxmin()
        others = [strategy for strategy in means.index if strategy != first]
        alike = [
            other
            for other in others
            if not _clear(comparison, first, other, place, ALPHA / len(others))
        ]
        rows.append([*place, metric, first, means[first], alike])
    return pd.DataFrame(rows, columns=COLUMNS)


def _clear(comparison: Results, first: str, other: str, place: tuple, alpha: float) -> bool:
    """Whether the difference is clear; without a common seed it is not."""
    difference = comparison.difference(first, other, *place)
    return difference is not None and difference.p < alpha
