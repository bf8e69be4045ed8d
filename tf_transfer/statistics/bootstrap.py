"""The margin of a mean over seeds, from resampled rows and the spread between seeds.

Rows and seeds are both drawn from more that could have been. Bootstrapping them together goes wrong
for the three to five seeds that anyone runs: resampled seeds vary too little, by (S - 1) / S, their
distribution has no tails, and the noise that rows and seeds share is counted up to three times. So
the parts are kept apart:

* rows: the percentiles of a bootstrap of the rows (or whole groups), the same draw for both
  strategies and all seeds, of the mean over seeds; less the part in which the seeds differ on the
  drawn rows; widened for few rows as Hesterberg 2015 says, by n / (n - 1) in the variance and
  Student's t;
* seeds: the variance between seeds, V = s² / S, which holds the part that was taken off;
* a margin is Student's t times the root of the sum. Its degrees of freedom f follow the share w of
  the seeds in the sum: 1 / f = (1 - w) / (n - 1) + w ** p / (S - 1). Satterthwaite's rule squares
  both shares. That is right for shares that are known, but w is estimated from S seeds. Where their
  variance comes out small by chance, the interval is narrow and f is large at once: of three seeds
  up to 7.7 % of the verdicts are false. With a power p below 1, f falls as soon as seeds matter at
  all. With p = .85 the false verdicts of three seeds lie over all true shares in 3.2 to 5.2 %. Two
  seeds estimate their share so badly that p must be .4 (1.1 to 5.1 %). The interval of Behrens and
  Fisher, which has no fitted number, is as good with two and with five seeds. With three, the
  number that most people run, it is 6 % wider (2.4 to 5.2 %). `python -m tests.benchmarks.freedom`
  prints all of them.

Draws are biased as the value is: of F1 averaged over 50 classes with 8 rows each they lie as far
below the value as it lies below the truth, so that percentiles as they stand are off by both. Where
their mean is off the value by more than three of its standard errors, which no mean over rows is
but by chance, the interval has their shape around the value less that bias (Efron and Tibshirani
1993, chapter 10), and is stretched to hold the value where it would not.

Percentiles, not BCa: of paired differences without a true effect the 95 % interval leaves out the
truth in (percentiles as above / BCa; one seed, 1,500 simulations each; `python -m
tests.benchmarks.percentiles`)

    rows        heavy tails (t with 3 degrees of freedom)       skewed (lognormal)
    20          6.0 / 11.0 %                                    12.5 / 12.9 %
    100         5.5 / 8.2 %                                     7.5 / 7.8 %
    400         5.1 / 6.2 %                                     6.7 / 7.1 %

    2 % against 2 % of 100 rows wrong: 4.2 / 9.4 %

Reference:
    Satterthwaite 1946, "An Approximate Distribution of Estimates of Variance Components"; Fisher
    1935, "The Fiducial Argument in Statistical Inference" (Behrens and Fisher); Hesterberg 2015,
    "What Teachers Should Know About the Bootstrap", section 5.3; Efron and Tibshirani 1993, "An
    Introduction to the Bootstrap".
"""

from __future__ import annotations

import functools

import numpy as np
import pandas as pd
from scipy.special import ndtri, stdtrit

from tf_transfer.errors import DataError

FEW_UNITS = 20
"""Below as many rows (or groups) a note warns that the interval is likely too narrow."""
_SHARE_POWER, _SHARE_POWER_OF_TWO = 0.85, 0.4
"""How the share of the seeds, and of two seeds, in a variance counts for its degrees of freedom;
see the module.
"""
_MATERIAL = 3.0
"""Standard errors of the mean of the draws from which it is taken to be off the value."""
_TAILS = 0.01, 0.5
"""Percentiles are read for two-sided levels in this range; beyond it their shape is kept."""


def row_counts(rows: int, groups=None, resamples: int = 2000, seed: int = 0) -> np.ndarray:
    """How often each row is drawn in each bootstrap resample.

    Args:
        rows: number of rows.
        groups: None, or (rows,) names of groups that are drawn whole.

    Returns:
        (resamples, rows) uint8, read-only where there are no groups.

    Raises:
        DataError: a missing group, or not one for each row.
    """
    codes, units = group_codes(rows, groups)
    counts = _unit_counts(units, resamples, seed)
    return counts if groups is None else counts[:, codes]


def group_codes(rows: int, groups=None) -> tuple[np.ndarray, int]:
    """The number of the unit that each row is drawn with, (rows,), and how many units there are.

    Raises:
        DataError: a missing group, or not one for each row.
    """
    if groups is None:
        return np.arange(rows), rows
    if len(groups) != rows or pd.isna(groups).any():
        raise DataError(
            f"groups must name a group for each of the {rows} rows.\n"
            f"Received {len(groups)} of which {int(pd.isna(groups).sum())} missing."
        )
    codes, names = pd.factorize(np.asarray(groups))
    return codes, len(names)


@functools.lru_cache(maxsize=2)
def _unit_counts(units: int, resamples: int, seed: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    counts = np.empty((resamples, units), np.uint8)
    for resample in counts:
        resample[:] = np.bincount(rng.integers(units, size=units), minlength=units)
    counts.flags.writeable = False
    return counts


def few_units(units: int, drawn: str, alpha: float = 0.05) -> str:
    """What is wrong with an interval from so few ``drawn``, rows or groups; empty for enough of
    them.
    """
    if units >= FEW_UNITS:
        return ""
    fault = (
        "the interval is likely too narrow"
        if 2.0 ** (1 - units) < alpha
        else "too few for an interval"
    )
    return f"only {units} {drawn}: {fault}"


def share_power(seeds: int) -> float:
    """The power of the share of ``seeds`` in a variance, for its degrees of freedom; see the
    module.
    """
    return _SHARE_POWER_OF_TWO if seeds == 2 else _SHARE_POWER


class Sample:
    """A statistic of each seed and its row resamples, with the variance of the mean over seeds in
    parts.

    Args:
        values: (seeds,), the statistic on all rows.
        draws: (resamples, seeds), on each resample.
        units: number of rows, or of groups where these are drawn whole.

    Attributes:
        value: the mean over seeds; NaN where a seed has none.
        bias: of the draws' mean, 0 where it may be chance; the value has about the same.
        row_variance: of rows alone, at ``units`` units.
        seed_variance: between seeds, V = s² / S; 0 with one seed, whose part is unknown.
        shared_variance: the part of ``seed_variance`` in which the seeds differ on the drawn rows,
            so that more rows lower it too.
    """

    def __init__(self, values, draws, units: int):
        self.undefined_seeds = np.flatnonzero(np.isnan(values))
        self.value = float(values.mean())
        defined = np.isfinite(draws).all(1)
        self.undefined, self.seeds, self.units = int((~defined).sum()), len(values), units
        self.means = np.sort(draws[defined].mean(1))
        self.bias = self._bias()
        self.seed_variance = self.shared_variance = 0.0
        self._row_share = 1.0
        if self.seeds > 1 and np.ptp(values) > 0 and len(self.means):
            self.seed_variance = float(values.var(ddof=1)) / self.seeds
            shared = float((draws[defined] - values).var(axis=1, ddof=1).mean()) / self.seeds
            self.shared_variance = min(shared, self.seed_variance)
            largest = max(self.means.var(), shared)
            self._row_share = max(0.0, 1 - shared / largest) if largest else 0.0
        self._widening = units / (units - 1) if units > 1 else np.nan

    def _bias(self) -> float:
        if not len(self.means):
            return 0.0
        bias, chance = self.means.mean() - self.value, self.means.std() / np.sqrt(len(self.means))
        return float(bias) if abs(bias) > _MATERIAL * chance else 0.0

    @property
    def row_variance(self) -> float:
        return float(self._row_share * self.means.var() * self._widening)

    @property
    def varies(self) -> bool:
        """Whether rows or seeds change the statistic, by more than rounding."""
        return bool(len(self.means)) and bool(
            self.seed_variance or np.ptp(self.means) > 1e-12 * max(1, abs(self.value))
        )

    def decides(self, alpha: float) -> bool:
        """Whether there are enough units: of u, all of one sign have a chance of 2 ** (1 - u)."""
        return (
            bool(len(self.means)) and not np.isnan(self.value) and 2.0 ** (1 - self.units) < alpha
        )

    def bounds(self, alpha: float) -> tuple[float, float]:
        """The ends of the interval with coverage 1 - ``alpha``; NaN where it is undefined."""
        if not self.decides(alpha):
            return np.nan, np.nan
        return self._ends(alpha)

    def _ends(self, alpha: float) -> tuple[float, float]:
        """Around the value less its bias, with the value inside."""
        below, above = self._margins(alpha)
        centre = self.value - self.bias
        return min(centre - below, self.value), max(centre + above, self.value)

    def _margins(self, alpha: float) -> tuple[float, float]:
        level = min(max(alpha, _TAILS[0]), _TAILS[1])
        last = len(self.means) - 1
        low, high = np.interp(
            [last * level / 2, last * (1 - level / 2)], np.arange(last + 1), self.means
        )
        scale = self._row_share * self._widening / ndtri(level / 2) ** 2
        middle = self.value + self.bias
        return tuple(
            self._margin(scale * max(distance, 0.0) ** 2, alpha)
            for distance in (middle - low, high - middle)
        )

    def _margin(self, row_variance: float, alpha: float) -> float:
        total = row_variance + self.seed_variance
        if total == 0:
            return 0.0
        return float(-stdtrit(self.freedom(row_variance), alpha / 2) * np.sqrt(total))

    def freedom(self, row_variance: float) -> float:
        """Degrees of freedom of a variance that rows and seeds add up to, above 0."""
        part = self.seed_variance / (row_variance + self.seed_variance)
        of_seeds = part ** share_power(self.seeds) / (self.seeds - 1) if part else 0.0
        return 1 / ((1 - part) / (self.units - 1) + of_seeds)

    def p(self) -> float:
        """The smallest alpha whose interval excludes 0, to a ten-thousandth of it, by bisection of
        its logarithm.

        At least 2 ** (1 - units), and at least 1e-12.
        """
        included = max(2.0 ** (1 - self.units), 1e-12)
        if np.isnan(self.value) or not len(self.means):
            return np.nan
        if self.units < 2:
            return 1.0
        excluded = 1.0
        while excluded > 1.0001 * included:
            alpha = np.sqrt(included * excluded)
            low, high = self._ends(alpha)
            outside = low > 0 or high < 0
            included, excluded = (included, alpha) if outside else (alpha, excluded)
        return float(excluded)

    def note(self, metric: str, confidence: float, drawn: str) -> str:
        """What an interval does not cover, for a reader; ``drawn`` is ``"rows"`` or
        ``"groups"``.
        """
        parts = []
        if len(self.undefined_seeds):
            parts.append(
                f"{metric} is undefined for seed number {', '.join(map(str, self.undefined_seeds))}"
            )
        elif self.undefined:
            total = self.undefined + len(self.means)
            parts.append(
                f"{metric} is undefined in {self.undefined} of {total} resamples, which are "
                "left out"
            )
        if self.seeds == 1:
            parts.append("one seed: variation between seeds is not covered")
        few = few_units(self.units, drawn, 1 - confidence)
        return "; ".join([*parts, few] if few else parts)
