"""What pretraining is worth: the same architecture from random weights, on the target alone."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, ClassVar

from tf_transfer.evaluation.fitted import Fitted
from tf_transfer.strategies.base import CONTROL
from tf_transfer.strategies.target_only import TargetOnly

if TYPE_CHECKING:
    from tf_transfer.model.model import TransferModel


@dataclasses.dataclass(frozen=True)
class Scratch(TargetOnly):
    """Train on the target from random weights, as `TargetOnly` does from pretrained ones."""

    name: ClassVar[str] = "scratch"
    family: ClassVar[str] = CONTROL

    def fit(self, model: TransferModel, source=None, *, seed=0, verbose=0, callbacks=None):
        from tf_transfer.devices.backend import keras

        keras.utils.set_random_seed(seed)
        for variable, value in zip(model.encoder.state, model.encoder.blank_copy().state):
            variable.assign(value)
        return Fitted(model)
