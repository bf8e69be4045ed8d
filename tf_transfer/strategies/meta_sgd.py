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
from tf_transfer.evaluation.fitted import Fitted
from tf_transfer.meta_gradients.meta_learner import inner_variables
from tf_transfer.strategies.maml import MAML


@dataclasses.dataclass(frozen=True)
class MetaSGD(MAML):
    """Learn where to start and how far to go: the inner rates are trained with the weights.

    The result of ``fit`` has the rates, which `adapt` takes.

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

    def rates_of(self, fitted, weights):
        return [tf.convert_to_tensor(rate) for rate in fitted.rates]

    def adapt(self, model, support, **options):
        if not Fitted.of(model).rates:
            raise DataError(
                "meta_sgd adapts at the rates that it has learned.\nReceived "
                f"{type(model).__name__}, without any.\n"
                "Give what its fit returned, or adapt with maml."
            )
        return super().adapt(model, support, **options)
