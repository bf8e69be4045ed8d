"""Joint transfer: one shared network trained on all tasks and domains at once, then on the target.

L = 1/N Σᵢ Σⱼ ℓᵢⱼ over tasks i and their labelled rows j. Caruana 1997, "Multitask Learning"; for
text with shared transformers, Liu et al. 2019, "Multi-Task Deep Neural Networks" (MT-DNN),
Algorithm 1.
"""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, ClassVar

from tf_transfer.data.tables import join_tables
from tf_transfer.evaluation.fitted import Fitted
from tf_transfer.strategies.base import JOINT, source_tables
from tf_transfer.strategies.fine_tune import FineTune
from tf_transfer.training import gradient_rules
from tf_transfer.training.gradient_rules import GradientRule

if TYPE_CHECKING:
    from tf_transfer.model.model import TransferModel


@dataclasses.dataclass(frozen=True)
class MultiTask(FineTune):
    """Train on the rows of all sources mixed, every task at once, then on the target.

    Rows are mixed in proportion to the sources' sizes, and each label counts the same. A table that
    lacks a task's label still trains the shared encoder through its other tasks. For the other
    arguments see `FineTune`.

    Args:
        gradient_rule: how the gradients of several tasks become one on the sources: ``"sum"``,
            ``"pcgrad"``, a name that was registered, or a `GradientRule`. The target is trained on
            by ``"sum"``, as in the strategies that it is compared with.
    """

    name: ClassVar[str] = "multi_task"
    family: ClassVar[str] = JOINT

    gradient_rule: str | GradientRule = "sum"

    def __post_init__(self):
        super().__post_init__()
        gradient_rules.rule_of(self.gradient_rule)

    def fit(self, model: TransferModel, source, *, seed=0, verbose=0, callbacks=None):
        table = join_tables(list(source_tables(source).values()))
        rule = gradient_rules.rule_of(self.gradient_rule)
        self._train_on_source(model, table, seed, verbose, callbacks, gradient_rule=rule)
        return Fitted(model)

    def arguments(self):
        name = gradient_rules.name_of(self.gradient_rule)
        return dataclasses.asdict(self) | {"gradient_rule": name}

    def identity(self):
        known = self.arguments()
        name = known.pop("gradient_rule")
        if self._sums:  # as in runs that are older than the argument
            return known
        return known | {"gradient_rule": gradient_rules.rule_of(name).identity()}

    def check_tasks(self, names):
        gradient_rules.check_several(self.gradient_rule, names)

    def settings(self, model: TransferModel, source_rows, target_rows):
        rule = gradient_rules.rule_of(self.gradient_rule)
        known = {} if self._sums else {"gradient rule on the source": rule.name}
        return super().settings(model, source_rows, target_rows) | known

    def parts_of(self, source_rows):
        return [sum(source_rows.values())]

    def on_sources(self, count):
        if count > 1 or not self._sums:
            return self
        return FineTune(**{f.name: getattr(self, f.name) for f in dataclasses.fields(FineTune)})

    @property
    def _sums(self) -> bool:
        return gradient_rules.rule_of(self.gradient_rule) == gradient_rules.DEFAULT
