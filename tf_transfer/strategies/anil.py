"""MAML whose inner loop changes the heads alone, on features that are computed once.

Raghu et al. 2020, "Rapid Learning or Feature Reuse? Towards Understanding the Effectiveness of
MAML" (almost no inner loop).
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import TYPE_CHECKING, ClassVar

from tf_transfer.devices.backend import tf
from tf_transfer.meta_gradients.head_adapter import (
    HeadAdapter,
    features_of,
    head_loss,
    head_variables,
)
from tf_transfer.meta_gradients.inner_loop import InnerLoop
from tf_transfer.strategies.gradient import GradientStrategy
from tf_transfer.strategies.second_order import SecondOrder

if TYPE_CHECKING:
    from tf_transfer.model.model import TransferModel


@dataclasses.dataclass(frozen=True)
class ANIL(SecondOrder, GradientStrategy):
    """Learn an encoder whose features let a few gradient steps on the heads go far.

    The encoder runs once forward and once back whatever the number of inner steps: the recursion
    through the inner loop gives the exact gradient by the features. Of an episode in parts it runs
    forward once more. In the inner loop on a target the encoder stays as it is.
    """

    name: ClassVar[str] = "anil"
    unread: ClassVar[tuple[str, ...]] = ("inner_freeze",)
    search_space: ClassVar[Mapping[str, object]] = GradientStrategy.search_space | {
        "inner_steps": [5, 10, 20]
    }

    inner_steps: int = 10
    inner_lr: float = 0.01

    def episode_gradient(self, learner, support, query):
        heads = head_variables(learner.model)
        loop, loss, start, pull_back = self._problem(learner, support, query)
        rates = self.inner_rates().in_episode(learner, heads)
        query_loss, gradient, _, losses = self.meta_gradient(
            loop, loss, start, rates, by_rates=False
        )
        by_heads = dict(zip(map(id, heads), gradient))
        by_features = pull_back(gradient[-2:])
        total = [by_heads.get(id(v), g) for v, g in zip(learner.variables, by_features)]
        return query_loss, total, losses

    def episode_loss(self, learner, support, query):
        loop, loss, start, _ = self._problem(learner, support, query)
        rates = self.inner_rates().in_episode(learner, [start[i] for i in loop.changed])
        return loss(loop.descend(start, rates).end, 0)

    def _problem(self, learner, support, query):
        """The inner loop on the heads, the query loss, and where the loop starts: the heads'
        weights, the features.

        Last, what takes a gradient by the two features to one by the learner's variables.
        """
        (support, query), features, pull_back = learner.vectors(
            support, query, rows=self.rows_a_part, dropout=[self.inner_dropout, False]
        )
        heads = head_variables(learner.model)

        def loss(weights, batch, place, training=False):
            x, y, w = batch
            features = features_of(learner.model, weights[place], x)
            return head_loss(learner.model, heads, weights, (features, y, w), training)

        loop = InnerLoop(
            lambda w, _: loss(w, support, -2, self.inner_dropout),
            self.inner_steps,
            changed=range(len(heads)),
            compiled=self.jit_compile,
        )
        start = [*map(tf.convert_to_tensor, heads), *features]
        return loop, lambda w, _: loss(w, query, -1), start, pull_back

    def rows_at_once(self, rows):
        return min(2 * rows, self.rows_a_part)

    def _adapter(self, model: TransferModel):
        options = self.adapt_steps or self.inner_steps, self.rows_a_part, self.inner_dropout
        return model.traced.get(("adapt heads", *options), lambda: HeadAdapter(model, *options))
