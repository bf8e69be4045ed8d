"""What is predicted: a task's name, label column, kind, classes and weights."""

from __future__ import annotations

import dataclasses
import numbers
from collections.abc import Collection, Iterable, Mapping
from typing import Literal

import numpy as np
import pandas as pd

from tf_transfer.class_types import class_from_json, class_text, typed_class, unified
from tf_transfer.errors import DataError, check_choice, check_columns, check_table, listed, nearest, setting, shown
from tf_transfer.indicators import checked_indicators
from tf_transfer.label_columns import (
    KINDS,
    Kind,
    check_class,
    infer_kind,
    labels_in,
    numbers_of,
    present_rows,
    relabel,
    spelling,
)
from tf_transfer.names import check_name
from tf_transfer.spellings import check_numbers, check_spellings, class_counts, label_counts


@dataclasses.dataclass(frozen=True)
class Task:
    """One thing to predict from a text or a pair of texts.

    Args:
        name: what the task is called in metrics, predictions and reports.
        label: the column that holds its labels; the name when not given. A row whose label
            is missing (NaN, None, empty text) does not count for this task.
        kind: ``"classification"``, ``"multilabel"``, ``"regression"``, or ``"auto"``:
            inferred from the column (see `infer_kind`).
        classes: the class names in the order of the head's outputs; inferred (sorted)
            when not given. Not for regression; a task with classes is never inferred as one.
        loss_weight: factor of this task in the training loss; 0 trains nothing for it.
        class_weight: factor of each class in the training loss: a mapping from class name
            to float, or ``"balanced"`` for N / (classes * count), as in scikit-learn.
            Not for regression.
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
    kind: Kind = "auto"
    classes: tuple = ()
    loss_weight: float = 1.0
    class_weight: Mapping | Literal["balanced"] | None = None
    labels: Mapping | None = None

    def __post_init__(self):
        check_name("task", self.name, in_files=False)
        check_choice(f"kind of task {self.name!r}", self.kind, KINDS)
        object.__setattr__(self, "label", self.label or self.name)
        if isinstance(self.classes, str | Mapping) or not isinstance(self.classes, Iterable | None):
            raise DataError(
                f"classes of task {self.name!r} must be a list.\nReceived {self.classes!r}.\n"
                "Give the names of all classes, or leave them to be read from the training table."
            )
        classes = [class_from_json(typed_class(c)) for c in (() if self.classes is None else self.classes)]
        for name in classes:
            check_class(name)
        object.__setattr__(self, "classes", tuple(unified(classes)))
        if self.labels is not None:
            object.__setattr__(self, "labels", self._check_labels())
        if not _is_weight(self.loss_weight):
            raise DataError(
                f"loss_weight of task {self.name!r} must be a number of at least 0.\nReceived {self.loss_weight!r}."
            )
        if isinstance(self.class_weight, str):
            check_choice(f"class_weight of task {self.name!r}", self.class_weight, ["balanced"])
        elif not isinstance(self.class_weight, Mapping | None):
            raise DataError(
                f"class_weight of task {self.name!r} must be a mapping from class to factor, or 'balanced'.\n"
                f"Received a {type(self.class_weight).__name__}.\nGive for instance dict(zip(classes, factors))."
            )
        if self.kind == "regression" and (self.classes or self.class_weight):
            raise DataError(
                f"Task {self.name!r} is a regression and has no classes.\n"
                f"Received classes={self.classes!r}, class_weight={self.class_weight!r}.\n"
                "Drop them, or set kind='classification'."
            )
        if len(set(self.classes)) != len(self.classes):
            raise DataError(f"Classes of task {self.name!r} must differ.\nReceived {self.classes!r}.")
        if self.kind == "classification" and len(self.classes) == 1:
            raise DataError(
                f"Task {self.name!r} needs at least two classes to learn a difference.\n"
                f"Received classes={self.classes!r}.\nName all classes, or leave them to be inferred."
            )

    def _check_labels(self) -> dict | None:
        if not isinstance(self.labels, Mapping) or None in self.labels:
            raise DataError(
                f"labels of task {self.name!r} must be a mapping from what is written to a class or None.\n"
                f"Received {shown(self.labels)}."
            )
        names = {spelling(written): class_from_json(typed_class(name)) for written, name in self.labels.items()}
        for name in names.values():
            if name is not None:
                check_class(name)
        return names or None

    @property
    def resolved(self) -> bool:
        """Whether kind and classes are known, so that a head can be built."""
        return self.kind == "regression" or (self.kind != "auto" and len(self.classes) > 0)

    @property
    def outputs(self) -> int:
        """Width of the head: the number of classes, or 1 for a regression."""
        return 1 if self.kind == "regression" else len(self.classes)

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
        kind = infer_kind(column) if self.kind == "auto" else self.kind
        if self.kind == "auto" and not self.classes:
            check_numbers(self.name, column[present_rows(column)], kind)
        if kind == "regression" and self.classes:
            kind = "classification"
        if kind == "regression":
            return dataclasses.replace(self, kind=kind)
        return dataclasses.replace(self, kind=kind, classes=self.classes or self._find_classes(kind, column, gaps))

    def _find_classes(self, kind: Kind, column: pd.Series, gaps: bool) -> tuple:
        counts, indicators = label_counts(self, column, kind)
        classes = class_counts(counts)
        names = self._sorted(classes, gaps) if indicators is None else indicators.classes
        least = 1 if kind == "multilabel" else 2
        if len(names) < least:
            raise DataError(
                f"Task {self.name!r} needs at least {'one class' if least == 1 else 'two classes'} "
                f"to learn a difference.\n"
                f"Received {listed(names)} in column {self.label!r} ({present_rows(column).sum()} labelled rows).\n"
                "Add rows of another class, name all classes in the task, or leave this task out."
            )
        check_spellings(self.name, self.label, counts, self.labels or ())
        return tuple(names)

    def _sorted(self, classes: Collection, gaps: bool) -> tuple:
        try:
            ordered = sorted(classes, key=lambda c: (isinstance(c, str), c))
            alike = len({class_text(c) for c in ordered}) == len(ordered)
        except TypeError:  # as a date and a number
            ordered, alike = sorted(classes, key=str), False
        if not alike:
            raise DataError(
                f"Classes of task {self.name!r} must be all text or all numbers, or otherwise of one type.\n"
                f"Received {listed(ordered)} in column {self.label!r}: they are of several.\n"
                f"Make the column one type in every table, for instance with {setting('as_text', [self.label])}."
            )
        return tuple(unified(ordered, gaps))

    def encode(self, table: pd.DataFrame, where: str = "the table") -> tuple[np.ndarray, np.ndarray]:
        """Labels as numbers.

        Args:
            table: rows; a table without the label column has no labels for this task.
            where: what to call the table in an error.

        Returns:
            y: classification (rows,) int32 class index; multilabel (rows, classes) float32 of
                0 and 1; regression (rows,) float64 in the column's own unit. 0 where missing.
            present: (rows,) bool, whether the row has a label for this task.

        Raises:
            DataError: a class that the task does not have; a label that is infinite or no number.
        """
        if not self.resolved:
            raise DataError(f"Task {self.name!r} has no kind or classes yet: call resolve(table), or fit.")
        shape = (len(table), self.outputs) if self.kind == "multilabel" else (len(table),)
        if self.label not in table.columns:
            return np.zeros(shape, _DTYPES[self.kind]), np.zeros(len(table), bool)
        check_columns(table, [self.label], where)
        column = relabel(table[self.label], self.labels)
        present = present_rows(column)
        if self.kind == "regression":
            return self._encode_numbers(column, present, where), present
        # A class read back from a text file is a str even where training saw an int.
        index = {class_text(c): i for i, c in enumerate(self.classes)} | {c: i for i, c in enumerate(self.classes)}
        y = np.zeros(shape, _DTYPES[self.kind])
        cells, rows = column.to_numpy(object), np.flatnonzero(present)
        indicators = checked_indicators(self, cells[rows], where) if self.kind == "multilabel" else None
        if indicators is not None:
            places = range(len(self.classes))
            if indicators.named:
                places = [self._lookup(index, c, rows[0], where) for c in indicators.classes]
            y[np.ix_(rows, places)] = indicators.on
            return y, present
        for row, labels in labels_in(column, self.kind, self.name, where):
            numbers = [self._lookup(index, typed_class(label), row, where) for label in labels]
            if self.kind == "multilabel":
                y[row, numbers] = 1
            else:
                y[row] = numbers[0]
        return y, present

    def _encode_numbers(self, column, present, where) -> np.ndarray:
        if pd.api.types.is_datetime64_any_dtype(column) or pd.api.types.is_timedelta64_dtype(column):
            column = column.astype(str)
        numbers = numbers_of(column.where(present))
        bad = np.flatnonzero(present & ~np.isfinite(numbers))
        if len(bad):
            raise DataError(
                f"Labels of the regression {self.name!r} must be finite numbers.\n"
                f"Received {shown(typed_class(column.iloc[bad[0]]))} in column {self.label!r}, row {bad[0]} of {where} "
                f"({len(bad)} such rows).\nMend or empty these cells; an empty cell is left out. "
                f"Decimal commas are read with {setting('decimal', ',')}."
            )
        return np.where(present, numbers, 0.0)

    def _lookup(self, index: dict, value, row: int, where: str) -> int:
        place = index.get(value, index.get(class_text(value)))
        if place is None:
            raise DataError(
                f"Task {self.name!r} knows the classes {listed(self.classes)}.\n"
                f"Received {shown(value)} in column {self.label!r}, row {row} of {where}."
                f"{nearest(value, map(class_text, self.classes))}\n"
                "A class must be seen in training: add such rows there, name it in the task's classes, give it "
                "another name in its labels, or drop these rows."
            )
        return place

    def class_weights(self, y: np.ndarray) -> np.ndarray | None:
        """(classes,) float32 factors for the labels ``y`` of the present rows, or None.

        Raises:
            DataError: `class_weight` names a class that the task does not have.
        """
        if self.class_weight is None or self.kind == "regression":
            return None
        if isinstance(self.class_weight, str):
            counts = y.sum(0) if self.kind == "multilabel" else np.bincount(y, minlength=len(self.classes))
            return (len(y) / np.maximum(len(self.classes) * counts, 1)).astype(np.float32)
        names = [class_text(c) for c in self.classes]
        weights = self._weights_by_name(names)
        for name, weight in weights.items():
            if name not in names:
                raise DataError(
                    f"class_weight of task {self.name!r} must name its classes {listed(self.classes)}.\n"
                    f"Received {name!r}.{nearest(name, names)}"
                )
            if not _is_weight(weight):
                raise DataError(
                    f"class_weight of task {self.name!r} must hold numbers of at least 0.\n"
                    f"Received {weight!r} for class {name!r}."
                )
        return np.array([weights.get(name, 1.0) for name in names], np.float32)

    def _weights_by_name(self, names: list[str]) -> dict[str, float]:
        """Class weights by name; whole numbers are places, as in Keras, where no class is called so."""
        given = {class_text(c): weight for c, weight in self.class_weight.items()}  # JSON has made keys text
        places = {str(place): name for place, name in enumerate(names)}
        if not set(given) & set(names) and set(given) <= set(places):
            return {places[place]: weight for place, weight in given.items()}
        return given


_DTYPES = {"classification": np.int32, "multilabel": np.float32, "regression": np.float64}


def infer_tasks(table: pd.DataFrame, text: str = "text", text_pair: str | None = None) -> list[Task]:
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
        raise DataError(f"A table needs a label column beside the text.\nReceived only {listed(list(table.columns))}.")
    return [Task(c).resolve(table) for c in columns]


def _is_weight(value) -> bool:
    return isinstance(value, numbers.Real) and bool(np.isfinite(value)) and value >= 0
