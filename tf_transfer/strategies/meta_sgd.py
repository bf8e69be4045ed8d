"""MAML that learns its inner rates too.

Li et al. 2017, "Meta-SGD: Learning to Learn Quickly for Few-Shot Learning", Algorithm 1; one rate a
layer: Antoniou et al. 2019, "How to train your MAML" (LSLR).
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import ClassVar, Literal

from tf_transfer.errors import check_choice
from tf_transfer.strategies.gradient import GradientStrategy
from tf_transfer.strategies.inner_rates import LearnedRates
from tf_transfer.strategies.second_order import ThroughTheModel


@dataclasses.dataclass(frozen=True)
class MetaSGD(ThroughTheModel, GradientStrategy):
    """Learn where to start and how far to go: the inner rates are trained with the weights.

    The result of ``fit`` has the rates, at which `adapt` descends.

    Args:
        inner_lr: what every rate starts from.
        rates: ``"layer"``: one for each variable; ``"weight"``: one for each number in it.
    """

    name: ClassVar[str] = "meta_sgd"
    search_space: ClassVar[Mapping[str, object]] = GradientStrategy.search_space | {
        "rates": ["layer", "weight"]
    }

    rates: Literal["layer", "weight"] = "layer"

    def __post_init__(self):
        super().__post_init__()
        check_choice("rates", self.rates, ["layer", "weight"])

    def inner_rates(self):
        by_weight = self.rates == "weight"
        return LearnedRates(self.name, self.inner_lr, self.inner_freeze, by_weight)

    def episode_gradient(self, learner, support, query):
        start = learner.weights()
        loss, by_start, by_rates, losses = self.query_gradient(learner, support, query, start)
        return loss, [*by_start, *by_rates], losses
