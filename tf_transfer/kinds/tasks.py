"""What is predicted: a task's name, label column, kind, classes and weights."""

from __future__ import annotations

import dataclasses
import numbers
from collections.abc import Iterable, Mapping
from typing import Literal

import numpy as np
import pandas as pd

from tf_transfer.checks.names import check_name
from tf_transfer.errors import (
    DataError,
    check_choice,
    check_columns,
    check_table,
    listed,
    nearest,
    shown,
)
from tf_transfer.kinds import AUTO, KINDS, infer_kind, kind_of
from tf_transfer.kinds.class_types import class_from_json, class_text, typed_class, unified
from tf_transfer.kinds.label_columns import check_class, present_rows, relabel, spelling
from tf_transfer.kinds.spellings import class_counts, counted


@dataclasses.dataclass(frozen=True)
class Task:
    """One thing to predict from a text or a pair of texts.

    Args:
        name: what the task is called in metrics, predictions and reports.
        label: the column that holds its labels; the name when not given. A row whose label
            is missing (NaN, None, empty text) does not count for this task.
        kind: ``"classification"``, ``"multilabel"``, ``"regression"``, ``"tagging"``,
            ``"span"``, or ``"auto"``: inferred from the column (see `kinds.infer_kind`).
        classes: the class names in the order of the head's outputs; inferred (sorted)
            when not given. Not for regression; a task with classes is never inferred as one.
        loss_weight: factor of this task in the training loss; 0 trains nothing for it.
        class_weight: factor of each class in the training loss: a mapping from class name
            to float, or ``"balanced"`` for N / (classes * count), as in scikit-learn.
            Of a tagging these are factors of words, and ``"O"`` is that of words outside of spans.
            Not for regression and span.
        labels: other names for labels, ``{as it is written: class}``; None takes a label away, and
            one that is named as it is gives no `LabelWarning`.

    Example:
        >>> stars = Task("stars", kind="regression", loss_weight=0.5)
        >>> stars.label, stars.outputs
        ('stars', 1)
        >>> table = pd.DataFrame({"mood": ["glad", None, "sad"]})
        >>> mood = Task("mood").resolve(table)
        >>> mood.kind, mood.classes
        ('classification', ('glad', 'sad'))
        >>> y, present = mood.encode(table)
        >>> y.tolist(), present.tolist()
        ([0, 0, 1], [True, False, True])
        >>> Task("mood", labels={"happy": "glad", "n/a": None}).resolve(
        ...     pd.DataFrame({"mood": ["glad", "happy", "n/a", "sad"]})
        ... ).classes
        ('glad', 'sad')
    """

    name: str
    label: str = ""
    kind: str = AUTO
    classes: tuple = ()
    loss_weight: float = 1.0
    class_weight: Mapping | Literal["balanced"] | None = None
    labels: Mapping | None = None

    def __post_init__(self):
        check_name("task", self.name, in_files=False)
        check_choice(f"kind of task {self.name!r}", self.kind, [AUTO, *KINDS])
        object.__setattr__(self, "label", self.label or self.name)
        if isinstance(self.classes, str | Mapping) or not isinstance(self.classes, Iterable | None):
            raise DataError(
                f"classes of task {self.name!r} must be a list.\nReceived {self.classes!r}.\n"
                "Give the names of all classes, or leave them to be read from the training table."
            )
        classes = [
            class_from_json(typed_class(c)) for c in (() if self.classes is None else self.classes)
        ]
        for name in classes:
            check_class(name)
        object.__setattr__(self, "classes", tuple(unified(classes)))
        if self.labels is not None:
            object.__setattr__(self, "labels", self._check_labels())
        if not _is_weight(self.loss_weight):
            raise DataError(
                f"loss_weight of task {self.name!r} must be a number of at least 0.\nReceived "
                f"{self.loss_weight!r}."
            )
        if isinstance(self.class_weight, str):
            check_choice(f"class_weight of task {self.name!r}", self.class_weight, ["balanced"])
        elif not isinstance(self.class_weight, Mapping | None):
            raise DataError(
                f"class_weight of task {self.name!r} must be a mapping from class to factor, or "
                "'balanced'.\n"
                f"Received a {type(self.class_weight).__name__}.\nGive for instance "
                "dict(zip(classes, factors))."
            )
        if self.kind != AUTO:
            kind_of(self).check_task(self)
        if len(set(self.classes)) != len(self.classes):
            raise DataError(
                f"Classes of task {self.name!r} must differ.\nReceived {self.classes!r}."
            )

    def _check_labels(self) -> dict | None:
        if not isinstance(self.labels, Mapping) or None in self.labels:
            raise DataError(
                f"labels of task {self.name!r} must be a mapping from what is written to a class "
                "or None.\n"
                f"Received {shown(self.labels)}."
            )
        names = {
            spelling(written): class_from_json(typed_class(name))
            for written, name in self.labels.items()
        }
        for name in names.values():
            if name is not None:
                check_class(name)
        return names or None

    @property
    def resolved(self) -> bool:
        """Whether kind and classes are known, so that a head can be built."""
        return self.kind != AUTO and kind_of(self).is_resolved(self)

    @property
    def outputs(self) -> int:
        """Width of the head: the number of classes, or 1 for a regression."""
        return len(self.classes) if self.kind == AUTO else kind_of(self).outputs(self)

    def resolve(self, table: pd.DataFrame) -> Task:
        """The same task with kind and classes read from ``table`` where they were open.

        Raises:
            DataError: the label column is missing or empty, or holds a single class.
        """
        if self.resolved:
            return self
        check_columns(table, [self.label], f"the training table (labels of task {self.name!r})")
        given = table[self.label]
        gaps = given.dtype != object and not present_rows(given).all()
        column = relabel(given, self.labels)
        if not present_rows(column).any():
            raise DataError(
                f"Task {self.name!r} needs labels to learn from.\n"
                f"Received a column {self.label!r} with no label in {len(column)} rows."
            )
        name = (
            infer_kind(column, with_classes=bool(self.classes)) if self.kind == AUTO else self.kind
        )
        kind = KINDS[name]
        if self.kind == AUTO and not self.classes:
            kind.check_inferred(self.name, column[present_rows(column)])
        return dataclasses.replace(
            self, kind=name, classes=self.classes or kind.classes_in(self, column, gaps)
        )

    def encode(
        self, table: pd.DataFrame, where: str = "the table"
    ) -> tuple[np.ndarray, np.ndarray]:
        """Labels as numbers.

        Args:
            table: rows; a table without the label column has no labels for this task.
            where: what to call the table in an error.

        Returns:
            y: classification (rows,) int32 class index; multilabel (rows, classes) float32 of
                0 and 1; regression (rows,) float64 in the column's own unit; tagging `Spans`; span
                `AnswerSpans`. 0, or none, where missing.
            present: (rows,) bool, whether the row has a label for this task.

        Raises:
            DataError: a class that the task does not have; a label that is infinite or no number.
        """
        if not self.resolved:
            raise DataError(
                f"Task {self.name!r} has no kind or classes yet: call resolve(table), or fit."
            )
        if self.label not in table.columns:
            return kind_of(self).blank(self, len(table)), np.zeros(len(table), bool)
        check_columns(table, [self.label], where)
        column = relabel(table[self.label], self.labels)
        present = present_rows(column)
        return kind_of(self).encode(self, column, present, where), present

    def class_weights(self, y: np.ndarray) -> np.ndarray | None:
        """(classes,) float32 factors for the labels ``y`` of the present rows, or None.

        Raises:
            DataError: `class_weight` names a class that the task does not have.
        """
        if not self.class_weight or not kind_of(self).has_classes:
            return None
        if isinstance(self.class_weight, str):
            return kind_of(self).balanced_factors(self, y)
        names = [class_text(c) for c in self.classes]
        weights = self._weights_by_name(names)
        for name, weight in weights.items():
            if name not in names:
                raise DataError(
                    f"class_weight of task {self.name!r} must name its classes "
                    f"{listed(self.classes)}.\n"
                    f"Received {name!r}.{nearest(name, names)}"
                )
            if not _is_weight(weight):
                raise DataError(
                    f"class_weight of task {self.name!r} must hold numbers of at least 0.\n"
                    f"Received {weight!r} for class {name!r}."
                )
        return np.array([weights.get(name, 1.0) for name in names], np.float32)

    def _weights_by_name(self, names: list[str]) -> dict[str, float]:
        """Class weights by name; whole numbers are places, as in Keras, where no class is called
        so.
        """
        # JSON has made keys text
        given = {class_text(c): weight for c, weight in self.class_weight.items()}
        places = {str(place): name for place, name in enumerate(names)}
        if not set(given) & set(names) and set(given) <= set(places):
            return {places[place]: weight for place, weight in given.items()}
        return given


def infer_tasks(
    table: pd.DataFrame, text: str = "text", text_pair: str | None = None
) -> list[Task]:
    """A resolved task for each column of ``table`` that is not text.

    Raises:
        DataError: there is no such column.

    Example:
        >>> table = pd.DataFrame({"text": ["a", "b"], "mood": ["glad", "sad"], "stars": [4.5, 1.0]})
        >>> [(task.name, task.kind) for task in infer_tasks(table)]
        [('mood', 'classification'), ('stars', 'regression')]
    """
    check_table(table)
    columns = [c for c in table.columns if c not in (text, text_pair)]
    if not columns:
        raise DataError(
            "A table needs a label column beside the text.\nReceived only "
            f"{listed(list(table.columns))}."
        )
    return [Task(c).resolve(table) for c in columns]


def describe(task: Task, table: pd.DataFrame, most: int = 20) -> str:
    """One line on what a resolved task learns from ``table``: its classes with their numbers of
    rows.
    """
    column, kind = relabel(table[task.label], task.labels), kind_of(task)
    present = present_rows(column)
    missing = f"; {_rows((~present).sum())} without a label" if not present.all() else ""
    if not kind.has_classes:
        what = "number" if kind.numbers else "label"
        return f"{task.name} ({task.kind}): {_rows(present.sum())} with a {what}{missing}"
    counts = class_counts(kind.label_counts(task, column))
    more = f" and {len(task.classes) - most} more" if len(task.classes) > most else ""
    classes = counted(task.classes[:most], counts)
    return (
        f"{task.name} ({task.kind}): {len(task.classes)} classes with rows: "
        f"{classes}{more}{missing}"
    )


def _rows(count: int) -> str:
    return f"{count} row" if count == 1 else f"{count} rows"


def _is_weight(value) -> bool:
    return isinstance(value, numbers.Real) and bool(np.isfinite(value)) and value >= 0
