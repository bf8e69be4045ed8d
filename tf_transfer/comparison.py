"""Strategies x targets x label budgets x seeds: what was run, and what follows from it."""

from __future__ import annotations

import dataclasses
import platform
import shutil
import tempfile
import time
import warnings
from collections.abc import Callable, Iterable, Mapping
from functools import cached_property
from importlib import metadata
from pathlib import Path

import pandas as pd

from tf_transfer import __version__, metrics
from tf_transfer.errors import CheckpointError, check_choice
from tf_transfer.experiment import Experiment, load_experiment
from tf_transfer.metrics import SCALARS
from tf_transfer.prepared import Prepared, plain_task
from tf_transfer.run_draws import RunDraws
from tf_transfer.runs import Cell, Run, all_cells
from tf_transfer.statistics import Difference
from tf_transfer.storage import explained, write_text
from tf_transfer.tables import save_table
from tf_transfer.tasks import Task
from tf_transfer.verdicts import verdict_table


def compare(
    experiment: Experiment | Mapping | str | Path, output: str | Path | None = None, *,
    say: Callable[[str, int, int], None] | None = None,
) -> Comparison:  # fmt: skip
    """Runs every strategy on every target with every label budget and seed.

    All strategies see the same sampled labels and the same test rows; the labels of a smaller
    budget are among those of a larger one. A strategy is trained on the sources once for a seed.
    The test split of a target is predicted, and used for nothing else.

    Args:
        experiment: see `load_experiment`.
        output: folder that keeps every cell as soon as it is done; a run that was stopped goes on
            from there. None keeps the cells in a temporary folder.
        say: called with what goes on, and the numbers of cells done and in all.

    Raises:
        DataError: the experiment, its data, or the folder's content is not usable; all of it is
            checked before anything is trained.
    """
    experiment = load_experiment(experiment)
    data = Prepared.load(experiment)
    run = Run(output if output is not None else Path(tempfile.mkdtemp(prefix="tf_transfer-run-")))
    from tf_transfer.runner import Runner  # TensorFlow from here on

    runner = Runner(experiment, data.tasks)
    run.start(
        data.common | {"encoder": runner.encoder_hash, "tf_transfer": __version__} | _options(experiment),
        {label: [s.name, dataclasses.asdict(s)] for label, s in experiment.strategies.items()},
        _provenance(experiment, data, runner.encoder_hash),
    )
    for name, target in data.targets.items():
        run.write_target(name, target.truth, target.groups, target.leakage)
    runner.run(run, data, say or _silent)
    return Comparison(run)


class Comparison:
    """The results of a run, read from its folder.

    Args:
        run: a `Run`, or the folder of one.
    """

    def __init__(self, run: Run | str | Path):
        self.run = run if isinstance(run, Run) else Run(run)
        content = self.run.read()
        self.provenance: dict = content["provenance"]
        try:
            self._read_plan(self.provenance["plan"])
        except (KeyError, TypeError) as error:
            place = self.run.folder / "run.json"
            raise CheckpointError(f"{place} is damaged: its plan lacks {error}.\nRun the experiment again.") from None
        self.unusable: list[str] = []
        self._targets = {t: self.run.read_target(t) for t in self.targets}
        self._cells = self._read_cells()
        self._draws = RunDraws(
            {cell: scores for cell, (scores, _) in self._cells.items()},
            {name: (truth, groups) for name, (truth, groups, _) in self._targets.items()},
            self.tasks, self.strategies, self.budgets, self.seeds, self.metrics,
        )  # fmt: skip
        self._verdicts: dict[tuple, pd.DataFrame] = {}

    def _read_plan(self, plan: dict) -> None:
        self.name: str = plan["name"]
        self.baseline: str = plan["baseline"]
        self.strategies: list[str] = plan["strategies"]
        self.source_strategies: list[str] = plan["source_strategies"]
        self.targets: list[str] = plan["targets"]
        self.budgets: list[int] = plan["budgets"]
        self.seeds: list[int] = plan["seeds"]
        self.metrics: dict[str, str] = plan["metrics"]
        self.tasks = [Task(**t) for t in plan["tasks"]]

    def _read_cells(self) -> dict[Cell, tuple[dict, dict]]:
        cells = {}
        for cell in all_cells(self.targets, self.strategies, self.budgets, self.seeds):
            try:
                cells[cell] = self.run.read_cell(cell)
            except CheckpointError as error:
                self.unusable.append(f"{cell}: {error}")
        return cells

    @property
    def leakage(self) -> dict[str, dict]:
        """The leakage audit of each target."""
        return {name: leakage for name, (_, _, leakage) in self._targets.items()}

    @cached_property
    def results(self) -> pd.DataFrame:
        """Every scalar metric of every cell: target, task, strategy, budget, seed, metric, value."""
        records = []
        for cell, (scores, _) in self._cells.items():
            truth = self._targets[cell.target][0]
            for task in self.tasks:
                if task.name in truth and task.name in scores:
                    y, present = truth[task.name]
                    with warnings.catch_warnings():  # a table of hundreds of cells shows NaN; that is enough
                        warnings.simplefilter("ignore", metrics.UndefinedMetricWarning)
                        found = metrics.suite(task, y[present], scores[task.name][present])
                    for metric in metrics.SCALARS[task.kind]:
                        place = (cell.target, task.name, cell.strategy, cell.budget, cell.seed)
                        records.append((*place, metric, found[metric]))
        columns = ["target", "task", "strategy", "budget", "seed", "metric", "value"]
        return pd.DataFrame(records, columns=columns)

    def summary(self) -> pd.DataFrame:
        """The primary metrics, mean over seeds (NaN when undefined in one): strategies in columns."""
        rows = self.results[self.results["metric"] == self.results["task"].map(self.metrics)]
        keys = ["target", "task", "metric", "budget"]
        means = (
            rows.groupby([*keys, "strategy"], sort=False)["value"]
            .agg(lambda v: v.mean(skipna=False))
            .unstack("strategy")
        )
        return means[[s for s in self.strategies if s in means]].reset_index()

    def verdicts(self, margin: float | None = None, correction: str | None = "fdr") -> pd.DataFrame:
        """Whether each strategy helped against the baseline: a row a target, task, budget and strategy.

        ``value`` is the difference in the primary metric, positive when better, with its 95 % interval
        ``low`` to ``high`` over rows and seeds; see `statistics.paired_difference`. ``transfer`` is False
        for strategies without source data or encoder, of which the words say better and worse.

        A run asks whether transfer helped once for every transferring strategy, target, task and budget. So
        the words of these are by ``q``, the share of false verdicts among those at least as clear: *helped*
        and *hurt* need an interval that excludes 0 and a q below .05. The other strategies are there to compare
        with, not to be found better: their words go by the interval, and their q is their p.

        Args:
            margin: None, or the largest difference that does not matter, in the unit of every primary metric;
                then ``"equivalent"`` is a verdict too, by two one-sided tests: the 90 % interval lies within
                ±margin. It comes before the other words and is not corrected.
            correction: ``"fdr"``, or None for words that go by the intervals alone.

        Raises:
            DataError: an unknown correction, or a margin that is not above 0.
        """
        check_choice("correction", correction, ("fdr", None))
        if (margin, correction) not in self._verdicts:
            self._verdicts[margin, correction] = verdict_table(self._differences(margin), correction)
        return self._verdicts[margin, correction].copy()

    def _differences(self, margin: float | None) -> list[tuple[dict, Difference]]:
        """Every strategy against the baseline, with its place."""
        found = []
        for place, task, drawn in self._draws.everywhere(primary=True):
            for strategy in (s for s in self.strategies if s != self.baseline):
                difference = drawn.difference(self.metrics[task.name], strategy, self.baseline, margin)
                if difference is not None:
                    transfer = strategy in self.source_strategies
                    found.append((place | {"strategy": strategy, "transfer": transfer}, difference))
        return found

    def intervals(self, metrics: Iterable[str] | None = None) -> pd.DataFrame:
        """Every strategy's metrics with their 95 % intervals over rows and seeds.

        Args:
            metrics: names; None for the whole suite of every task. A task without a metric is left out.

        Returns:
            A row a target, task, budget, strategy and metric: ``value``, the mean over seeds, ``low``, ``high``
            and ``note``.

        Raises:
            DataError: a metric that none of the tasks has.
        """
        known = [m for task in self.tasks for m in SCALARS[task.kind]]
        for metric in metrics or ():
            check_choice("metric", metric, known)
        records = []
        for place, task, drawn in self._draws.everywhere():
            for strategy in drawn.strategies:
                for metric in (m for m in SCALARS[task.kind] if metrics is None or m in metrics):
                    found = drawn.interval(metric, strategy)
                    ends = {"value": found.value, "low": found.low, "high": found.high, "note": found.note}
                    records.append(place | {"strategy": strategy, "metric": metric} | ends)
        columns = ["target", "task", "budget", "strategy", "metric", "value", "low", "high", "note"]
        return pd.DataFrame(records, columns=columns)

    def difference(
        self, strategy: str, other: str, target: str, task: str, budget: int, metric: str | None = None,
        margin: float | None = None,
    ) -> Difference | None:  # fmt: skip
        """How much better one strategy is than another on the same rows; None without a common seed.

        Args:
            metric: None for the primary metric of the task.
            margin: see `statistics.paired_difference`.
        """
        primary = metric in (None, self.metrics[task])
        drawn = self._draws.at(target, task, budget, primary)
        return drawn.difference(metric or self.metrics[task], strategy, other, margin) if drawn else None

    @property
    def costs(self) -> pd.DataFrame:
        """Mean seconds of source training and of one target training: strategy, stage, seconds."""
        records = [
            (cell.strategy, stage, meta[f"{stage}_seconds"])
            for cell, (_, meta) in self._cells.items()
            for stage in ("source", "target")
        ]
        table = pd.DataFrame(records, columns=["strategy", "stage", "seconds"])
        return table.groupby(["strategy", "stage"], sort=False, as_index=False)["seconds"].mean()

    def save(self, folder: str | Path | None = None) -> Path:
        """Writes results.csv, verdicts.json and report.html, beside the cells.

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
        write_text(folder / "verdicts.json", verdicts.to_json(orient="records", indent=1, double_precision=15))
        render(self, folder)
        return folder

    def plot_learning_curves(self):
        """A matplotlib Figure: the primary metrics against the label budget."""
        from tf_transfer.report.plots import learning_curves

        return learning_curves(self)

    def __str__(self) -> str:
        return self.summary().to_string(index=False, float_format=lambda v: f"{v:.3f}", na_rep="undefined")

    def _repr_html_(self) -> str:
        return self.summary().to_html(index=False, escape=True, border=0, float_format=lambda v: f"{v:.3f}")


def _options(experiment: Experiment) -> dict:
    """What results depend on beside tables, tasks, weights and strategies."""
    options = experiment.encoder.model_dump(exclude={"name", "revision"})
    return {f"encoder.{k}": v for k, v in options.items()} | experiment.model_dump(include={"text", "text_pair"})


def _provenance(experiment: Experiment, data: Prepared, encoder_hash: str) -> dict:
    packages = ("tf-transfer", "tensorflow", "tf-keras", "transformers", "numpy", "scikit-learn")
    plan = {
        "name": experiment.name,
        "baseline": experiment.baseline,
        "strategies": list(experiment.strategies),
        "source_strategies": [label for label, s in experiment.strategies.items() if s.uses_source and s.uses_encoder],
        "targets": list(experiment.targets),
        "budgets": experiment.budgets,
        "seeds": experiment.seeds,
        "tasks": [plain_task(t) for t in data.tasks],
        "metrics": {t.name: experiment.primary_metric(t) for t in data.tasks},
    }
    rows = {f"source {n}": len(t) for n, t in data.sources.items()}
    for name, target in data.targets.items():
        rows |= {f"target {name} (train)": len(target.train), f"target {name} (test)": len(target.test)}
    return {
        "plan": plan,
        "experiment": experiment.to_plain(),
        "started": time.strftime("%Y-%m-%d %H:%M:%S %z"),
        "python": platform.python_version(),
        "packages": {p: _version(p) for p in packages},
        "encoder": {"name": experiment.encoder.name, "sha1 of weights": encoder_hash},
        "rows": rows,
        "sha256": {k: data.common[k] for k in rows},
    }


def _version(package: str) -> str:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return "not installed"


def _silent(what: str, done: int, of: int) -> None:
    pass
