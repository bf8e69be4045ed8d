"""Model-agnostic meta-learning: an initialisation from which a few gradient steps on a task go far.

Finn et al. 2017, "Model-Agnostic Meta-Learning for Fast Adaptation of Deep Networks", Algorithm 1;
with `first_order`, FOMAML (section 5.2); with `multi_step`, the multi-step loss of Antoniou et al.
2019, "How to train your MAML", equation 4.
"""

from __future__ import annotations

import dataclasses
from typing import ClassVar

from tf_transfer.strategies.gradient import GradientStrategy
from tf_transfer.strategies.second_order import ThroughTheModel


@dataclasses.dataclass(frozen=True)
class MAML(ThroughTheModel, GradientStrategy):
    """Learn where to start gradient descent: the outer loop differentiates through the inner
    loop.
    """

    name: ClassVar[str] = "maml"

    def episode_gradient(self, learner, support, query):
        start = learner.weights()
        loss, by_start, _, losses = self.query_gradient(learner, support, query, start)
        return loss, by_start, losses
