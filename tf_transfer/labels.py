"""The labels and loss weights of several tasks, as arrays."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from tf_transfer.errors import DataError
from tf_transfer.tasks import Task


def encode_labels(tasks: Sequence[Task], table: pd.DataFrame, where: str = "the table") -> tuple[dict, dict]:
    """``y`` and ``w`` of every task: labels (rows, …) float32 or int32, weights (rows,) float32.

    A weight is 0 where the label is missing, else 1 times the weight of the row's class.

    Raises:
        DataError: see `Task.encode`; or no row has a label for any task.
    """
    y, w = {}, {}
    for task in tasks:
        labels, present = task.encode(table, where)
        factors = task.class_weights(labels[present])
        y[task.name] = labels.astype(np.float32) if task.kind == "regression" else labels
        w[task.name] = present.astype(np.float32)
        if factors is not None:
            mean = (labels * factors).sum(1) / np.maximum(labels.sum(1), 1) if labels.ndim > 1 else factors[labels]
            w[task.name] *= np.where(labels.any(1), mean, 1.0).astype(np.float32) if labels.ndim > 1 else mean
    if not any(v.any() for v in w.values()):
        raise DataError(
            f"{where[0].upper() + where[1:]} must have labels in at least one of the columns "
            f"{[t.label for t in tasks]}.\nReceived none in {len(table)} rows."
        )
    return y, w
