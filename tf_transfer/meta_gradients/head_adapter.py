"""Gradient descent on a model's heads alone, on features that are computed once."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import pandas as pd

from tf_transfer.devices.backend import tf
from tf_transfer.episodes.tensors import table_batch
from tf_transfer.kinds.labels import encode_labels
from tf_transfer.meta_gradients.batch_functions import BatchVectors, in_parts
from tf_transfer.meta_gradients.functional import fast_weights
from tf_transfer.meta_gradients.inner_loop import InnerLoop

if TYPE_CHECKING:
    from tf_transfer.model.model import TransferModel


class HeadAdapter:
    """Gradient descent from the weights of a model's heads on a table's vectors, traced once for
    all tables.

    Args:
        model: a `TransferModel` with heads; it is not changed.
        steps: of the descent.
        rows_a_part: the most rows whose vectors are computed at once under dropout.
        dropout: in the encoder and before the heads.
    """

    def __init__(
        self, model: TransferModel, steps: int, rows_a_part: int = 64, dropout: bool = False
    ):
        self.model, self.variables = model, head_variables(model)
        self.changed = range(len(self.variables))
        self._steps, self._rows, self._dropout, self._traced = steps, rows_a_part, dropout, None

    def batch(self, support: pd.DataFrame):
        """``(features, y, w)`` of a table, as `head_loss` takes them."""
        if self._dropout or self.model.token_tasks:
            (x, y, w), parts = in_parts(table_batch(self.model, support), self._rows)
            vectors = BatchVectors(self.model, [], x, parts, self._dropout).whole([])
            return features_of(self.model, vectors, x), y, w
        y, w = encode_labels(self.model.tasks, support, "the support table")
        vectors = {VECTORS: self.model.encode(support, verbose=0)}
        return tf.nest.map_structure(tf.convert_to_tensor, (vectors, y, w))

    def __call__(self, batch, start: Sequence[tf.Tensor], rates: Sequence[tf.Tensor]):
        """The weights after the loop, (steps,) support losses before each step."""
        if self._traced is None:
            rows = self._signature(*batch)
            fixed = [
                [tf.TensorSpec(t.shape, t.dtype) for t in tensors] for tensors in (start, rates)
            ]
            self._traced = tf.function(self._run, input_signature=(rows, *fixed), autograph=False)
        return self._traced(batch, list(start), list(rates))

    def _signature(self, x, y, w) -> tuple:
        """The specification of batches of any number of rows, and of tokens where heads read
        those.
        """
        names, tokens = self.model.token_tasks, len(x) > 1

        def free(t: tf.Tensor, by_token: bool) -> tf.TensorSpec:
            length = [None] if by_token else []
            return tf.TensorSpec([None, *length, *t.shape[1 + len(length) :]], t.dtype)

        labels = {name: free(t, name in names) for name, t in y.items()}
        weights = {name: free(t, False) for name, t in w.items()}
        return {name: free(t, tokens) for name, t in x.items()}, labels, weights

    def _run(self, batch, start, rates):
        def loss(weights, _):
            return head_loss(self.model, self.variables, weights, batch, self._dropout)

        descent = InnerLoop(loss, self._steps).descend(start, rates)
        return descent.end, descent.losses


def head_variables(model: TransferModel) -> list[tf.Variable]:
    """The weights of a model's heads, in the order of its trained variables."""
    model.require_free_heads()
    heads = {id(v) for head in model.heads.values() for v in head.trainable_variables}
    return [v for v in model.trained_variables if id(v) in heads]


VECTORS, MASK = "vectors", "attention_mask"
"""The names of what heads compute from."""


def features_of(model: TransferModel, vectors: tf.Tensor, x: dict) -> dict[str, tf.Tensor]:
    """What heads compute from: the vectors of `Network.features`, and where they are those of
    tokens which of them are there.
    """
    return {VECTORS: vectors} | ({MASK: x[MASK]} if model.token_tasks else {})


def head_loss(model: TransferModel, heads, weights, batch, training: bool) -> tf.Tensor:
    """The loss of ``(features, y, w)`` at the heads' weights, the first of ``weights``.

    Args:
        batch: features of `features_of`, labels and weights by task.
    """
    features, y, w = batch
    with fast_weights(model, heads, weights[: len(heads)]):
        outputs = model.outputs_from(features[VECTORS], features.get(MASK), training=training)
        return model.compute_losses(y, outputs, w)[0]
