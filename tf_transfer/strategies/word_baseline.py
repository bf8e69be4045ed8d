"""What the baselines share that read the words of a text and no encoder."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, ClassVar

from tf_transfer.errors import DataError
from tf_transfer.evaluation.fitted import Fitted
from tf_transfer.kinds import kind_of
from tf_transfer.strategies.base import WORDS, Strategy, source_tables
from tf_transfer.strategies.classical import first_alone, untrained

if TYPE_CHECKING:
    from tf_transfer.model.model import TransferModel


@dataclasses.dataclass(frozen=True)
class WordBaseline(Strategy):
    """Learns from source and target rows together, for kinds that are about words of a text."""

    family: ClassVar[str] = WORDS
    uses_encoder: ClassVar[bool] = False
    search_space: ClassVar[Mapping[str, object]] = {"uses_source": [True, False]}
    trait: ClassVar[str]
    """The attribute of the kinds that it knows."""
    refusal: ClassVar[str]
    """What follows its name in the message on a ``{task}`` of another ``{kind}``."""
    read: ClassVar[Callable] = staticmethod(first_alone)
    """What its estimators are given; see `TextModel`."""

    uses_source: bool = True

    def check_kinds(self, tasks):
        for task in tasks:
            if not getattr(kind_of(task), self.trait):
                refusal = self.refusal.format(kind=task.kind, task=task.name)
                raise DataError(f"{self.name} {refusal}")

    def fit(self, model: TransferModel, source=None, *, seed=0, verbose=0, callbacks=None):
        sources = source_tables(source) if self.uses_source else {}
        self.check_kinds(model.tasks)
        return untrained(model, sources, self.read)

    def adapt(
        self, model: Fitted | TransferModel, support, *, seed=0, out=None, verbose=0, callbacks=None
    ):
        return Fitted.of(model).model.learn(support, self._estimator)

    def _estimator(self, task, y):
        raise NotImplementedError
