"""The verdicts of a run as a table, corrected for their number."""

from __future__ import annotations

import dataclasses

import numpy as np
import pandas as pd

from tf_transfer.statistics.intervals import Difference, false_discovery_rate

COLUMNS = (
    *("target", "task", "budget", "strategy", "metric", "value", "low", "high", "p", "q", "verdict"),
    *("minimum_effect", "rows_needed", "seeds_needed", "rows", "seeds", "note", "transfer"),
)


def verdict_table(differences: list[tuple[dict, Difference]], correction: str | None = "fdr") -> pd.DataFrame:
    """Differences as rows, each with its verdict.

    Args:
        differences: of each its place, a dict of target, task, budget, strategy and ``transfer``, whether it
            is one of the family that is corrected; and the difference.
        correction: ``"fdr"`` to control the false discovery rate of the family (`statistics.
            false_discovery_rate`) at the level of the intervals; None to leave words as they are.

    Returns:
        The `COLUMNS`. A verdict that the correction takes back is ``"undecided"``, and its note says why.
        ``rows_needed`` and ``seeds_needed`` are of the undecided alone.
    """
    records = [
        place | dataclasses.asdict(found) | {"verdict": found.verdict, "alpha": 1 - found.confidence}
        for place, found in differences
    ]
    table = pd.DataFrame(records, columns=[*COLUMNS, "alpha"])
    table["q"] = table["p"].astype(float)
    family = table["transfer"].astype(bool)
    if correction is not None and family.sum() > 1:
        table.loc[family, "q"] = false_discovery_rate(table.loc[family, "p"], table.loc[family, "alpha"].iloc[0])
        unsure = family & table["verdict"].isin(["helped", "hurt"]) & (table["q"] >= table["alpha"])
        known = int(table.loc[family, "p"].notna().sum())
        notes = [_taken_back(note, q, known) for note, q in zip(table.loc[unsure, "note"], table.loc[unsure, "q"])]
        table.loc[unsure, "note"] = pd.Series(notes, index=table.index[unsure], dtype=object)
        table.loc[unsure, "verdict"] = "undecided"
    table.loc[table["verdict"] != "undecided", ["rows_needed", "seeds_needed"]] = np.nan
    return table[list(COLUMNS)]


def _taken_back(note: str, q: float, members: int) -> str:
    reason = f"the interval excludes 0, but among {members} comparisons that is not enough: q = {q:.2f}"
    return f"{note}; {reason}" if note else reason
