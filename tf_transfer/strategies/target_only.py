"""The baseline of every claim: the pretrained encoder and the target's labels, no source data."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, ClassVar

from tf_transfer.evaluation.fitted import Fitted
from tf_transfer.strategies.base import TARGET
from tf_transfer.strategies.target_training import TargetTraining

if TYPE_CHECKING:
    from tf_transfer.model.model import TransferModel


@dataclasses.dataclass(frozen=True)
class TargetOnly(TargetTraining):
    """Fine-tune the pretrained encoder on the target alone, from heads solved on its frozen
    features.

    Its training on the target is that of `FineTune`, step for step.
    """

    name: ClassVar[str] = "target_only"
    family: ClassVar[str] = TARGET
    uses_source: ClassVar[bool] = False
    effort: ClassVar[str | None] = "adapt_steps"

    def fit(self, model: TransferModel, source=None, *, seed=0, verbose=0, callbacks=None):
        return Fitted(model)
