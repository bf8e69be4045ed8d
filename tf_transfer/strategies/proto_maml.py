"""MAML whose head starts from the class means, so that any number of classes will do.

Triantafillou et al. 2020, "Meta-Dataset: A Dataset of Datasets for Learning to Learn from Few
Examples", section 3 (Proto-MAML).
"""

from __future__ import annotations

import dataclasses
from typing import ClassVar

from tf_transfer.backend import tf
from tf_transfer.episodes.tensors import only_classification
from tf_transfer.functional import fast_weights
from tf_transfer.inner_loop import InnerLoop, meta_gradient
from tf_transfer.meta_learner import BatchLoss, in_parts, inner_variables
from tf_transfer.strategies.maml import MAML
from tf_transfer.strategies.proto_net import prototype_head, set_prototypes


@dataclasses.dataclass(frozen=True)
class ProtoMAML(MAML):
    """The head of each episode starts as the nearest-class-mean classifier; then MAML's inner loop.

    The meta-gradient flows through the class means too. For the arguments see `MAML`.
    """

    name: ClassVar[str] = "proto_maml"
    needs_classes: ClassVar[bool] = True
    any_way: ClassVar[bool] = True

    def episode_gradient(self, learner, support, query):
        model, variables = learner.model, learner.variables
        (name, head), (x, y, w) = next(iter(model.heads.items())), support
        places = [next(i for i, v in enumerate(variables) if v is part) for part in (head.kernel, head.bias)]
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            weights = learner.weights()
            tape.watch(weights)
            with fast_weights(model, variables, weights):
                vectors = tf.cast(model.encoder(x, training=False), head.dtype)
            made = prototype_head(vectors, y[name], w[name], head.task.outputs)
        start = list(weights)
        for place, part in zip(places, made):
            start[place] = part
        loss = BatchLoss(model, variables, *in_parts(support, self.rows_a_part), self.inner_dropout)
        loop = InnerLoop(
            loss, self.inner_steps, parts=loss.parts, changed=inner_variables(model, variables, self.inner_freeze),
            compiled=self.jit_compile, keep=self.keeps(model, support),
        )  # fmt: skip
        outer = BatchLoss(model, variables, *in_parts(query, self.rows_a_part))
        query_loss, gradient, _, losses = meta_gradient(
            loop, outer, start, self.rates_of(model, [start[i] for i in loop.changed]), query_parts=outer.parts,
            first_order=self.first_order, by_rates=False, step_weights=self.step_weights(),
        )  # fmt: skip
        through = tape.gradient(
            made, weights, output_gradients=[gradient[p] for p in places],
            unconnected_gradients=tf.UnconnectedGradients.ZERO,
        )  # fmt: skip
        total = [tf.convert_to_tensor(t) + (0 if i in places else g) for i, (t, g) in enumerate(zip(through, gradient))]
        return query_loss, total, losses

    def rows_at_once(self, rows):
        return rows  # the class means are of all support rows together

    def adapt(self, model, support, *, seed=0, out=None, verbose=0, callbacks=None):
        only_classification(model)
        adapted = self.target_model(model, support, out)
        set_prototypes(adapted, support)
        self._descend(adapted, support, model, callbacks)
        return adapted
