"""What the meta-learning strategies share that adapt by gradient descent: the inner loop on a
target's labels.

A target has more labels than an episode: on it the inner loop is followed by the training that
`TargetOnly` does. Dou et al. 2019, "Investigating Meta-Learning Algorithms for Low-Resource Natural
Language Understanding Tasks".
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import ClassVar

from tf_transfer.devices.backend import tf
from tf_transfer.encoders.freezing import check_depth
from tf_transfer.episodes.tensors import table_batch
from tf_transfer.errors import TrainingError, check_whole
from tf_transfer.meta_gradients.batch_functions import BatchLoss, in_parts
from tf_transfer.meta_gradients.functional import summed
from tf_transfer.meta_gradients.inner_loop import InnerLoop, meta_gradient
from tf_transfer.meta_gradients.meta_learner import (
    Adapter,
    first_not_finite,
    inner_variables,
)
from tf_transfer.strategies.meta import MetaStrategy
from tf_transfer.strategies.target_only import TargetOnly
from tf_transfer.training.callbacks.arrange import in_parts as in_parts_of_run


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

    def episode_loss(self, learner, support, query):
        loop, start = self.inner_loop(learner, support), self.start_of(learner, support)
        loss = BatchLoss(learner.model, learner.variables, *in_parts(query, self.rows_a_part))
        end = loop.descend(
            start, self.rates_in_training(learner, [start[i] for i in loop.changed])
        ).end
        return summed(lambda part: loss(end, part), loss.parts)

    def inner_loop(self, learner, batch, **options) -> InnerLoop:
        """The descent on a batch of an episode; ``options`` are those of `InnerLoop`."""
        model, variables = learner.model, learner.variables
        loss = BatchLoss(
            model, variables, *in_parts(batch, self.rows_a_part), self.inner_dropout, repeated=True
        )
        changed = inner_variables(model, variables, self.inner_freeze)
        options |= {"parts": loss.parts, "changed": changed, "compiled": self.jit_compile}
        return InnerLoop(loss, self.inner_steps, **options)

    def start_of(self, learner, support) -> list[tf.Tensor]:
        """The weights that the inner loop starts from."""
        return learner.weights()

    def without_source(self):
        return TargetOnly() if self.fine_tune else None

    def settings(self, model, source_rows, target_rows):
        inner = {"inner steps on the target": self.adapt_steps or self.inner_steps}
        after = TargetOnly().settings(model, source_rows, target_rows) if self.fine_tune else {}
        return super().settings(model, source_rows, target_rows) | inner | after

    def for_episodes(self):
        return dataclasses.replace(self, fine_tune=False)

    def adapt(self, model, support, *, seed=0, out=None, verbose=0, callbacks=None):
        adapted = self.target_model(model, support, out)
        if self.fine_tune:
            TargetOnly().start_heads(adapted, support)
        self._adapt(adapted, support, model, seed=seed, verbose=verbose, callbacks=callbacks)
        return adapted

    def _adapt(self, adapted, support, rated, *, seed, verbose, callbacks) -> None:
        """The inner loop and what comes after it.

        Args:
            adapted: the model to change.
            rated: what `rates_of` takes.
        """
        with in_parts_of_run(callbacks, 2 if self.fine_tune else 1) as (first, *second):
            self._descend(adapted, support, rated, first)
            for part in second:
                TargetOnly().train_on_target(
                    adapted, support, seed=seed, verbose=verbose, callbacks=part
                )

    def _descend(self, adapted, support, model, callbacks) -> None:
        """Gradient descent on the support, from the weights of ``adapted`` into them."""
        _note_labels(adapted, support)
        adapter = self._adapter(adapted)
        start = [tf.convert_to_tensor(v) for v in adapter.variables]
        rates = self.rates_of(model, [start[i] for i in adapter.changed])
        end, losses = adapter(self.batch_of(adapted, support), start, rates)
        where = first_not_finite(losses.numpy())
        if where is None and not all(
            bool(tf.reduce_all(tf.math.is_finite(end[i]))) for i in adapter.changed
        ):
            where = len(losses)
        if where is not None:
            raise TrainingError(
                f"The loss on the target must be a finite number.\nReceived none after {where} of "
                f"{len(losses)} "
                f"inner steps.\nLower inner_lr ({self.inner_lr})."
            )
        for i in adapter.changed:
            adapter.variables[i].assign(end[i])
        if callbacks:
            from tf_transfer.strategies.outer_loop import tell

            tell(adapted, losses.numpy(), callbacks)

    def batch_of(self, model, support):
        """The target's rows, as the inner loop takes them."""
        return table_batch(model, support)

    def rates_of(self, model, weights: list[tf.Tensor]) -> list[tf.Tensor]:
        """The inner rate of each changed weight."""
        return [tf.constant(self.inner_lr, w.dtype) for w in weights]

    def rates_in_training(self, learner, weights: list[tf.Tensor]) -> list[tf.Tensor]:
        """The inner rate of each changed weight, where a gradient by it may be taken."""
        return self.rates_of(learner.model, weights)

    def _adapter(self, model) -> Adapter:
        options = (
            self.adapt_steps or self.inner_steps,
            self.inner_freeze,
            self.rows_a_part,
            self.inner_dropout,
        )
        return model.traced.get(("adapt", *options), lambda: Adapter(model, *options))


@dataclasses.dataclass(frozen=True)
class MetaGradientStrategy(GradientStrategy):
    """Those whose outer loop differentiates through the inner loop.

    Args:
        first_order: leave the second derivatives out: less time an outer step, and another
            gradient.
        multi_step: every inner step's query loss counts, 1/steps each, not the last alone.
    """

    first_order: bool = False
    multi_step: bool = False

    def meta_gradient(self, loop: InnerLoop, query_loss, start, rates, **options):
        """`meta_gradients.inner_loop.meta_gradient` with this strategy's fields."""
        shares = tf.fill([self.inner_steps], 1 / self.inner_steps) if self.multi_step else None
        options |= {"first_order": self.first_order, "step_weights": shares}
        return meta_gradient(loop, query_loss, start, rates, **options)


def _note_labels(model, support) -> None:
    for task in model.tasks:
        y, present = task.encode(support)
        if present.any():
            model.heads[task.name].note_labels(y[present])
