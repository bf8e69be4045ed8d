"""What the meta-learning strategies share: the outer loop over episodes of the source."""

from __future__ import annotations

import dataclasses
import warnings
from collections.abc import Mapping
from typing import TYPE_CHECKING, ClassVar, Literal

import numpy as np
import pandas as pd

from tf_transfer.devices.backend import keras, tf
from tf_transfer.episodes.class_splits import check_class_disjoint, classes_of
from tf_transfer.episodes.sampler import EpisodeSampler
from tf_transfer.episodes.tensors import EpisodeTensors
from tf_transfer.errors import DataError, TrainingError, check_choice, check_whole, listed
from tf_transfer.evaluation.fitted import Fitted
from tf_transfer.kinds import kind_of
from tf_transfer.kinds.class_types import class_text
from tf_transfer.kinds.label_columns import relabel
from tf_transfer.kinds.spellings import class_counts
from tf_transfer.meta_gradients.memory_estimate import kept_bytes, machine_bytes, weight_count
from tf_transfer.meta_gradients.meta_learner import MetaLearner, first_not_finite
from tf_transfer.strategies.base import Strategy, refuse_tokens
from tf_transfer.strategies.episode_sources import SOURCE, check_fits, samplers_of
from tf_transfer.strategies.validation import Validation
from tf_transfer.training.callbacks.settings import data_columns, episode_settings

if TYPE_CHECKING:
    from tf_transfer.model.model import TransferModel


@dataclasses.dataclass(frozen=True)
class MetaStrategy(Strategy):
    """The outer loop: episodes in, meta-gradients averaged over a meta-batch, one optimizer step
    each.

    ``fit`` takes an `EpisodeSampler`, or source tables: each episode is then drawn from the rows of
    one source (domains as tasks). L = 1/T Σₜ ℓₜ over the T episodes of a meta-batch.

    Args:
        steps: outer steps.
        meta_batch: episodes an outer step.
        learning_rate: of the outer loop; ``"auto"`` follows the encoder's width.
        outer_optimizer: ``"adam"`` or ``"sgd"``.
        clip_norm: the meta-gradient is clipped to this norm.
        shot, num_query: support and query rows of an episode that is drawn from source tables.
        rows_a_part: the most rows computed at once; more are added up part by part, in less memory.
        patience: validations without a better query loss before the outer loop stops; see `fit`.
        validation_source: the name of a source table that is not trained on, but validated on.
    """

    timed_by: ClassVar[Literal["steps", "episodes", "calls"]] = "episodes"
    effort: ClassVar[str | None] = "steps"
    lacks_labels: ClassVar[str] = (
        "the encoder learns from episodes of other tasks, the head from the target alone"
    )
    lacks_classes: ClassVar[str] = "these classes are learned from the target alone"
    search_space: ClassVar[Mapping[str, object]] = {
        "steps": [100, 250, 500],
        "meta_batch": [2, 4, 8],
        "learning_rate": {"min": 0.25, "max": 2.0, "sampling": "log", "unit": "auto"},
    }

    steps: int = 500
    meta_batch: int = 4
    learning_rate: float | Literal["auto"] = "auto"
    outer_optimizer: Literal["adam", "sgd"] = "adam"
    clip_norm: float = 1.0
    shot: int = 16
    num_query: int = 16
    rows_a_part: int = 64
    patience: int = 5
    validation_source: str | None = None

    needs_classes: ClassVar[bool] = False
    """Whether it can only learn from episodes of classes."""
    any_way: ClassVar[bool] = False
    """Whether the number of classes may differ from episode to episode."""

    def __post_init__(self):
        super().__post_init__()
        check_choice("outer_optimizer", self.outer_optimizer, ["adam", "sgd"])
        for field in ("steps", "meta_batch", "shot", "num_query", "rows_a_part", "patience"):
            check_whole(f"{field} of {self.name}", getattr(self, field))
        if not isinstance(self.validation_source, str | None):
            raise DataError(
                f"validation_source of {self.name} must name a source.\nReceived "
                f"{self.validation_source!r}.\n"
                "Name one, or leave it out."
            )

    def check_kinds(self, tasks):
        if self.needs_classes:
            refuse_tokens(self, [task for task in tasks if not kind_of(task).draws_classes])

    # -- the outer loop ---------------------------------------------------------------------------

    def fit(
        self,
        model: TransferModel,
        source,
        *,
        seed=0,
        verbose=0,
        callbacks=None,
        steps: int | None = None,
        validation: EpisodeSampler | None = None,
        validate_every: int = 50,
        validation_episodes: int = 50,
    ):
        """Learns from episodes of the source.

        Args:
            model: `TransferModel`; its weights are changed. What an earlier `fit` returned is
                trained on, and its classes stay known.
            source: an `EpisodeSampler`; or a table, or ``{name: table}``.
            callbacks: of Keras: an outer step is a batch to them, ``validate_every`` steps are an
                epoch; the logs have ``loss`` (mean query loss), ``gradient_norm``,
                ``learning_rate`` and, validating, ``val_loss``. Their model has the outer loop's
                optimizer.
            steps: outer steps instead of the strategy's own.
            validation: sampler of episodes to stop by, of classes, or domains, that no other split
                has, instead of those of ``validation_source``. The weights of the best validation
                are kept, which may be those of the first, before any outer step.
            validate_every: outer steps between validations; the last step is followed by one too.
            validation_episodes: episodes a validation; always the same ones.

        Raises:
            DataError: the episodes do not fit the model or the strategy.
            TrainingError: a loss or a gradient was not finite; the weights are those before that
                outer step.
        """
        # its callbacks need TensorFlow at once
        from tf_transfer.strategies.outer_loop import OuterLoop

        start = Fitted.of(model)
        model = start.model
        check_whole("validate_every", validate_every)
        check_whole("validation_episodes", validation_episodes)
        options = {"shot": self.shot, "num_query": self.num_query, "seed": seed}
        sampler, validation = samplers_of(
            self, model, source, validation, self.validation_source, **options
        )
        model.encoder.reseed(seed)
        tensors, learner = EpisodeTensors(model, sampler), self._learner(model)
        learner.restart()
        self._say_memory(model, tensors, verbose)
        if self.meta_batch % learner.replicas:
            raise DataError(
                "The episodes of a meta-batch are shared out equally.\n"
                f"Received meta_batch={self.meta_batch} for {learner.replicas} replicas.\n"
                f"Give a multiple of {learner.replicas}."
            )
        check = (
            None
            if validation is None
            else self._validation(model, validation, sampler, validation_episodes)
        )
        total = self.steps if steps is None else steps
        check_whole("steps", total)
        parts = {"training": sampler, "validation": validation} if sampler is source else {}
        used = {use: part for use, part in parts.items() if part is not None}
        model.note_episodes(classes_of(used, start.classes))
        optimizer = self._optimizer(model)
        loop = OuterLoop(
            learner,
            optimizer,
            steps=total,
            epoch_steps=validate_every,
            callbacks=callbacks,
            patience=self.patience,
            validates=check is not None,
        )
        update = learner.updater(optimizer)
        loop.run(
            lambda number: self._outer_step(learner, update, tensors, sampler, number),
            lambda: {"val_loss": check.loss(learner, self.meta_batch)},
            self._settings(model, sampler, validation)
            | {"outer steps": total, "seed": seed, "epoch": validate_every},
            verbose,
        )
        learned = tuple(variable.numpy() for variable in learner.extra)
        return Fitted(model, learned, model.episode_classes)

    def _settings(self, model: TransferModel, sampler, validation) -> dict:
        """What two runs of the outer loop must share for one to go on where the other stopped."""
        columns = data_columns(model)
        parts = {"episodes": sampler, "episodes of the validation": validation}
        described = {
            name: episode_settings(part, columns)
            for name, part in parts.items()
            if part is not None
        }
        return {"strategy": {"name": self.name, **dataclasses.asdict(self)}, **described}

    def _outer_step(self, learner, update, tensors, sampler, step: int) -> dict[str, float]:
        """One step on ``meta_batch`` new episodes; its logs."""
        episodes = sampler.sample(self.meta_batch, start=step * self.meta_batch)
        losses, gradients, inner = learner.meta_gradients(*tensors(episodes))
        norm = float(tf.linalg.global_norm(gradients))
        self._check_finite(losses.numpy(), inner.numpy(), norm, episodes, step)
        update(*gradients)
        learner.model.encoder.next_dropout()
        return {"loss": losses.numpy().mean(), "gradient_norm": norm}

    def _check_finite(self, losses, inner, norm: float, episodes, step: int) -> None:
        kept = "The weights are those before that outer step. Lower inner_lr or learning_rate."
        for episode, loss, steps in zip(episodes, losses, inner):
            where = first_not_finite(np.append(steps, loss))
            if where is not None:
                at = (
                    "its query loss"
                    if where == len(steps)
                    else f"inner step {where + 1} of {len(steps)}"
                )
                raise TrainingError(
                    f"A loss must be a finite number.\nReceived {np.append(steps, loss)[where]} in "
                    f"episode {episode.index} of outer step {step + 1}: {at}.\n{kept}"
                )
        if not np.isfinite(norm):  # clipping would turn it into weights that are NaN
            raise TrainingError(
                f"The norm of the outer gradient must be a finite number.\nReceived {norm} in "
                f"outer step {step + 1}, from the episodes "
                f"{listed([episode.index for episode in episodes])}.\n{kept}"
            )

    def _optimizer(self, model: TransferModel):
        from tf_transfer.training.optimization import AdamW  # needs TensorFlow at once, too

        rate = model.auto_learning_rate if self.learning_rate == "auto" else self.learning_rate
        with model.distribute_strategy.scope():
            if self.outer_optimizer == "adam":
                # Adam, in one kernel
                optimizer = AdamW(rate, weight_decay=0.0, global_clipnorm=self.clip_norm)
            else:
                optimizer = keras.optimizers.SGD(rate, global_clipnorm=self.clip_norm)
            optimizer.build(self._learner(model).parameters)
        return optimizer

    def _validation(self, model: TransferModel, validation, sampler, count: int) -> Validation:
        if not isinstance(validation, EpisodeSampler):
            raise DataError(
                f"validation must be an EpisodeSampler.\nReceived {type(validation).__name__}.\n"
                "Give EpisodeSampler(table, task), or name a source table with the strategy's "
                "validation_source."
            )
        check_fits(self, model, validation, "validation")
        # Of tables, domains are the tasks: classes are meant to come again in others.
        if sampler.domain != SOURCE or validation.domains:
            check_class_disjoint({"training": sampler, "validation": validation})
        return Validation(model, validation, count)

    def _learner(self, model: TransferModel) -> MetaLearner:
        """The strategy's traced functions on this model, kept with the model."""

        def make():
            with model.distribute_strategy.scope():
                return MetaLearner(
                    model, self.episode_gradient, self.extra_variables(model), self.episode_loss
                )

        return model.traced.get(("learn", self), make)

    def memory_estimate(self, model: TransferModel, rows: int) -> float:
        """About how many gigabytes an outer step takes beside the model and its traced graph.

        Args:
            model: a `TransferModel` with heads.
            rows: of an episode's support or query, whichever has more.
        """
        # two of Adam, the total, the episode's gradient and its two summands
        held = 4 * 6 * weight_count(model)
        once = kept_bytes(model, self.rows_at_once(rows), 1)
        return (held + once + self.inner_bytes(model, rows)) / 1e9

    def inner_bytes(self, model: TransferModel, rows: int) -> float:
        """What inner steps on so many rows add to it."""
        return 0.0

    def rows_at_once(self, rows: int) -> int:
        """The most rows whose intermediate values are held together, of episodes of ``rows``
        support or query rows.
        """
        return min(rows, self.rows_a_part)

    def _say_memory(self, model: TransferModel, tensors, verbose) -> None:
        estimate, most = (
            self.memory_estimate(model, max(tensors.rows.values())),
            machine_bytes() / 1e9,
        )
        if verbose:
            print(
                f"{self.name}: about {estimate:.1f} GB beside the model; this machine has "
                f"{most:.1f} GB."
            )
        if estimate > most:
            warnings.warn(
                f"{self.name} is estimated to take {estimate:.1f} GB; this machine has {most:.1f} "
                f"GB. Lower rows_a_part ({self.rows_a_part}) or the model's max_length.",
                ResourceWarning,
                stacklevel=3,
            )

    # -- what each strategy says -------------------------------------------------------------------

    def episode_gradient(self, learner: MetaLearner, support, query):
        """Query loss, gradients by ``learner.parameters``, (steps,) support losses of one
        episode.
        """
        raise NotImplementedError

    def episode_loss(self, learner: MetaLearner, support, query) -> tf.Tensor:
        """Query loss of one episode after adapting to its support."""
        raise NotImplementedError

    def extra_variables(self, model: TransferModel) -> list[tf.Variable]:
        """Variables that are learned beside the model's."""
        return []

    def settings(self, model: TransferModel, source_rows, target_rows):
        return {"outer steps on the source": self.steps, "episodes an outer step": self.meta_batch}

    # -- adaptation --------------------------------------------------------------------------------

    def target_model(self, model: TransferModel, support: pd.DataFrame, out):
        """A copy of ``model`` whose classes are those of the support, to be adapted.

        Raises:
            DataError: the support has another number of classes than the head, and the strategy
                needs as many; or the model is none.
        """
        if not hasattr(model, "resolve"):
            raise DataError(
                f"{self.name} adapts a TransferModel.\nReceived {type(model).__name__}.\n"
                "Give what this strategy's fit returned, or a pretrained model."
            )
        model.resolve(support)
        tasks = [_task_of_support(t, support) for t in model.tasks]
        if tasks == model.tasks:
            return model.copy(out=out)
        for old, new in zip(model.tasks, tasks):
            if new.outputs != old.outputs and not self.any_way:
                raise DataError(
                    "The head must have one output for each class of the support.\nReceived a head "
                    f"of {len(old.classes)} classes for task {old.name!r}, and a support of "
                    f"{len(new.classes)} classes: {listed(new.classes)}.\n"
                    "Use episodes of that way, or proto_maml or proto_net, which take any."
                )
        return model.copy(tasks=tasks)


def _task_of_support(task, support: pd.DataFrame):
    """The task with the support's classes where they are not its own."""
    kind = kind_of(task)
    if not (kind.one_class or kind.draws_classes) or task.label not in support.columns:
        return task
    column = relabel(support[task.label], task.labels)
    given = class_counts(kind.label_counts(task, column))
    # A few labels may all be of one class, which is no task of its own.
    if {class_text(c) for c in given} <= {class_text(c) for c in task.classes}:
        return task
    return dataclasses.replace(task, classes=(), class_weight=None).resolve(support)
