"""An episode: rows of a table to learn from and to be tested on, and its labels in the table's
terms and its own.
"""

from __future__ import annotations

import dataclasses

import numpy as np
import pandas as pd

from tf_transfer.errors import DataError, listed
from tf_transfer.kinds.class_types import class_text, plain_class


@dataclasses.dataclass(frozen=True, eq=False)
class Episode:
    """Rows to learn from and rows to be tested on.

    Args:
        support: (n,) int64 positions of rows in the sampler's table (for ``iloc``); in a
            classification class by class, in the order of ``classes``.
        query: (m,) int64 likewise, none of them in the support.
        classes: class ``i`` of the episode stands for the table's class ``classes[i]``; their
            order is random. Empty for a regression and for rows of any labels.
        domain: the domain that all rows are from, or None.
        index: the episode's number in its sampler's sequence.
        sampler: the `EpisodeSampler` that drew it; None for an episode from a file.
    """

    support: np.ndarray
    query: np.ndarray
    classes: tuple
    domain: object
    index: int
    sampler: object = dataclasses.field(default=None, repr=False)

    @property
    def way(self) -> int:
        """Number of classes."""
        return len(self.classes)

    def encode(self, values: pd.Series | np.ndarray) -> np.ndarray:
        """(n,) int32 labels in [0, way) of ``values``, (n,) classes as they are in the table.

        Raises:
            DataError: a class that the episode does not have.
        """
        # As in Task: a class is the same as a number and as text, with or without blanks around it.
        index = {class_text(c): i for i, c in enumerate(self.classes)} | {
            c: i for i, c in enumerate(self.classes)
        }
        plain = [None if pd.isna(v) else plain_class(v) for v in np.asarray(values, object)]
        labels = [-1 if v is None else index.get(v, index.get(class_text(v), -1)) for v in plain]
        if -1 in labels:
            row = labels.index(-1)
            raise DataError(
                f"Labels of episode {self.index} must be among its classes "
                f"{listed(self.classes)}.\n"
                f"Received {plain[row]!r} in row {row} of the values.\n"
                "Encode the labels of the episode's own rows, table[label].iloc[episode.support] "
                "or .query."
            )
        return np.array(labels, np.int32)

    def decode(self, labels: np.ndarray) -> np.ndarray:
        """(n,) the table's classes of ``labels``, (n,) integers in [0, way): undoes `encode`.

        Raises:
            DataError: a label outside [0, way).
        """
        labels = np.asarray(labels)
        wrong = labels[(labels < 0) | (labels >= self.way)]
        if len(wrong):
            raise DataError(
                f"Labels of episode {self.index} must be in [0, {self.way}).\nReceived "
                f"{wrong[0]}.\n"
                "Decode what `encode` gave, or the positions of a head's outputs."
            )
        classes = np.empty(self.way, object)
        classes[:] = self.classes
        return classes[labels.astype(np.int64)]
