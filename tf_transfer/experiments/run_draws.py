"""The cells of a run on shared resamples of their test rows, made when first asked for."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping, Sequence

from tf_transfer.experiments.runs import Cell
from tf_transfer.experiments.usable import seeds_note
from tf_transfer.kinds.tasks import Task
from tf_transfer.statistics.intervals import Difference, Draws, Interval, suite_draws

OF_VERDICTS, OF_SUITE = 2000, 1000
"""Resamples of the primary metrics, whose tails the corrected verdicts read, and of all the
others.
"""


@dataclasses.dataclass(frozen=True)
class PlaceDraws:
    """All strategies and seeds of one target, task and budget.

    Args:
        draws: of the cells that there are.
        positions: where ``(strategy, seed)`` is in the draws.
        planned: the seeds of the run.
    """

    draws: Draws
    positions: dict[tuple[str, int], int]
    planned: Sequence[int]

    @property
    def strategies(self) -> list[str]:
        """Those with a cell, in the order of the plan."""
        return list(dict.fromkeys(strategy for strategy, _ in self.positions))

    def interval(self, metric: str, strategy: str) -> Interval:
        """The interval of a metric over the seeds that there are."""
        return self.draws.interval(
            metric, [i for (name, _), i in self.positions.items() if name == strategy]
        )

    def difference(
        self, metric: str, strategy: str, other: str, margin: float | None = None
    ) -> Difference | None:
        """The difference over the seeds that both have, with a note where some are missing; None
        without one.
        """
        seeds = [
            seed
            for name, seed in self.positions
            if name == strategy and (other, seed) in self.positions
        ]
        if not seeds:
            return None
        first, second = (
            [self.positions[name, seed] for seed in seeds] for name in (strategy, other)
        )
        difference = self.draws.difference(metric, first, second, margin=margin)
        notes = [difference.note, seeds_note(self.planned, seeds)]
        return dataclasses.replace(difference, note="; ".join(filter(None, notes)))


class RunDraws:
    """The draws of every place of a run, kept once made.

    Args:
        cells: the scores of each cell, ``{cell: {task: scores}}``.
        truth: of each target ``{task: (labels, which test rows have one)}`` and its groups or None.
        tasks, strategies, budgets, seeds: of the plan.
        metrics: the primary metric of each task.
    """

    def __init__(
        self,
        cells: Mapping[Cell, dict],
        truth: Mapping[str, tuple],
        tasks: Sequence[Task],
        strategies,
        budgets,
        seeds,
        metrics: Mapping[str, str],
    ):
        self._cells, self._truth, self._metrics = cells, truth, metrics
        self._tasks = {task.name: task for task in tasks}
        self._strategies, self._budgets, self._seeds = strategies, budgets, seeds
        self._made: dict[tuple, PlaceDraws | None] = {}

    def everywhere(self, primary: bool = False) -> Iterator[tuple[dict, Task, PlaceDraws]]:
        """Each place with predictions: a dict of target, task and budget, the task and the
        draws.
        """
        for target, (truth, _) in self._truth.items():
            for task in (t for t in self._tasks.values() if t.name in truth):
                for budget in self._budgets:
                    drawn = self.at(target, task.name, budget, primary)
                    if drawn is not None:
                        yield {"target": target, "task": task.name, "budget": budget}, task, drawn

    def at(self, target: str, task: str, budget: int, primary: bool) -> PlaceDraws | None:
        """The primary metric, or the whole suite, of the cells of a place; None without a cell."""
        key = target, task, budget, primary
        if key not in self._made:
            self._made[key] = self._make(*key)
        return self._made[key]

    def _make(self, target: str, task: str, budget: int, primary: bool) -> PlaceDraws | None:
        truth, groups = self._truth[target]
        y, present = truth[task]
        by_cell = {}
        for strategy in self._strategies:
            for seed in self._seeds:
                scores = self._cells.get(Cell(target, strategy, budget, seed), {})
                if task in scores:
                    by_cell[strategy, seed] = scores[task][present]
        if not by_cell:
            return None
        draws = suite_draws(
            self._tasks[task].kind,
            y[present],
            list(by_cell.values()),
            groups=None if groups is None else groups[present],
            names=[self._metrics[task]] if primary else None,
            resamples=OF_VERDICTS if primary else OF_SUITE,
        )
        return PlaceDraws(
            draws, {place: position for position, place in enumerate(by_cell)}, self._seeds
        )
