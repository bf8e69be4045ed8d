"""Joint transfer: one shared network trained on all tasks and domains at once, then on the target.

L = 1/N Σᵢ Σⱼ ℓᵢⱼ over tasks i and their labelled rows j. Caruana 1997, "Multitask Learning"; for
text with shared transformers, Liu et al. 2019, "Multi-Task Deep Neural Networks" (MT-DNN),
Algorithm 1.
"""

from __future__ import annotations

import dataclasses
from typing import ClassVar

from tf_transfer.data.tables import join_tables
from tf_transfer.evaluation.fitted import Fitted
from tf_transfer.strategies.base import JOINT, source_tables
from tf_transfer.strategies.fine_tune import FineTune


@dataclasses.dataclass(frozen=True)
class MultiTask(FineTune):
    """Train on the rows of all sources mixed, every task at once, then on the target.

    Rows are mixed in proportion to the sources' sizes, and each label counts the same. A table that
    lacks a task's label still trains the shared encoder through its other tasks. For the arguments
    see `FineTune`.
    """

    name: ClassVar[str] = "multi_task"
    family: ClassVar[str] = JOINT

    def fit(self, model, source, *, seed=0, verbose=0, callbacks=None):
        table = join_tables(list(source_tables(source).values()))
        self._train_on_source(model, table, seed, verbose, callbacks)
        return Fitted(model)

    def parts_of(self, source_rows):
        return [sum(source_rows.values())]

    def on_sources(self, count):
        return FineTune(**dataclasses.asdict(self)) if count == 1 else self
