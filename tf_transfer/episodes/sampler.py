"""Drawing episodes: small support and query sets, by a table's labels alone.

Vinyals et al., Matching Networks for One Shot Learning, 2016, https://arxiv.org/abs/1606.04080.
Where a row may have several classes, as spans of several types: see `episodes.greedy`.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import numpy as np
import pandas as pd

from tf_transfer.episodes.episode import Episode
from tf_transfer.episodes.greedy import draw_rows
from tf_transfer.episodes.pools import Pool, find_pools, fitting_pools, place_of
from tf_transfer.errors import DataError, check_columns, check_whole, is_whole
from tf_transfer.kinds import kind_of, kinds_where
from tf_transfer.kinds.tasks import Task

ATTEMPTS = 100
"""Draws of types for an episode, of which the first is taken that has rows enough."""


class EpisodeSampler:
    """An endless sequence of episodes, each drawn from the labels of a table alone, never its text.

    Args:
        table: rows; an episode holds their positions.
        task: a `Task`, or the column of its labels. Classification: an episode has ``way``
            classes, and ``shot`` support and ``num_query`` query rows of each. Tagging: an
            episode has spans of ``way`` types alone, of each type ``shot`` to ``2 shot`` in the
            support and ``num_query`` to ``2 num_query`` in the query; words outside of spans are
            no type, and in every episode. Regression and span: ``shot`` and ``num_query`` rows
            in total. None: likewise, of rows with any labels or none, for models with several
            tasks.
        way: classes in an episode: a number, or (low, high), both included, drawn anew for each
            episode. Only a classification and a tagging read it.
        shot: support rows, of each class in a classification: a number, or (low, high).
        num_query: query rows, of each class in a classification.
        seed: with the same labels, arguments and seed, episode i is always the same.
        domain: a column; each episode is drawn from the rows of one of its values. All are
            equally likely, whatever their number of rows.
        balanced: False lets each class of an episode draw its own shot from (low, high).
        drop_small: leave out classes with fewer than ``shot + num_query`` rows (within a domain)
            and domains with fewer than ``way`` classes, instead of raising.

    Attributes:
        table: a copy of the rows, index 0 to rows - 1.
        task: the task, resolved, or None.
        classes: all classes that episodes are drawn from.
        domains: all domains that episodes are drawn from.
        pairs: all ``(domain, class)`` that episodes are drawn from; the domain is None without
            ``domain``, the class where there are none. Empty without either.
        ways, shots: (lowest, highest) number of classes, and of support rows of one; (1, 1) where
            there are no classes.

    Raises:
        DataError: a class, a domain or the table is too small, a column is missing, or an
            argument is out of its range. The message names the class and the remedy.

    Example:
        >>> texts = [f"text {i}" for i in range(12)]
        >>> table = pd.DataFrame({"text": texts, "intent": list("abc") * 4})
        >>> sampler = EpisodeSampler(table, "intent", way=2, shot=1, num_query=2, seed=0)
        >>> episode = sampler.episode(0)
        >>> len(episode.support), len(episode.query), set(episode.support) & set(episode.query)
        (2, 4, set())
        >>> episode.encode(table["intent"].iloc[episode.support]).tolist()
        [0, 1]
    """

    def __init__(
        self,
        table: pd.DataFrame,
        task: Task | str | None = None,
        way: int | tuple[int, int] | None = 5,
        shot: int | tuple[int, int] = 5,
        num_query: int = 15,
        seed: int = 0,
        *,
        domain: str | None = None,
        balanced: bool = True,
        drop_small: bool = False,
    ):
        if not isinstance(table, pd.DataFrame):
            raise DataError(
                f"`table` must be a DataFrame.\nReceived {type(table).__name__}.\nGive one of "
                "labelled rows."
            )
        self.table = table.reset_index(drop=True)
        self.task = None if task is None else resolve_task(table, task, rows=True)
        self.way, self.shot, self.num_query, self.seed = way, shot, num_query, seed
        self.domain, self.balanced, self.drop_small = domain, balanced, drop_small
        classifies = self.task is not None and kind_of(self.task).draws_classes
        self.ways = _read_range("way", way, 2) if classifies else (1, 1)
        self.shots = _read_range("shot", shot, 1)
        check_whole("`num_query`", num_query, 1)
        check_whole("`seed`", seed, 0)
        if not balanced and (not classifies or self.shots[0] == self.shots[1]):
            raise DataError(
                "balanced=False draws a shot for each class, so it needs a classification and a "
                "range of shots.\n"
                f"Received shot={shot!r} and "
                f"{f'a {self.task.kind}' if self.task else 'task=None'}.\n"
                "Give for instance shot=(1, 10), or leave balanced=True."
            )
        self._counts = self._class_counts()
        self._pools = fitting_pools(self, find_pools(self.table, self.task, domain))
        drawn = {c for pool in self._pools for c in pool.classes}
        self.classes = tuple(c for c in self.task.classes if c in drawn) if self.task else ()
        self.domains = () if domain is None else tuple(pool.domain for pool in self._pools)
        named = self.classes or self.domains
        self.pairs = (
            tuple((pool.domain, c) for pool in self._pools for c in pool.classes) if named else ()
        )

    def episode(self, index: int) -> Episode:
        """Episode number ``index`` (from 0) of the sequence.

        Raises:
            DataError: ``index`` is no whole number of at least 0.
        """
        check_whole("`index`", index, 0)
        rng = np.random.default_rng([self.seed, index])
        pool = self._pools[rng.integers(len(self._pools))]
        for _ in range(1 if self._counts is None else ATTEMPTS):
            way = rng.integers(*self.ways, endpoint=True)
            drawn = rng.choice(len(pool.classes), way, replace=False)
            shots = rng.integers(*self.shots, size=1 if self.balanced else way, endpoint=True)
            parts = self._rows_of(rng, pool, drawn, np.broadcast_to(shots, way))
            if parts is not None:
                break
        else:
            raise _no_such_rows(self, pool, index)
        classes = tuple(pool.classes[number] for number in drawn) if self.classes else ()
        return Episode(*parts, classes, pool.domain, int(index), self)

    def _rows_of(self, rng, pool: Pool, drawn, shots) -> tuple[np.ndarray, np.ndarray] | None:
        """Support and query of some classes of a pool, or None where there are not rows enough."""
        if self._counts is not None:
            return self._rows_of_types(rng, pool, drawn, shots)
        support, query = [], []
        for number, shot in zip(drawn, shots):
            rows = rng.choice(pool.rows[number], shot + self.num_query, replace=False)
            support.append(rows[:shot])
            query.append(rows[shot:])
        return np.concatenate(support), np.concatenate(query)

    def _rows_of_types(self, rng, pool: Pool, drawn, shots):
        """The same of rows that have no other types."""
        places = {name: place for place, name in enumerate(self.task.classes)}
        types = [places[pool.classes[number]] for number in drawn]
        rows = np.unique(np.concatenate([pool.rows[number] for number in drawn]))
        counts = self._counts[rows]
        alone = counts.sum(1) == counts[:, types].sum(1)
        rows, counts = rows[alone], counts[alone][:, types]
        support = draw_rows(rng, rows, counts, shots)
        if support is None:
            return None
        left = ~np.isin(rows, support)
        query = draw_rows(rng, rows[left], counts[left], np.full(len(types), self.num_query))
        return None if query is None else (support, query)

    def _class_counts(self) -> np.ndarray | None:
        """(rows, classes) int: how often each row has each class, where it may have several."""
        if self.task is None or kind_of(self.task).episodes != "types":
            return None
        y, _ = self.task.encode(self.table)
        return kind_of(self.task).counts_by_row(self.task, y)

    def sample(self, count: int, start: int = 0) -> list[Episode]:
        """Episodes ``start`` to ``start + count - 1``.

        Raises:
            DataError: ``count`` is no whole number of at least 1, or ``start`` of at least 0.
        """
        check_whole("`count`", count, 1)
        check_whole("`start`", start, 0)
        return [self.episode(index) for index in range(start, start + count)]

    def __iter__(self) -> Iterator[Episode]:
        return map(self.episode, itertools.count())


def resolve_task(table: pd.DataFrame, task: Task | str, rows: bool = False) -> Task:
    """``task``, or the one that column ``task`` asks for, with kind and classes known.

    Args:
        rows: whether episodes may be drawn from rows of any label; else only from classes.

    Raises:
        DataError: the column is missing or empty, or there are no such episodes of the task's kind.
    """
    if not isinstance(task, str | Task):
        raise DataError(f"`task` must be a Task or the column of its labels.\nReceived {task!r}.")
    task = (Task(task) if isinstance(task, str) else task).resolve(table)
    check_columns(table, [task.label])
    kinds = kinds_where(draws_classes=True) + (kinds_where(episodes="rows") if rows else [])
    if task.kind not in kinds:
        remedy = f"Give Task({task.name!r}, kind={kinds[0]!r}) if it is one"
        remedy += ", or task=None to draw rows of any labels." if rows else "."
        raise DataError(
            f"A task must be a {_alternatives(kinds)} here.\nReceived {task.name!r}: "
            f"{task.kind}.\n{remedy}"
        )
    return task


def _alternatives(names: list[str]) -> str:
    return " or ".join([", ".join(names[:-1]), names[-1]]) if len(names) > 1 else names[0]


def _no_such_rows(sampler: EpisodeSampler, pool: Pool, index: int) -> DataError:
    return DataError(
        "An episode needs rows that have its types and no others.\n"
        f"Received {ATTEMPTS} draws of way={sampler.way!r} types of {place_of(pool.domain)} for "
        f"episode {index}, none with shot={sampler.shot!r} and num_query={sampler.num_query} spans "
        "of each in such rows.\n"
        "Lower way, shot or num_query, or leave rare types out of the table."
    )


def _read_range(name: str, value, least: int) -> tuple[int, int]:
    pair = tuple(value) if isinstance(value, list | tuple) else (value, value)
    if len(pair) != 2 or not all(map(is_whole, pair)) or not least <= pair[0] <= pair[1]:
        raise DataError(
            f"`{name}` must be a whole number of at least {least}, or two of them (low, high), low "
            "<= high.\n"
            f"Received {name}={value!r}.\nGive for instance {name}=5 or {name}=({least}, 10)."
        )
    return int(pair[0]), int(pair[1])
