"""At which rates an inner loop descends: one that is given, or rates that the outer loop learns."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol

from tf_transfer.devices.backend import tf
from tf_transfer.errors import DataError
from tf_transfer.evaluation.fitted import Fitted
from tf_transfer.meta_gradients.meta_learner import MetaLearner, inner_variables

if TYPE_CHECKING:
    from tf_transfer.model.model import TransferModel


class InnerRates(Protocol):
    """The rates of the weights that an inner loop changes."""

    def variables(self, model: TransferModel) -> list[tf.Variable]:
        """What the outer loop learns beside the weights of ``model``."""

    def in_episode(self, learner: MetaLearner, weights: Sequence) -> list[tf.Tensor]:
        """The rate of each changed weight, where a gradient by it may be taken."""

    def on_target(self, fitted: Fitted, weights: Sequence) -> list[tf.Tensor]:
        """The rate of each changed weight after `fit`."""


@dataclasses.dataclass(frozen=True)
class FixedRate:
    """One rate for all weights."""

    rate: float

    def variables(self, model: TransferModel):
        return []

    def in_episode(self, learner, weights):
        return [tf.constant(self.rate, weight.dtype) for weight in weights]

    def on_target(self, fitted, weights):
        return [tf.constant(self.rate, weight.dtype) for weight in weights]


@dataclasses.dataclass(frozen=True)
class LearnedRates:
    """A rate for each variable, or for each number in it, trained with the weights.

    Args:
        strategy: whose rates they are, for messages.
        first: what every rate starts from.
        inner_freeze: depth to which the inner loop leaves the encoder alone.
        by_weight: a rate for each number.
    """

    strategy: str
    first: float
    inner_freeze: str | int
    by_weight: bool

    def variables(self, model: TransferModel):
        variables = model.trained_variables
        changed = [variables[i] for i in inner_variables(model, variables, self.inner_freeze)]
        shapes = [v.shape if self.by_weight else () for v in changed]
        return [
            tf.Variable(tf.fill(shape, tf.constant(self.first, v.dtype)), name="rate")
            for shape, v in zip(shapes, changed)
        ]

    def in_episode(self, learner, weights):
        return [tf.convert_to_tensor(rate) for rate in learner.extra]

    def on_target(self, fitted, weights):
        if len(fitted.learned) != len(weights):
            count = len(fitted.learned) or "any"
            raise DataError(
                f"{self.strategy} adapts at the rates that it has learned, one for each of the "
                f"{len(weights)} weights that it changes.\nReceived "
                f"{type(fitted.model).__name__}, without {count}.\n"
                "Give what its fit returned, or adapt with maml."
            )
        return [tf.convert_to_tensor(rate) for rate in fitted.learned]
