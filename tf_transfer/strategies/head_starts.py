"""Where the heads are when an inner loop begins: as the outer loop left them, or at class means."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import TYPE_CHECKING, Protocol

import numpy as np
import pandas as pd

from tf_transfer.devices.backend import tf
from tf_transfer.episodes.tensors import only_classification
from tf_transfer.meta_gradients.functional import with_pull_back
from tf_transfer.meta_gradients.meta_learner import MetaLearner
from tf_transfer.strategies.target_only import TargetOnly

if TYPE_CHECKING:
    from tf_transfer.model.model import TransferModel


class HeadStart(Protocol):
    """How the heads start in an episode, and likewise on a target."""

    def in_episode(
        self, learner: MetaLearner, support
    ) -> tuple[list[tf.Tensor], Callable[[list[tf.Tensor]], list[tf.Tensor]]]:
        """All weights that the inner loop starts from, and what takes a gradient by them to one by
        the learner's variables.
        """

    def on_target(self, model: TransferModel, support: pd.DataFrame) -> None:
        """Sets the heads of ``model``, which is to be adapted."""


@dataclasses.dataclass(frozen=True)
class LearnedHeads:
    """The heads are part of what the outer loop learns.

    Args:
        solved: on a target they are solved on its frozen features first, drawn to where they were.
    """

    solved: bool

    def in_episode(self, learner, support):
        return learner.weights(), lambda gradient: gradient

    def on_target(self, model: TransferModel, support):
        if self.solved:
            TargetOnly().start_heads(model, support)


@dataclasses.dataclass(frozen=True)
class ClassMeanHead:
    """The one head starts as a linear classifier of the support's class means.

    Args:
        classifier: ``(vectors (rows, width), labels (rows,), weights (rows,), way)``
            -> kernel (width, way), bias (way,).
        rows: the most rows whose vectors are computed at once.
    """

    classifier: Callable
    rows: int

    def in_episode(self, learner, support):
        places = _places(learner)
        name, head = next(iter(learner.model.heads.items()))
        ((_, y, w),), vectors, by_encoder = learner.vectors(support, rows=self.rows)
        made, by_vectors = with_pull_back(
            lambda v: self.classifier(v[0], y[name], w[name], head.task.outputs), vectors
        )
        weights = learner.weights()
        for place, part in zip(places, made):
            weights[place] = part

        def pull_back(gradient):
            through = by_encoder(by_vectors([gradient[place] for place in places]))
            return [
                t + (0 if i in places else g) for i, (t, g) in enumerate(zip(through, gradient))
            ]

        return weights, pull_back

    def on_target(self, model: TransferModel, support):
        task = only_classification(model)
        model.require_free_heads()
        y, present = task.encode(support, "the support table")
        vectors = tf.constant(model.encode(support, verbose=0))
        kernel, bias = self.classifier(vectors, y, present.astype(np.float32), task.outputs)
        model.heads[task.name].kernel.assign(kernel)
        model.heads[task.name].bias.assign(bias)


def _places(learner: MetaLearner) -> list[int]:
    """Where the head's kernel and bias are among the learner's variables."""
    learner.model.require_free_heads()
    head = next(iter(learner.model.heads.values()))
    return [
        next(i for i, v in enumerate(learner.variables) if v is part)
        for part in (head.kernel, head.bias)
    ]
