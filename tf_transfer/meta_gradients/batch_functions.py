"""A model's loss and its encoder's vectors on one batch as functions of its weights, whole or part
by part.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from tf_transfer.devices import distribution
from tf_transfer.devices.backend import tf
from tf_transfer.encoders.trunk import with_trunk
from tf_transfer.meta_gradients.functional import fast_weights, summed, value_and_gradient

if TYPE_CHECKING:
    from tf_transfer.model.model import TransferModel


class BatchLoss:
    """A model's training loss on one batch as a function of its weights.

    Args:
        model: a `TransferModel`; it is not changed.
        variables: those that the weights stand for.
        batch: ``(x, y, w)``, of a number of rows that ``parts`` divides.
        parts: computed one after the other, in less memory; see `in_parts`.
        dropout: with the dropout masks of the encoder's present step.
        repeated: it is computed many times, so the encoder's frozen blocks are run once for all;
            see `trunk`.
    """

    def __init__(
        self,
        model: TransferModel,
        variables,
        batch,
        parts: int = 1,
        dropout: bool = False,
        repeated: bool = False,
    ):
        if repeated:
            batch = with_trunk(model.encoder, batch[0]), *batch[1:]
        self.model, self.variables, self.batch, self.parts, self.dropout = (
            model,
            variables,
            batch,
            parts,
            dropout,
        )
        weighted = [tf.cast(batch[2][t.name] > 0, tf.float32) for t in model.tasks if t.loss_weight]
        self._count = tf.add_n([tf.reduce_sum(w) for w in weighted])

    def __call__(self, weights: Sequence[tf.Tensor], part=0) -> tf.Tensor:
        """The share of ``part`` in the loss at ``weights``; the shares add up to the loss."""
        x, y, w = self.batch
        if self.parts > 1:
            x, y, w = distribution.part_of(self.batch, part, self.parts)
        with (
            fast_weights(self.model, self.variables, weights),
            distribution.rows_of_part(part, self.parts),
        ):
            outputs = self.model(x, training=self.dropout)
            loss, _, count = self.model.compute_losses(y, outputs, w)
        return loss * tf.math.divide_no_nan(count, tf.cast(self._count, count.dtype))


class BatchVectors:
    """What a model's heads compute from, of one batch, as a function of the model's weights: see
    `Network.features`.

    Args:
        model: a `TransferModel` with heads; it is not changed.
        variables: those that the weights stand for.
        x: ids (rows, length) int32 by field, of a number of rows that ``parts`` divides.
        parts: computed one after the other, in less memory; see `in_parts`.
        dropout: with the dropout masks of the encoder's present step.
    """

    def __init__(self, model: TransferModel, variables, x, parts: int = 1, dropout: bool = False):
        self.model, self.variables, self.x, self.parts, self.dropout = (
            model,
            variables,
            x,
            parts,
            dropout,
        )
        self._dtype = next(iter(model.heads.values())).dtype

    def __call__(self, weights: Sequence[tf.Tensor], part=0) -> tf.Tensor:
        """(rows / parts, …, width) of ``part``, as precise as the heads."""
        x = distribution.part_of(self.x, part, self.parts) if self.parts > 1 else self.x
        with (
            fast_weights(self.model, self.variables, weights),
            distribution.rows_of_part(part, self.parts),
        ):
            return tf.cast(self.model.features(x, training=self.dropout), self._dtype)

    def whole(self, weights: Sequence[tf.Tensor]) -> tf.Tensor:
        """(rows, …, width) of all parts; one traced body, whatever their number."""
        if self.parts == 1:
            return self(weights)
        by_part = tf.map_fn(
            lambda part: self(weights, part),
            tf.range(self.parts),
            fn_output_signature=tf.as_dtype(self._dtype),
            parallel_iterations=1,
        )
        width = self.model.encoder.width
        of_tokens = [-1, tf.shape(by_part)[2], width]
        return tf.reshape(by_part, of_tokens if self.model.token_tasks else [-1, width])

    def pull_back(self, weights: Sequence[tf.Tensor], upstream: tf.Tensor) -> list[tf.Tensor]:
        """The gradient by ``weights`` of a loss whose gradient by the vectors (rows, …, width) is
        ``upstream``.

        The vectors are computed anew, and the intermediate values of one part alone are held.
        """

        def share(part):
            by_part = distribution.part_of(upstream, part, self.parts)
            return value_and_gradient(lambda w: tf.reduce_sum(self(w, part) * by_part), weights)[1]

        return summed(share, self.parts)


def in_parts(batch, rows: int):
    """The batch, filled up with rows of weight 0 to equal parts of at most ``rows``; the number of
    parts.
    """
    total = row_count(batch)
    parts = -(-total // rows)
    if parts == 1:
        return batch, 1
    spare = -total % parts
    x, y, w = tf.nest.map_structure(
        lambda t: tf.concat([t, tf.repeat(t[-1:], spare, axis=0)], 0), batch
    )
    w = {name: tf.concat([v[:total], tf.zeros((spare,), v.dtype)], 0) for name, v in w.items()}
    return (x, y, w), parts


def row_count(batch) -> int:
    """The rows of a batch ``(x, y, w)``."""
    return next(iter(batch[2].values())).shape[0]
