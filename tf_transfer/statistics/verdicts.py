"""The verdicts of a run as a table, corrected for their number."""

from __future__ import annotations

import dataclasses

import numpy as np
import pandas as pd
from scipy import stats

from tf_transfer.statistics.intervals import Difference

COLUMNS = (
    *(
        "target",
        "task",
        "budget",
        "strategy",
        "against",
        "metric",
        "value",
        "low",
        "high",
        "p",
        "q",
        "verdict",
    ),
    *(
        "minimum_effect",
        "rows_needed",
        "seeds_needed",
        "rows",
        "seeds",
        "note",
        "transfer",
        "behind",
    ),
)
_NEEDS = ["minimum_effect", "rows_needed", "seeds_needed"]


def verdict_table(
    differences: list[tuple[dict, Difference]], correction: str | None = "fdr"
) -> pd.DataFrame:
    """Differences as rows, each with its verdict.

    Args:
        differences: of each its place, a dict of target, task, budget, strategy, ``against``,
            ``transfer``, whether it is one of the family that is corrected, and ``behind``; and the
            difference.
        correction: ``"fdr"`` to control the false discovery rate of the family (`statistics.
            false_discovery_rate`) at the level of the intervals; None to leave words as they are.

    Returns:
        The `COLUMNS`. A verdict that the correction takes back is ``"undecided"``, and its note
        says why. ``rows_needed`` and ``seeds_needed`` are of the undecided alone; in the family
        these and ``minimum_effect`` are those of verdicts at the level that one more needs, see
        `next_level`.
    """
    records = [
        place
        | dataclasses.asdict(difference)
        | {"verdict": difference.verdict, "alpha": 1 - difference.confidence}
        for place, difference in differences
    ]
    table = pd.DataFrame(records, columns=[*COLUMNS, "alpha"])
    table["q"] = table["p"].astype(float)
    family = table["transfer"].astype(bool)
    if correction is not None and family.sum() > 1:
        table.loc[family, "q"] = false_discovery_rate(
            table.loc[family, "p"], table.loc[family, "alpha"].iloc[0]
        )
        unsure = family & table["verdict"].isin(["helped", "hurt"]) & (table["q"] >= table["alpha"])
        known = int(table.loc[family, "p"].notna().sum())
        notes = [
            _taken_back(note, q, known)
            for note, q in zip(table.loc[unsure, "note"], table.loc[unsure, "q"])
        ]
        table.loc[unsure, "note"] = pd.Series(notes, index=table.index[unsure], dtype=object)
        table.loc[unsure, "verdict"] = "undecided"
        level = next_level(table.loc[family, "p"], table.loc[family, "alpha"].iloc[0])
        for i in np.flatnonzero(family & (table["verdict"] == "undecided")):
            at = differences[i][1].at_level(level)
            table.loc[i, _NEEDS] = [at.minimum_effect, at.rows_needed, at.seeds_needed]
    table.loc[table["verdict"] != "undecided", _NEEDS[1:]] = np.nan
    return table[list(COLUMNS)]


def false_discovery_rate(p, alpha: float = 0.05) -> np.ndarray:
    """The two-stage q of each p of a family: the least share of false verdicts at which it is one.

    The first stage, Benjamini and Hochberg's procedure at ``alpha / (1 + alpha)``, estimates how
    many of the family are no effect: those that it does not reject. The second corrects for these
    alone, so that a run where transfer helps nearly everywhere is not corrected as if it helped
    nowhere. No q is below its p, or above the q of Benjamini and Hochberg's one-stage procedure.

    Args:
        p: (verdicts,) two-sided p; NaN where there is no verdict, and no q.
        alpha: the share of false verdicts that is aimed at; verdicts are those with q < alpha.

    Reference:
        Benjamini, Krieger and Yekutieli 2006, "Adaptive linear step-up procedures that control the
        false discovery rate", Definition 6. Differences to one baseline on the same rows are
        positively dependent; ``tests/benchmarks/false_discovery.py`` shows the rate held there too.

    Example:
        >>> false_discovery_rate([0.03, 0.6, 0.9]).round(2).tolist()  # one of three is less clear
        [0.09, 0.9, 0.9]
    """
    p = np.asarray(p, np.float64)
    q, known = np.full(p.shape, np.nan), ~np.isnan(p)
    if known.any():
        first = stats.false_discovery_control(p[known])
        q[known] = np.maximum(first * _no_effect(first, alpha), p[known])
    return q


def next_level(p, alpha: float = 0.05) -> float:
    """The p below which one more of a family would be a verdict, with the others as they are; at
    most ``alpha``.

    Args:
        p, alpha: as for `false_discovery_rate`.

    Example:
        >>> next_level([1e-6, 0.03, *[0.5] * 8])  # the second of ten
        0.010582010582010581
    """
    p = np.asarray(p, np.float64)
    p = p[~np.isnan(p)]
    discoveries = (false_discovery_rate(p, alpha) < alpha).sum()
    rest = len(p) * _no_effect(stats.false_discovery_control(p), alpha) if len(p) else 1.0
    return float(alpha * min((discoveries + 1) / max(rest, 1.0), 1.0))


def _no_effect(first, alpha: float) -> float:
    """The share of a family that the first stage leaves, with what it may have rejected wrongly."""
    return min(np.mean(first >= alpha / (1 + alpha)) * (1 + alpha), 1.0)


def _taken_back(note: str, q: float, members: int) -> str:
    reason = (
        f"the interval excludes 0, but among {members} comparisons that is not enough: q = {q:.2f}"
    )
    return f"{note}; {reason}" if note else reason
