"""The traced functions of meta-learning on one model: losses on tensors, meta-gradients,
adaptation.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from tf_transfer.devices import distribution
from tf_transfer.devices.backend import tf
from tf_transfer.encoders import freezing
from tf_transfer.episodes.tensors import table_batch
from tf_transfer.meta_gradients.batch_functions import BatchLoss, BatchVectors, in_parts, row_count
from tf_transfer.meta_gradients.functional import assignments_refused, with_pull_back
from tf_transfer.meta_gradients.inner_loop import InnerLoop

if TYPE_CHECKING:
    from tf_transfer.model.model import TransferModel


def inner_variables(
    model: TransferModel, variables: Sequence[tf.Variable], inner_freeze: str | int
) -> list[int]:
    """The places of the variables that an inner loop changes, with the encoder frozen to a depth
    meanwhile.
    """
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
        episode_loss: ``(learner, support, query) -> query loss`` of one episode, for
            `query_losses`.
    """

    def __init__(
        self,
        model: TransferModel,
        episode_gradient: Callable,
        extra: Sequence[tf.Variable] = (),
        episode_loss: Callable | None = None,
    ):
        model.require_trained()
        self.model, self.extra = model, list(extra)
        self._first = [variable.numpy() for variable in self.extra]
        self.variables = model.trained_variables
        self._episode_gradient, self._episode_loss = episode_gradient, episode_loss
        self._traced, self._traced_losses = {}, {}

    @property
    def parameters(self) -> list[tf.Variable]:
        """What the outer loop trains."""
        return [*self.variables, *self.extra]

    def restart(self) -> None:
        """Sets what is learned beside the model's weights to where it starts."""
        for variable, value in zip(self.extra, self._first):
            variable.assign(value)

    def weights(self) -> list[tf.Tensor]:
        """The model's present weights as tensors."""
        return [tf.convert_to_tensor(v) for v in self.variables]

    def vectors(self, *batches, rows: int, dropout: Sequence[bool] | None = None):
        """The encoder's vectors of batches, and what takes a gradient by them to one by
        `variables`.

        Of batches that have at most ``rows`` rows together, the tape holds the intermediate values.
        Others are computed part by part, and once more on the way back: gradient caching, Gao et
        al. 2021, "Scaling Deep Contrastive Learning Batch Size under Memory Limited Setup".

        Args:
            batches: ``(x, y, w)`` each.
            rows: the most rows whose intermediate values are held together.
            dropout: of each batch, as in `BatchVectors`; None for none.

        Returns:
            batches: filled up as by `in_parts`.
            vectors: list of (rows, width).
            pull_back: ``(list of (rows, width)) -> gradients``, shaped as `variables`.
        """
        filled, weights = [in_parts(batch, rows) for batch in batches], self.weights()
        functions = [
            BatchVectors(self.model, self.variables, x, parts, d)
            for ((x, _, _), parts), d in zip(filled, dropout or [False] * len(batches), strict=True)
        ]

        def vectors(weights):
            return [function.whole(weights) for function in functions]

        def pull_back(upstream):
            total = [tf.zeros_like(w) for w in weights]
            for function, by_vectors in zip(functions, upstream, strict=True):
                with tf.control_dependencies(total):  # one batch after the other
                    total = [t + g for t, g in zip(total, function.pull_back(weights, by_vectors))]
            return total

        if sum(map(row_count, batches)) <= rows:
            return list(batches), *with_pull_back(vectors, weights)
        return [batch for batch, _ in filled], vectors(weights), pull_back

    def episode_gradient(self, support, query):
        """What the strategy gives for one episode; it must not assign to what the outer loop
        trains.
        """
        with assignments_refused(self.parameters):
            return self._episode_gradient(self, support, query)

    def meta_gradients(self, support, query):
        """Mean over the episodes of a meta-batch, one after the other through one traced body.

        Args:
            support, query: of `EpisodeTensors`.

        Returns:
            losses (episodes,), gradients shaped as ``parameters``, support losses (episodes,
            steps).
        """
        spec = self._signatures(support, query)
        shared = distribution.shared_out(self.model.distribute_strategy)
        function = self._shared_meta_gradients if shared else self._meta_gradients
        return _traced(self._traced, function, spec)(support, query)

    def query_losses(self, support, query) -> tf.Tensor:
        """(episodes,) query losses after the inner loop; no gradient of the outer loop is computed.

        Args:
            support, query: of `EpisodeTensors`.
        """
        spec = self._signatures(support, query)
        shared = distribution.shared_out(self.model.distribute_strategy)
        function = self._shared_query_losses if shared else self._query_losses
        return _traced(self._traced_losses, function, spec)(support, query)

    def _signatures(self, *batches) -> tuple:
        return tuple(_signature(batch, 1, self.model.token_tasks) for batch in batches)

    @property
    def replicas(self) -> int:
        """Devices that share the episodes of a meta-batch, under the `tf.distribute` strategy of
        the model.
        """
        return self.model.distribute_strategy.num_replicas_in_sync

    def _shared_meta_gradients(self, support, query):
        strategy = self.model.distribute_strategy
        shares = distribution.run_shares(
            strategy, lambda batch: self._meta_gradients(*batch), (support, query)
        )
        losses, inner = (distribution.in_order(strategy, shares[i]) for i in (0, 2))
        gradients = shares[1]
        return losses, [strategy.reduce("MEAN", g, axis=None) for g in gradients], inner

    def _shared_query_losses(self, support, query):
        strategy = self.model.distribute_strategy
        shares = distribution.run_shares(
            strategy, lambda batch: self._query_losses(*batch), (support, query)
        )
        return distribution.in_order(strategy, shares)

    def _query_losses(self, support, query):
        def loss(episode):
            return tf.cast(self._episode_loss(self, *episode), tf.float32)

        return tf.map_fn(
            loss, (support, query), fn_output_signature=tf.float32, parallel_iterations=1
        )

    def updater(self, optimizer) -> Callable:
        """``update(*gradients)``: one step of ``optimizer`` in a traced function, the same on every
        replica.
        """
        strategy = self.model.distribute_strategy
        shared = distribution.shared_out(strategy)

        def step(*gradients):
            optimizer.apply_gradients(
                zip(gradients, self.parameters), skip_gradients_aggregation=shared
            )

        return tf.function(
            lambda *g: strategy.run(step, args=g) if shared else step(*g), autograph=False
        )

    def _meta_gradients(self, support, query):
        episodes = tf.shape(next(iter(support[0].values())))[0]
        totals = [tf.zeros(v.shape, v.dtype) for v in self.parameters]
        queries = tf.TensorArray(tf.float32, size=episodes)
        supports = tf.TensorArray(tf.float32, size=episodes, infer_shape=False)

        def body(number, totals, queries, supports):
            one, other = (
                tf.nest.map_structure(lambda t: t[number], part) for part in (support, query)
            )
            loss, gradients, losses = self.episode_gradient(one, other)
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

    def __init__(
        self,
        model: TransferModel,
        steps: int,
        inner_freeze="none",
        rows_a_part: int = 64,
        dropout: bool = False,
    ):
        model.require_trained()
        self.model, self.variables = model, model.trained_variables
        self.changed = inner_variables(model, self.variables, inner_freeze)
        self._steps, self._rows, self._dropout = steps, rows_a_part, dropout
        self._traced = {}

    def batch(self, support: pd.DataFrame):
        """The rows of a table as the loop takes them."""
        return table_batch(self.model, support)

    def __call__(self, batch, start: Sequence[tf.Tensor], rates: Sequence[tf.Tensor]):
        """The weights after the loop, (steps,) support losses before each step."""
        batch, parts = in_parts(batch, self._rows)
        fixed = [[tf.TensorSpec(t.shape, t.dtype) for t in tensors] for tensors in (start, rates)]
        signature = _signature(batch, 1, self.model.token_tasks)
        run = _traced(self._traced, self._run, (signature, *fixed), parts)
        return run(batch, list(start), list(rates))

    def _run(self, batch, start, rates, parts: int):
        loss = BatchLoss(self.model, self.variables, batch, parts, self._dropout, repeated=True)
        descent = InnerLoop(loss, self._steps, parts=parts, changed=self.changed).descend(
            start, rates
        )
        return descent.end, descent.losses


def _traced(kept: dict, function: Callable, signature: tuple, *options):
    """``function`` traced for a signature, once; ``options`` are Python arguments behind the
    tensors.
    """
    key = (*map(repr, tf.nest.flatten(signature)), *options)
    if key not in kept:
        kept[key] = tf.function(
            lambda *a: function(*a, *options), input_signature=signature, autograph=False
        )
    return kept[key]


def _signature(batch, leading: int, token_tasks: Sequence[str]):
    """The specification of batches ``(x, y, w)`` of any size in the first ``leading`` axes and any
    length of text.

    One graph serves them all: a graph of another static shape would round otherwise.
    """
    x, y, w = batch
    labels = {
        name: _any_length(t, leading)
        if name in token_tasks
        else tf.TensorSpec(_free(t, leading), t.dtype)
        for name, t in y.items()
    }
    weights = {name: tf.TensorSpec(_free(t, leading), t.dtype) for name, t in w.items()}
    return {field: _any_length(t, leading) for field, t in x.items()}, labels, weights


def _any_length(t: tf.Tensor, leading: int) -> tf.TensorSpec:
    return tf.TensorSpec([*_free(t, leading)[:-1], None], t.dtype)


def _free(t: tf.Tensor, leading: int) -> list:
    return [None] * leading + list(t.shape[leading:])


def first_not_finite(losses: np.ndarray) -> int | None:
    """The place of the first entry that is NaN or infinite."""
    bad = np.flatnonzero(~np.isfinite(losses))
    return int(bad[0]) if len(bad) else None
