"""What pretraining is worth: the same architecture from random weights, on the target alone."""

from __future__ import annotations

import dataclasses
from typing import ClassVar

import tf_keras as keras

from tf_transfer.strategies.target_only import TargetOnly


@dataclasses.dataclass(frozen=True)
class Scratch(TargetOnly):
    """Train on the target from random weights. For the arguments see `FineTune`."""

    name: ClassVar[str] = "scratch"

    def fit(self, model, source=None, *, seed=0, verbose=0):
        keras.utils.set_random_seed(seed)
        model.encoder.set_weights(model.encoder.blank_copy().get_weights())
        return model
