"""Frozen features: the encoder stays, each head is solved exactly.

Alain & Bengio 2016, "Understanding intermediate layers using linear classifier probes". With source
data, the target's head is drawn towards the source's: the penalty is the squared distance from it
(Chelba & Acero 2004, "Adaptation of Maximum Entropy Capitalizer").
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import TYPE_CHECKING, ClassVar

import pandas as pd

from tf_transfer.data.tables import join_tables
from tf_transfer.errors import DataError
from tf_transfer.evaluation.fitted import Fitted
from tf_transfer.kinds import AUTO, kind_of
from tf_transfer.strategies.base import ANCHORED, PROBE, Strategy, source_tables
from tf_transfer.strategies.linear_models import logistic  # noqa: F401  for those who solve without a model
from tf_transfer.strategies.solve_heads import solve_heads

if TYPE_CHECKING:
    from tf_transfer.model.model import TransferModel


@dataclasses.dataclass(frozen=True)
class LinearProbe(Strategy):
    """Solve the heads on the encoder's frozen features; the penalty comes from cross-validation.

    Features are computed once for a table and kept (`TransferModel.encode`).

    Args:
        uses_source: solve the heads on the source first; False shows the probe on the target alone.

    Example:
        >>> from tf_transfer import Task, TransferModel, tiny_encoder
        >>> texts, moods = ["warm light", "cold rain"], ["glad", "sad"]
        >>> table = pd.DataFrame({"text": texts * 4, "mood": moods * 4})
        >>> model = TransferModel(tiny_encoder(texts=table["text"]), Task("mood"), max_length=8)
        >>> adapted = LinearProbe(uses_source=False).adapt(model, table)
        >>> adapted.predict(table.head(2), verbose=0)["mood"].labels.tolist()
        ['glad', 'sad']
    """

    name: ClassVar[str] = "linear_probe"
    lacks_labels: ClassVar[str] = "the head is solved on the target alone"
    lacks_classes: ClassVar[str] = "the outputs of these classes are solved on the target alone"
    search_space: ClassVar[Mapping[str, object]] = {"uses_source": [True, False]}

    uses_source: bool = True

    @property
    def family(self):
        return ANCHORED if self.uses_source else PROBE

    def check_kinds(self, tasks):
        """Raises:
        DataError: a task is of a kind whose heads cannot be solved.
        """
        for task in (task for task in tasks if task.kind != AUTO and kind_of(task).link is None):
            raise DataError(
                f"{self.name} solves heads on frozen features, which tasks of kind {task.kind} do "
                "not have.\n"
                f"Received task {task.name!r}.\nUse a strategy that trains, as fine_tune or "
                "target_only."
            )

    def fit(self, model: TransferModel, source=None, *, seed=0, verbose=0, callbacks=None):
        self.check_kinds(model.tasks)
        if self.uses_source:
            tables = list(source_tables(source).values())
            model.resolve(join_tables(tables))
            solve_heads(model, *tables)
        return Fitted(model)

    def without_source(self):
        return dataclasses.replace(self, uses_source=False) if self.uses_source else None

    def settings(self, model: TransferModel, source_rows, target_rows):
        return {"steps on the target": 0, "heads drawn to the source's": self.uses_source}

    def adapt(
        self,
        model: Fitted | TransferModel,
        support: pd.DataFrame,
        *,
        seed=0,
        out=None,
        verbose=0,
        callbacks=None,
    ):
        model = Fitted.of(model).model
        model.resolve(support)
        self.check_kinds(model.tasks)
        adapted = model.copy(out=out)
        adapted.share_vectors(model)
        solve_heads(adapted, support, anchored=self.uses_source)
        return adapted
