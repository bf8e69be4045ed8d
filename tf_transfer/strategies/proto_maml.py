"""MAML whose head starts from the class means, so that any number of classes will do.

Triantafillou et al. 2020, "Meta-Dataset: A Dataset of Datasets for Learning to Learn from Few
Examples", section 3 (Proto-MAML).
"""

from __future__ import annotations

import dataclasses
from typing import ClassVar

from tf_transfer.devices.backend import tf
from tf_transfer.episodes.tensors import only_classification
from tf_transfer.evaluation.fitted import Fitted
from tf_transfer.meta_gradients.batch_functions import BatchLoss, in_parts
from tf_transfer.meta_gradients.functional import with_pull_back
from tf_transfer.strategies.maml import MAML
from tf_transfer.strategies.proto_net import ClassMeans


@dataclasses.dataclass(frozen=True)
class ProtoMAML(ClassMeans, MAML):
    """The head of each episode starts as the nearest-class-mean classifier; then MAML's inner loop.

    The meta-gradient flows through the class means too. For the other arguments see `MAML`.

    Args:
        distance: of the classifier at the start: ``"euclidean"`` or ``"cosine"``; see `ProtoNet`.
        cosine_scale: the factor that makes logits of cosines.
    """

    name: ClassVar[str] = "proto_maml"
    needs_classes: ClassVar[bool] = True
    any_way: ClassVar[bool] = True

    def episode_gradient(self, learner, support, query):
        places = _places(learner)
        (filled,), vectors, pull_back = learner.vectors(support, rows=self.rows_a_part)
        made, by_vectors = with_pull_back(lambda v: self._class_means(learner, filled, *v), vectors)
        start = _with_head(learner, made)
        loop, outer = (
            self.inner_loop(learner, support, query),
            BatchLoss(
                learner.model,
                learner.variables,
                *in_parts(query, self.rows_a_part),
                repeated=self.multi_step,
            ),
        )
        query_loss, gradient, _, losses = self.meta_gradient(
            loop,
            outer,
            start,
            self.rates_of(learner.model, [start[i] for i in loop.changed]),
            by_rates=False,
            query_parts=outer.parts,
        )
        through = pull_back(by_vectors([gradient[p] for p in places]))
        total = [t + (0 if i in places else g) for i, (t, g) in enumerate(zip(through, gradient))]
        return query_loss, total, losses

    def start_of(self, learner, support):
        (filled,), vectors, _ = learner.vectors(support, rows=self.rows_a_part)
        return _with_head(learner, self._class_means(learner, filled, *vectors))

    def _class_means(self, learner, support, vectors):
        """Kernel and bias of the nearest-class-mean classifier, from the support's vectors (rows,
        width).
        """
        (name, head), (_, y, w) = next(iter(learner.model.heads.items())), support
        return self.head_of(vectors, y[name], w[name], head.task.outputs)

    def settings(self, model, source_rows, target_rows):
        return super().settings(model, source_rows, target_rows) | {"heads solved first": False}

    def adapt(self, model, support, *, seed=0, out=None, verbose=0, callbacks=None):
        only_classification(Fitted.of(model).model)
        adapted = self.target_model(model, support, out)
        self.set_head(adapted, support)
        self._adapt(adapted, support, model, seed=seed, verbose=verbose, callbacks=callbacks)
        return adapted


def _with_head(learner, head) -> list[tf.Tensor]:
    """The learner's weights, with a kernel and a bias for those of the head."""
    weights = learner.weights()
    for place, part in zip(_places(learner), head):
        weights[place] = part
    return weights


def _places(learner) -> list[int]:
    """Where the head's kernel and bias are among the learner's variables."""
    learner.model.require_free_heads()
    head = next(iter(learner.model.heads.values()))
    return [
        next(i for i, v in enumerate(learner.variables) if v is part)
        for part in (head.kernel, head.bias)
    ]
