"""Learning curves as samples: every cell's metric on all rows and on rows drawn anew, so that what is made of
several cells (an area, a crossing, a number of labels) has one coherent interval.

The rows (or groups) of a draw are the same for every strategy, budget and seed. Seeds come in as in `statistics`:
not by drawing three of three again, which varies too little, but by Student's t with the variance between seeds.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator

import numpy as np
from scipy.special import ndtri, stdtrit

from tf_transfer.metrics import HIGHER_IS_BETTER, resampled
from tf_transfer.statistics import row_counts

STEPS = 64
"""Points between two measured budgets at which curves are compared: 2 % more labels each where a budget is
four times the one before."""


@dataclasses.dataclass(frozen=True)
class Sample:
    """Statistics of the same rows and seeds.

    Args:
        values: (seeds, statistics), on all rows.
        draws: (resamples, seeds, statistics), on the rows of each draw.
    """

    values: np.ndarray
    draws: np.ndarray

    def combined(self, weights: np.ndarray) -> Sample:
        """Linear combinations of the statistics; ``weights`` is (statistics, combinations)."""
        return Sample(self.values @ weights, self.draws @ weights)

    @property
    def mean(self) -> np.ndarray:
        """(statistics,): over seeds."""
        return self.values.mean(0)

    def bounds(self, confidence: float) -> tuple[np.ndarray, np.ndarray]:
        """Ends of the interval of each mean, (statistics,) each, over rows and seeds.

        They are those of `statistics.paired_difference` where the statistic is a difference of two cells.
        """
        tail, seeds = (1 - confidence) / 2, len(self.values)
        means = self.draws.mean(1)
        low, high = np.quantile(means, [tail, 1 - tail], axis=0)
        margins = np.maximum([self.mean - low, high - self.mean], 0)
        if seeds > 1:
            between = self.values.var(0, ddof=1) / seeds
            shared = (self.draws - self.values).var(1, ddof=1).mean(0) / seeds
            total = means.var(0)
            rows = 1 - np.divide(shared, total, out=np.zeros_like(total), where=total > 0)
            margins = np.where(between > 0, _with_seeds(margins, np.maximum(rows, 0), between, seeds, tail), margins)
        return self.mean - margins[0], self.mean + margins[1]


def _with_seeds(margins, row_share, between, seeds: int, tail: float) -> np.ndarray:
    """Margins over rows and seeds from those over rows; ``between``: the variance that seeds add to the mean."""
    total = row_share * (margins / ndtri(1 - tail)) ** 2 + between
    freedom = (seeds - 1) * total / np.where(between > 0, between, 1)
    return stdtrit(freedom, 1 - tail) * np.sqrt(total)


class Curves:
    """The learning curves of one task on one target; higher is better, so losses have their sign turned.

    Args:
        comparison: a `Comparison`.
        target, task: names.
        resamples: int, draws of the rows.
    """

    def __init__(self, comparison, target: str, task: str, resamples: int):
        self.comparison, self.target, self.task = comparison, target, task
        self.metric, self.kind = comparison.metrics[task], comparison.kind(task)
        self.y, groups = comparison.truth(target, task)
        once = np.ones((1, len(self.y)), np.uint8)
        self._counts = np.concatenate([once, row_counts(len(self.y), groups, resamples)])
        self._known: dict = {}

    def cells(self, strategy: str, budget: int) -> dict[int, np.ndarray]:
        """``{seed: (1 + resamples,)}``, all rows first, of the seeds for which the metric is defined."""
        key = strategy, budget
        if key not in self._known:
            sign = 1 if HIGHER_IS_BETTER[self.metric] else -1
            scores = self.comparison.scores(strategy, self.target, self.task, budget)
            found = {
                seed: sign * resampled(self.metric, self.kind, self.y, s, self._counts) for seed, s in scores.items()
            }
            self._known[key] = {seed: values for seed, values in found.items() if np.isfinite(values[0])}
        return self._known[key]

    def budgets(self, *strategies: str) -> list[int]:
        """The budgets at which all of ``strategies`` have a defined cell, in order."""
        return [b for b in sorted(self.comparison.budgets) if all(self.cells(s, b) for s in strategies)]

    def sample(self, places: list[tuple[str, int]]) -> tuple[Sample, list[int]] | None:
        """A statistic for each (strategy, budget), and the seeds that all of them have; None without one."""
        cells = [self.cells(*place) for place in places]
        seeds = [seed for seed in self.comparison.seeds if all(seed in cell for cell in cells)]
        if not seeds or not places:
            return None
        found = np.stack([np.stack([cell[seed] for seed in seeds], 1) for cell in cells], 2)
        draws = found[1:]
        return Sample(found[0], draws[np.isfinite(draws).all((1, 2))]), seeds


def each_curves(comparison, resamples: int) -> Iterator[Curves]:
    """The curves of every target and task."""
    for target in comparison.targets:
        for task in comparison.tasks_of(target):
            yield Curves(comparison, target, task, resamples)


def dense(budgets: list[int]) -> tuple[np.ndarray, np.ndarray]:
    """Points between measured budgets, evenly on a log scale, and how to read a curve there.

    Returns:
        labels: (points,) float, from the first budget to the last, each of them among the points.
        weights: (budgets, points), of linear interpolation in the logarithm of the budget.
    """
    x = np.log2(budgets)
    parts = [np.linspace(a, b, STEPS, endpoint=False) for a, b in zip(x, x[1:])]
    points = np.concatenate([*parts, x[-1:]])
    return 2**points, np.stack([np.interp(points, x, row) for row in np.eye(len(x))])


def falls_to_zero(labels, low, high) -> tuple[float, float]:
    """Between which numbers of labels a falling curve with the band ``low`` to ``high`` may be 0.

    Args:
        labels, low, high: (points,) each.

    Returns:
        From the first point that is not above 0 (0.0 where that is the first of all, since the curve may have been
        there before; the last of all where there is none), and to the last that is not below 0 (infinity, or the
        first of all, likewise).
    """
    reached, left = np.flatnonzero(low <= 0), np.flatnonzero(high >= 0)
    first = labels[-1] if not len(reached) else 0.0 if reached[0] == 0 else labels[reached[0]]
    last = labels[0] if not len(left) else np.inf if left[-1] == len(labels) - 1 else labels[left[-1]]
    return float(min(first, last)), float(max(first, last))


def seeds_text(comparison, seeds: list[int]) -> str:
    """What to note of a sample's seeds; empty where it has all of several."""
    parts = [] if len(seeds) > 1 else ["one seed: variation between seeds is not covered"]
    missing = [str(s) for s in comparison.seeds if s not in seeds]
    if missing:
        parts.append(f"without seed {', '.join(missing)}, which some cell lacks")
    return "; ".join(parts)
