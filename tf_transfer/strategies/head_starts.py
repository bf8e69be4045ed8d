"""Where the heads are when an inner loop begins: as the outer loop left them, or at class means."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import TYPE_CHECKING, Protocol

import numpy as np
import pandas as pd

from tf_transfer.devices.backend import tf
from tf_transfer.episodes.tensors import only_few_shot
from tf_transfer.kinds import kind_of
from tf_transfer.kinds.base import PADDED
from tf_transfer.kinds.tasks import Task
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
        classifier: ``(vectors (rows, width), labels (rows,), weights (rows,), task)``
            -> kernel (width, outputs), bias (outputs,).
        rows: the most rows whose vectors are computed at once.
    """

    classifier: Callable
    rows: int

    def in_episode(self, learner, support):
        places = _places(learner)
        name, head = next(iter(learner.model.heads.items()))
        ((_, y, w),), vectors, by_encoder = learner.vectors(support, rows=self.rows)
        made, by_vectors = with_pull_back(
            lambda v: self.classifier(*examples_of(v[0], y[name], w[name]), head.task),
            vectors,
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
        task = only_few_shot(model)
        model.require_free_heads()
        kernel, bias = self.classifier(*_examples(model, task, support), task)
        model.heads[task.name].kernel.assign(kernel)
        model.heads[task.name].bias.assign(bias)


def examples_of(vectors: tf.Tensor, labels: tf.Tensor, weights: tf.Tensor) -> tuple:
    """Vectors (n, width), labels (n,) and weights (n,) of the rows, or of the tokens of all rows.

    Args:
        vectors: (rows, width), or (rows, length, width).
        labels: (rows,), or (rows, length) with `PADDED` at tokens without a label.
        weights: (rows,); each token has that of its row, and 0 without a label.
    """
    if labels.shape.rank == 1:
        return vectors, labels, weights
    known = labels != PADDED
    by_token = tf.where(known, weights[:, None], 0.0)
    vectors = tf.reshape(vectors, [-1, vectors.shape[-1]])
    return vectors, tf.reshape(tf.where(known, labels, 0), [-1]), tf.reshape(by_token, [-1])


def _examples(model: TransferModel, task: Task, support: pd.DataFrame) -> tuple:
    """The same of a target's labelled rows."""
    y, present = task.encode(support, "the support table")
    if not model.token_tasks:
        vectors = tf.constant(model.encode(support, verbose=0))
        return vectors, y, present.astype(np.float32)
    tokens = model.tokenise(support, spans=True)
    labels = kind_of(task).targets(task, y, tokens)
    known = (labels != PADDED) & np.repeat(present, tokens.lengths)
    vectors = tf.constant(model.encode_tokens(tokens)[known])
    return vectors, labels[known], np.ones(int(known.sum()), np.float32)


def _places(learner: MetaLearner) -> list[int]:
    """Where the head's kernel and bias are among the learner's variables."""
    learner.model.require_free_heads()
    head = next(iter(learner.model.heads.values()))
    return [
        next(i for i, v in enumerate(learner.variables) if v is part)
        for part in (head.kernel, head.bias)
    ]
