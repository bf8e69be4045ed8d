"""The source that carried the gain: each strategy against itself without one source."""

from __future__ import annotations

import pandas as pd

from tf_transfer.errors import DataError
from tf_transfer.experiments.results import Results

COLUMNS = [
    *("target", "task", "budget", "strategy", "source", "metric"),
    *("difference", "low", "high", "p", "verdict", "note"),
]


def source_gains(comparison: Results) -> pd.DataFrame:
    """What each source adds to each strategy that was run with ``leave_one_out``.

    Args:
        comparison: a `Comparison`.

    Returns:
        ``difference`` is the primary metric with all sources minus without ``source``, same target
        labels and seeds, positive when the source helped; see
        `statistics.intervals.paired_difference` for its interval.

    Raises:
        DataError: the run has no strategy without one of its sources.
    """
    if not comparison.variants:
        raise DataError(
            "Gains of sources need strategies that were also run without each source.\nReceived a "
            "run without any.\n"
            "Set leave_one_out: true in the experiment, and compare into the same folder: finished "
            "cells are kept."
        )
    rows = []
    for target in comparison.targets:
        for task in comparison.tasks_of(target):
            for budget in comparison.budgets:
                for label, (strategy, source) in comparison.variants.items():
                    difference = comparison.difference(strategy, label, target, task, budget)
                    if difference is not None:
                        place = [target, task, budget, strategy, source, difference.metric]
                        rows.append(
                            [
                                *place,
                                difference.value,
                                difference.low,
                                difference.high,
                                difference.p,
                                difference.verdict,
                                difference.note,
                            ]
                        )
    return pd.DataFrame(rows, columns=COLUMNS)
