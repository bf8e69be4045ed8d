"""The episodes that a meta-learning strategy trains on, and whether they fit the model."""

from __future__ import annotations

import dataclasses

from tf_transfer.episodes.sampler import EpisodeSampler
from tf_transfer.episodes.tensors import only_classification
from tf_transfer.errors import DataError, listed
from tf_transfer.strategies.base import source_tables
from tf_transfer.tables import join_tables

SOURCE = "__source__"
"""Column that names the source of a row while episodes are drawn from several."""


def training_sampler(strategy, model, source, seed: int) -> EpisodeSampler:
    """The sampler of the source's episodes; classes and heads that the model leaves open are made to fit them.

    Args:
        strategy: a `MetaStrategy`.
        model: a `TransferModel`.
        source: an `EpisodeSampler`; or a table, or ``{name: table}``.
        seed: of the episodes of tables.

    Raises:
        DataError: the episodes do not fit the model or the strategy.
    """
    if not isinstance(source, EpisodeSampler):
        return _sampler_of_tables(strategy, model, source, seed)
    if source.task is None or source.task.kind != "classification":
        if strategy.needs_classes:
            raise _only_classes(strategy, "episodes of rows" if source.task is None else source.task.kind)
        model.resolve(source.table)
        return source
    task = only_classification(model)
    lowest, way = source.ways
    if lowest != way and not strategy.any_way:
        raise DataError(
            f"{strategy.name} trains one head, so every episode must have the same number of classes.\n"
            f"Received way={source.way!r}.\nGive one number, or use proto_maml or proto_net."
        )
    if not task.resolved:
        model.set_tasks([dataclasses.replace(task, kind="classification", classes=tuple(range(way)))])
    elif not strategy.any_way and task.outputs != way:
        raise DataError(
            f"The head must have one output for each class of an episode.\nReceived a head of {task.outputs} "
            f"outputs for task {task.name!r}, and episodes of way={way}.\n"
            "Leave the task's classes open, or draw episodes of that way."
        )
    return source


def _sampler_of_tables(strategy, model, source, seed: int) -> EpisodeSampler:
    tables = source_tables(source)
    joined = join_tables([t.assign(**{SOURCE: name}) for name, t in tables.items()])
    model.resolve(joined)
    options = {
        "shot": strategy.shot, "num_query": strategy.num_query, "seed": seed, "domain": SOURCE, "drop_small": True,
    }  # fmt: skip
    if not strategy.needs_classes:
        return EpisodeSampler(joined, None, **options)
    if len(model.tasks) != 1 or model.tasks[0].kind != "classification":
        raise _only_classes(strategy, listed([f"{t.name}: {t.kind}" for t in model.tasks]))
    task = model.tasks[0]
    return EpisodeSampler(joined, task, way=len(task.classes), **options)


def _only_classes(strategy, found: str) -> DataError:
    return DataError(
        f"{strategy.name} learns one classification, from episodes of classes.\nReceived {found}.\n"
        "Give a model with one classification, or use maml or reptile, which take any task."
    )
