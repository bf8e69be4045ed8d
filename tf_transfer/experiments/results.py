"""What the analyses and the report may ask of a finished run."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol, runtime_checkable

import numpy as np
import pandas as pd

from tf_transfer.experiments.runs import Run
from tf_transfer.kinds.tasks import Task
from tf_transfer.statistics.intervals import Difference


@runtime_checkable
class Results(Protocol):
    """The part of a `Comparison` that rooms below it read; `Comparison` says what each of it is.

    Seeds, budgets, targets and strategies are in the order of the experiment. Methods that take a
    ``strategy`` take its label in the experiment.
    """

    run: Run
    name: str
    baseline: str
    strategies: list[str]
    source_strategies: list[str]
    controls: dict[str, str]
    variants: dict[str, list[str]]
    targets: list[str]
    tasks: list[Task]
    metrics: dict[str, str]
    budgets: list[int]
    seeds: list[int]
    text_columns: list[str]
    slice_columns: dict[str, list[str]]
    provenance: dict
    unusable: list[str]
    lost_cells: int

    @property
    def results(self) -> pd.DataFrame:
        """A row for each metric of each cell."""

    @property
    def costs(self) -> pd.DataFrame:
        """Seconds, weights and memory of each cell."""

    @property
    def advice(self):
        """The `Advice` of before training, or None."""

    @property
    def leakage(self) -> dict[str, dict]:
        """The audit of each target."""

    def verdicts(self, margin: float | None = None, correction: str | None = "fdr") -> pd.DataFrame:
        """A row for each strategy, target, task and budget."""

    def difference(
        self,
        strategy: str,
        other: str,
        target: str,
        task: str,
        budget: int,
        metric: str | None = None,
    ) -> Difference | None:
        """How much better one strategy is than another; None without a common seed."""

    def against(self, strategy: str) -> str:
        """What a strategy is compared with."""

    def kind(self, task: str) -> str:
        """The kind of a task."""

    def tasks_of(self, target: str) -> list[str]:
        """The tasks that a target has labels of."""

    def truth(self, target: str, task: str) -> tuple[np.ndarray, np.ndarray | None]:
        """Labels (rows, …) of the test rows that have one, and their groups (rows,) or None."""

    def scores(self, strategy: str, target: str, task: str, budget: int) -> dict[int, np.ndarray]:
        """``{seed: answers (rows, …)}`` for these rows."""

    def frozen_scores(
        self, strategy: str, target: str, task: str, budget: int
    ) -> dict[int, np.ndarray]:
        """The same of heads on the encoder's features before the target's training."""

    def notes(self, strategy: str) -> list[dict]:
        """What was noted beside the scores of each cell."""

    def means(self) -> Iterator[tuple[tuple, str, pd.Series]]:
        """Places, metrics and the means over seeds of all strategies."""

    def test_rows(self, target: str, task: str) -> tuple[pd.DataFrame, dict[int, np.ndarray]]:
        """The texts of the rows of `truth`, and their shares of rare words by budget."""

    def confusion(self, target: str, task: str, strategy: str, budget: int) -> pd.DataFrame:
        """Counts of true and answered classes, summed over seeds."""
