"""Move the initialisation towards where gradient descent on each task ends.

Nichol et al. 2018, "On First-Order Meta-Learning Algorithms", Algorithm 2 (batched Reptile).
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import TYPE_CHECKING, ClassVar, Literal

from tf_transfer.devices.backend import keras, tf
from tf_transfer.kinds.base import PADDED
from tf_transfer.strategies.gradient import GradientStrategy

if TYPE_CHECKING:
    from tf_transfer.model.model import TransferModel


@dataclasses.dataclass(frozen=True)
class Reptile(GradientStrategy):
    """Gradient descent on all rows of an episode, then a step of the start towards its end.

    θ ← θ + learning_rate · mean over episodes of (θ_k − θ). With one inner step this is gradient
    descent on the mixture of tasks; with more it prefers starts from which tasks agree. Support and
    query rows both train: the ``loss`` in the logs is theirs, before the last inner step. A
    validation descends on the support alone and scores the query.

    Args:
        learning_rate: share of the way that a step goes; ``"auto"``: 0.5.
    """

    name: ClassVar[str] = "reptile"
    search_space: ClassVar[Mapping[str, object]] = GradientStrategy.search_space | {
        "learning_rate": {"min": 0.1, "max": 1.0}
    }

    unread: ClassVar[tuple[str, ...]] = ("outer_optimizer", "clip_norm")

    inner_steps: int = 5
    inner_lr: float = 0.01
    outer_optimizer: Literal["adam", "sgd"] = "sgd"

    def episode_gradient(self, learner, support, query):
        both = _of_one_length(support, query, learner.model.token_tasks)
        batch = tf.nest.map_structure(_stacked, *both)
        loop, start = self.inner_loop(learner, batch), learner.weights()
        rates = self.inner_rates().in_episode(learner, [start[i] for i in loop.changed])
        descent = loop.descend(start, rates)
        return descent.losses[-1], [a - b for a, b in zip(start, descent.end)], descent.losses

    def _optimizer(self, model: TransferModel):
        rate = (
            self.auto_rate("learning_rate", model, 0)
            if self.learning_rate == "auto"
            else self.learning_rate
        )
        with model.distribute_strategy.scope():
            return keras.optimizers.SGD(rate)

    def auto_rate(self, field, model: TransferModel, rows):
        return 0.5


def _stacked(a: tf.Tensor, b: tf.Tensor) -> tf.Tensor:
    return tf.concat([a, b], 0)


def _of_one_length(support, query, token_tasks):
    """The two batches with their texts padded to the longer of their lengths."""
    lengths = [tf.shape(x["input_ids"])[1] for x, _, _ in (support, query)]
    longest, padded = tf.maximum(*lengths), []
    for (x, y, w), length in zip((support, query), lengths):
        by = [[0, 0], [0, longest - length]]
        labels = {n: tf.pad(y[n], by, constant_values=PADDED) for n in y if n in token_tasks}
        padded.append(({f: tf.pad(v, by) for f, v in x.items()}, y | labels, w))
    return padded
