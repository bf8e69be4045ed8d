"""What the meta-learning strategies share that adapt by gradient descent: the inner loop on a
target's labels.

A target has more labels than an episode: on it the inner loop is followed by the training that
`TargetOnly` does. Dou et al. 2019, "Investigating Meta-Learning Algorithms for Low-Resource Natural
Language Understanding Tasks".
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import TYPE_CHECKING, ClassVar

from tf_transfer.devices.backend import tf
from tf_transfer.encoders.freezing import check_depth
from tf_transfer.errors import TrainingError, check_whole
from tf_transfer.evaluation.fitted import Fitted
from tf_transfer.meta_gradients.batch_functions import BatchLoss, in_parts
from tf_transfer.meta_gradients.functional import summed
from tf_transfer.meta_gradients.inner_loop import InnerLoop
from tf_transfer.meta_gradients.meta_learner import (
    Adapter,
    first_not_finite,
    inner_variables,
)
from tf_transfer.strategies.head_starts import HeadStart, LearnedHeads
from tf_transfer.strategies.inner_rates import FixedRate, InnerRates
from tf_transfer.strategies.meta import MetaStrategy
from tf_transfer.strategies.target_only import TargetOnly
from tf_transfer.training.callbacks.arrange import in_parts as in_parts_of_run

if TYPE_CHECKING:
    from tf_transfer.model.model import TransferModel


@dataclasses.dataclass(frozen=True)
class GradientStrategy(MetaStrategy):
    """The meta-learning strategies that adapt by gradient descent on the support.

    Args:
        inner_steps: gradient steps on an episode's support.
        inner_lr: their rate.
        adapt_steps: gradient steps on a target's labels; None: as many as ``inner_steps``.
        inner_freeze: depth to which the inner loop leaves the encoder alone, as in
            `encoders.freezing.freeze`.
        fine_tune: after the inner loop, train on a target as `TargetOnly` does; before it, heads
            are solved, drawn towards what the episodes have taught. `evaluate_episodes` does
            without.
        inner_dropout: dropout in the inner loop; off by default, since masks differ between support
            and query.
        jit_compile: run the inner gradients of episodes through XLA.
    """

    search_space: ClassVar[Mapping[str, object]] = MetaStrategy.search_space | {
        "inner_steps": [1, 3, 5],
        "inner_lr": {"min": 0.003, "max": 0.3, "sampling": "log"},
    }

    inner_steps: int = 5
    inner_lr: float = 0.01
    adapt_steps: int | None = None
    inner_freeze: str | int = "none"
    inner_dropout: bool = False
    fine_tune: bool = True
    jit_compile: bool = False

    def __post_init__(self):
        # inner_freeze=0 freezes the embeddings alone; the check for numbers above 0 is not for it.
        if self.inner_freeze == 0 and not isinstance(self.inner_freeze, bool):
            object.__setattr__(self, "inner_freeze", "embeddings")
        super().__post_init__()
        check_depth(self.inner_freeze, f"inner_freeze of {self.name}")
        check_whole(f"inner_steps of {self.name}", self.inner_steps)
        if self.adapt_steps is not None:
            check_whole(f"adapt_steps of {self.name}", self.adapt_steps)

    # -- the parts --------------------------------------------------------------------------------

    def inner_loop(self, learner, batch, **options) -> InnerLoop:
        """The descent on a batch of an episode; ``options`` are those of `InnerLoop`."""
        model, variables = learner.model, learner.variables
        loss = BatchLoss(
            model, variables, *in_parts(batch, self.rows_a_part), self.inner_dropout, repeated=True
        )
        changed = inner_variables(model, variables, self.inner_freeze)
        options |= {"parts": loss.parts, "changed": changed, "compiled": self.jit_compile}
        return InnerLoop(loss, self.inner_steps, **options)

    def inner_rates(self) -> InnerRates:
        """At which rates the inner loop descends."""
        return FixedRate(self.inner_lr)

    def head_start(self) -> HeadStart:
        """Where the heads are when it begins."""
        return LearnedHeads(solved=self.fine_tune)

    def extra_variables(self, model: TransferModel):
        return self.inner_rates().variables(model)

    def episode_loss(self, learner, support, query):
        loop = self.inner_loop(learner, support)
        start, _ = self.head_start().in_episode(learner, support)
        rates = self.inner_rates().in_episode(learner, [start[i] for i in loop.changed])
        loss = BatchLoss(learner.model, learner.variables, *in_parts(query, self.rows_a_part))
        end = loop.descend(start, rates).end
        return summed(lambda part: loss(end, part), loss.parts)

    # -- on a target ------------------------------------------------------------------------------

    def without_source(self):
        return TargetOnly() if self.fine_tune else None

    def settings(self, model: TransferModel, source_rows, target_rows):
        inner = {"inner steps on the target": self.adapt_steps or self.inner_steps}
        after = TargetOnly().settings(model, source_rows, target_rows) if self.fine_tune else {}
        return super().settings(model, source_rows, target_rows) | inner | after

    def for_episodes(self):
        return dataclasses.replace(self, fine_tune=False)

    def adapt(
        self, model: Fitted | TransferModel, support, *, seed=0, out=None, verbose=0, callbacks=None
    ):
        fitted = Fitted.of(model)
        adapted = self.target_model(fitted.model, support, out)
        adapter = self._adapter(adapted)
        changed = [adapter.variables[i] for i in adapter.changed]
        rates = self.inner_rates().on_target(fitted, changed)
        self.head_start().on_target(adapted, support)
        with in_parts_of_run(callbacks, 2 if self.fine_tune else 1) as (first, *second):
            self._descend(adapted, support, adapter, rates, first)
            for part in second:
                TargetOnly().train_on_target(
                    adapted, support, seed=seed, verbose=verbose, callbacks=part
                )
        return adapted

    def _descend(self, adapted, support, adapter, rates, callbacks) -> None:
        """Gradient descent on the support, from the weights of ``adapted`` into them."""
        _note_labels(adapted, support)
        start = [tf.convert_to_tensor(v) for v in adapter.variables]
        end, losses = adapter(adapter.batch(support), start, rates)
        where = first_not_finite(losses.numpy())
        if where is None and not all(
            bool(tf.reduce_all(tf.math.is_finite(end[i]))) for i in adapter.changed
        ):
            where = len(losses)
        if where is not None:
            raise TrainingError(
                f"The loss on the target must be a finite number.\nReceived none after {where} of "
                f"{len(losses)} inner steps.\nLower inner_lr ({self.inner_lr})."
            )
        for i in adapter.changed:
            adapter.variables[i].assign(end[i])
        if callbacks:
            from tf_transfer.strategies.outer_loop import tell

            tell(adapted, losses.numpy(), callbacks)

    def _adapter(self, model: TransferModel) -> Adapter:
        options = (
            self.adapt_steps or self.inner_steps,
            self.inner_freeze,
            self.rows_a_part,
            self.inner_dropout,
        )
        return model.traced.get(("adapt", *options), lambda: Adapter(model, *options))


def _note_labels(model: TransferModel, support) -> None:
    for task in model.tasks:
        y, present = task.encode(support)
        if present.any():
            model.heads[task.name].note_labels(y[present])
