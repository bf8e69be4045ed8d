"""The episodes that a meta-learning strategy trains on, and whether they fit the model."""

from __future__ import annotations

import dataclasses
import warnings
from typing import TYPE_CHECKING

import pandas as pd

from tf_transfer.data.tables import join_tables
from tf_transfer.episodes.sampler import EpisodeSampler
from tf_transfer.episodes.tensors import only_few_shot
from tf_transfer.errors import DataError, listed, nearest
from tf_transfer.kinds import kind_of
from tf_transfer.strategies.base import source_tables

if TYPE_CHECKING:
    from tf_transfer.model.model import TransferModel

SOURCE = "__source__"
"""Column that names the source of a row while episodes are drawn from several."""

TYPES = 5
"""Types of spans in an episode that is drawn from source tables."""


def training_sampler(
    strategy, model: TransferModel, source, *, shot: int, num_query: int, seed: int
) -> EpisodeSampler:
    """The sampler of the source's episodes; classes and heads that the model leaves open are made
    to fit them.

    Args:
        strategy: a `MetaStrategy`.
        model: a `TransferModel`.
        source: an `EpisodeSampler`; or a table, or ``{name: table}``.
        shot, num_query, seed: of the episodes of tables.

    Raises:
        DataError: the episodes do not fit the model or the strategy.
    """
    if not isinstance(source, EpisodeSampler):
        return _sampler_of_tables(
            strategy, model, source, shot=shot, num_query=num_query, seed=seed
        )
    check_fits(strategy, model, source)
    if not _of_classes(source):
        model.resolve(source.table)
    elif not model.tasks[0].resolved:
        classes = tuple(range(source.ways[1]))
        model.set_tasks(
            [dataclasses.replace(model.tasks[0], kind=source.task.kind, classes=classes)]
        )
    return source


def samplers_of(
    strategy, model: TransferModel, source, validation, validation_source: str | None, **options
) -> tuple[EpisodeSampler, EpisodeSampler | None]:
    """The samplers of the episodes to train on and of those to validate on, None for none.

    Args:
        strategy, model, source, options: as for `training_sampler`.
        validation: a sampler; or None: one of the source table that ``validation_source`` names, if
            any.

    Raises:
        DataError: the episodes do not fit the model or the strategy, or there is no source of that
            name.
    """
    if validation_source is None or validation is not None:
        return training_sampler(strategy, model, source, **options), validation
    tables, held_out = _held_out(strategy, source, validation_source)
    model.resolve(join_tables([*tables.values(), *held_out.values()]))
    sampler = training_sampler(strategy, model, tables, **options)
    try:
        return sampler, training_sampler(strategy, model, held_out, **options)
    except DataError as error:
        raise DataError(
            f"validation_source={validation_source!r} of {strategy.name} gives no episodes of "
            f"shot={sampler.shot}, "
            f"num_query={sampler.num_query}{_of_each(sampler)}.\n{error}\nName another source."
        ) from error


def _held_out(
    strategy, source, name: str
) -> tuple[dict[str, pd.DataFrame], dict[str, pd.DataFrame]]:
    """The source tables to train on, and the one to validate on."""
    tables = {} if isinstance(source, EpisodeSampler) else source_tables(source)
    if name not in tables or len(tables) < 2:
        received = f"the tables {listed(tables)}" if tables else "an EpisodeSampler"
        raise DataError(
            f"validation_source of {strategy.name} must name one of several source tables.\n"
            f"Received validation_source={name!r} and {received}.{nearest(name, tables)}\n"
            "Give source tables by name, or a sampler of other classes as validation."
        )
    return {n: table for n, table in tables.items() if n != name}, {name: tables[name]}


def check_fits(
    strategy, model: TransferModel, sampler: EpisodeSampler, use: str = "training"
) -> None:
    """Checks that a strategy can learn from a sampler's episodes with the model's heads.

    Args:
        use: what the episodes are for.

    Raises:
        DataError: they do not fit.
    """
    if not _of_classes(sampler):
        if strategy.needs_classes:
            raise _only_classes(
                strategy, "episodes of rows" if sampler.task is None else sampler.task.kind
            )
        if sampler.task is not None and not any(t.label == sampler.task.label for t in model.tasks):
            raise DataError(
                "The model must have the task of the episodes, with its labels in column "
                f"{sampler.task.label!r}.\n"
                f"Received the tasks {listed([t.name for t in model.tasks])}, and episodes for "
                f"{use}.\n"
                "Give the model that Task, or draw episodes of rows of any labels with "
                "EpisodeSampler(table, None)."
            )
        return
    task, (lowest, way) = only_few_shot(model), sampler.ways
    if lowest != way and not strategy.any_way:
        raise DataError(
            f"{strategy.name} trains one head, so every episode must have the same number of "
            "classes.\n"
            f"Received way={sampler.way!r} for {use}.\nGive one number, or use proto_maml or "
            "proto_net."
        )
    known = len(task.classes)
    if task.resolved and (known < way or (known > way and not strategy.any_way)):
        raise DataError(
            "The head must have one output for each class of an episode.\nReceived a head of "
            f"{known} classes for task {task.name!r}, and episodes of way={way} for {use}.\n"
            "Leave the task's classes open, which then follow from the training, or draw episodes "
            "of that way."
        )


def _of_classes(sampler: EpisodeSampler) -> bool:
    return sampler.task is not None and kind_of(sampler.task).draws_classes


def _sampler_of_tables(strategy, model: TransferModel, source, **options) -> EpisodeSampler:
    tables = source_tables(source)
    joined = join_tables([t.assign(**{SOURCE: name}) for name, t in tables.items()])
    model.resolve(joined)
    options |= {"domain": SOURCE, "drop_small": True}
    if not strategy.needs_classes:
        sampler = EpisodeSampler(joined, None, **options)
    elif len(model.tasks) == 1 and kind_of(model.tasks[0]).draws_classes:
        task = model.tasks[0]
        several = kind_of(task).episodes == "types"
        way = min(len(task.classes), TYPES) if several else len(task.classes)
        sampler = EpisodeSampler(joined, task, way=way, **options)
    else:
        raise _only_classes(strategy, listed([f"{t.name}: {t.kind}" for t in model.tasks]))
    _say_left_out(strategy, tables, sampler)
    return sampler


def _say_left_out(strategy, tables: dict, sampler: EpisodeSampler) -> None:
    """Warns of sources that are too small for an episode."""
    small = [
        f"{name!r} ({len(table)} rows)"
        for name, table in tables.items()
        if name not in sampler.domains
    ]
    if small:
        needed = sampler.shots[1] + sampler.num_query
        warnings.warn(
            f"{strategy.name} leaves out {len(small)} of {len(tables)} sources, which have fewer "
            f"than the {needed} rows{_of_each(sampler)} that an episode takes "
            f"(shot={sampler.shot}, num_query={sampler.num_query}): {', '.join(small)}. Lower shot "
            "or num_query.",
            UserWarning,
            stacklevel=6,
        )


def _of_each(sampler: EpisodeSampler) -> str:
    return f" of each of {sampler.ways[1]} classes" if _of_classes(sampler) else ""


def _only_classes(strategy, received: str) -> DataError:
    return DataError(
        f"{strategy.name} learns one classification or tagging, from episodes of classes.\n"
        f"Received {received}.\n"
        "Give a model with one such task, or use maml or reptile, which take any task."
    )
