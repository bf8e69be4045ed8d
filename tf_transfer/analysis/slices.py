"""Where transfer helped and where it hurt: differences on parts of the test rows."""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Iterator, Sequence

import numpy as np
import pandas as pd
from scipy.stats import false_discovery_control

from tf_transfer.analysis.rows import row_texts
from tf_transfer.analysis.sampling import Curves, Sample
from tf_transfer.errors import check_choice, check_columns
from tf_transfer.experiments.results import Results
from tf_transfer.kinds import kind_named, kind_of

FEWEST_ROWS = 20
"""Slices of fewer rows are named, not judged."""
MOST_VALUES = 20
"""Values of a column that are slices of their own; a column of more distinct numbers is cut into
thirds.
"""
CUTS = ("class", "span length", "length", "rare words")
COLUMNS = [
    *("target", "task", "metric", "strategy", "budget", "by", "slice", "rows"),
    *("value", "low", "high", "p", "q", "verdict", "note"),
]


@dataclasses.dataclass(frozen=True)
class _Slice:
    """Rows of a target that have something in common; ``budget`` None holds for all budgets."""

    by: str
    name: str
    rows: np.ndarray
    budget: int | None = None


def slices(
    comparison: Results,
    *,
    columns: Sequence[str] = (),
    by: Sequence[str] = CUTS,
    metric: str | None = None,
    strategies: Sequence[str] | None = None,
    targets: Sequence[str] | None = None,
    budgets: Sequence[int] | None = None,
    confidence: float = 0.95,
) -> pd.DataFrame:
    """Differences to what a strategy is compared with, on slices of the test rows.

    Args:
        comparison: a `Comparison`.
        columns: of the test tables, such as a domain: each value is a slice.
        by: ``"class"`` (thirds of the labels for a regression; rows with a span of the type for a
            tagging), ``"span length"`` (words of a row's longest span, of a tagging alone),
            ``"length"`` (thirds, in characters) and ``"rare words"`` (thirds of the share of words
            that at most one text of the sources and of the sampled target labels has).
        metric: None takes the kind's mean over rows (accuracy, Hamming loss, MAE): the difference
            on all rows is the mean of those on the slices of a column. A primary metric such as F1
            is ill-defined on rows of one class.
        strategies, targets, budgets: keep only these; None: all strategies with source data, all
            targets and budgets.
        confidence: 1 - the false discovery rate, in (0, 1).

    Returns:
        A row for each slice of each strategy, target, task and budget. ``value`` is positive when
        better. ``q`` is p after Benjamini and Hochberg's correction over the judged slices of one
        strategy, target, task and budget; ``low`` to ``high`` is adjusted likewise, so that it
        excludes 0 just where q is at most 1 - confidence. ``verdict`` is *helped*, *hurt*,
        *undecided*, or *too small* for fewer than 20 rows.

    Raises:
        DataError: an unknown slice, strategy, target, budget, metric or column.
        CheckpointError: the table of test rows was changed.

    Reference:
        Benjamini and Yekutieli 2005, "False Discovery Rate-Adjusted Multiple Confidence Intervals".
    """
    for kind in by:
        check_choice("by", kind, CUTS)
    strategies = comparison.source_strategies if strategies is None else strategies
    budgets = comparison.budgets if budgets is None else budgets
    rows = []
    for target in comparison.targets if targets is None else targets:
        check_choice("target", target, comparison.targets)
        for task in comparison.tasks_of(target):
            cut = list(_cut(comparison, target, task, by, columns))
            rows += _of_task(comparison, target, task, cut, strategies, budgets, metric, confidence)
    return pd.DataFrame(rows, columns=COLUMNS)


def _of_task(
    comparison: Results, target, task, cut, strategies, budgets, metric, confidence
) -> list[dict]:
    kind = kind_named(comparison.kind(task))
    metric = metric or kind.row_metric
    check_choice(f"metric of task {task!r}", metric, kind.metric_names)
    samples = [
        _differences(comparison, target, task, metric, part, strategies, budgets) for part in cut
    ]
    rows = []
    for strategy in strategies:
        for budget in budgets:
            numbers = [n for n, part in enumerate(cut) if part.budget in (None, budget)]
            place = {
                "target": target,
                "task": task,
                "metric": metric,
                "strategy": strategy,
                "budget": budget,
            }
            parts = [cut[n] for n in numbers]
            place_samples = [samples[n].get((strategy, budget)) for n in numbers]
            rows += [place | row for row in _corrected(parts, place_samples, confidence)]
    return rows


def _differences(
    comparison: Results, target, task, metric, part: _Slice, strategies, budgets
) -> dict[tuple, Sample]:
    """The difference of each strategy and budget to its control, where the slice has rows enough
    and a seed.
    """
    if len(part.rows) < FEWEST_ROWS:
        return {}
    curves = Curves(comparison, target, task, metric=metric, rows=part.rows)
    differences = {}
    for budget in budgets if part.budget is None else {part.budget} & set(budgets):
        for strategy in strategies:
            sample = curves.sample([(strategy, budget), (comparison.against(strategy), budget)])
            if sample is not None:
                differences[strategy, budget] = sample.combined(np.array([[1.0], [-1.0]]))
    return differences


def _corrected(
    parts: list[_Slice], samples: list[Sample | None], confidence: float
) -> Iterator[dict]:
    """Rows of the table for the slices of one strategy and budget, with q and adjusted
    intervals.
    """
    p = {i: sample.p()[0] for i, sample in enumerate(samples) if sample is not None}
    q = dict(zip(p, false_discovery_control(list(p.values())))) if p else {}
    selected = sum(value <= 1 - confidence for value in q.values())
    adjusted = 1 - (1 - confidence) * max(selected, 1) / max(len(p), 1)
    for i, (part, sample) in enumerate(zip(parts, samples)):
        row = {"by": part.by, "slice": part.name, "rows": len(part.rows)}
        if sample is None:
            yield row | _unjudged(part)
            continue
        (value,), ((low,), (high,)) = sample.mean, sample.bounds(adjusted)
        word = "undecided" if q[i] > 1 - confidence else "helped" if value > 0 else "hurt"
        row |= {"value": value, "low": low, "high": high, "p": p[i], "q": q[i]}
        yield row | {"verdict": word, "note": sample.note}


def _unjudged(part: _Slice) -> dict:
    if len(part.rows) < FEWEST_ROWS:
        return {
            "verdict": "too small",
            "note": f"{len(part.rows)} rows, of at least {FEWEST_ROWS} to be judged",
        }
    return {"verdict": "undecided", "note": "no seed with a defined metric for both strategies"}


# -- cutting ---------------------------------------------------------------------------------------


def _cut(
    comparison: Results, target: str, task: str, by: Collection[str], columns: Sequence[str]
) -> Iterator[_Slice]:
    table, rare = comparison.test_rows(target, task)
    y, _ = comparison.truth(target, task)
    if "class" in by:
        yield from _classes(next(t for t in comparison.tasks if t.name == task), y)
    texts = row_texts(comparison, table)
    if "span length" in by:
        kind = kind_named(comparison.kind(task))
        yield from _span_lengths(kind.longest_spans(y, texts))
    if "length" in by:
        lengths = np.array([len(text) for text in texts])
        yield from _thirds("length", lengths, "{:.0f}", " characters")
    if "rare words" in by:
        for budget, shares in rare.items():
            yield from _thirds(
                "rare words", np.round(100 * shares.astype(float)), "{:.0f}", " %", budget
            )
    check_columns(table, columns, f"the test table of target {target!r}")
    for column in columns:
        yield from _values(column, table[column])


def _classes(task, y) -> Iterator[_Slice]:
    kind = kind_of(task)
    if kind.numbers:
        yield from _thirds("class", y, "{:.3g}")
    if not kind.has_classes:
        return
    for number, name in enumerate(task.classes):
        yield _Slice("class", str(name), np.flatnonzero(kind.has_class(y, number)))


def _span_lengths(words: np.ndarray | None) -> Iterator[_Slice]:
    """Rows whose longest span has one word, two, or more; rows without a span are in none."""
    if words is None:
        return
    for name, chosen in (
        ("1 word", words == 1),
        ("2 words", words == 2),
        ("3 or more words", words >= 3),
    ):
        if chosen.any():
            yield _Slice("span length", name, np.flatnonzero(chosen))


def _values(column: str, values: pd.Series) -> Iterator[_Slice]:
    if pd.api.types.is_numeric_dtype(values) and values.nunique() > MOST_VALUES:
        yield from _thirds(column, values.to_numpy(float), "{:.4g}")
        return
    names = values.map(str, na_action="ignore").fillna("(none)").to_numpy(object)
    largest = list(pd.Series(names).value_counts().index[:MOST_VALUES])
    for name in largest:
        yield _Slice(column, name, np.flatnonzero(names == name))
    others = np.flatnonzero(~np.isin(names.astype(str), largest))
    if len(others):
        yield _Slice(column, "(other values)", others)


def _thirds(
    by: str, values: np.ndarray, number: str, unit: str = "", budget: int | None = None
) -> Iterator[_Slice]:
    """Up to three slices of about as many rows, equal values together; rows without a value are in
    none.
    """
    known = values[np.isfinite(values)]
    edges = np.unique(np.quantile(known, [1 / 3, 2 / 3])) if len(known) else []
    places = np.searchsorted(edges, values)
    for place in range(len(edges) + 1):
        rows = np.flatnonzero((places == place) & np.isfinite(values))
        if len(rows):
            ends = dict.fromkeys(
                number.format(end) for end in (values[rows].min(), values[rows].max())
            )
            yield _Slice(by, " to ".join(ends) + unit, rows, budget)
