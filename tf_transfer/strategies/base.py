"""What every strategy is: hyperparameters in a frozen dataclass, and two verbs."""

from __future__ import annotations

import dataclasses
import math
import numbers
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, ClassVar, Literal

import pandas as pd

from tf_transfer.batches.rows import steps_of
from tf_transfer.errors import DataError
from tf_transfer.evaluation.fitted import Fitted, Predictor
from tf_transfer.kinds import kind_of
from tf_transfer.kinds.tasks import Task
from tf_transfer.training.gradient_rules import GradientRule

if TYPE_CHECKING:
    from tf_transfer.model.model import TransferModel

JOINT, SEQUENTIAL, TARGET, ANCHORED, PROBE, WORDS, EPISODES, CONTROL = FAMILIES = (
    "joint training",
    "sequential training",
    "training on the target",
    "a probe with source",
    "a probe on the target",
    "word counts",
    "learning from episodes",
    "a control",
)
"""Strategies that move knowledge in the same way."""


@dataclasses.dataclass(frozen=True)
class Strategy:
    """How knowledge moves from source data to a target.

    ``fit(model, source)`` is the outer loop or source training: it trains ``model`` in place and
    returns a `Fitted`, which `adapt` starts from. ``adapt(fitted, support)`` is the inner loop or
    target training: it returns an adapted copy, a `Predictor`, and leaves what it was given
    untouched. `arguments` of a strategy are its provenance and its search space.
    """

    name: ClassVar[str]
    uses_source: ClassVar[bool] = True
    uses_encoder: ClassVar[bool] = True
    search_space: ClassVar[Mapping[str, object]] = {}
    """Where `tune` looks for each argument unless told otherwise, in the form of an experiment
    file.
    """
    unread: ClassVar[tuple[str, ...]] = ()
    """Inherited arguments that mean nothing to it."""
    lacks_labels: ClassVar[str] = ""
    """What it does with a target's task that no source has labels of."""
    lacks_classes: ClassVar[str] = ""
    """What it does with a target's classes that no source has."""
    timed_by: ClassVar[Literal["steps", "episodes", "calls"]] = "calls"
    """What its time is told from before it runs.

    ``"calls"``: `fit` and `adapt` as a whole. ``"episodes"``: ``fit(..., steps=)`` of a few steps,
    and the field ``steps``. ``"steps"``: gradient steps of tables, from what `TargetTraining` and
    `FineTune` have: ``adapt_passes``, ``adapt_batch_size``, ``head_start``, and with sources
    ``parts_of``, ``epochs`` and ``batch_size``.
    """
    effort: ClassVar[str | None] = None
    """The argument that Hyperband's epochs stand for; None: the training has no length to
    choose.
    """

    def __post_init__(self):
        for field in dataclasses.fields(self):
            value = getattr(self, field.name)
            if field.name in self.unread and value != field.default:
                raise DataError(
                    f"{self.name} has no {field.name}.\nReceived {field.name}={value!r}, which "
                    "would change nothing.\n"
                    "Leave it out."
                )
            # a class where annotations are not postponed
            kind = getattr(field.type, "__name__", str(field.type))
            auto = value == "auto" and "auto" in kind
            if kind.startswith("bool"):
                good = isinstance(value, bool) or auto
                wanted = "True, False or 'auto'" if "auto" in kind else "True or False"
            elif _is_number(value):
                good, wanted = math.isfinite(value) and value > 0, "a number above 0"
            else:
                good = not kind.startswith("float") or auto
                wanted = "a number above 0"
            if not good:
                remedy = (
                    ""
                    if field.default is dataclasses.MISSING
                    else f"\nThe default is {field.default!r}."
                )
                raise DataError(
                    f"{field.name} of {self.name} must be {wanted}.\nReceived {value!r}.{remedy}"
                )

    def fit(
        self, model: TransferModel, source, *, seed: int = 0, verbose=0, callbacks=None
    ) -> Fitted:
        """Learns from the source.

        Args:
            model: `TransferModel`; its weights are changed.
            source: a table, or ``{name: table}``; a strategy that does not use sources ignores it.
            seed: of the order of batches and of dropout.
            verbose: as in Keras.
            callbacks: of Keras, for strategies that train step by step; `Resume` makes a training
                that was killed go on. A strategy that trains several times in turn runs them in
                each.

        Returns:
            The trained ``model``, with what was learned beside its weights: what `adapt` starts
            from.
        """
        raise NotImplementedError

    def adapt(
        self,
        model: Fitted | Predictor,
        support: pd.DataFrame,
        *,
        seed: int = 0,
        out=None,
        verbose=0,
        callbacks=None,
    ) -> Predictor:
        """Learns from the target's labelled rows.

        Args:
            model: what `fit` returned, or a model alone; it stays as it is.
            support: the target's labelled rows.
            out: an earlier result of `adapt` to overwrite, which saves building and tracing a
                model.
            callbacks: as for `fit`. Of an inner loop, which is one traced function, they hear step
                by step when it has ended.

        Returns:
            The adapted copy.
        """
        raise NotImplementedError

    @property
    def family(self) -> str:
        """The one of `FAMILIES` that it belongs to with its arguments; advice is given by
        families.
        """
        return EPISODES if self.uses_source else PROBE

    def without_source(self) -> Strategy | None:
        """The strategy that does the same on the target and sees no source: what a verdict on it is
        against.

        None for a strategy without source data.
        """
        return None

    def arguments(self) -> dict[str, object]:
        """Its arguments, as an experiment file gives them."""
        return dataclasses.asdict(self)

    def identity(self) -> dict[str, object]:
        """For JSON: what two strategies of one name must share to have the same results."""
        return self.arguments()

    def check_tasks(self, names: Sequence[str]) -> None:
        """Whether it can learn tasks; ``names`` are those with a loss_weight above 0.

        Raises:
            DataError: an argument would change nothing for them.
        """

    def check_kinds(self, tasks: Sequence[Task]) -> None:
        """Whether it knows the kinds of resolved tasks.

        Raises:
            DataError: it does not know one.
        """

    def for_episodes(self) -> Strategy:
        """The strategy as it adapts to an episode, a task of a few rows like those of its
        training.
        """
        return self

    def on_sources(self, count: int) -> Strategy:
        """The strategy that this one is with so many source tables."""
        return self

    def settings(
        self, model: TransferModel, source_rows: Mapping[str, int], target_rows: int
    ) -> dict[str, object]:
        """What training on so many rows comes to, by name: steps, rates, and what starts how; for
        the report.

        Args:
            model: the pretrained `TransferModel`.
            source_rows: rows of each source table.
            target_rows: labelled rows of the target.
        """
        return {}

    def auto_rate(self, field: str, model: TransferModel, rows: int) -> float:
        """What ``"auto"`` stands for in a learning rate, with ``rows`` labelled target rows."""
        return model.auto_learning_rate


def refuse_tokens(strategy: Strategy, tasks: Sequence[Task]) -> None:
    """Raises:
    DataError: a task is about the tokens of a text, and ``strategy`` about whole texts.
    """
    for task in tasks:
        if kind_of(task).reads == "tokens":
            raise DataError(
                f"{strategy.name} learns from whole texts; a {task.kind} is about their words.\n"
                f"Received task {task.name!r}.\n"
                "Leave the strategy out, or use target_only or fine_tune."
            )


def _is_number(value) -> bool:
    return isinstance(value, numbers.Real) and not isinstance(value, bool)


def source_tables(source) -> dict[str, pd.DataFrame]:
    """The source as ``{name: table}``.

    Raises:
        DataError: there is none, or one has no rows.
    """
    tables = dict(source) if isinstance(source, Mapping) else {"source": source}
    for name, table in tables.items():
        if not isinstance(table, pd.DataFrame) or not len(table):
            rows = f"{len(table)} rows" if isinstance(table, pd.DataFrame) else type(table).__name__
            raise DataError(f"Source {name!r} must be a table with rows.\nReceived {rows}.")
    if not tables:
        raise DataError("This strategy learns from source tables.\nReceived none.")
    return tables


def train(
    model: TransferModel,
    table: pd.DataFrame,
    *,
    epochs: int = 1,
    passes: int = 1,
    learning_rate: float | str,
    batch_size: int,
    seed: int,
    verbose,
    callbacks=None,
    gradient_rule: str | GradientRule = "sum",
) -> None:
    """One run of the model's own `fit` with a fresh optimizer: the loop that strategies share.

    Args:
        epochs: Keras epochs; after each, the weights are kept in case the loss becomes NaN.
        passes: over the table in each epoch. A hundred passes over a few rows in one epoch take
            half the time of a hundred epochs.
        gradient_rule: see `Network.compile`.
    """
    model.resolve(table)
    model.start_run(learning_rate, seed, gradient_rule)
    steps = passes * steps_of(len(table), batch_size)
    options = {"epochs": epochs, "steps_per_epoch": steps, "batch_size": batch_size}
    model.fit(table, verbose=verbose, callbacks=callbacks, **options)
