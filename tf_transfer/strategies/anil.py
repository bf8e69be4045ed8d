"""MAML whose inner loop changes the heads alone, on features that are computed once.

Raghu et al. 2020, "Rapid Learning or Feature Reuse? Towards Understanding the Effectiveness of
MAML" (almost no inner loop).
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import ClassVar

from tf_transfer.devices.backend import tf
from tf_transfer.episodes.tensors import table_batch
from tf_transfer.kinds.labels import encode_labels
from tf_transfer.meta_gradients.batch_functions import BatchVectors, in_parts
from tf_transfer.meta_gradients.functional import fast_weights
from tf_transfer.meta_gradients.inner_loop import InnerLoop
from tf_transfer.strategies.gradient import MetaGradientStrategy


@dataclasses.dataclass(frozen=True)
class ANIL(MetaGradientStrategy):
    """Learn an encoder whose features let a few gradient steps on the heads go far.

    The encoder runs once forward and once back whatever the number of inner steps: the recursion
    through the inner loop gives the exact gradient by the features. Of an episode in parts it runs
    forward once more. In the inner loop on a target the encoder stays as it is.
    """

    name: ClassVar[str] = "anil"
    unread: ClassVar[tuple[str, ...]] = ("inner_freeze",)
    search_space: ClassVar[Mapping[str, object]] = MetaGradientStrategy.search_space | {
        "inner_steps": [5, 10, 20]
    }

    inner_steps: int = 10
    inner_lr: float = 0.01

    def episode_gradient(self, learner, support, query):
        model, top = learner.model, _head_variables(learner.model)
        loop, loss, start, pull_back = self._problem(learner, support, query)
        query_loss, gradient, _, losses = self.meta_gradient(
            loop, loss, start, self.rates_of(model, start[: len(top)]), by_rates=False
        )
        by_heads = dict(zip(map(id, top), gradient))
        total = [
            by_heads.get(id(v), g) for v, g in zip(learner.variables, pull_back(gradient[-2:]))
        ]
        return query_loss, total, losses

    def episode_loss(self, learner, support, query):
        loop, loss, start, _ = self._problem(learner, support, query)
        return loss(
            loop.descend(start, self.rates_of(learner.model, [start[i] for i in loop.changed])).end,
            0,
        )

    def _problem(self, learner, support, query):
        """The inner loop on the heads, the query loss, and where the loop starts: the heads'
        weights, the features.

        Last, what takes a gradient by the two features to one by the learner's variables.
        """
        (support, query), features, pull_back = learner.vectors(
            support, query, rows=self.rows_a_part, dropout=[self.inner_dropout, False]
        )
        top = _head_variables(learner.model)

        def loss(weights, batch, place, training=False):
            return _head_loss(learner.model, top, weights, (weights[place], *batch[1:]), training)

        loop = InnerLoop(
            lambda w, _: loss(w, support, -2, self.inner_dropout),
            self.inner_steps,
            changed=range(len(top)),
            compiled=self.jit_compile,
        )
        return (
            loop,
            lambda w, _: loss(w, query, -1),
            [*map(tf.convert_to_tensor, top), *features],
            pull_back,
        )

    def rows_at_once(self, rows):
        return min(2 * rows, self.rows_a_part)

    def batch_of(self, model, support):
        if self.inner_dropout:
            (x, y, w), parts = in_parts(table_batch(model, support), self.rows_a_part)
            return BatchVectors(model, [], x, parts, dropout=True).whole([]), y, w
        y, w = encode_labels(model.tasks, support, "the support table")
        return tf.nest.map_structure(tf.convert_to_tensor, (model.encode(support, verbose=0), y, w))

    def _adapter(self, model):
        options = self.adapt_steps or self.inner_steps, self.inner_dropout
        return model.traced.get(("adapt heads", *options), lambda: HeadAdapter(model, *options))


class HeadAdapter:
    """Gradient descent from the weights of a model's heads on a table's vectors, traced once for
    all tables.

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
            batch: ``(vectors, y, w)``: vectors (rows, width), labels (rows, …) and weights (rows,)
                by task.
        """
        if self._traced is None:
            rows = tf.nest.map_structure(
                lambda t: tf.TensorSpec([None, *t.shape[1:]], t.dtype), batch
            )
            fixed = [
                [tf.TensorSpec(t.shape, t.dtype) for t in tensors] for tensors in (start, rates)
            ]
            self._traced = tf.function(self._run, input_signature=(rows, *fixed), autograph=False)
        return self._traced(batch, list(start), list(rates))

    def _run(self, batch, start, rates):
        def loss(weights, _):
            return _head_loss(self.model, self.variables, weights, batch, self._dropout)

        descent = InnerLoop(loss, self._steps).descend(start, rates)
        return descent.end, descent.losses


def _head_variables(model) -> list[tf.Variable]:
    model.require_free_heads()
    heads = {id(v) for head in model.heads.values() for v in head.trainable_variables}
    return [v for v in model.trained_variables if id(v) in heads]


def _head_loss(model, heads, weights, batch, training: bool) -> tf.Tensor:
    """The loss of ``(vectors, y, w)`` at the heads' weights, the first of ``weights``."""
    vectors, y, w = batch
    with fast_weights(model, heads, weights[: len(heads)]):
        return model.compute_losses(y, model.apply_heads(vectors, training=training), w)[0]
