"""What the outer loop is stopped by: the query loss on episodes that are always the same."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from tf_transfer.episodes.sampler import EpisodeSampler
from tf_transfer.episodes.tensors import EpisodeTensors

if TYPE_CHECKING:
    from tf_transfer.model.model import TransferModel


class Validation:
    """Episodes to validate on.

    Args:
        model: a `TransferModel` whose heads fit.
        sampler: of the episodes.
        count: number of episodes.
    """

    def __init__(self, model: TransferModel, sampler: EpisodeSampler, count: int):
        self._tensors, self._episodes = (
            EpisodeTensors(model, sampler, teach=False),
            sampler.sample(count),
        )

    def loss(self, learner, batch: int) -> float:
        """The mean query loss after adapting to each episode's support; infinite where one is not
        finite.

        Args:
            learner: a `MetaLearner`.
            batch: episodes computed in one call, a multiple of the learner's replicas.
        """
        query_losses = []
        for start in range(0, len(self._episodes), batch):
            episodes = self._episodes[start : start + batch]
            # replicas take equal shares
            spare = episodes[-1:] * (-len(episodes) % learner.replicas)
            losses = learner.query_losses(*self._tensors([*episodes, *spare])).numpy()
            query_losses += losses[: len(episodes)].tolist()
        return float(np.mean(query_losses)) if np.isfinite(query_losses).all() else math.inf
