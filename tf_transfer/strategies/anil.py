"""MAML whose inner loop changes the heads alone, on features that are computed once.

Raghu et al. 2020, "Rapid Learning or Feature Reuse? Towards Understanding the Effectiveness of MAML"
(almost no inner loop).
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import ClassVar

from tf_transfer.backend import tf
from tf_transfer.episodes.tensors import table_batch
from tf_transfer.functional import fast_weights
from tf_transfer.inner_loop import InnerLoop, meta_gradient
from tf_transfer.labels import encode_labels
from tf_transfer.meta_learner import kept_with
from tf_transfer.strategies.gradient import GradientStrategy


@dataclasses.dataclass(frozen=True)
class ANIL(GradientStrategy):
    """Learn an encoder whose features let a few gradient steps on the heads go far.

    The encoder runs once forward and once back whatever the number of inner steps: the recursion
    through the inner loop gives the exact gradient by the features. On the target the encoder stays as it is.

    Args:
        first_order: leave the second derivatives out.
    """

    name: ClassVar[str] = "anil"
    unread: ClassVar[tuple[str, ...]] = ("inner_freeze", "rows_a_part")
    by_parts: ClassVar[bool] = False
    search_space: ClassVar[Mapping[str, object]] = GradientStrategy.search_space | {"inner_steps": [5, 10, 20]}

    inner_steps: int = 10
    inner_lr: float = 0.01
    first_order: bool = False

    def episode_gradient(self, learner, support, query):
        model, top = learner.model, _head_variables(learner.model)
        heads = set(map(id, top))
        body = [v for v in learner.variables if id(v) not in heads]
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            weights = [tf.convert_to_tensor(v) for v in body]
            tape.watch(weights)
            with fast_weights(model, body, weights):
                features = self._features(model, support, query)
        loop, loss, start = self._problem(learner, support, query, features)
        query_loss, gradient, _, losses = meta_gradient(
            loop, loss, start, self.rates_of(model, start[: len(top)]), first_order=self.first_order, by_rates=False
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
        top = _head_variables(learner.model)

        def loss(weights, batch, place, training=False):
            return _head_loss(learner.model, top, weights, (weights[place], *batch[1:]), training)

        loop = InnerLoop(
            lambda w, _: loss(w, support, -2, self.inner_dropout), self.inner_steps, changed=range(len(top))
        )
        return loop, lambda w, _: loss(w, query, -1), [*map(tf.convert_to_tensor, top), *features]

    def rows_at_once(self, rows):
        return 2 * rows

    def batch_of(self, model, support):
        y, w = encode_labels(model.tasks, support, "the support table")
        if self.inner_dropout:
            vectors = model.encoder(table_batch(model, support)[0], training=True)
        else:
            vectors = model.encode(support, verbose=0)
        return tf.nest.map_structure(tf.convert_to_tensor, (vectors, y, w))

    def _adapter(self, model):
        options = self.adapt_steps or self.inner_steps, self.inner_dropout
        return kept_with(model, ("adapt heads", *options), lambda: HeadAdapter(model, *options))


class HeadAdapter:
    """Gradient descent from the weights of a model's heads on a table's vectors, traced once for all tables.

    Args:
        model: a `TransferModel` with heads; it is not changed.
        steps: of the descent.
        dropout: before the heads.
    """

    def __init__(self, model, steps: int, dropout: bool = False):
        self.model, self.variables = model, _head_variables(model)
        self.changed = range(len(self.variables))
        self._steps, self._dropout, self._traced = steps, dropout, None

    def __call__(self, batch, start: Sequence[tf.Tensor], rates: Sequence[tf.Tensor]):
        """The weights after the loop, (steps,) support losses before each step.

        Args:
            batch: ``(vectors, y, w)``: vectors (rows, width), labels (rows, …) and weights (rows,) by task.
        """
        if self._traced is None:
            rows = tf.nest.map_structure(lambda t: tf.TensorSpec([None, *t.shape[1:]], t.dtype), batch)
            fixed = [[tf.TensorSpec(t.shape, t.dtype) for t in tensors] for tensors in (start, rates)]
            self._traced = tf.function(self._run, input_signature=(rows, *fixed), autograph=False)
        return self._traced(batch, list(start), list(rates))

    def _run(self, batch, start, rates):
        def loss(weights, _):
            return _head_loss(self.model, self.variables, weights, batch, self._dropout)

        descent = InnerLoop(loss, self._steps).descend(start, rates)
        return descent.end, descent.losses


def _head_variables(model) -> list[tf.Variable]:
    heads = {id(v) for head in model.heads.values() for v in head.trainable_variables}
    return [v for v in model.trained_variables if id(v) in heads]


def _head_loss(model, heads, weights, batch, training: bool) -> tf.Tensor:
    """The loss of ``(vectors, y, w)`` at the heads' weights, the first of ``weights``."""
    vectors, y, w = batch
    with fast_weights(model, heads, weights[: len(heads)]):
        return model.compute_losses(y, model.apply_heads(vectors, training=training), w)[0]
