"""Whether what a run folder says can be: its plan, its notes, and the arrays that must belong
together.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import pydantic
from pydantic import BaseModel, ConfigDict, Field

from tf_transfer.checks.names import check_names
from tf_transfer.errors import CheckpointError
from tf_transfer.experiments.problems import explain
from tf_transfer.kinds import kind_of
from tf_transfer.kinds.tasks import Task

MOST_CELLS = 50_000

Count = Annotated[int, Field(ge=0, lt=2**53)]
Amount = Annotated[float, Field(ge=0, lt=1e15)]


class _Record(BaseModel):
    """A part of what a run wrote: exact types, and other keys beside those that are named."""

    model_config = ConfigDict(strict=True, allow_inf_nan=False)


class _Plan(_Record):
    name: str
    baseline: str
    strategies: list[str] = Field(min_length=1)
    controls: dict[str, str]
    twins: dict[str, str]
    source_strategies: list[str]
    variants: dict[str, Annotated[list[str], Field(min_length=2, max_length=2)]] = Field(
        default_factory=dict
    )
    targets: list[str]
    budgets: list[Annotated[Count, Field(ge=1)]] = Field(min_length=1)
    seeds: list[Count] = Field(min_length=1)
    tasks: list[dict[str, Any]] = Field(min_length=1)
    metrics: dict[str, str]
    slices: dict[str, list[str]] = Field(default_factory=dict)

    @pydantic.model_validator(mode="after")
    def _consistent(self):
        check_names("target", self.targets)
        check_names("strategy", self.strategies)
        for label in self.variants:
            check_names("strategy", label.split(" without "))
        if self.baseline not in self.strategies:
            raise ValueError(f"the baseline {self.baseline!r} is none of its strategies")
        named = [*self.controls, *self.controls.values(), *self.source_strategies]
        unknown = [label for label in named if label not in self.strategies]
        unknown += [
            label
            for label in self.twins.values()
            if label not in {*self.strategies, *self.variants}
        ]
        if unknown:
            raise ValueError(f"{unknown[0]!r} is none of its strategies")
        for numbers in (self.budgets, self.seeds):
            if len(set(numbers)) < len(numbers):
                raise ValueError("a budget or a seed occurs twice")
        labels = len(self.strategies) + len(self.variants)
        if labels * len(self.targets) * len(self.budgets) * len(self.seeds) > MOST_CELLS:
            raise ValueError(f"it has more than {MOST_CELLS:,} cells")
        tasks = [_task(fields) for fields in self.tasks]
        check_names("task", [task.name for task in tasks], in_files=False)
        for task in tasks:
            if self.metrics.get(task.name) not in kind_of(task).metric_names:
                raise ValueError(
                    f"{self.metrics.get(task.name)!r} is no metric of task {task.name!r}"
                )
        return self


class _Provenance(_Record):
    plan: _Plan
    experiment: dict[str, Any] | None = None
    started: str = ""
    python: str = ""
    packages: dict[str, str] | None = None
    encoder: dict[str, str] | None = None
    rows: dict[str, Count] | None = None
    sha256: dict[str, str] | None = None


class _Counts(_Record):
    test_rows: Count
    exact: Count
    near: Count
    known: Count
    share: Annotated[Amount, Field(le=1)]
    conflicts: Count
    rows: Count
    rows_to_drop: Count
    spans: Count = 0
    known_spans: Count = 0


class _Example(_Record):
    test_row: Count
    row: Count
    kind: str
    similarity: float
    test_text: str
    text: str
    table: str


class _Audit(_Record):
    tables: dict[str, _Counts] = Field(default_factory=dict)
    examples: list[_Example] = Field(default_factory=list)


class _Cost(_Record):
    source_seconds: Amount
    target_seconds: Amount
    parameters: Count | None = None
    peak_gb: Amount | None = None
    settings: dict[str, bool | int | float | str] = Field(default_factory=dict)
    penalty_ends: list[str] = Field(default_factory=list)


def _task(fields: Mapping) -> Task:
    try:
        task = Task(**fields)
    except (TypeError, AttributeError) as error:
        raise ValueError(f"a task is none: {error}") from None
    if not task.resolved:
        raise ValueError(f"task {task.name!r} has no kind or classes")
    for text in (task.label, *task.classes):
        if isinstance(text, str) and not text.isascii():
            text.encode()  # half a pair cannot be written
    return task


def check_provenance(content: dict, path: Path) -> None:
    """Whether a run's plan and what is recorded beside it can be.

    Raises:
        CheckpointError: they cannot; the message says which key.
    """
    _check(_Provenance, content, f"{path} is damaged", "Run the experiment again in a new folder.")


def check_audit(content: object, path: Path, again: str) -> None:
    """Raises:
    CheckpointError: a leakage audit is none.
    """
    _check(_Audit, content, f"{path} is damaged: its leakage audit", again)


def check_cost(content: dict, path: Path, again: str) -> None:
    """Raises:
    CheckpointError: what is noted beside a cell's scores is no cost.
    """
    _check(_Cost, content, f"{path} is damaged: its cost", again)


def _check(kind: type[_Record], content: object, what: str, remedy: str) -> None:
    try:
        kind.model_validate(content)
    except pydantic.ValidationError as error:
        lines = explain(error, what).splitlines()
        raise CheckpointError("\n".join([*lines[:6], remedy])) from None


def check_classes(
    classes: Mapping[str, np.ndarray], tasks: Sequence[Task], path: Path, again: str
) -> None:
    """Raises:
    CheckpointError: a target's own classes are not (classes,) bool of a task with classes.
    """
    known = {task.name: len(task.classes) for task in tasks if kind_of(task).has_classes}
    for name, own in classes.items():
        if name not in known or own.shape != (known[name],) or own.dtype != bool:
            raise CheckpointError(
                f"{path} is damaged: its classes of {name!r} fit no task.\n{again}"
            )


def truth_misfit(truth: dict, groups: np.ndarray | None, tasks: Sequence[Task]) -> str:
    """What is wrong with a target's labels; empty when nothing is.

    Args:
        truth: ``{task: (y, present)}``.
        groups: (rows,) int or text, or None.
        tasks: resolved.
    """
    known = {task.name: task for task in tasks}
    rows = {len(y) for y, _ in truth.values() if getattr(y, "ndim", 1)}
    if not truth or len(rows) != 1 or not set(truth) <= set(known):
        return f"must hold labels of {', '.join(known)} for the same rows"
    (count,) = rows
    if groups is not None and (groups.shape != (count,) or groups.dtype.kind not in "iuU"):
        return f"must hold a group for each of its {count} rows"
    for name, (y, present) in truth.items():
        task = known[name]
        misfit = kind_of(task).label_misfit(task, y, count)
        if misfit:
            return f"must hold labels of {name} {misfit}"
        if present.shape != (count,) or present.dtype != bool:
            return (
                f"must hold labels of {name}, and whether each of its {count} rows has one; "
                f"received {present.dtype} of shape {present.shape}"
            )
        if not present.any() or not kind_of(task).is_possible(task, y[present]):
            return f"holds labels that {name} cannot have"
    return ""


def rows_misfit(rows: int, table_rows: int | None, shares: Mapping[int, np.ndarray]) -> str:
    """What is wrong with what is kept beside a target's labels; empty when nothing is."""
    if table_rows is not None and table_rows != rows:
        return f"must hold the {rows} test rows; received {table_rows}"
    for budget, values in shares.items():
        if values.shape != (rows,) or values.dtype.kind != "f":
            return (
                f"must hold a share of rare words for each of the {rows} test rows, budget {budget}"
            )
    return ""
