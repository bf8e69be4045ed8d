"""Model-agnostic meta-learning: an initialisation from which a few gradient steps on a task go far.

Finn et al. 2017, "Model-Agnostic Meta-Learning for Fast Adaptation of Deep Networks", Algorithm 1;
with `first_order`, FOMAML (section 5.2); with `multi_step`, the multi-step loss of Antoniou et al.
2019, "How to train your MAML", equation 4.
"""

from __future__ import annotations

import dataclasses
from typing import ClassVar, Literal

from tf_transfer.meta_gradients.batch_functions import BatchLoss, in_parts, row_count
from tf_transfer.meta_gradients.memory_estimate import kept_bytes, machine_bytes, weight_count
from tf_transfer.strategies.gradient import MetaGradientStrategy


@dataclasses.dataclass(frozen=True)
class MAML(MetaGradientStrategy):
    """Learn where to start gradient descent: the outer loop differentiates through the inner loop.

    Args:
        memory_gb: the most gigabytes that intermediate values of the inner steps may take. Where
            `kept_bytes` estimates more, they are computed twice instead of kept, and a step adds
            its weights alone to the memory. ``"auto"``: 8, or a third of the machine's memory where
            that is less.
    """

    name: ClassVar[str] = "maml"

    memory_gb: float | Literal["auto"] = "auto"

    def episode_gradient(self, learner, support, query):
        loop, weights = self.inner_loop(learner, support, query), learner.weights()
        rates = self.rates_in_training(learner, [weights[i] for i in loop.changed])
        parts = in_parts(query, self.rows_a_part)
        outer = BatchLoss(learner.model, learner.variables, *parts, repeated=self.multi_step)
        query_loss, gradient, by_rate, losses = self.meta_gradient(
            loop, outer, weights, rates, query_parts=outer.parts, by_rates=bool(learner.extra)
        )
        return query_loss, [*gradient, *by_rate], losses

    def inner_loop(self, learner, batch, query=None):
        keep = query is not None and self.keeps(learner.model, row_count(batch), row_count(query))
        return super().inner_loop(learner, batch, keep=keep)

    def keeps(self, model, rows: int, query_rows: int) -> bool:
        """Whether the intermediate values of all inner steps on so many rows are to be kept: they
        fit ``memory_gb``.
        """
        if self.first_order or self.jit_compile or rows > self.rows_a_part:
            return False
        limit = min(8e9, machine_bytes() / 3) if self.memory_gb == "auto" else self.memory_gb * 1e9
        return kept_bytes(model, self._rows_a_step(rows, query_rows), self.inner_steps) <= limit

    def _rows_a_step(self, rows: int, query_rows: int) -> int:
        return rows + query_rows if self.multi_step else rows

    def memory_estimate(self, model, rows):
        if self.keeps(model, rows, rows):
            kept = kept_bytes(model, self._rows_a_step(rows, rows), self.inner_steps) - kept_bytes(
                model, rows, 1
            )
            return super().memory_estimate(model, rows) + kept / 1e9
        return (
            super().memory_estimate(model, rows) + 4 * self.inner_steps * weight_count(model) / 1e9
        )
