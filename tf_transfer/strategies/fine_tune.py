"""Sequential transfer: train on the sources one after the other, then on the target.

Howard & Ruder 2018, "Universal Language Model Fine-tuning for Text Classification"; Phang et al.
2018, "Sentence Encoders on STILTs" (intermediate tasks). With `head_start`, LP-FT: Kumar et al.
2022, "Fine-Tuning can Distort Pretrained Features and Underperform Out-of-Distribution".
"""

from __future__ import annotations

import dataclasses
import math
from typing import ClassVar, Literal

from tf_transfer.strategies.base import Strategy, source_tables, train
from tf_transfer.strategies.linear_probe import solve_heads


@dataclasses.dataclass(frozen=True)
class FineTune(Strategy):
    """Train the whole model on each source in turn, then on the target.

    With one source this is `MultiTask`; with several, the last one is remembered best.

    Args:
        epochs: passes over each source.
        batch_size: rows a step on the sources.
        learning_rate: peak on the sources; ``"auto"`` follows the encoder's width.
        adapt_epochs: passes over the target's rows; ``"auto"``: enough for `adapt_steps` steps,
            and at least 3.
        adapt_steps: the least number of steps on the target, when `adapt_epochs` is ``"auto"``.
        adapt_batch_size: rows a step on the target.
        adapt_learning_rate: peak on the target.
        head_start: solve the heads on the target's frozen features before training on it. It helps
            heads that no source has trained, and takes away from those that one has.
    """

    name: ClassVar[str] = "fine_tune"

    epochs: int = 2
    batch_size: int = 32
    learning_rate: float | Literal["auto"] = "auto"
    adapt_epochs: int | Literal["auto"] = "auto"
    adapt_steps: int = 40
    adapt_batch_size: int = 16
    adapt_learning_rate: float | Literal["auto"] = "auto"
    head_start: bool = False

    def fit(self, model, source, *, seed=0, verbose=0):
        for table in source_tables(source).values():
            self._train_on_source(model, table, seed, verbose)
        return model

    def _train_on_source(self, model, table, seed, verbose):
        options = {"epochs": self.epochs, "batch_size": self.batch_size, "learning_rate": self.learning_rate}
        train(model, table, seed=seed, verbose=verbose, **options)

    def adapt(self, model, support, *, seed=0, out=None, verbose=0):
        model.resolve(support)
        adapted = model.copy(out=out)
        if self.head_start:
            solve_heads(adapted, support)
        steps_an_epoch = math.ceil(len(support) / self.adapt_batch_size)
        epochs = self.adapt_epochs
        if epochs == "auto":
            epochs = max(3, math.ceil(self.adapt_steps / steps_an_epoch))
        train(
            adapted, support, epochs=epochs, batch_size=self.adapt_batch_size,
            learning_rate=self.adapt_learning_rate, seed=seed, verbose=verbose,
        )  # fmt: skip
        return adapted
