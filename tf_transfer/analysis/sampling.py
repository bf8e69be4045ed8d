"""Learning curves as samples: every cell's metric on all rows and on rows drawn anew, so that what
is made of several cells (an area, a crossing, a number of labels) has one coherent interval.

The rows (or groups) of a draw are the same for every strategy, budget and seed. Seeds come in as in
`statistics`: not by drawing three of three again, which varies too little, but by Student's t with
the variance between seeds.
"""

from __future__ import annotations

import dataclasses
import functools
import itertools
from collections.abc import Iterator

import numpy as np

from tf_transfer.evaluation.metrics import resampled_suite
from tf_transfer.experiments.results import Results
from tf_transfer.kinds import METRICS
from tf_transfer.statistics import bootstrap
from tf_transfer.statistics.bootstrap import row_counts

STEPS = 64
"""Points between two measured budgets at which curves are compared: 2 % more labels each where a
budget is four times the one before.
"""


@dataclasses.dataclass(frozen=True)
class Sample:
    """Statistics of the same rows and seeds.

    Args:
        values: (seeds, statistics), on all rows.
        draws: (resamples, seeds, statistics), on the rows of each draw.
        units: number of rows, or of groups where these are drawn whole.
        note: what a reader must know of the seeds and draws; else empty.
    """

    values: np.ndarray
    draws: np.ndarray
    units: int
    note: str = ""

    def combined(self, weights: np.ndarray) -> Sample:
        """Linear combinations of the statistics; ``weights`` is (statistics, combinations)."""
        return Sample(self.values @ weights, self.draws @ weights, self.units, self.note)

    @property
    def mean(self) -> np.ndarray:
        """(statistics,): over seeds."""
        return self.values.mean(0)

    def bounds(self, confidence: float) -> tuple[np.ndarray, np.ndarray]:
        """Ends of the interval of each mean, (statistics,) each, over rows and seeds; NaN for too
        few rows.

        They are those of `statistics.intervals.paired_difference` where the statistic is a
        difference of two cells.
        """
        low, high = zip(*(each.bounds(1 - confidence) for each in self._each))
        return np.array(low), np.array(high)

    def p(self) -> np.ndarray:
        """(statistics,): see `bootstrap.Sample.p`."""
        return np.array([each.p() for each in self._each])

    @functools.cached_property
    def _each(self) -> list[bootstrap.Sample]:
        columns = zip(self.values.T, np.moveaxis(self.draws, 2, 0))
        return [bootstrap.Sample(values, draws, self.units) for values, draws in columns]


class Curves:
    """The learning curves of one task on one target; higher is better, so losses have their sign
    turned.

    Args:
        comparison: a `Comparison`.
        target, task: names.
        resamples: int, draws of the rows.
        metric: None takes the primary one.
        rows: numbers of the labelled test rows that count; None: all.
    """

    def __init__(
        self,
        comparison: Results,
        target: str,
        task: str,
        resamples: int = 2000,
        *,
        metric=None,
        rows=None,
    ):
        self.comparison, self.target, self.task = comparison, target, task
        self.metric, self.kind = metric or comparison.metrics[task], comparison.kind(task)
        y, groups = comparison.truth(target, task)
        self.rows = np.arange(len(y)) if rows is None else rows
        self.y, groups = y[self.rows], None if groups is None else groups[self.rows]
        once = np.ones((1, len(self.y)), np.uint8)
        self._counts = np.concatenate([once, row_counts(len(self.y), groups, resamples)])
        self._units = len(self.y) if groups is None else len(np.unique(groups))
        self._few = bootstrap.few_units(self._units, "rows" if groups is None else "groups")
        self._known: dict = {}

    def cells(self, strategy: str, budget: int) -> dict[int, np.ndarray]:
        """``{seed: (1 + resamples,)}``, all rows first, of the seeds for which the metric is
        defined.
        """
        key = strategy, budget
        if key not in self._known:
            sign = METRICS[self.metric].sign
            scores = self.comparison.scores(strategy, self.target, self.task, budget)
            chosen = [s[self.rows] for s in scores.values()]
            suite = resampled_suite(self.kind, self.y, chosen, self._counts, [self.metric])
            values = sign * suite[self.metric]
            self._known[key] = {
                seed: each for seed, each in zip(scores, values.T) if np.isfinite(each[0])
            }
        return self._known[key]

    def budgets(self, *strategies: str) -> list[int]:
        """The budgets at which all of ``strategies`` have a defined cell, in order."""
        return [
            b for b in sorted(self.comparison.budgets) if all(self.cells(s, b) for s in strategies)
        ]

    def sample(self, places: list[tuple[str, int]]) -> Sample | None:
        """A statistic for each (strategy, budget), of the seeds that all of them have; None without
        one.
        """
        cells = [self.cells(*place) for place in places]
        seeds = [seed for seed in self.comparison.seeds if all(seed in cell for cell in cells)]
        if not seeds or not places:
            return None
        of_cells = [np.stack([cell[seed] for seed in seeds], 1) for cell in cells]
        values = np.stack(of_cells, 2)
        defined = np.isfinite(values).all((1, 2))
        if not defined[1:].any():
            return None
        return Sample(values[0], values[1:][defined[1:]], self._units, self._note(seeds, defined))

    def _note(self, seeds: list[int], defined: np.ndarray) -> str:
        missing = [str(s) for s in self.comparison.seeds if s not in seeds]
        parts = [
            "one seed: variation between seeds is not covered" if len(seeds) == 1 else "",
            f"without seed {', '.join(missing)}, which some cell lacks" if missing else "",
            f"{self.metric} is undefined in {(~defined).sum()} resamples, which are left out"
            * (not defined.all()),
            self._few,
        ]
        return "; ".join(filter(None, parts))


def each_curves(comparison: Results, resamples: int) -> Iterator[Curves]:
    """The curves of every target and task, kept with the comparison."""
    kept = comparison.__dict__.setdefault("_curves", {})
    for target in comparison.targets:
        for task in comparison.tasks_of(target):
            place = target, task, resamples
            if place not in kept:
                kept[place] = Curves(comparison, *place)
            yield kept[place]


def dense(budgets: list[int]) -> tuple[np.ndarray, np.ndarray]:
    """Points between measured budgets, evenly on a log scale, and how to read a curve there.

    Returns:
        labels: (points,) float, from the first budget to the last, each of them among the points.
        weights: (budgets, points), of linear interpolation in the logarithm of the budget.
    """
    x = np.log2(budgets)
    parts = [np.linspace(a, b, STEPS, endpoint=False) for a, b in itertools.pairwise(x)]
    points = np.concatenate([*parts, x[-1:]])
    return 2**points, np.stack([np.interp(points, x, row) for row in np.eye(len(x))])


def falls_to_zero(labels, low, high) -> tuple[float, float]:
    """Between which numbers of labels a falling curve with the band ``low`` to ``high`` may be 0.

    Args:
        labels, low, high: (points,) each.

    Returns:
        From the first point that is not above 0 (0.0 where that is the first of all, since the
        curve may have been there before; the last of all where there is none), and to the last that
        is not below 0 (infinity, or the first of all, likewise).
    """
    reached, left = np.flatnonzero(low <= 0), np.flatnonzero(high >= 0)
    first = labels[-1] if not len(reached) else 0.0 if reached[0] == 0 else labels[reached[0]]
    last = (
        labels[0] if not len(left) else np.inf if left[-1] == len(labels) - 1 else labels[left[-1]]
    )
    return float(min(first, last)), float(max(first, last))
