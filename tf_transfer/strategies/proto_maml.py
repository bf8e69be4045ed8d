"""MAML whose head starts from the class means, so that any number of classes will do.

Triantafillou et al. 2020, "Meta-Dataset: A Dataset of Datasets for Learning to Learn from Few
Examples", section 3 (Proto-MAML).
"""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, ClassVar

from tf_transfer.strategies.gradient import GradientStrategy
from tf_transfer.strategies.head_starts import ClassMeanHead
from tf_transfer.strategies.proto_net import ClassMeans
from tf_transfer.strategies.second_order import ThroughTheModel

if TYPE_CHECKING:
    from tf_transfer.model.model import TransferModel


@dataclasses.dataclass(frozen=True)
class ProtoMAML(ClassMeans, ThroughTheModel, GradientStrategy):
    """The head of each episode starts as the nearest-class-mean classifier; then MAML's inner loop.

    The meta-gradient flows through the class means too. For the other arguments see `MAML`.

    Args:
        distance: of the classifier at the start: ``"euclidean"`` or ``"cosine"``; see `ProtoNet`.
        cosine_scale: the factor that makes logits of cosines.
    """

    name: ClassVar[str] = "proto_maml"
    needs_classes: ClassVar[bool] = True
    any_way: ClassVar[bool] = True

    def head_start(self):
        return ClassMeanHead(self.head_of, self.rows_a_part)

    def episode_gradient(self, learner, support, query):
        start, pull_back = self.head_start().in_episode(learner, support)
        loss, by_start, _, losses = self.query_gradient(learner, support, query, start)
        return loss, pull_back(by_start), losses

    def settings(self, model: TransferModel, source_rows, target_rows):
        return super().settings(model, source_rows, target_rows) | {"heads solved first": False}
