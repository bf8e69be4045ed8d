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
        adapt_steps: gradient steps on up to 256 target rows; more rows get as many passes as those.
        adapt_batch_size: rows a step on the target.
        adapt_learning_rate: peak on the target; ``"auto"``: half of the width's rate from 256 rows on,
            and less, with their square root, for fewer: a trained model is easily led astray by few.
        head_start: solve the heads on the target's frozen features before training on it. It helps
            heads that no source has trained, and takes away from those that one has.

    Example:
        >>> strategy = FineTune(adapt_steps=60)
        >>> [strategy.adapt_passes(rows) for rows in (16, 64, 256)]  # over the target's rows
        [60, 15, 4]
        >>> dataclasses.asdict(FineTune(epochs=1))["epochs"]
        1
    """

    name: ClassVar[str] = "fine_tune"

    epochs: int = 2
    batch_size: int = 32
    learning_rate: float | Literal["auto"] = "auto"
    adapt_steps: int = 60
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
            solve_heads(adapted, support, anchored=self.uses_source)
        train(
            adapted, support, passes=self.adapt_passes(len(support)),
            batch_size=self.adapt_batch_size, learning_rate=self._adapt_rate(model, len(support)),
            seed=seed, verbose=verbose,
        )  # fmt: skip
        return adapted

    def adapt_passes(self, rows: int) -> int:
        """How often `adapt` goes over a support of ``rows``."""
        steps_an_epoch = min(math.ceil(rows / self.adapt_batch_size), 256 // self.adapt_batch_size)
        return math.ceil(self.adapt_steps / max(steps_an_epoch, 1))

    def _adapt_rate(self, model, rows: int) -> float:
        if self.adapt_learning_rate != "auto":
            return self.adapt_learning_rate
        return model.auto_learning_rate / 2 * min(1.0, math.sqrt(rows / 256))
