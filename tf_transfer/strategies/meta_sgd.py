"""MAML that learns its inner rates too.

Li et al. 2017, "Meta-SGD: Learning to Learn Quickly for Few-Shot Learning", Algorithm 1; one rate a
layer: Antoniou et al. 2019, "How to train your MAML" (LSLR).
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import ClassVar, Literal

from tf_transfer.devices.backend import tf
from tf_transfer.errors import DataError, check_choice
from tf_transfer.meta_gradients.meta_learner import inner_variables
from tf_transfer.strategies.maml import MAML


@dataclasses.dataclass(frozen=True)
class MetaSGD(MAML):
    """Learn where to start and how far to go: the inner rates are trained with the weights.

    ``fit`` returns the model with its rates as a `Rated`.

    Args:
        inner_lr: what every rate starts from.
        rates: ``"layer"``: one for each variable; ``"weight"``: one for each number in it.
    """

    name: ClassVar[str] = "meta_sgd"
    search_space: ClassVar[Mapping[str, object]] = MAML.search_space | {
        "rates": ["layer", "weight"]
    }

    rates: Literal["layer", "weight"] = "layer"

    def __post_init__(self):
        super().__post_init__()
        check_choice("rates", self.rates, ["layer", "weight"])

    def extra_variables(self, model):
        variables = model.trained_variables
        changed = [variables[i] for i in inner_variables(model, variables, self.inner_freeze)]
        shapes = [v.shape if self.rates == "weight" else () for v in changed]
        return [
            tf.Variable(tf.fill(s, tf.constant(self.inner_lr, v.dtype)), name="rate")
            for s, v in zip(shapes, changed)
        ]

    def rates_in_training(self, learner, weights):
        return [tf.convert_to_tensor(r) for r in learner.extra]

    def rates_of(self, model, weights):
        return model.rates

    def _learner(self, model):
        learner = super()._learner(model)
        for variable in learner.extra:  # an earlier fit of the same model may have left its own
            variable.assign(tf.fill(variable.shape, tf.constant(self.inner_lr, variable.dtype)))
        return learner

    def _fitted(self, model, learner):
        return Rated(model, [tf.convert_to_tensor(v) for v in learner.extra])

    def learned(self, fitted):
        return [rate.numpy() for rate in fitted.rates]

    def restored(self, model, learned):
        return Rated(model, [tf.convert_to_tensor(rate) for rate in learned])

    def model_of(self, fitted):
        if not isinstance(fitted, Rated):
            raise DataError(
                "meta_sgd adapts at the rates that it has learned.\nReceived "
                f"{type(fitted).__name__}, without any.\n"
                "Give what its fit returned, or adapt with maml."
            )
        return fitted.model


@dataclasses.dataclass(frozen=True, eq=False)
class Rated:
    """A model and the inner rates that were learned for it, one for each weight that the inner loop
    changes.
    """

    model: object
    rates: list
