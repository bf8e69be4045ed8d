"""What each strategy took: time, weights and memory."""

from __future__ import annotations

import numpy as np
import pandas as pd

from tf_transfer.experiments.results import Results


def costs(comparison: Results) -> pd.DataFrame:
    """Of source training and of one target training: strategy, stage, seconds, parameters, peak_gb.

    ``seconds`` and ``parameters`` (weights that the target's training changed) are means over
    cells; ``peak_gb`` is the most memory that the process held in source training and in one of
    the cells, in 10⁹ bytes, what earlier ones left allocated included; where the system cannot
    forget a peak, by the end of a cell. The last two are NaN for source training and for cells
    of an older version, ``parameters`` where there is no encoder.

    Args:
        comparison: a `Comparison`.
    """
    records = []
    for strategy in comparison.strategies:
        for note in comparison.notes(strategy):
            more = note.get("parameters"), note.get("peak_gb")
            records.append((strategy, "source", note["source_seconds"], np.nan, np.nan))
            records.append((strategy, "target", note["target_seconds"], *more))
    columns = {"seconds": float, "parameters": float, "peak_gb": float}
    table = pd.DataFrame(records, columns=["strategy", "stage", *columns]).astype(columns)
    means = {"seconds": "mean", "parameters": "mean", "peak_gb": "max"}
    return table.groupby(["strategy", "stage"], sort=False, as_index=False).agg(means)
