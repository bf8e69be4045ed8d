"""The gradient of a query loss through an inner loop: its arguments, and what of it is kept."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Literal

from tf_transfer.devices.backend import tf
from tf_transfer.meta_gradients.batch_functions import BatchLoss, in_parts, row_count
from tf_transfer.meta_gradients.inner_loop import InnerLoop, meta_gradient
from tf_transfer.meta_gradients.memory_estimate import kept_bytes, machine_bytes, weight_count

if TYPE_CHECKING:
    from tf_transfer.model.model import TransferModel


@dataclasses.dataclass(frozen=True)
class SecondOrder:
    """What a `GradientStrategy` takes to differentiate through its inner loop.

    Args:
        first_order: leave the second derivatives out: less time an outer step, and another
            gradient.
        multi_step: every inner step's query loss counts, 1/steps each, not the last alone.
    """

    first_order: bool = False
    multi_step: bool = False

    def meta_gradient(self, loop: InnerLoop, query_loss, start, rates, **options):
        """`meta_gradients.inner_loop.meta_gradient` with these fields."""
        shares = tf.fill([self.inner_steps], 1 / self.inner_steps) if self.multi_step else None
        options |= {"first_order": self.first_order, "step_weights": shares}
        return meta_gradient(loop, query_loss, start, rates, **options)


@dataclasses.dataclass(frozen=True)
class ThroughTheModel(SecondOrder):
    """The same through an inner loop that changes the whole model.

    Args:
        memory_gb: the most gigabytes that intermediate values of the inner steps may take. Where
            `kept_bytes` estimates more, they are computed twice instead of kept, and a step adds
            its weights alone to the memory. ``"auto"``: 8, or a third of the machine's memory where
            that is less.
    """

    memory_gb: float | Literal["auto"] = "auto"

    def query_gradient(self, learner, support, query, start):
        """The query loss after the inner loop from the weights ``start``, and its gradients.

        Returns:
            loss: scalar.
            gradient: shaped as ``start``.
            rate_gradient: shaped as ``learner.extra``.
            support_losses: (steps,) before each inner step.
        """
        keep = self.keeps(learner.model, row_count(support), row_count(query))
        loop = self.inner_loop(learner, support, keep=keep)
        rates = self.inner_rates().in_episode(learner, [start[i] for i in loop.changed])
        parts = in_parts(query, self.rows_a_part)
        outer = BatchLoss(learner.model, learner.variables, *parts, repeated=self.multi_step)
        options = {"query_parts": outer.parts, "by_rates": bool(learner.extra)}
        return self.meta_gradient(loop, outer, start, rates, **options)

    def keeps(self, model: TransferModel, rows: int, query_rows: int) -> bool:
        """Whether the intermediate values of all inner steps on so many rows are to be kept: they
        fit ``memory_gb``.
        """
        if self.first_order or self.jit_compile or rows > self.rows_a_part:
            return False
        limit = min(8e9, machine_bytes() / 3) if self.memory_gb == "auto" else self.memory_gb * 1e9
        return kept_bytes(model, self._rows_a_step(rows, query_rows), self.inner_steps) <= limit

    def inner_bytes(self, model: TransferModel, rows):
        if not self.keeps(model, rows, rows):
            return 4 * self.inner_steps * weight_count(model)
        step_rows = self._rows_a_step(rows, rows)
        return kept_bytes(model, step_rows, self.inner_steps) - kept_bytes(model, rows, 1)

    def _rows_a_step(self, rows: int, query_rows: int) -> int:
        return rows + query_rows if self.multi_step else rows
