"""The labels and loss weights of several tasks, as arrays."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from tf_transfer.errors import DataError, listed
from tf_transfer.kinds import kind_of
from tf_transfer.kinds.tasks import Task


def encode_labels(
    tasks: Sequence[Task], table: pd.DataFrame, where: str = "the table"
) -> tuple[dict, dict]:
    """``y`` and ``w`` of every task: labels (rows, …) as `Task.encode` returns them, weights
    (rows,) float32.

    A weight is 0 where the label is missing, else 1 times the weight of the row's class.

    Raises:
        DataError: see `Task.encode`; or no row has a label for any task.
    """
    y, w = {}, {}
    for task in tasks:
        labels, present = task.encode(table, where)
        y[task.name] = labels
        w[task.name] = present * class_factors(task, labels, present)
    if not any(v.any() for v in w.values()):
        raise DataError(
            f"{where[0].upper() + where[1:]} must have labels in at least one of the columns "
            f"{[t.label for t in tasks]}.\nReceived none in {len(table)} rows."
        )
    return y, w


def class_factors(task: Task, labels: np.ndarray, present: np.ndarray) -> np.ndarray:
    """(rows,) float32: the weight of each row's class; of several classes their mean; 1 without
    class weights, and where classes are those of tokens: see `Kind.output_factors`.

    Args:
        labels, present: of `Task.encode`.
    """
    by_row = kind_of(task).reads == "text"
    factors = task.class_weights(labels[present]) if by_row else None
    if factors is None:
        return np.ones(len(labels), np.float32)
    return kind_of(task).row_factors(task, labels, factors)


def given_class_factors(
    tasks: Sequence[Task], class_weight, table: pd.DataFrame
) -> dict[str, np.ndarray]:
    """``{task: (rows,) float32}``: the factors of the rows' losses that Keras' ``class_weight``
    asks for.

    Args:
        class_weight: ``{class, or its place: factor}`` or ``"balanced"``, for the only task.

    Raises:
        DataError: there are several tasks, a regression, a class that there is not, or class
            weights of the task.
    """
    named = [t for t in tasks if kind_of(t).has_classes and kind_of(t).reads == "text"]
    if len(tasks) != 1 or not named or tasks[0].class_weight is not None:
        received = (
            f"the tasks {listed([t.name for t in tasks])}" if len(tasks) != 1 else str(tasks[0])
        )
        raise DataError(
            "class_weight is for a model of one task with classes of whole texts that has no class "
            "weights of its own.\n"
            f"Received {received}.\nGive class weights to a task: Task(..., class_weight={{class: "
            "factor})."
        )
    if not isinstance(class_weight, Mapping | str):
        class_weight = dict(enumerate(class_weight))
    task = dataclasses.replace(tasks[0], class_weight=class_weight)
    labels, present = task.encode(table, "the training table")
    return {task.name: class_factors(task, labels, present)}
