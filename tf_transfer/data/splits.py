"""Train and test rows of a table, drawn at random: by row, by stratum, by whole groups."""

from __future__ import annotations

import warnings
from collections.abc import Hashable
from fractions import Fraction

import numpy as np
import pandas as pd

from tf_transfer.errors import DataError, check_columns, listed
from tf_transfer.kinds.label_columns import LISTS

MOST_FOLDS = 20
"""Most folds of a split by group that is also stratified; `test_size` is rounded to whole folds."""


def split_table(
    table: pd.DataFrame,
    test_size: float | int = 0.2,
    *,
    seed: int = 0,
    stratify: str | None = None,
    group: str | None = None,
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Cut a table into train and test at random.

    Args:
        test_size: share of the rows in (0, 1), or their number. With ``group`` it is met as
            nearly as whole groups allow, in twentieths when also stratified.
        seed: the same seed gives the same split.
        stratify: column whose values keep their shares on both sides; rows without a value
            count as one more value.
        group: column whose equal values stay on one side (a document, an author); rows without
            a value are groups of their own.

    Returns:
        train, test: rows in the table's order, each with a new index from 0.

    Raises:
        DataError: a side would be empty, a value of ``stratify`` occurs once, or there is one
            group.

    Example:
        >>> rows = pd.DataFrame({"text": list("abcdef"), "author": [1, 1, 2, 2, 3, 3]})
        >>> train, test = split_table(rows, test_size=2, group="author")
        >>> len(train), len(test), set(train["author"]) & set(test["author"])
        (4, 2, set())
    """
    from sklearn.model_selection import train_test_split

    for name, column in (("stratify", stratify), ("group", group)):
        if not isinstance(column, str | None) and hasattr(column, "__len__"):
            raise DataError(
                f"{name} must be the name of a column.\nReceived a {type(column).__name__} of "
                f"{len(column)} values.\n"
                f"Give its name, for instance {name}={getattr(column, 'name', None) or 'label'!r}."
            )
    check_columns(table, [column for column in (stratify, group) if column is not None])
    tested = _count_tested(len(table), test_size)
    strata = None if stratify is None else _codes(table[stratify])
    if group is not None:
        rows = _draw_groups(table[group], strata, tested, seed)
    else:
        if strata is not None:
            _check_strata(table[stratify], strata, tested)
        every = np.arange(len(table))
        rows = train_test_split(every, test_size=tested, random_state=seed, stratify=strata)[1]
    chosen = np.zeros(len(table), bool)
    chosen[rows] = True
    return table[~chosen].reset_index(drop=True), table[chosen].reset_index(drop=True)


def _count_tested(rows: int, test_size: float | int) -> int:
    whole = isinstance(test_size, int | np.integer) and not isinstance(test_size, bool)
    tested = test_size if whole else np.ceil(rows * float(test_size) - 1e-9)
    if not 0 < tested < rows:
        raise DataError(
            "test_size must leave rows on both sides: a share in (0, 1), or 1 to "
            f"{max(rows - 1, 1)} rows.\n"
            f"Received test_size={test_size!r} for a table of {rows} rows."
        )
    return int(tested)


def _codes(column: pd.Series) -> np.ndarray:
    """(rows,) int, equal where cells are; missing ones are equal to each other."""
    keys = [None if missing else _key(cell) for cell, missing in zip(column, column.isna())]
    return pd.factorize(pd.Series(keys, dtype=object), use_na_sentinel=False)[0]


def _key(cell):
    if isinstance(cell, set | frozenset):
        return tuple(sorted(map(str, cell)))
    if isinstance(cell, LISTS):
        return tuple(map(str, cell))
    return cell if isinstance(cell, Hashable) else str(cell)


def _check_strata(column: pd.Series, strata: np.ndarray, tested: int) -> None:
    counts = np.bincount(strata)
    if counts.min() < 2 or len(counts) > min(tested, len(column) - tested):
        once = column[np.isin(strata, np.flatnonzero(counts < 2))]
        raise DataError(
            f"Every value of column {column.name!r} must fit on both sides to stratify by it.\n"
            f"Received {len(counts)} values in {len(column)} rows, {tested} of them for the test; "
            f"in one row only: {listed(once.tolist())}.\n"
            "Drop or merge rare values, change test_size, or split without stratify."
        )


def _draw_groups(
    column: pd.Series, strata: np.ndarray | None, tested: int, seed: int
) -> np.ndarray:
    groups = _codes(column)
    alone = column.isna().to_numpy(bool)
    groups[alone] = len(column) + np.arange(alone.sum())
    groups = np.unique(groups, return_inverse=True)[1]
    if groups.max() == 0:
        raise DataError(
            f"Column {column.name!r} must hold at least two groups to split by it.\n"
            f"Received only {column.iloc[0]!r} in {len(column)} rows."
        )
    if strata is not None:
        return _draw_stratified_groups(groups, strata, tested, seed)
    # GroupShuffleSplit would count groups, not rows: unequal groups miss test_size by far.
    sizes = np.bincount(groups)
    taken, total = [], 0
    for candidate in np.random.RandomState(seed).permutation(len(sizes)):
        grown = total + sizes[candidate]
        if abs(grown - tested) < abs(total - tested) and grown < len(column):
            taken, total = [*taken, candidate], grown
    return np.flatnonzero(np.isin(groups, taken or [sizes.argmin()]))


def _draw_stratified_groups(
    groups: np.ndarray, strata: np.ndarray, tested: int, seed: int
) -> np.ndarray:
    from sklearn.model_selection import StratifiedGroupKFold

    most = int(min(MOST_FOLDS, groups.max() + 1, max(np.bincount(strata).max(), 2)))
    share = min(max(Fraction(tested, len(groups)), Fraction(1, most)), 1 - Fraction(1, most))
    share = share.limit_denominator(most)
    splitter = StratifiedGroupKFold(share.denominator, shuffle=True, random_state=seed)
    with warnings.catch_warnings():
        # A value rarer than the folds is not in every fold; the caller asked for a best effort.
        warnings.simplefilter("ignore", UserWarning)
        try:
            tests = [test for _, test in splitter.split(strata, strata, groups)]
        except ValueError as error:
            raise DataError(
                "A value of the column to stratify by must be in two rows at least.\n"
                f"Received {len(strata)} rows: {error}\nSplit without stratify."
            ) from None
    return np.concatenate(tests[: share.numerator])
