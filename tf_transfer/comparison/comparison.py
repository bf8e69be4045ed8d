"""The results of strategies x targets x label budgets x seeds, and what follows from them."""

from __future__ import annotations

import itertools
import shutil
import warnings
from collections.abc import Iterable, Iterator
from functools import cached_property
from pathlib import Path

import numpy as np
import pandas as pd

from tf_transfer.comparison.analyses import ComparisonAnalyses
from tf_transfer.comparison.plots import ComparisonPlots
from tf_transfer.data.tables import save_table
from tf_transfer.errors import check_choice
from tf_transfer.evaluation import metrics
from tf_transfer.experiments.run_draws import PlaceDraws, RunDraws
from tf_transfer.experiments.runs import Cell, Run, all_cells
from tf_transfer.experiments.usable import unpacked, usable_cells, usable_targets
from tf_transfer.files.storage import explained, write_text
from tf_transfer.kinds import kind_of
from tf_transfer.kinds.tasks import Task
from tf_transfer.statistics.intervals import Difference, check_margin
from tf_transfer.statistics.paired_tests import row_tests
from tf_transfer.statistics.verdicts import verdict_table

INTERVAL = ("value", "low", "high", "note")


class Comparison(ComparisonAnalyses, ComparisonPlots):
    """The results of a run, read from its folder.

    Args:
        run: a `Run`, or the folder of one.
        margin: the largest difference that does not matter, for `verdicts` and the report; see
            there.
        seeds: of the run's seeds those to look at; None: all.

    Attributes:
        baseline: what strategies without source data are compared with.
        controls: ``{strategy: strategy}``: what each is compared with; see `against`.
        source_strategies: those that differ from what they are compared with in nothing but the
            source.
        twins: ``{label: strategy}`` of strategies of the experiment that are the same training as
            another: they were trained once and count once. Methods that take a strategy take these
            labels too.
        variants: ``{label: (strategy, source)}`` of the strategies that were also run without a
            source; only `source_gains` and `difference` speak of them.
        slice_columns: of each target's test table, by whose values the report cuts the test rows.
        unusable: a sentence for each file of the run that could not be used, and why; missing cells
            share one.
        lost_cells: how many cells these files leave the run without.
    """

    def __init__(
        self, run: Run | str | Path, margin: float | None = None, seeds: Iterable[int] | None = None
    ):
        check_margin(margin)
        self.margin = margin
        self.run = run if isinstance(run, Run) else Run(run)
        content = self.run.read()
        common = content["common"]
        columns = common.get("text", "text"), common.get("text_pair")
        self.text_columns = [column for column in columns if column is not None]
        self.provenance: dict = self.run.provenance()
        self._read_plan(self.provenance["plan"])
        if seeds is not None:
            self.seeds = [seed for seed in self.seeds if seed in set(seeds)]
        self._targets, spoilt = usable_targets(self.run, self.targets, self.tasks)
        planned_targets, self.targets = self.targets, list(self._targets)
        trained = [label for label in (*self.strategies, *self.variants) if label not in self.twins]
        whole = all_cells(planned_targets, trained, self.budgets, self.seeds)
        planned = all_cells(self.targets, trained, self.budgets, self.seeds)
        self._cells, missing = usable_cells(self.run, planned, self.tasks, self._targets)
        self.unusable: list[str] = spoilt + missing
        self.lost_cells = len(whole) - len(self._cells)
        self._draws = RunDraws(
            {cell: scores for cell, (scores, _) in self._cells.items()},
            {name: (truth, groups) for name, (truth, groups, _) in self._targets.items()},
            self.tasks,
            trained,
            self.budgets,
            self.seeds,
            self.metrics,
        )
        self._verdicts: dict[tuple, pd.DataFrame] = {}

    def _read_plan(self, plan: dict) -> None:
        self.name: str = plan["name"]
        self.baseline: str = plan["baseline"]
        self.strategies: list[str] = plan["strategies"]
        self.controls: dict[str, str] = plan["controls"]
        self.twins: dict[str, str] = plan["twins"]
        self.variants: dict[str, list[str]] = plan.get("variants", {})
        self.source_strategies: list[str] = plan["source_strategies"]
        self.targets: list[str] = plan["targets"]
        self.budgets: list[int] = plan["budgets"]
        self.seeds: list[int] = plan["seeds"]
        self.slice_columns: dict[str, list[str]] = plan.get("slices", {})
        self.metrics: dict[str, str] = plan["metrics"]
        self.tasks = [Task(**t) for t in plan["tasks"]]

    @property
    def _ordinary(self) -> dict[Cell, tuple[dict, dict]]:
        """The cells without the variants of `leave_one_out`."""
        return {c: content for c, content in self._cells.items() if c.strategy not in self.variants}

    @property
    def leakage(self) -> dict[str, dict]:
        """The leakage audit of each target."""
        return {name: leakage for name, (_, _, leakage) in self._targets.items()}

    @cached_property
    def results(self) -> pd.DataFrame:
        """Every scalar metric of every cell: target, task, strategy, budget, seed, metric,
        value.
        """
        records = []
        for cell, (scores, _) in self._ordinary.items():
            truth = self._targets[cell.target][0]
            for task in self.tasks:
                if task.name not in truth or task.name not in scores:
                    continue
                y, present = truth[task.name]
                suite = _quiet_suite(task, y[present], scores[task.name][present])
                place = cell.target, task.name, cell.strategy, cell.budget, cell.seed
                records += [(*place, m, suite[m]) for m in kind_of(task).metric_names]
        columns = ["target", "task", "strategy", "budget", "seed", "metric", "value"]
        return pd.DataFrame(records, columns=columns)

    def summary(self) -> pd.DataFrame:
        """The primary metrics, mean over seeds (NaN when undefined in one): strategies in
        columns.
        """
        rows = self.results[self.results["metric"] == self.results["task"].map(self.metrics)]
        keys = ["target", "task", "metric", "budget"]
        cells = rows.groupby([*keys, "strategy"], sort=False)["value"]
        means = cells.agg(lambda values: values.mean(skipna=False)).unstack("strategy")
        return means[[s for s in self.strategies if s in means]].reset_index()

    def verdicts(self, margin: float | None = None, correction: str | None = "fdr") -> pd.DataFrame:
        """Whether its source helped each strategy: a row a target, task, budget and strategy.

        Each strategy is compared with the one that it is ``against``: itself without the source, or
        the baseline where it has none. ``value`` is the difference in the primary metric, positive
        when better, with its 95 % interval ``low`` to ``high`` over rows and seeds; see
        `statistics.intervals.paired_difference`. ``transfer`` is False where the two differ in more
        than the source, and the words say better and worse. ``behind`` is whether the baseline is
        clearly better than the strategy: then what its source brought does not make up for what
        else it lacks.

        A run asks whether transfer helped once for every transferring strategy, target, task and
        budget. So the words of these are by ``q``, the share of false verdicts among those at least
        as clear: *helped* and *hurt* need an interval that excludes 0 and a q below .05. The other
        strategies are there to compare with, not to be found better: their words go by the
        interval, and their q is their p.

        Args:
            margin: the largest difference that does not matter, in the unit of every primary
                metric, or None for the comparison's own (without one there is no such verdict);
                then ``"equivalent"`` is a verdict too, by two one-sided tests: the 90 % interval
                lies within ±margin. It comes before the other words and is not corrected.
            correction: ``"fdr"``, or None for words that go by the intervals alone.

        Raises:
            DataError: an unknown correction, or a margin that is not above 0.
        """
        if correction is not None:
            check_choice("correction, where it is not None,", correction, ["fdr"])
        margin = self.margin if margin is None else margin
        if (margin, correction) not in self._verdicts:
            table = verdict_table(self._differences(margin), correction)
            self._verdicts[margin, correction] = table
        return self._verdicts[margin, correction].copy()

    def _differences(self, margin: float | None) -> list[tuple[dict, Difference]]:
        """Every strategy against its control, with its place."""
        differences = []
        for place, task, drawn in self._draws.everywhere(primary=True):
            for strategy, other in self.controls.items():
                difference = drawn.difference(self.metrics[task.name], strategy, other, margin)
                if difference is None:
                    continue
                behind = other != self.baseline and self._behind(drawn, task.name, strategy)
                pair = {"strategy": strategy, "against": other, "behind": behind}
                pair["transfer"] = strategy in self.source_strategies
                differences.append((place | pair, difference))
        return differences

    def _behind(self, drawn: PlaceDraws, task: str, strategy: str) -> bool:
        """Whether the baseline is clearly better than a strategy."""
        difference = drawn.difference(self.metrics[task], strategy, self.baseline)
        return difference is not None and difference.high < 0

    def intervals(self, metrics: Iterable[str] | None = None) -> pd.DataFrame:
        """Every strategy's metrics with their 95 % intervals over rows and seeds.

        Args:
            metrics: names; None for the whole suite of every task. A task without a metric is left
                out.

        Returns:
            A row a target, task, budget, strategy and metric: ``value``, the mean over seeds,
            ``low``, ``high`` and ``note``.

        Raises:
            DataError: a metric that none of the tasks has.
        """
        known = [m for task in self.tasks for m in kind_of(task).metric_names]
        for metric in metrics or ():
            check_choice("metric", metric, known)
        records = []
        for place, task, drawn in self._draws.everywhere():
            names = kind_of(task).metric_names
            asked = [name for name in names if metrics is None or name in metrics]
            ordinary = [s for s in drawn.strategies if s not in self.variants]
            for strategy, metric in itertools.product(ordinary, asked):
                interval = drawn.interval(metric, strategy)
                of = {"strategy": strategy, "metric": metric}
                ends = {name: getattr(interval, name) for name in INTERVAL}
                records.append(place | of | ends)
        columns = ["target", "task", "budget", "strategy", "metric", *INTERVAL]
        return pd.DataFrame(records, columns=columns)

    def difference(
        self,
        strategy: str,
        other: str,
        target: str,
        task: str,
        budget: int,
        metric: str | None = None,
        margin: float | None = None,
    ) -> Difference | None:
        """How much better one strategy is than another on the same rows; None without a common
        seed.

        Args:
            metric: None for the primary metric of the task.
            margin: see `statistics.intervals.paired_difference`.
        """
        strategy, other = (self.twins.get(label, label) for label in (strategy, other))
        metric = metric or self.metrics[task]
        drawn = self._draws.at(target, task, budget, primary=metric == self.metrics[task])
        return drawn.difference(metric, strategy, other, margin) if drawn else None

    def row_tests(
        self, strategy: str, other: str, target: str, task: str, budget: int
    ) -> pd.DataFrame:
        """McNemar's and permutation tests of two strategies on the test rows: see
        `paired_tests.row_tests`.

        Raises:
            DataError: the two have no seed in common, or the run no such strategy or place.
        """
        y, groups = self.truth(target, task)
        ours, theirs = (self.scores(s, target, task, budget) for s in (strategy, other))
        common = [seed for seed in ours if seed in theirs]
        return row_tests(
            self.kind(task), y, [ours[s] for s in common], [theirs[s] for s in common], groups
        )

    def save(self, folder: str | Path | None = None) -> Path:
        """Writes results.csv, verdicts.json, report.html and report.md, beside the cells.

        In verdicts.json what no number of rows or seeds in reach would settle has ``"inf"`` of
        them.

        Args:
            folder: where to; a folder other than the run's gets a copy of the run. None: the run's.
        """
        from tf_transfer.report import render

        folder = Path(folder) if folder is not None else self.run.folder
        if folder.resolve() != self.run.folder.resolve():
            with explained(folder):
                shutil.copytree(self.run.folder, folder, dirs_exist_ok=True)
        save_table(self.results, folder / "results.csv")
        verdicts = self.verdicts()
        needed = verdicts[["minimum_effect", "rows_needed", "seeds_needed"]].astype(object)
        # JSON has no infinity
        verdicts[needed.columns] = needed.mask(np.isinf(needed.astype(float)), "inf")
        written = verdicts.to_json(orient="records", indent=1, double_precision=15)
        write_text(folder / "verdicts.json", written)
        render(self, folder)
        return folder

    def against(self, strategy: str) -> str:
        """What a strategy is compared with: itself without the source, or the baseline."""
        return self.controls.get(self.twins.get(strategy, strategy), self.baseline)

    # -- the rows behind the tables ----------------------------------------------------------------

    def kind(self, task: str) -> str:
        """The kind of a task.

        Raises:
            DataError: the run has no such task.
        """
        kinds = {t.name: t.kind for t in self.tasks}
        check_choice("task", task, kinds)
        return kinds[task]

    def tasks_of(self, target: str) -> list[str]:
        """The tasks that the test rows of a target have labels of.

        Raises:
            DataError: the run has no such target.
        """
        check_choice("target", target, self._targets)
        return [t.name for t in self.tasks if t.name in self._targets[target][0]]

    def truth(self, target: str, task: str) -> tuple[np.ndarray, np.ndarray | None]:
        """Labels of the test rows that have one, (rows, …) as `Task.encode` gives them, and their
        groups.

        Raises:
            DataError: the run has no such target, or the target no labels of the task.
        """
        check_choice("target", target, self._targets)
        truth, groups, _ = self._targets[target]
        check_choice(f"task with labels in target {target!r}", task, truth)
        y, present = truth[task]
        return y[present], None if groups is None else groups[present]

    def scores(self, strategy: str, target: str, task: str, budget: int) -> dict[int, np.ndarray]:
        """``{seed: scores}`` of the rows of `truth`, for the seeds whose cells can be used."""
        check_choice("strategy", strategy, [*self.strategies, *self.variants, *self.twins])
        strategy = self.twins.get(strategy, strategy)
        check_choice("budget", budget, self.budgets)
        _, present = self._targets[target][0][task]
        cells = {seed: self._cells.get(Cell(target, strategy, budget, seed)) for seed in self.seeds}
        usable = {seed: cell[0] for seed, cell in cells.items() if cell and task in cell[0]}
        return {seed: scores[task][present] for seed, scores in usable.items()}

    def frozen_scores(
        self, strategy: str, target: str, task: str, budget: int
    ) -> dict[int, np.ndarray]:
        """``{seed: scores}`` of heads on the features of before the target's training, of the cells
        that kept them.
        """
        _, present = self._targets[target][0][task]
        scores = {}
        for seed in self.seeds:
            cell = Cell(target, strategy, budget, seed)
            stored = self.run.read_frozen(cell) if cell in self._cells else {}
            frozen = unpacked(stored, self.tasks)
            if task in frozen:
                scores[seed] = frozen[task][present]
        return scores

    def notes(self, strategy: str) -> list[dict]:
        """What was noted beside the scores of each usable cell of a strategy: what it did, and what
        it cost.
        """
        return [meta for cell, (_, meta) in self._cells.items() if cell.strategy == strategy]

    def means(self) -> Iterator[tuple[tuple, str, pd.Series]]:
        """``(target, task, budget)``, the primary metric and the strategies' means over seeds,
        place by place.
        """
        table = self.summary()
        for row in table.to_dict("records"):
            place = row["target"], row["task"], row["budget"]
            means = {s: row[s] for s in self.strategies if s in row}
            yield place, row["metric"], pd.Series(means, dtype=float)

    def test_rows(self, target: str, task: str) -> tuple[pd.DataFrame, dict[int, np.ndarray]]:
        """The rows of `truth`, indexed by their numbers in the test, and ``{budget: share of rare
        words}``.

        Raises:
            CheckpointError: the table is missing or was changed.
        """
        table, rare = self.run.read_rows(target)
        present = self._targets[target][0][task][1]
        return table[present], {budget: shares[present] for budget, shares in rare.items()}

    def __str__(self) -> str:
        return self.summary().to_string(
            index=False, float_format=lambda v: f"{v:.3f}", na_rep="undefined"
        )

    def _repr_html_(self) -> str:
        return self.summary().to_html(
            index=False, escape=True, border=0, float_format=lambda v: f"{v:.3f}"
        )


def _quiet_suite(task: Task, y, scores) -> dict:
    """The suite without warnings of what is undefined: a table of hundreds of cells shows NaN."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", metrics.UndefinedMetricWarning)
        return metrics.suite(task, y, scores)
