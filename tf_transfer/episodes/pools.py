"""The rows that episodes may be drawn from: of each domain, by class, and large enough."""

from __future__ import annotations

import dataclasses
from typing import Protocol

import numpy as np
import pandas as pd

from tf_transfer.errors import DataError, check_columns
from tf_transfer.kinds import kind_of
from tf_transfer.kinds.class_types import plain_class
from tf_transfer.kinds.tasks import Task


class Draws(Protocol):
    """What is drawn from pools: an `EpisodeSampler`, whose docstring says what these are."""

    task: Task | None
    way: int | tuple[int, int] | None
    shot: int | tuple[int, int]
    num_query: int
    ways: tuple[int, int]
    shots: tuple[int, int]
    domain: str | None
    drop_small: bool


@dataclasses.dataclass(frozen=True)
class Pool:
    """Rows that an episode may be drawn from: of each class, or all together as the class None."""

    domain: object
    classes: tuple
    rows: tuple[np.ndarray, ...]


def read_domains(table: pd.DataFrame, column: str) -> tuple[np.ndarray, list]:
    """(rows,) int64 number of each row's domain, -1 where it has none; and the domains' names.

    Raises:
        DataError: the column is missing, or a row holds a list.
    """
    check_columns(table, [column])
    values = table[column].to_numpy(object)
    plain = [
        None if missing else plain_class(v) for v, missing in zip(values, table[column].isna())
    ]
    try:
        names = {
            name: number
            for number, name in enumerate(dict.fromkeys(v for v in plain if v not in (None, "")))
        }
    except (TypeError, ValueError) as error:
        raise DataError(
            f"Column {column!r} must hold one value in a row.\nReceived lists in some."
        ) from error
    return np.array([names.get(v, -1) for v in plain], np.int64), list(names)


def find_pools(table: pd.DataFrame, task: Task | None, domain: str | None) -> list[Pool]:
    """One of each domain, or one of all rows.

    Raises:
        DataError: no row has a domain, or a label cannot be read.
    """
    y, present = (None, np.ones(len(table), bool)) if task is None else task.encode(table)
    numbers, names = (
        (np.zeros(len(table), np.int64), [None]) if domain is None else read_domains(table, domain)
    )
    if not names:
        raise DataError(
            f"Column {domain!r} must name the domain of some rows.\nReceived none in {len(table)} "
            "rows."
        )
    pools = []
    for number, name in enumerate(names):
        rows = np.flatnonzero(present & (numbers == number))
        if task is None or kind_of(task).episodes == "rows":
            pools.append(Pool(name, (None,), (rows,)))
            continue
        if kind_of(task).episodes == "types":
            pools.append(_pool_of_types(name, task, y, rows))
            continue
        rows = rows[np.argsort(y[rows], kind="stable")]
        classes, starts = np.unique(y[rows], return_index=True)
        pools.append(
            Pool(name, tuple(task.classes[i] for i in classes), tuple(np.split(rows, starts[1:])))
        )
    return pools


def _pool_of_types(domain, task: Task, y, rows: np.ndarray) -> Pool:
    """A row is among those of each of its types."""
    counts = kind_of(task).counts_by_row(task, y)[rows]
    numbers = np.flatnonzero(counts.any(0))
    classes = tuple(task.classes[number] for number in numbers)
    return Pool(domain, classes, tuple(rows[counts[:, number] > 0] for number in numbers))


def fitting_pools(sampler: Draws, pools: list[Pool]) -> list[Pool]:
    """The pools, without what is too small where the sampler leaves it out.

    Raises:
        DataError: a class, a domain or the table is too small.
    """
    need = sampler.shots[1] + sampler.num_query
    small = [
        (len(rows), place_of(pool.domain, label))
        for pool in pools
        for label, rows in zip(pool.classes, pool.rows)
        if len(rows) < need
    ]
    if small and not sampler.drop_small:
        raise _too_few_rows(sampler, *min(small), len(small))
    pools = [_without_small(pool, need) for pool in pools]
    kept = [pool for pool in pools if len(pool.classes) >= sampler.ways[1]]
    if not kept and sampler.ways == (1, 1):
        raise _too_few_rows(sampler, *max(small), len(small))
    if not kept or (len(kept) < len(pools) and not sampler.drop_small):
        raise _too_few_classes(sampler, pools, need)
    return kept


def _without_small(pool: Pool, need: int) -> Pool:
    large = [i for i, rows in enumerate(pool.rows) if len(rows) >= need]
    return Pool(
        pool.domain, tuple(pool.classes[i] for i in large), tuple(pool.rows[i] for i in large)
    )


def place_of(domain, label=None) -> str:
    """What to call a domain, or a class of it, in a message."""
    where = "the table" if domain is None else f"domain {domain!r}"
    if label is None:
        return where
    return f"class {label!r}" + ("" if domain is None else f" of {where}")


def _too_few_rows(sampler: Draws, count: int, place: str, others: int) -> DataError:
    spare = count - sampler.shots[1]
    if spare >= 1:
        remedy = f"Lower num_query to {spare}"
    else:
        remedy = f"Lower shot and num_query to {count} together" if count > 1 else "Add rows"
    unit = "class" if sampler.ways != (1, 1) else "domain" if sampler.domain else ""
    if unit and not sampler.drop_small:
        plural = "classes" if unit == "class" else "domains"
        remedy += f", or leave such {plural} out with drop_small=True"
    labelled = "" if sampler.task is None else "labelled "
    return DataError(
        f"`shot` + `num_query` must not exceed the {labelled}rows of "
        f"{f'any {unit}' if unit else 'the table'}.\n"
        f"Received shot={sampler.shot!r}, num_query={sampler.num_query}; {place} has {count} rows"
        f"{f' (one of {others} that are too small)' if others > 1 else ''}.\n{remedy}."
    )


def _too_few_classes(sampler: Draws, pools: list[Pool], need: int) -> DataError:
    # What drop_small would leave out is not in the way: the nearest miss is.
    pool = (max if sampler.drop_small else min)(pools, key=lambda p: len(p.classes))
    count, place = len(pool.classes), place_of(pool.domain)
    remedies = [f"lower way to {count}" if count > 1 else "add rows of other classes"]
    if sampler.drop_small:
        remedies.append("lower shot or num_query")
    elif sampler.domain:
        remedies.append("leave such domains out with drop_small=True")
    remedy = ", or ".join(remedies)
    enough = f" of at least {need} rows" if sampler.drop_small else ""
    return DataError(
        f"`way` must not exceed the classes of {'any domain' if sampler.domain else 'the table'}.\n"
        f"Received way={sampler.way!r}; {place} has {count} classes"
        f"{enough}.\n{remedy[0].upper() + remedy[1:]}."
    )
