"""The values that learning curves draw: means over seeds, with bands."""

from __future__ import annotations

import pandas as pd

from tf_transfer.experiments.results import Results
from tf_transfer.report import readings
from tf_transfer.report.readings import Missing

_KEYS = ["target", "task", "strategy", "budget"]


def bands_of(comparison: Results) -> tuple[pd.DataFrame, str]:
    """Target, task, strategy, budget, value, low and high of the primary metrics, and what the
    bands are.

    The bands are 95 % intervals where the comparison has them, else they reach from the worst seed
    to the best.
    """
    try:
        bands = readings.curves(comparison)
        primary = bands["metric"] == bands["task"].map(comparison.metrics)
        bands = bands.loc[primary, [*_KEYS, "value", "low", "high"]]
        return bands, "95 % intervals over test rows and seeds"
    except Missing:
        results = comparison.results
        cells = results[results["metric"] == results["task"].map(comparison.metrics)].groupby(
            _KEYS, sort=False
        )
        bands = cells["value"].agg(value=lambda v: v.mean(skipna=False), low="min", high="max")
        return bands.reset_index(), "ranges from the worst seed to the best"


def target_tasks(comparison: Results, table: pd.DataFrame) -> list[tuple[str, str]]:
    """Targets and tasks that ``table`` has rows of, in the order of the plan."""
    present = set(zip(table["target"], table["task"]))
    return [
        (t, task.name)
        for t in comparison.targets
        for task in comparison.tasks
        if (t, task.name) in present
    ]
