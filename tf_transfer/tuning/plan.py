"""What a search is about: the target and its labels, the objective, and what every trial is scored
on.
"""

from __future__ import annotations

import dataclasses

import pandas as pd

from tf_transfer.errors import DataError, check_choice, listed, nearest
from tf_transfer.experiments.experiment import Experiment
from tf_transfer.experiments.prepared import Prepared, draw_support
from tf_transfer.experiments.provenance import options
from tf_transfer.kinds import METRICS, kind_of
from tf_transfer.kinds.tasks import Task
from tf_transfer.tuning.validation import Measurement, measurements


@dataclasses.dataclass(frozen=True)
class Plan:
    """A search, made concrete.

    Args:
        target, budget: whose labelled rows, and how many.
        tasks: resolved.
        task, metric: the objective.
        sources: ``{name: table}``.
        measurements: of every trial.
        overlap: of the measurements; see `scores.score_interval`.
        common: what a search that goes on must have in common with what its folder holds.
    """

    target: str
    budget: int
    tasks: list[Task]
    task: Task
    metric: str
    sources: dict[str, pd.DataFrame]
    measurements: list[Measurement]
    overlap: float
    common: dict

    @property
    def objective(self) -> str:
        """``"task/metric"``."""
        return f"{self.task.name}/{self.metric}"

    @property
    def sign(self) -> int:
        """1 where higher is better, else −1."""
        return METRICS[self.metric].sign

    @classmethod
    def of(cls, experiment: Experiment) -> Plan:
        """Loads the tables and draws the labels that the budget buys with the experiment's first
        seed.

        The test rows' texts are read by the leakage audit, whose finds leave the training rows as
        `compare` leaves them; then they are dropped.

        Raises:
            DataError: an unknown target or objective, or tables and labels that do not suffice.
        """
        spec = experiment.tune
        target = next(iter(experiment.targets)) if spec.target is None else spec.target
        check_choice("tune.target", target, experiment.targets)
        budget = max(experiment.budgets) if spec.budget is None else spec.budget
        data = Prepared.load(
            experiment.model_copy(update={"budgets": [*experiment.budgets, budget]})
        )
        task, metric = find_objective(experiment, data.tasks)
        support = draw_support(data.targets[target].train, target, budget, experiment.seeds[0])
        group = experiment.targets[target].group
        planned, overlap = measurements(
            spec, task, support, data.sources, group=group, budget=budget
        )
        tables = {k: v for k, v in data.common.items() if not k.startswith("target ")}
        common = tables | {
            "labelled rows": data.common[f"target {target} (train)"],
            "target": target,
        }
        common |= {
            "budget": budget,
            "objective": f"{task.name}/{metric}",
            "first seed": experiment.seeds[0],
        }
        return cls(
            target,
            budget,
            data.tasks,
            task,
            metric,
            data.sources,
            planned,
            overlap,
            common | options(experiment),
        )


def find_objective(experiment: Experiment, tasks: list[Task]) -> tuple[Task, str]:
    """The task and metric that trials are chosen by.

    Raises:
        DataError: an unknown task or metric (with the nearest one), or a metric that several tasks
            have.
    """
    asked, by_name = experiment.tune.objective, {t.name: t for t in tasks}
    if asked is None:
        return tasks[0], experiment.primary_metric(tasks[0])
    if asked in by_name:
        return by_name[asked], experiment.primary_metric(by_name[asked])
    name, slash, metric = asked.rpartition("/")
    if slash:
        check_choice("The task of tune.objective", name, by_name)
        check_choice(
            f"The metric of tune.objective, for task {name!r}",
            metric,
            kind_of(by_name[name]).metric_names,
        )
        return by_name[name], metric
    having = [t for t in tasks if asked in kind_of(t).metric_names]
    known = list(dict.fromkeys([*by_name, *(m for t in tasks for m in kind_of(t).metric_names)]))
    if not having:
        raise DataError(
            "tune.objective must be a task, a metric of its suite, or both as task/metric.\n"
            f"Received {asked!r}; known are {listed(known, 50)}.{nearest(asked, known)}"
        )
    if len(having) > 1:
        raise DataError(
            f"tune.objective must say which task's {asked} is meant.\nReceived {asked!r}, which "
            f"{listed([t.name for t in having])} have.\nGive {having[0].name}/{asked}, for "
            "instance."
        )
    return having[0], asked
