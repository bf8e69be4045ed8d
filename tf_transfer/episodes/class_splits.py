"""Class-disjoint splits: no class of meta-training is in validation or test, and the code that
checks it.
"""

from __future__ import annotations

import itertools
import warnings
from collections.abc import Mapping

import numpy as np
import pandas as pd

from tf_transfer.episodes.pools import read_domains
from tf_transfer.episodes.sampler import EpisodeSampler, resolve_task
from tf_transfer.errors import DataError, LabelWarning, check_whole, is_whole, listed
from tf_transfer.kinds import kind_of
from tf_transfer.kinds.tasks import Task


def split_classes(
    table: pd.DataFrame,
    task: Task | str,
    *,
    validation: int | float,
    test: int | float,
    seed: int = 0,
    by: str | None = None,
) -> tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame]:
    """Deal out a table's classes at random to meta-training, meta-validation and meta-test.

    Args:
        task: a classification or a tagging, or the column of its labels; rows without a label are
            left out, and so are rows with types of two splits, which a `LabelWarning` counts.
        validation: number of classes, or their share in (0, 1), rounded up.
        test: likewise.
        seed: the same seed gives the same split.
        by: column of groups of classes, each of which goes to one split as a whole;
            ``validation`` and ``test`` then count groups. Not for a tagging.

    Returns:
        train, validation, test: rows in the table's order, each with a new index from 0. No
        class is in two of them.

    Raises:
        DataError: no class would be left for a split, a class is in two groups, or a labelled
            row has no group.

    Example:
        >>> table = pd.DataFrame({"text": list("tuvwxyz"), "intent": list("aabbccd")})
        >>> train, validation, test = split_classes(table, "intent", validation=1, test=1)
        >>> [part["intent"].nunique() for part in (train, validation, test)]
        [2, 1, 1]
    """
    task = resolve_task(table, task)
    y, present = task.encode(table)
    check_whole("`seed`", seed, 0)
    if kind_of(task).episodes == "types":
        return _split_types(table, task, y, present, validation, test, seed, by)
    units = y.astype(np.int64) if by is None else _group_classes(table, task, y, present, by)
    what = "classes" if by is None else f"groups of column {by!r}"
    dealt = _dealt(np.unique(units[present]), validation, test, seed, what)
    chosen = [present & np.isin(units, part) for part in dealt]
    return tuple(table[rows].reset_index(drop=True) for rows in chosen)


def _dealt(units: np.ndarray, validation, test, seed: int, what: str) -> list[np.ndarray]:
    """The units of training, validation and test.

    Args:
        what: the units are called so.

    Raises:
        DataError: none would be left for training.
    """
    dealt = np.random.default_rng(seed).permutation(units)
    sizes = [_read_share(n, v, len(dealt)) for n, v in (("validation", validation), ("test", test))]
    if sum(sizes) >= len(dealt):
        raise DataError(
            f"`validation` + `test` must leave {what} for training.\n"
            f"Received validation={validation!r}, test={test!r}, together {sum(sizes)} of "
            f"{len(dealt)} {what}.\n"
            f"Lower them to at most {len(dealt) - 1} together."
        )
    return [dealt[sum(sizes) :], dealt[: sizes[0]], dealt[sizes[0] : sum(sizes)]]


def _split_types(table, task: Task, y, present, validation, test, seed: int, by):
    """The rows whose spans are all of types of one split."""
    if by is not None:
        raise DataError(
            "Types of spans are dealt out one by one.\n"
            f"Received by={by!r} for the {task.kind} {task.name!r}.\nLeave it out."
        )
    counts = kind_of(task).counts_by_row(task, y)
    types = _dealt(np.flatnonzero(counts.any(0)), validation, test, seed, "types")
    some = present & counts.any(1)
    chosen = [some & (counts[:, part].sum(1) == counts.sum(1)) for part in types]
    lost = some & ~np.logical_or.reduce(chosen)
    if lost.any():
        warnings.warn(
            f"{lost.sum()} of {some.sum()} rows are left out: they have spans of types of two "
            "splits.",
            LabelWarning,
            stacklevel=3,
        )
    return tuple(table[rows].reset_index(drop=True) for rows in chosen)


def check_class_disjoint(
    splits: Mapping[str, pd.DataFrame | EpisodeSampler], task: Task | str | None = None
) -> None:
    """Checks that no class is in two splits; of two samplers with domains, that no class of a
    domain is, or no domain where there are no classes.

    Args:
        splits: by name, samplers (the classes that they draw) or tables (the classes that they
            hold).
        task: of the tables; samplers bring their own.

    Raises:
        DataError: two splits share a class; the message names both and the classes.

    Example:
        >>> table = pd.DataFrame({"text": ["x", "y"], "intent": ["a", "b"]})
        >>> check_class_disjoint({"train": table, "test": table.tail(1)}, "intent")
        Traceback (most recent call last):
        tf_transfer.errors.DataError: Splits 'train' and 'test' must have no class in common.
    """
    tables = {
        name: split for name, split in splits.items() if not isinstance(split, EpisodeSampler)
    }
    pairs = {name: split.pairs for name, split in splits.items() if name not in tables}
    if tables:
        if task is None:
            raise DataError(
                "Tables need a task to tell their classes.\nReceived task=None with "
                f"{listed(tables)}."
            )
        task = resolve_task(pd.concat(list(tables.values()), ignore_index=True), task)
    for name, table in tables.items():
        y, present = task.encode(table, f"the table {name!r}")
        occurring = kind_of(task).occurring(task, y[np.flatnonzero(present)])
        pairs[name] = [(None, task.classes[i]) for i in np.flatnonzero(occurring)]
    for a, b in itertools.combinations(splits, 2):
        _check_disjoint(a, pairs[a], b, pairs[b])


def classes_of(
    samplers: Mapping[str, EpisodeSampler], before: Mapping[str, tuple] | None = None
) -> dict[str, tuple]:
    """``{use: ((domain, class), …)}`` of the episodes of a meta-training, for `check_new_classes`.

    Args:
        samplers: by use, such as ``"training"``.
        before: those of earlier trainings, which count too.
    """
    known = dict(before or {})
    for use, sampler in samplers.items():
        known[use] = tuple(dict.fromkeys([*known.get(use, ()), *sampler.pairs]))
    return known


def check_new_classes(known: Mapping[str, tuple], sampler: EpisodeSampler) -> None:
    """Checks that the episodes of meta-test are of classes that a model was not meta-trained or
    validated on.

    Args:
        known: of `classes_of`. Where it is empty nothing is refused: for a model from a file, a
            copy, a training on tables.

    Raises:
        DataError: a class, or with domains on both sides a class of a domain, is in both.
    """
    for use, pairs in known.items():
        _check_disjoint(use, pairs, "test", sampler.pairs)


def _check_disjoint(a: str, pairs_a, b: str, pairs_b) -> None:
    """Checks two splits, given by name and by their ``(domain, class)``, the domain None where
    there is none.
    """
    both = [*pairs_a, *pairs_b]
    by_domain = all(domain is not None for domain, _ in both)
    by_class = not by_domain or all(label is not None for _, label in both)
    # What both sides name is compared; rows without a class or a domain may be of any.
    compared = [place for place, counts in enumerate((by_domain, by_class)) if counts]

    def key(pair):
        return tuple(str(pair[place]) for place in compared)

    in_b = {key(pair) for pair in pairs_b if by_domain or pair[1] is not None}
    shared = dict.fromkeys(
        pair if len(compared) == 2 else pair[compared[0]] for pair in pairs_a if key(pair) in in_b
    )
    if shared:
        unit = ("class of a domain" if by_domain else "class") if by_class else "domain"
        how = "classes out with split_classes()" if by_class else "domains out"
        raise DataError(
            f"Splits {a!r} and {b!r} must have no {unit} in common.\n"
            f"Received {len(shared)} in both: {listed(shared)}.\nDeal the {how}, or drop these "
            "rows from one of them."
        )


def _group_classes(
    table: pd.DataFrame, task: Task, y: np.ndarray, present: np.ndarray, by: str
) -> np.ndarray:
    numbers, names = read_domains(table, by)
    alone = np.flatnonzero(present & (numbers < 0))
    if len(alone):
        raise DataError(
            f"Every labelled row must have a group in column {by!r}.\n"
            f"Received {len(alone)} rows without, first row {alone[0]}.\nFill the group in, or "
            "drop these rows."
        )
    pairs = np.unique(np.stack([y[present], numbers[present]], 1), axis=0)
    twice = np.flatnonzero(pairs[1:, 0] == pairs[:-1, 0])
    if len(twice):
        label, first = pairs[twice[0]]
        raise DataError(
            f"Every class must be in one group of column {by!r}.\n"
            f"Received class {task.classes[label]!r} in {names[first]!r} and "
            f"{names[pairs[twice[0] + 1, 1]]!r}.\n"
            "Mend the groups, or split without by."
        )
    return numbers


def _read_share(name: str, value, count: int) -> int:
    if is_whole(value) and value >= 1:
        return int(value)
    if isinstance(value, float) and 0 < value < 1:
        return int(np.ceil(count * value - 1e-9))
    raise DataError(
        f"`{name}` must be a number of at least 1, or a share in (0, 1).\nReceived "
        f"{name}={value!r}.\n"
        f"Give for instance {name}=0.2."
    )
