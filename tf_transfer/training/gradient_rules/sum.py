"""The default: the gradient of the summed loss."""

from __future__ import annotations

import dataclasses
from typing import ClassVar

from tf_transfer.training.gradient_rules.base import GradientRule


@dataclasses.dataclass(frozen=True)
class Sum(GradientRule):
    """One gradient of the loss of all tasks together."""

    name: ClassVar[str] = "sum"
    by_task: ClassVar[bool] = False

    def gradients(self, losses, tape, variables, seed):
        return tape.gradient(losses.total, variables)
