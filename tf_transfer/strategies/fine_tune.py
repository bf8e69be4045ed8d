"""Sequential transfer: train on the sources one after the other, then on the target.

Howard & Ruder 2018, "Universal Language Model Fine-tuning for Text Classification"; Phang et al.
2018, "Sentence Encoders on STILTs" (intermediate tasks).
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import TYPE_CHECKING, ClassVar, Literal

from tf_transfer.batches.rows import steps_of
from tf_transfer.evaluation.fitted import Fitted
from tf_transfer.strategies.base import SEQUENTIAL, source_tables, train
from tf_transfer.strategies.target_only import TargetOnly
from tf_transfer.strategies.target_training import TargetTraining
from tf_transfer.training.callbacks.arrange import in_parts

if TYPE_CHECKING:
    from tf_transfer.model.model import TransferModel


@dataclasses.dataclass(frozen=True)
class FineTune(TargetTraining):
    """Train the whole model on each source in turn, then on the target.

    With one source this is `MultiTask`; with several, the last one is remembered best. For the
    other arguments see `TargetTraining`.

    Args:
        epochs: passes over each source.
        batch_size: rows a step on the sources.
        learning_rate: peak on the sources; ``"auto"`` follows the encoder's width.

    Example:
        >>> strategy = FineTune(adapt_steps=60)
        >>> [strategy.adapt_passes(rows) for rows in (16, 64, 256)]  # over the target's rows
        [60, 15, 4]
        >>> strategy.without_source()
        TargetOnly(adapt_steps=60, adapt_batch_size=16, adapt_learning_rate='auto', head_start=True)
    """

    name: ClassVar[str] = "fine_tune"
    family: ClassVar[str] = SEQUENTIAL
    effort: ClassVar[str | None] = "epochs"
    lacks_labels: ClassVar[str] = (
        "the encoder learns from the sources' other tasks, the head from the target alone"
    )
    lacks_classes: ClassVar[str] = "the outputs of these classes are learned on the target alone"
    search_space: ClassVar[Mapping[str, object]] = TargetTraining.search_space | {
        "epochs": [1, 2, 3],
        "batch_size": [16, 32],
        "learning_rate": {"min": 0.25, "max": 4.0, "sampling": "log", "unit": "auto"},
    }

    epochs: int = 2
    batch_size: int = 32
    learning_rate: float | Literal["auto"] = "auto"

    def fit(self, model: TransferModel, source, *, seed=0, verbose=0, callbacks=None):
        tables = list(source_tables(source).values())
        with in_parts(callbacks, len(tables)) as parts:
            for table, part in zip(tables, parts):
                self._train_on_source(model, table, seed, verbose, part)
        return Fitted(model)

    def without_source(self):
        shared = {f.name: getattr(self, f.name) for f in dataclasses.fields(TargetTraining)}
        return TargetOnly(**shared)

    def settings(self, model: TransferModel, source_rows, target_rows):
        steps = sum(
            self.epochs * steps_of(rows, self.batch_size) for rows in self.parts_of(source_rows)
        )
        rate = model.auto_learning_rate if self.learning_rate == "auto" else self.learning_rate
        of_source = {"steps on the source": steps, "peak rate on the source": rate}
        return of_source | super().settings(model, source_rows, target_rows)

    def parts_of(self, source_rows: Mapping[str, int]) -> list[int]:
        """The rows of each table that is trained on in turn, from those of each source."""
        return list(source_rows.values())

    def _train_on_source(self, model: TransferModel, table, seed, verbose, callbacks, **more):
        options = {
            "epochs": self.epochs,
            "batch_size": self.batch_size,
            "learning_rate": self.learning_rate,
            **more,
        }
        train(model, table, seed=seed, verbose=verbose, callbacks=callbacks, **options)
