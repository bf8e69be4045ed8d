"""What a report reads of a comparison, with the columns that it needs: the one place that knows
their names.

A comparison may lack a part: one source cannot be left out, a metric has no curve. Then `Missing`
says in one sentence what is not there and why, and the report says it in the part's place.
"""

from __future__ import annotations

import dataclasses

import numpy as np
import pandas as pd

from tf_transfer.errors import TransferError
from tf_transfer.experiments.results import Results

_KEYS = ("target", "task", "strategy", "budget")
_ENDS = ("value", "low", "high")
_OPTIONAL = {
    "q": np.nan,
    "rows_needed": np.nan,
    "seeds_needed": np.nan,
    "minimum_effect": np.nan,
    "note": "",
    "transfer": True,
    "behind": False,
    "against": "",
    "censored": "",
    "seeds": np.nan,
    "rows": np.nan,
}


_ALL = 2**62


class Missing(Exception):
    """A part of the report that cannot be shown; the text is a sentence that says why."""


@dataclasses.dataclass(frozen=True)
class Place:
    """One strategy on one task of a target with a number of labels."""

    target: str
    task: str
    strategy: str
    budget: int


def verdicts(comparison: Results) -> pd.DataFrame:
    """The verdicts; without rows where nothing can be compared."""
    table = comparison.verdicts()
    return table.assign(**{c: v for c, v in _OPTIONAL.items() if c not in table})


def intervals(comparison: Results) -> pd.DataFrame:
    """Every metric of the suite with its interval."""
    return _read(
        comparison, "intervals", "The intervals of the metrics are", (*_KEYS, "metric", *_ENDS)
    )


def curves(comparison: Results) -> pd.DataFrame:
    """The primary metrics at every budget with their intervals."""
    return _read(
        comparison, "curves", "The intervals of the learning curves are", (*_KEYS, "metric", *_ENDS)
    )


def label_worth(comparison: Results) -> pd.DataFrame:
    """How many labels without source data a strategy's are worth."""
    return _read(
        comparison, "label_worth", "The worth in labels is", (*_KEYS, "labels", "low", "high")
    )


def curve_gains(comparison: Results) -> pd.DataFrame:
    """The mean gain over all budgets, and from how many labels on source data hurts."""
    needed = (
        "target",
        "task",
        "strategy",
        "area",
        "low",
        "high",
        "verdict",
        "hurt_from",
        "crossing",
    )
    gains = _read(comparison, "curve_gains", "The gains over all budgets are", needed)
    return gains.rename(columns={"area": "value"})


def source_gains(comparison: Results) -> pd.DataFrame:
    """What each source adds."""
    needed = (*_KEYS, "source", "difference", "low", "high", "verdict")
    gains = _read(comparison, "source_gains", "The contributions of single sources are", needed)
    return gains.rename(columns={"difference": "value"})


def best(comparison: Results) -> pd.DataFrame:
    """The best strategy of each place, and those that cannot be told from it."""
    needed = ("target", "task", "budget", "strategy", "value", "alike")
    return _read(comparison, "best", "The best strategies are", needed)


def sides(comparison: Results) -> pd.DataFrame:
    """What the two sides of each verdict did."""
    needed = ("strategy", "against", "what", "with_source", "without", "differs")
    return _read(comparison, "sides", "The two sides of the verdicts are", needed)


def encoder_effect(comparison: Results) -> pd.DataFrame:
    """What training on the sources did to the encoder."""
    needed = (*_KEYS, "metric", "before", "after", "difference", "low", "high", "verdict")
    effects = _read(
        comparison, "encoder_effect", "The effects of the sources on the encoder are", needed
    )
    words = {"improved": "helped", "harmed": "hurt"}
    return effects.rename(columns={"difference": "value"}).assign(
        verdict=[words.get(v, v) for v in effects["verdict"]]
    )


def foreign_answers(comparison: Results) -> pd.DataFrame:
    """How often strategies answered with classes that the target does not have."""
    needed = (*_KEYS, "share", "rows", "likeliest")
    return _read(
        comparison, "foreign_answers", "Answers with classes of the sources alone are", needed
    )


def slices(comparison: Results, place: Place) -> pd.DataFrame:
    """Differences on parts of the test rows, in a metric of single rows."""
    needed = ("task", "metric", "by", "slice", "rows", *_ENDS, "verdict")
    where = {"targets": [place.target], "strategies": [place.strategy], "budgets": [place.budget]}
    where["columns"] = comparison.slice_columns.get(place.target, [])
    differences = _read(comparison, "slices", "The slices are", needed, **where)
    return differences[differences["task"] == place.task].reset_index(drop=True)


def changed_rows(comparison: Results, place: Place) -> pd.DataFrame:
    """All rows that the strategy mends or breaks, the largest change first: ``mended`` is True or
    False.
    """
    needed = ("text", "label", "baseline", "prediction", "change")
    where = dataclasses.astuple(place)
    changed = _read(
        comparison, "changed_rows", "The rows mended and broken are", needed, *where, most=_ALL
    )
    return changed.assign(mended=changed["change"] > 0)


def reliability(comparison: Results, place: Place) -> pd.DataFrame:
    """What was predicted and what was observed, in bins of the predictions."""
    needed = ("predicted", "observed", "low", "high", "rows")
    where = dataclasses.asdict(place)
    return _read(comparison, "reliability", "The calibration curves are", needed, **where)


def confusion(comparison: Results, place: Place) -> pd.DataFrame:
    """Numbers of rows: true classes in rows, predicted ones in columns."""
    return _read(
        comparison, "confusion", "The confusion matrices are", (), *dataclasses.astuple(place)
    )


def advice(comparison: Results) -> pd.DataFrame | None:
    """How the advice of before training fared, a row a place; None for a run without."""
    try:
        kept = comparison.advice
        return None if kept is None else kept.fared(comparison)
    except TransferError as error:
        raise Missing(f"How the advice fared is missing: {' '.join(str(error).split())}") from None


def _read(
    comparison: Results, method: str, what: str, needed: tuple[str, ...], *arguments, **options
) -> pd.DataFrame:
    """The table of ``comparison.method(...)``.

    Raises:
        Missing: there is no such method or table, or it lacks a column.
    """
    start = f"{what} missing"
    call = getattr(comparison, method, None)
    if call is None:
        raise Missing(
            f"{start}: this run was read by a version of tf_transfer that does not compute them."
        )
    try:
        table = call(*arguments, **options)
    except TransferError as error:
        raise Missing(f"{start}: {' '.join(str(error).split())}") from None
    if table is None or not len(table):
        raise Missing(f"{start}: no result of this run has any.")
    lacking = [column for column in needed if column not in table]
    if lacking:
        raise Missing(f"{start}: the columns {', '.join(lacking)} were expected and are not there.")
    return table.assign(**{c: v for c, v in _OPTIONAL.items() if needed and c not in table})


def clearest(comparison: Results, target: str, task: str) -> Place | None:
    """The source strategy and budget whose difference is the most half-widths of its interval from
    0.
    """
    differences = verdicts(comparison)
    differences = differences[(differences["target"] == target) & (differences["task"] == task)]
    differences = differences[differences["strategy"].isin(comparison.source_strategies)].dropna(
        subset=["value", "low", "high"]
    )
    if differences.empty:
        return None
    row = differences.iloc[int(np.argmax(clearness(differences)))]
    return Place(target, task, row["strategy"], int(row["budget"]))


def clearness(differences: pd.DataFrame) -> np.ndarray:
    """How many half-widths of its interval each difference is from 0."""
    with np.errstate(divide="ignore", invalid="ignore"):
        half = (differences["high"].to_numpy() - differences["low"].to_numpy()) / 2
        return np.nan_to_num(np.abs(differences["value"].to_numpy()) / half, posinf=np.inf)


def places(comparison: Results, kinds: tuple[str, ...] = ()) -> list[Place]:
    """`clearest` of every target and task (of these kinds) that has one."""
    chosen = [t.name for t in comparison.tasks if not kinds or t.kind in kinds]
    candidates = [
        clearest(comparison, target, task) for target in comparison.targets for task in chosen
    ]
    return [place for place in candidates if place is not None]
