"""Tests of two strategies on the same rows that speak of the rows alone, for the runs at hand.

`intervals.paired_difference` asks whether a difference would be found again with other rows *and*
other seeds. These tests ask less, whether these very models differ on rows like these, and assume
less: with one seed they are exact for any number of rows.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Sequence

import numpy as np
import pandas as pd
from scipy import stats

from tf_transfer.errors import DataError
from tf_transfer.kinds import kind_named
from tf_transfer.measures.metric import Metric
from tf_transfer.statistics.bootstrap import group_codes

_EXACT_UNITS = 12
"""Up to as many rows or groups every combination of signs is tried."""
_BLOCK = 2**22


@dataclasses.dataclass(frozen=True)
class McNemar:
    """McNemar's exact test.

    Args:
        only_a, only_b: rows that A alone, and B alone, has right.
        p: two-sided; 1 where no row tells them apart.
    """

    only_a: int
    only_b: int
    p: float


def mcnemar(right_a, right_b) -> McNemar:
    """McNemar's exact test of whether A and B are right equally often.

    Args:
        right_a, right_b: (rows,) bool, whether each row is right.

    Raises:
        DataError: not the same rows, or none.

    Reference:
        McNemar 1947, "Note on the Sampling Error of the Difference Between Correlated Proportions";
        exact, by the binomial distribution of the rows that tell A and B apart.

    Example:
        >>> mcnemar([1, 1, 1, 1, 1, 1, 0], [0, 0, 0, 0, 0, 0, 1])
        McNemar(only_a=6, only_b=1, p=0.125)
    """
    a, b = np.asarray(right_a, bool), np.asarray(right_b, bool)
    if a.shape != b.shape or a.ndim != 1 or not len(a):
        raise DataError(
            "McNemar's test needs the same rows of both strategies, at least one.\n"
            f"Received arrays of shape {a.shape} and {b.shape}."
        )
    only_a, only_b = int((a & ~b).sum()), int((b & ~a).sum())
    p = stats.binomtest(only_a, only_a + only_b).pvalue if only_a + only_b else 1.0
    return McNemar(only_a, only_b, float(p))


def sign_flip_p(differences, groups=None, resamples: int = 10_000, seed: int = 0) -> np.ndarray:
    """The paired permutation test of means: which of a pair of values is A's is a toss-up, if they
    do not differ.

    `scipy.stats.permutation_test` draws the signs anew for every pair; here many pairs share them,
    as one matrix product.

    Args:
        differences: (rows,) or (rows, pairs), A less B.
        groups: None, or (rows,) names of groups whose signs flip together.
        resamples: int >= 100, random sign flips; up to 12 rows (groups) all flips are tried
            instead.
        seed: of the flips.

    Returns:
        Two-sided p: a float or (pairs,); 1 for differences of 0 alone.

    Raises:
        DataError: no row, a missing group, a number that is not finite, or too few resamples.

    Reference:
        Fisher 1935, "The Design of Experiments", section 21.

    Example:
        >>> sign_flip_p([0.2, 0.1, 0.4, 0.3, 0.2, 0.1])  # all plus, all minus: 2 of 2**6
        0.03125
    """
    differences = np.asarray(differences, np.float64)
    values = differences[:, None] if differences.ndim == 1 else differences
    if not len(values) or not np.isfinite(values).all() or resamples < 100:
        raise DataError(
            "A permutation test needs finite differences of at least one row, and at least 100 "
            "resamples.\n"
            f"Received {len(values)} rows, {int((~np.isfinite(values)).sum())} numbers that are "
            f"not finite, resamples={resamples!r}."
        )
    codes, units = group_codes(len(values), groups)
    sums = values
    if groups is not None:
        sums = np.zeros((units, values.shape[1]))
        np.add.at(sums, codes, values)
    p = _flipped(sums, resamples, seed)
    return p if differences.ndim > 1 else float(p[0])


def _flipped(values, resamples: int, seed: int) -> np.ndarray:
    observed = np.abs(values.sum(0))
    # Sums of the same numbers in another order are equal but for rounding.
    observed -= 1e-12 * np.abs(values).sum(0)
    signs, exact = _signs(len(values), resamples, seed)
    step = max(1, _BLOCK // len(values))
    reached = np.zeros(values.shape[1])
    for start in range(0, len(signs), step):
        reached += (np.abs(signs[start : start + step] @ values) >= observed).sum(0)
    return reached / len(signs) if exact else (reached + 1) / (len(signs) + 1)


@functools.lru_cache(maxsize=1)
def _signs(units: int, resamples: int, seed: int) -> tuple[np.ndarray, bool]:
    """(flips, units) int8 of 1 and -1, and whether these are all."""
    if units <= _EXACT_UNITS:
        flips = np.arange(2**units)[:, None] >> np.arange(units) & 1
        return (1 - 2 * flips).astype(np.int8), True
    rng = np.random.default_rng(seed)
    signs = rng.integers(0, 2, (resamples, units), dtype=np.int8)
    signs *= 2
    signs -= 1
    return signs, False


def row_tests(
    kind: str, y, scores_a, scores_b, groups=None, resamples: int = 10_000
) -> pd.DataFrame:
    """Every such test that a kind of task allows.

    Args:
        kind, y, scores_a, scores_b, groups: as for `statistics.intervals.paired_difference`.
        resamples: of the permutation test.

    Returns:
        A row a test: ``metric``; ``test``, ``"permutation"`` for the mean over seeds of each metric
        that is a mean over rows, ``"mcnemar"`` for the accuracy of each seed; ``seed``, its
        position, -1 for all; ``value``, positive where A is better; ``p``. McNemar's test is left
        out where rows are grouped.

    Raises:
        DataError: lists of different lengths, or what the tests and the suite raise.

    Example:
        >>> ours, theirs = np.eye(2)[[0, 0, 0, 0, 0, 0]], np.eye(2)[[1, 1, 1, 1, 1, 1]]
        >>> tests = row_tests("classification", [0] * 6, [ours], [theirs])
        >>> tests.query("metric == 'accuracy'")[["test", "value", "p"]].values.tolist()
        [['permutation', 1.0, 0.03125], ['mcnemar', 1.0, 0.03125]]
    """
    if len(scores_a) != len(scores_b) or not len(scores_a):
        raise DataError(
            "Paired tests need scores of the same seeds, at least one, from both strategies.\n"
            f"Received {len(scores_a)} and {len(scores_b)} seeds."
        )
    means = [metric for metric in kind_named(kind).metrics if metric.row is not None]
    a, b = (
        np.array([row_values(means, kind, y, s) for s in scores]) for scores in (scores_a, scores_b)
    )
    signs = np.array([metric.sign for metric in means])
    better = signs * (a - b)  # (seeds, rows, metrics)
    p = sign_flip_p(better.mean(0), groups, resamples)
    records = [
        (m.name, "permutation", -1, v, each) for m, v, each in zip(means, better.mean((0, 1)), p)
    ]
    exact = next((metric for metric in means if metric.proportion), None)
    if exact is not None and groups is None:
        column = means.index(exact)
        for seed, (right_a, right_b) in enumerate(zip(a[..., column], b[..., column])):
            test = mcnemar(right_a, right_b)
            records.append(
                (exact.name, "mcnemar", seed, (test.only_a - test.only_b) / len(right_a), test.p)
            )
    return pd.DataFrame(records, columns=["metric", "test", "seed", "value", "p"])


def row_values(metrics: Sequence[Metric], kind: str, y, scores) -> np.ndarray:
    """(rows, metrics) float: the number of each row of which a metric is the mean."""
    y, scores = kind_named(kind).checked(y, scores)
    return np.stack([metric.row(y, scores).astype(np.float64) for metric in metrics], axis=1)
