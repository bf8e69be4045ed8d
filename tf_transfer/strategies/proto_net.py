"""Classify by the nearest class mean in the space of the encoder's vectors.

Snell et al. 2017, "Prototypical Networks for Few-shot Learning", Algorithm 1; the linear form of
the
classifier: section 2.4. By cosines, scaled, instead of distances: Chen et al. 2021, "Meta-Baseline:
Exploring Simple Meta-Learning for Few-Shot Learning", who learn the scale.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar, Literal

from tf_transfer.devices.backend import tf
from tf_transfer.errors import DataError, check_choice
from tf_transfer.evaluation.fitted import Fitted
from tf_transfer.kinds import kind_of
from tf_transfer.kinds.tasks import Task
from tf_transfer.meta_gradients.functional import value_and_gradient
from tf_transfer.strategies.base import Strategy
from tf_transfer.strategies.head_starts import ClassMeanHead, examples_of
from tf_transfer.strategies.meta import MetaStrategy

if TYPE_CHECKING:
    from tf_transfer.model.model import TransferModel


@dataclasses.dataclass(frozen=True)
class ClassMeans(Strategy):
    """How class means classify: the arguments and the head that `ProtoNet` and `ProtoMAML`
    share.
    """

    distance: Literal["euclidean", "cosine"] = "euclidean"
    cosine_scale: float = 10.0

    def __post_init__(self):
        super().__post_init__()
        check_choice("distance", self.distance, ["euclidean", "cosine"])
        if self.distance == "euclidean" and self.cosine_scale != ClassMeans.cosine_scale:
            raise DataError(
                f"cosine_scale of {self.name} is for distance='cosine'.\nReceived "
                f"cosine_scale={self.cosine_scale!r} with distance='euclidean', where it would "
                "change nothing.\nLeave it out, or add distance='cosine'."
            )

    def head_of(self, vectors, labels, weights, task: Task):
        """The linear classifier of `prototype_head` for the outputs of a task's head."""
        scale = self.cosine_scale if self.distance == "cosine" else None
        options = {"cosine_scale": scale, "stand_ins": kind_of(task).stand_ins(task)}
        return prototype_head(vectors, labels, weights, task.outputs, **options)


@dataclasses.dataclass(frozen=True)
class ProtoNet(ClassMeans, MetaStrategy):
    """Train the encoder so that a text lies nearest to the mean of its class; adapting takes no
    training.

    The adapted model is an ordinary one: its head holds the linear classifier (2c, −‖c‖²) that the
    squared distances to the class means c amount to. Any number of classes, also another in
    training than on the target: episodes of more classes make a harder lesson. Of a tagging the
    classes are tags: the first word of a type's spans, their other words, and words outside. Where
    no span of a type has another word, the mean of first words stands for them.

    Args:
        distance: ``"euclidean"``: the squared distance to a class mean; ``"cosine"``: of their
            angle, which suits encoders that were trained by cosines, as sentence encoders are.
        cosine_scale: the factor that makes logits of cosines.
        uses_source: train the encoder on the source first; False shows the class means of the
            pretrained one.
    """

    name: ClassVar[str] = "proto_net"
    needs_classes: ClassVar[bool] = True
    any_way: ClassVar[bool] = True

    uses_source: bool = True

    def fit(self, model: TransferModel, source, **options):
        return super().fit(model, source, **options) if self.uses_source else Fitted.of(model)

    def without_source(self):
        return dataclasses.replace(self, uses_source=False) if self.uses_source else None

    def episode_gradient(self, learner, support, query):
        batches, vectors, pull_back = learner.vectors(support, query, rows=self.rows_a_part)
        loss, by_vectors = value_and_gradient(
            lambda v: self._loss(learner.model, batches, v), vectors
        )
        return loss, pull_back(by_vectors), tf.zeros((0,))

    def episode_loss(self, learner, support, query):
        batches, vectors, _ = learner.vectors(support, query, rows=self.rows_a_part)
        return self._loss(learner.model, batches, vectors)

    def _loss(self, model: TransferModel, batches, vectors) -> tf.Tensor:
        """The query loss from the vectors (rows, …, width) of support and query."""
        (name, head), ((_, y, w), (_, y_query, w_query)) = next(iter(model.heads.items())), batches
        examples = examples_of(vectors[0], y[name], w[name])
        kernel, bias = self.head_of(*examples, head.task)
        outputs = {name: tf.matmul(vectors[1], kernel) + bias}
        return model.compute_losses(y_query, outputs, w_query)[0]

    def rows_at_once(self, rows):
        return min(2 * rows, self.rows_a_part)

    def adapt(
        self, model: Fitted | TransferModel, support, *, seed=0, out=None, verbose=0, callbacks=None
    ):
        model = Fitted.of(model).model
        adapted = self.target_model(model, support, out)
        if out is None:
            adapted.share_vectors(model)
        ClassMeanHead(self.head_of, self.rows_a_part).on_target(adapted, support)
        return adapted


def prototype_head(
    vectors: tf.Tensor,
    labels: tf.Tensor,
    weights: tf.Tensor,
    way: int,
    cosine_scale: float | None = None,
    stand_ins: Sequence[int] | None = None,
):
    """The linear classifier that equals the nearest class mean.

    −‖z − c‖² = 2 c·z − ‖c‖² − ‖z‖², and the last term is the same for all classes. By cosines, the
    logit is ``cosine_scale`` c·z / (‖c‖ ρ), with ρ the mean norm of the rows: the cosine of z and
    c, times the norm of z relative to theirs, which the choice of the class does not depend on.

    Args:
        vectors: (rows, width).
        labels: (rows,) int32 in [0, way).
        weights: (rows,) of the rows in their class's mean; 0 leaves a row out.
        way: classes; one without a row gets probability 0.
        cosine_scale: None for squared distances.
        stand_ins: (way,) of each class the one whose mean it has while it has no row; None where
            each goes without.

    Returns:
        kernel (width, way), bias (way,).

    Example:
        >>> vectors = tf.constant([[0.0, 0.0], [0.0, 2.0], [4.0, 1.0]])
        >>> kernel, bias = prototype_head(vectors, tf.constant([0, 0, 1]), tf.ones(3), way=2)
        >>> logits = tf.constant([[1.0, 1.0]]) @ kernel + bias  # means (0, 1) and (4, 1)
        >>> float(logits[0, 0] - logits[0, 1])
        8.0
    """
    members = (
        tf.one_hot(labels, way, dtype=vectors.dtype) * tf.cast(weights, vectors.dtype)[:, None]
    )
    if stand_ins is not None:
        lacking = tf.reduce_sum(members, 0) == 0
        members = tf.where(lacking, tf.gather(members, stand_ins, axis=1), members)
    counts = tf.reduce_sum(members, 0)
    means = tf.math.divide_no_nan(tf.matmul(members, vectors, transpose_a=True), counts[:, None])
    # below any logit, whatever the vectors' norm
    absent = tf.constant(vectors.dtype.min / 2, vectors.dtype)
    if cosine_scale is None:
        return 2 * tf.transpose(means), tf.where(
            counts > 0, -tf.reduce_sum(means * means, 1), absent
        )
    members = tf.reduce_sum(members, 1)
    # the norm of 0 has no gradient
    norms = tf.sqrt(tf.maximum(tf.reduce_sum(vectors * vectors, 1), 1e-24))
    norm = tf.math.divide_no_nan(tf.reduce_sum(members * norms), tf.reduce_sum(members))
    kernel = tf.math.divide_no_nan(cosine_scale * tf.math.l2_normalize(means, 1), norm)
    return tf.transpose(kernel), tf.where(counts > 0, tf.zeros_like(counts), absent)
