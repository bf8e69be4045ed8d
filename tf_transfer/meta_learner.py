"""The traced functions of meta-learning on one model: losses on tensors, meta-gradients, adaptation."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from tf_transfer import freezing
from tf_transfer.backend import tf
from tf_transfer.functional import fast_weights
from tf_transfer.inner_loop import InnerLoop


class BatchLoss:
    """A model's training loss on one batch as a function of its weights.

    Args:
        model: a `TransferModel`; it is not changed.
        variables: those that the weights stand for.
        batch: ``(x, y, w)``.
        rows_a_part: the most rows computed at once; None for all.
        dropout: with the dropout masks of the encoder's present step.
    """

    def __init__(self, model, variables, batch, rows_a_part: int | None = None, dropout: bool = False):
        self.model, self.variables, self.dropout = model, variables, dropout
        self.rows = rows_a_part
        self.batch, self.parts = (batch, 1) if rows_a_part is None else _filled(batch, rows_a_part)
        _, _, w = batch
        weighted = [t for t in model.tasks if t.loss_weight]
        self._count = sum(tf.reduce_sum(tf.cast(w[t.name] > 0, tf.float32)) for t in weighted)

    def __call__(self, weights: Sequence[tf.Tensor], part=0) -> tf.Tensor:
        """The share of ``part`` in the loss at ``weights``; the shares add up to the loss."""
        x, y, w = self.batch
        if self.parts > 1:
            x, y, w = tf.nest.map_structure(lambda t: t[part * self.rows : (part + 1) * self.rows], (x, y, w))
        with fast_weights(self.model, self.variables, weights):
            outputs = self.model(x, training=self.dropout)
            loss, _, count = self.model.compute_losses(y, outputs, w)
        return loss * tf.math.divide_no_nan(count, tf.cast(self._count, count.dtype))


def _filled(batch, rows: int):
    """The batch with rows of weight 0 up to a multiple of ``rows``, and the number of parts."""
    total = next(iter(batch[2].values())).shape[0]
    parts = -(-total // rows)
    spare = parts * rows - total
    x, y, w = tf.nest.map_structure(lambda t: tf.concat([t, tf.repeat(t[-1:], spare, axis=0)], 0), batch)
    w = {name: tf.concat([v[:total], tf.zeros((spare,), v.dtype)], 0) for name, v in w.items()}
    return (x, y, w), parts


def inner_variables(model, variables: Sequence[tf.Variable], inner_freeze: str | int) -> list[int]:
    """The places of the variables that an inner loop changes, with the encoder frozen to a depth meanwhile."""
    if inner_freeze == "none":
        return list(range(len(variables)))
    frozen = model.encoder.frozen
    try:
        freezing.freeze(model.encoder, inner_freeze)
        free = {id(v) for v in model.trained_variables}
    finally:
        freezing.freeze(model.encoder, frozen)
    return [i for i, v in enumerate(variables) if id(v) in free]


class MetaLearner:
    """One strategy's traced functions on one model; see the strategies for the arguments.

    Args:
        model: a `TransferModel` with heads.
        episode_gradient: ``(learner, support, query) -> (loss, gradients, support losses)`` of one
            episode, with gradients shaped as ``parameters``.
        extra: variables that are learned beside the model's.
    """

    def __init__(self, model, episode_gradient: Callable, extra: Sequence[tf.Variable] = ()):
        self.model, self.extra = model, list(extra)
        self.variables = model.trained_variables
        self._episode_gradient = episode_gradient
        self.meta_gradients = tf.function(self._meta_gradients, reduce_retracing=True, autograph=False)

    @property
    def parameters(self) -> list[tf.Variable]:
        """What the outer loop trains."""
        return [*self.variables, *self.extra]

    def weights(self) -> list[tf.Tensor]:
        """The model's present weights as tensors."""
        return [tf.convert_to_tensor(v) for v in self.variables]

    def _meta_gradients(self, support, query):
        """Mean over the episodes of a meta-batch, one after the other through one traced body.

        Args:
            support, query: of `EpisodeTensors`.

        Returns:
            losses (episodes,), gradients shaped as ``parameters``, support losses (episodes, steps).
        """
        episodes = tf.shape(next(iter(support[0].values())))[0]
        totals = [tf.zeros(v.shape, v.dtype) for v in self.parameters]
        queries = tf.TensorArray(tf.float32, size=episodes)
        supports = tf.TensorArray(tf.float32, size=episodes, infer_shape=False)

        def body(number, totals, queries, supports):
            one, other = (tf.nest.map_structure(lambda t: t[number], part) for part in (support, query))
            loss, gradients, losses = self._episode_gradient(self, one, other)
            totals = [t + g for t, g in zip(totals, gradients, strict=True)]
            return (
                number + 1,
                totals,
                queries.write(number, tf.cast(loss, tf.float32)),
                supports.write(number, tf.cast(losses, tf.float32)),
            )

        _, totals, queries, supports = tf.while_loop(
            lambda number, *_: number < episodes,
            body,
            (tf.constant(0), totals, queries, supports),
            parallel_iterations=1,
        )
        count = tf.cast(episodes, tf.float32)
        return queries.stack(), [t / tf.cast(count, t.dtype) for t in totals], supports.stack()


class Adapter:
    """Gradient descent from a model's weights on a table's rows, traced once for all tables.

    Args:
        model: a `TransferModel` with heads; it is not changed.
        options: of `InnerLoop` and `BatchLoss`.
    """

    def __init__(self, model, steps: int, inner_freeze="none", rows_a_part: int = 64, dropout: bool = False):
        self.model, self.variables = model, model.trained_variables
        self.changed = inner_variables(model, self.variables, inner_freeze)
        self._steps, self._rows, self._dropout = steps, rows_a_part, dropout
        self._descend = tf.function(self._run, reduce_retracing=True, autograph=False)

    def __call__(self, batch, start: Sequence[tf.Tensor], rates: Sequence[tf.Tensor]):
        """The weights after the loop, (steps,) support losses before each step."""
        return self._descend(batch, list(start), list(rates))

    def _run(self, batch, start, rates):
        rows = next(iter(batch[2].values())).shape[0]
        split = None if rows is not None and rows <= self._rows else self._rows
        loss = BatchLoss(self.model, self.variables, batch, split, self._dropout)
        loop = InnerLoop(loss, self._steps, parts=loss.parts, changed=self.changed)
        descent = loop.descend(start, rates)
        return descent.end, descent.losses


def first_not_finite(losses: np.ndarray) -> int | None:
    """The place of the first entry that is NaN or infinite."""
    bad = np.flatnonzero(~np.isfinite(losses))
    return int(bad[0]) if len(bad) else None
