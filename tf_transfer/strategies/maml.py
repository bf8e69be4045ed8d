"""Model-agnostic meta-learning: an initialisation from which a few gradient steps on a task go far.

Finn et al. 2017, "Model-Agnostic Meta-Learning for Fast Adaptation of Deep Networks", Algorithm 1;
with `first_order`, FOMAML (section 5.2); with `multi_step`, the multi-step loss of Antoniou et al.
2019, "How to train your MAML", equation 4.
"""

from __future__ import annotations

import dataclasses
from typing import ClassVar, Literal

from tf_transfer.backend import tf
from tf_transfer.inner_loop import meta_gradient
from tf_transfer.meta_learner import BatchLoss, in_parts, kept_bytes, machine_bytes, row_count, weight_count
from tf_transfer.strategies.gradient import GradientStrategy


@dataclasses.dataclass(frozen=True)
class MAML(GradientStrategy):
    """Learn where to start gradient descent: the outer loop differentiates through the inner loop.

    Args:
        first_order: leave the second derivatives out: less time an outer step, and another gradient.
        multi_step: every inner step's query loss counts, 1/steps each, not the last alone.
        memory_gb: the most gigabytes that intermediate values of the inner steps may take. Where `kept_bytes`
            estimates more, they are computed twice instead of kept, and a step adds its weights alone to the
            memory. ``"auto"``: 8, or a third of the machine's memory where that is less.
    """

    name: ClassVar[str] = "maml"

    first_order: bool = False
    multi_step: bool = False
    memory_gb: float | Literal["auto"] = "auto"

    def episode_gradient(self, learner, support, query):
        loop, weights = self.inner_loop(learner, support), learner.weights()
        rates = self.rates_in_training(learner, [weights[i] for i in loop.changed])
        parts = in_parts(query, self.rows_a_part)
        outer = BatchLoss(learner.model, learner.variables, *parts, repeated=self.multi_step)
        query_loss, gradient, by_rate, losses = meta_gradient(
            loop, outer, weights, rates, query_parts=outer.parts, first_order=self.first_order,
            by_rates=bool(learner.extra), step_weights=self.step_weights(),
        )  # fmt: skip
        return query_loss, [*gradient, *by_rate], losses

    def inner_loop(self, learner, batch):
        return super().inner_loop(learner, batch, keep=self.keeps(learner.model, batch))

    def step_weights(self) -> tf.Tensor | None:
        """(steps,) shares of the query losses behind each inner step; None: the last one alone."""
        return tf.fill([self.inner_steps], 1 / self.inner_steps) if self.multi_step else None

    def keeps(self, model, batch) -> bool:
        """Whether the intermediate values of all inner steps on a batch are expected to fit ``memory_gb``."""
        return self._kept(model, row_count(batch))

    def _kept(self, model, rows: int) -> bool:
        limit = min(8e9, machine_bytes() / 3) if self.memory_gb == "auto" else self.memory_gb * 1e9
        return rows <= self.rows_a_part and kept_bytes(model, rows, self.inner_steps) <= limit

    def memory_estimate(self, model, rows):
        if self._kept(model, rows):
            return super().memory_estimate(model, rows) + kept_bytes(model, rows, self.inner_steps - 1) / 1e9
        return super().memory_estimate(model, rows) + 4 * self.inner_steps * weight_count(model) / 1e9
