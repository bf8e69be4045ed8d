"""The baseline of every claim: the pretrained encoder and the target's labels, no source data."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import ClassVar

from tf_transfer.strategies.fine_tune import FineTune


@dataclasses.dataclass(frozen=True)
class TargetOnly(FineTune):
    """Fine-tune the pretrained encoder on the target alone, from heads solved on its frozen features.

    Of `FineTune`'s arguments those of the target count. Without source training to keep, the target
    gets more steps at the full rate.

    Args:
        adapt_learning_rate: peak on the target; ``"auto"`` follows the encoder's width.
    """

    name: ClassVar[str] = "target_only"
    uses_source: ClassVar[bool] = False
    unread: ClassVar[tuple[str, ...]] = ("epochs", "batch_size", "learning_rate")
    effort: ClassVar[str | None] = "adapt_steps"
    search_space: ClassVar[Mapping[str, object]] = {
        "adapt_steps": [50, 100, 200],
        "adapt_batch_size": [8, 16, 32],
        "adapt_learning_rate": {"min": 0.25, "max": 4.0, "sampling": "log", "unit": "auto"},
        "head_start": [False, True],
    }

    adapt_steps: int = 100
    head_start: bool = True

    def fit(self, model, source=None, *, seed=0, verbose=0, callbacks=None):
        return model

    def _adapt_rate(self, model, rows):
        return model.auto_learning_rate if self.adapt_learning_rate == "auto" else self.adapt_learning_rate
