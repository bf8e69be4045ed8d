"""The verdicts of a run as a table, corrected for their number."""

from __future__ import annotations

import dataclasses

import numpy as np
import pandas as pd
from scipy import stats

from tf_transfer.statistics.intervals import Difference

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


def false_discovery_rate(p, alpha: float = 0.05) -> np.ndarray:
    """The two-stage q of each p of a family: the least share of false verdicts at which it is one.

    The first stage, Benjamini and Hochberg's procedure at ``alpha / (1 + alpha)``, estimates how many of the family
    are no effect: those that it does not reject. The second corrects for these alone, so that a run where transfer
    helps nearly everywhere is not corrected as if it helped nowhere. No q is below its p, or above the q of Benjamini
    and Hochberg's one-stage procedure.

    Args:
        p: (verdicts,) two-sided p; NaN where there is no verdict, and no q.
        alpha: the share of false verdicts that is aimed at; verdicts are those with q < alpha.

    Reference:
        Benjamini, Krieger and Yekutieli 2006, "Adaptive linear step-up procedures that control the false discovery
        rate", Definition 6. Differences to one baseline on the same rows are positively dependent;
        ``tests/benchmarks/false_discovery.py`` shows the rate held there too.

    Example:
        >>> false_discovery_rate([0.03, 0.6, 0.9]).round(2).tolist()  # one clear effect among three is not so clear
        [0.09, 0.9, 0.9]
    """
    p = np.asarray(p, np.float64)
    q, known = np.full(p.shape, np.nan), ~np.isnan(p)
    if known.any():
        first = stats.false_discovery_control(p[known])
        no_effect = np.mean(first >= alpha / (1 + alpha))
        q[known] = np.maximum(first * min(no_effect * (1 + alpha), 1), p[known])
    return q


def _taken_back(note: str, q: float, members: int) -> str:
    reason = f"the interval excludes 0, but among {members} comparisons that is not enough: q = {q:.2f}"
    return f"{note}; {reason}" if note else reason
