"""MAML whose inner loop changes the heads alone, on features that are computed once.

Raghu et al. 2020, "Rapid Learning or Feature Reuse? Towards Understanding the Effectiveness of MAML"
(almost no inner loop).
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import ClassVar

from tf_transfer.backend import tf
from tf_transfer.functional import fast_weights
from tf_transfer.inner_loop import InnerLoop, meta_gradient
from tf_transfer.strategies.gradient import GradientStrategy


@dataclasses.dataclass(frozen=True)
class ANIL(GradientStrategy):
    """Learn an encoder whose features let a few gradient steps on the heads go far.

    The encoder runs once forward and once back whatever the number of inner steps: the recursion
    through the inner loop gives the exact gradient by the features.

    Args:
        first_order: leave the second derivatives out.
        rows_a_part: on the target alone; in meta-training the encoder takes a whole episode at once.
    """

    name: ClassVar[str] = "anil"
    search_space: ClassVar[Mapping[str, object]] = GradientStrategy.search_space | {"inner_steps": [5, 10, 20]}

    inner_steps: int = 10
    inner_lr: float = 0.01
    inner_freeze: str | int = "all"
    first_order: bool = False

    def episode_gradient(self, learner, support, query):
        model, top = learner.model, _head_variables(learner)
        heads = set(map(id, top))
        body = [v for v in learner.variables if id(v) not in heads]
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            weights = [tf.convert_to_tensor(v) for v in body]
            tape.watch(weights)
            with fast_weights(model, body, weights):
                features = self._features(model, support, query)
        loop, loss, start = self._problem(learner, support, query, features)
        query_loss, gradient, _, losses = meta_gradient(
            loop, loss, start, self.rates_of(model, start[: len(top)]), first_order=self.first_order
        )
        by_body = tape.gradient(
            features, weights, output_gradients=gradient[-2:], unconnected_gradients=tf.UnconnectedGradients.ZERO
        )
        found = dict(zip(map(id, body), map(tf.convert_to_tensor, by_body)))
        found |= dict(zip(map(id, top), gradient))
        return query_loss, [found[id(v)] for v in learner.variables], losses

    def episode_loss(self, learner, support, query):
        features = self._features(learner.model, support, query)
        loop, loss, start = self._problem(learner, support, query, features)
        return loss(loop.descend(start, self.rates_of(learner.model, [start[i] for i in loop.changed])).end, 0)

    def _features(self, model, support, query) -> list[tf.Tensor]:
        return [model.encoder(support[0], training=self.inner_dropout), model.encoder(query[0], training=False)]

    def _problem(self, learner, support, query, features):
        """The inner loop on the heads, the query loss, and where the loop starts: the heads' weights, the features."""
        model, top = learner.model, _head_variables(learner)

        def loss(weights, batch, place, training=False):
            with fast_weights(model, top, weights[: len(top)]):
                outputs = model.apply_heads(weights[place], training=training)
                return model.compute_losses(batch[1], outputs, batch[2])[0]

        loop = InnerLoop(
            lambda w, _: loss(w, support, -2, self.inner_dropout), self.inner_steps, changed=range(len(top))
        )
        return loop, lambda w, _: loss(w, query, -1), [*map(tf.convert_to_tensor, top), *features]

    def rows_at_once(self, rows):
        return 2 * rows


def _head_variables(learner) -> list[tf.Variable]:
    heads = {id(v) for head in learner.model.heads.values() for v in head.trainable_variables}
    return [v for v in learner.variables if id(v) in heads]
