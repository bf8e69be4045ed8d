"""Training a model on a target's labels: the one way of it, whatever the model has learned before.

With and without source data the steps, the rates and the choice of a head start are the same, so
that a difference is the source's. The heads that labels have not taught are solved on the frozen
features first (LP-FT): Kumar et al. 2022, "Fine-Tuning can Distort Pretrained Features and
Underperform Out-of-Distribution".
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, ClassVar, Literal

from tf_transfer.batches.rows import steps_of
from tf_transfer.evaluation.fitted import Fitted
from tf_transfer.kinds import kind_of
from tf_transfer.strategies.base import Strategy, train
from tf_transfer.strategies.solve_heads import solve_heads

if TYPE_CHECKING:
    from tf_transfer.model.model import TransferModel

FULL_RATE_ROWS = 256
"""Rows of a regression from which on the rate is the encoder's own.

On fewer, squared errors at the full rate undo what a source has taught, and gain nothing without
one. Chosen on ratings of films and shops with tweets and editorials as targets; classifications of
few rows (mpqa, clinc150, trec) want the full rate.
"""


@dataclasses.dataclass(frozen=True)
class TargetTraining(Strategy):
    """What `TargetOnly`, `FineTune` and `MultiTask` do alike with a target's labels.

    Args:
        adapt_steps: gradient steps on up to 256 target rows; more rows get as many passes as those.
        adapt_batch_size: rows a step on the target.
        adapt_learning_rate: peak on the target; ``"auto"`` follows the encoder's width, and where a
            task is a regression the square root of the number of rows, up to 256.
        head_start: solve the heads on the target's frozen features before training on it, drawn
            towards what a source has taught them.
    """

    timed_by: ClassVar[Literal["steps", "episodes", "calls"]] = "steps"
    search_space: ClassVar[Mapping[str, object]] = {
        "adapt_steps": [50, 100, 200],
        "adapt_learning_rate": {"min": 0.25, "max": 4.0, "sampling": "log", "unit": "auto"},
        "head_start": [False, True],
    }

    adapt_steps: int = 100
    adapt_batch_size: int = 16
    adapt_learning_rate: float | Literal["auto"] = "auto"
    head_start: bool = True

    def adapt(
        self, model: Fitted | TransferModel, support, *, seed=0, out=None, verbose=0, callbacks=None
    ):
        model = Fitted.of(model).model
        model.resolve(support)
        adapted = model.copy(out=out)
        self.start_heads(adapted, support)
        self.train_on_target(adapted, support, seed=seed, verbose=verbose, callbacks=callbacks)
        return adapted

    def start_heads(self, model: TransferModel, support) -> None:
        """Solves the heads of ``model`` that are to have a head start."""
        if self.head_start:
            solve_heads(model, support, anchored=True)

    def train_on_target(
        self, model: TransferModel, support, *, seed=0, verbose=0, callbacks=None
    ) -> None:
        """Trains ``model`` itself on a target's labelled rows."""
        train(
            model,
            support,
            passes=self.adapt_passes(len(support)),
            batch_size=self.adapt_batch_size,
            learning_rate=self._adapt_rate(model, len(support)),
            seed=seed,
            verbose=verbose,
            callbacks=callbacks,
        )

    def adapt_passes(self, rows: int) -> int:
        """How often `adapt` goes over a support of ``rows``."""
        steps_an_epoch = min(math.ceil(rows / self.adapt_batch_size), 256 // self.adapt_batch_size)
        return math.ceil(self.adapt_steps / max(steps_an_epoch, 1))

    def settings(self, model: TransferModel, source_rows, target_rows):
        steps = self.adapt_passes(target_rows) * steps_of(target_rows, self.adapt_batch_size)
        return {
            "steps on the target": steps,
            "rows a step on the target": min(self.adapt_batch_size, target_rows),
            "peak rate on the target": self._adapt_rate(model, target_rows),
            "heads solved first": self.head_start,
        }

    def auto_rate(self, field, model: TransferModel, rows):
        rate = super().auto_rate(field, model, rows)
        if field == "adapt_learning_rate" and any(
            kind_of(task).link == "identity" for task in model.tasks
        ):
            return rate * min(1.0, math.sqrt(rows / FULL_RATE_ROWS))
        return rate

    def _adapt_rate(self, model: TransferModel, rows: int) -> float:
        if self.adapt_learning_rate != "auto":
            return self.adapt_learning_rate
        return self.auto_rate("adapt_learning_rate", model, rows)
