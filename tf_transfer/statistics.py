"""How sure we are: intervals and paired differences over test rows and seeds, and the verdict.

A result depends on which rows happen to be in the test split and on which seeds happened to be run (a seed
draws the initial weights, the order of the batches and the sampled labels). Both are drawn from more that
could have been. Bootstrapping rows and seeds together goes wrong for the three to five seeds that anyone
runs: resampled seeds vary too little, by (S - 1) / S, their distribution has no tails, and the noise that
rows and seeds share is counted up to three times. So the two parts are kept apart:

* rows: percentiles of a bootstrap of the rows (or whole groups), the same draw for both strategies and all
  seeds, of the mean over seeds; less the part in which the seeds differ on the drawn rows;
* seeds: the variance between seeds, V = s² / S, which holds that part already;
* a margin is Student's t times the root of the sum, with (S - 1) / share degrees of freedom, where share is
  that of the seeds in the sum. Satterthwaite's (S - 1) / share² takes a share that was itself estimated
  from S seeds for certain and gives up to 8 % false verdicts for S = 3; Student's S - 1 gives 2 %.

Simulated false verdicts (*helped* or *hurt* at 95 % without a true difference; 14 settings of seed, row and
shared noise, skewed and binary outcomes, 200 rows; 1,500 experiments each, so ± 0.6): 3.4 to 6.3 % for 3
seeds, 3.1 to 5.5 % for 5, 4.2 to 6.0 % for 10. With normal errors of known size: 3.7 to 5.7, 3.9 to 5.0
and 4.3 to 5.0 %, where the plain two-level bootstrap gives 0.2 to 25 % for 3 seeds.
"""

from __future__ import annotations

import dataclasses
import functools
from typing import Literal

import numpy as np
import pandas as pd
from scipy.special import ndtri, stdtrit

from tf_transfer.errors import DataError
from tf_transfer.metrics import HIGHER_IS_BETTER, RANGES, resampled

Verdict = Literal["helped", "hurt", "undecided"]
FEW_UNITS = 20
"""Below as many rows (or groups) the note warns that percentiles of a bootstrap come out too narrow."""


@dataclasses.dataclass(frozen=True)
class Interval:
    """A metric with its confidence interval.

    Args:
        value: the mean over seeds, in the metric's unit; NaN where it is undefined.
        low, high: ends of the interval; NaN where it is undefined.
        confidence: coverage aimed at, in (0, 1).
        metric: its name.
        rows: number of test rows.
        seeds: number of seeds.
        note: what the interval does not cover, or how many resamples were undefined; else empty.
    """

    value: float
    low: float
    high: float
    confidence: float
    metric: str
    rows: int
    seeds: int
    note: str = ""

    def __str__(self) -> str:
        return f"{self.metric} {self.value:.4f} [{self.low:.4f}, {self.high:.4f}]"


@dataclasses.dataclass(frozen=True)
class Difference(Interval):
    """How much better one strategy is than another; positive is better, for errors and losses too.

    Args:
        p: two-sided; the smallest ``1 - confidence`` whose interval excludes 0. At least
            1 / (resamples + 1); NaN where the difference is undefined.
    """

    p: float = np.nan

    @property
    def verdict(self) -> Verdict:
        """``"helped"`` or ``"hurt"`` when the interval excludes 0, else ``"undecided"``."""
        return "helped" if self.low > 0 else "hurt" if self.high < 0 else "undecided"

    @property
    def minimum_effect(self) -> float:
        """Half the interval's width: about the smallest difference that rows and seeds can tell from 0."""
        return (self.high - self.low) / 2

    def __str__(self) -> str:
        text = f"{self.metric} {self.value:+.4f} [{self.low:+.4f}, {self.high:+.4f}] {self.verdict}"
        if self.verdict == "undecided":
            text += f" (a difference of {self.minimum_effect:.4f} could have been told)"
        return text


def verdict(difference: Difference) -> Verdict:
    """See `Difference.verdict`."""
    return difference.verdict


def paired_difference(
    metric: str, kind: str, y, scores_a, scores_b, *, groups=None, resamples=2000, confidence=0.95, seed=0
) -> Difference:
    """How much better strategy A is than B on the same rows, over rows and seeds.

    Args:
        metric: one of ``metrics.SCALARS[kind]``.
        kind: kind of the task.
        y: labels of the test rows, as `Task.encode` gives them.
        scores_a, scores_b: an array of scores for each seed, as `Prediction.scores` has them; seed s
            of A is paired with seed s of B.
        groups: (rows,) names of groups that are drawn whole, such as the documents of sentences.
        resamples: int >= 100.
        confidence: in (0, 1).
        seed: of the row draws; equal seeds share the draws between calls.

    Returns:
        The difference; exactly 0 with the interval [0, 0] for identical predictions. NaN and undecided
        when the metric is undefined for one of the seeds, for instance a correlation with constants.

    Raises:
        DataError: lists of different lengths, a missing group, or what `metrics.resampled` raises.

    Reference:
        Satterthwaite 1946, "An Approximate Distribution of Estimates of Variance Components", with the
        degrees of freedom made safe for few seeds (see the module).
    """
    _check(scores_a, scores_b, resamples, confidence)
    counts = row_counts(len(y), groups, resamples, seed)
    values_a, draws_a = _over_seeds(metric, kind, y, scores_a, counts)
    values_b, draws_b = _over_seeds(metric, kind, y, scores_b, counts)
    sign = 1 if HIGHER_IS_BETTER[metric] else -1
    sample = _Sample(sign * (values_a - values_b), sign * (draws_a - draws_b))
    low, high = sample.bounds(1 - confidence)
    note = sample.note(metric, _units(len(y), groups))
    return Difference(sample.value, low, high, confidence, metric, len(y), len(scores_a), note, sample.p())


def bootstrap_interval(
    metric: str, kind: str, y, scores, *, groups=None, resamples=2000, confidence=0.95, seed=0
) -> Interval:
    """The interval of one strategy's metric over rows and seeds, within the range of the metric.

    Args:
        scores: an array of scores for each seed; for the rest see `paired_difference`.

    Raises:
        DataError: as `paired_difference`.
    """
    _check(scores, scores, resamples, confidence)
    counts = row_counts(len(y), groups, resamples, seed)
    sample = _Sample(*_over_seeds(metric, kind, y, scores, counts))
    low, high = np.clip(sample.bounds(1 - confidence), *RANGES[metric])
    note = sample.note(metric, _units(len(y), groups))
    return Interval(sample.value, float(low), float(high), confidence, metric, len(y), len(scores), note)


def row_counts(rows: int, groups=None, resamples: int = 2000, seed: int = 0) -> np.ndarray:
    """How often each row is drawn in each bootstrap resample.

    Args:
        rows: number of rows.
        groups: None, or (rows,) names of groups that are drawn whole.

    Returns:
        (resamples, rows) uint8, read-only.

    Raises:
        DataError: a missing group, or not one for each row.
    """
    if groups is None:
        return _unit_counts(rows, resamples, seed)
    if len(groups) != rows or pd.isna(groups).any():
        raise DataError(
            f"groups must name a group for each of the {rows} rows.\n"
            f"Received {len(groups)} of which {int(pd.isna(groups).sum())} missing."
        )
    codes, names = pd.factorize(np.asarray(groups))
    return _unit_counts(len(names), resamples, seed)[:, codes]


@functools.lru_cache(maxsize=2)
def _unit_counts(units: int, resamples: int, seed: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    counts = np.empty((resamples, units), np.uint8)
    for resample in counts:
        resample[:] = np.bincount(rng.integers(units, size=units), minlength=units)
    counts.flags.writeable = False
    return counts


def _units(rows: int, groups) -> str:
    """The units drawn, when they are few; else empty."""
    units = rows if groups is None else pd.Series(groups).nunique()
    return f"{units} {'rows' if groups is None else 'groups'}" if units < FEW_UNITS else ""


def _over_seeds(metric, kind, y, scores, counts) -> tuple[np.ndarray, np.ndarray]:
    """The metric on all rows, (seeds,), and on each resample, (resamples, seeds)."""
    y, once = np.asarray(y), np.ones((1, len(y)), np.uint8)
    values = [resampled(metric, kind, y, s, once)[0] for s in scores]
    return np.array(values), np.stack([resampled(metric, kind, y, s, counts) for s in scores], axis=1)


class _Sample:
    """A statistic for each seed, (seeds,), and its row resamples, (resamples, seeds)."""

    def __init__(self, values, draws):
        self.undefined_seeds = np.flatnonzero(np.isnan(values))
        self.value = float(values.mean())
        defined = np.isfinite(draws).all(1)
        self.undefined, self.seeds = int((~defined).sum()), len(values)
        self.means = draws[defined].mean(1)
        self.seed_variance, self.row_share = 0.0, 1.0
        if self.seeds > 1 and np.ptp(values) > 0 and len(self.means):
            self.seed_variance = values.var(ddof=1) / self.seeds
            shared = (draws[defined] - values).var(axis=1, ddof=1).mean() / self.seeds
            self.row_share = max(0.0, 1 - shared / max(self.means.var(), shared))

    def bounds(self, alpha: float) -> tuple[float, float]:
        """The ends of the interval with coverage 1 - ``alpha``."""
        if np.isnan(self.value) or not len(self.means):
            return np.nan, np.nan
        low, high = np.quantile(self.means, [alpha / 2, 1 - alpha / 2])
        below, above = max(self.value - low, 0.0), max(high - self.value, 0.0)
        return float(self.value - self._margin(below, alpha)), float(self.value + self._margin(above, alpha))

    def _margin(self, of_rows: float, alpha: float) -> float:
        if self.seed_variance == 0:
            return of_rows
        row_variance = self.row_share * (of_rows / ndtri(1 - alpha / 2)) ** 2
        total = row_variance + self.seed_variance
        freedom = (self.seeds - 1) * total / self.seed_variance
        return stdtrit(freedom, 1 - alpha / 2) * np.sqrt(total)

    def p(self) -> float:
        """The smallest alpha whose interval excludes 0, to 1e-4 or better, by bisection."""
        if np.isnan(self.value) or not len(self.means):
            return np.nan
        included, excluded = 1 / (len(self.means) + 1), 1.0
        while excluded - included > 1e-4 * excluded:
            alpha = (included + excluded) / 2
            low, high = self.bounds(alpha)
            included, excluded = (alpha, excluded) if low <= 0 <= high else (included, alpha)
        return excluded

    def note(self, metric: str, few_units: str) -> str:
        parts = []
        if len(self.undefined_seeds):
            parts.append(f"{metric} is undefined for seed number {', '.join(map(str, self.undefined_seeds))}")
        elif self.undefined:
            total = self.undefined + len(self.means)
            parts.append(f"{metric} is undefined in {self.undefined} of {total} resamples, which are left out")
        if self.seeds == 1:
            parts.append("one seed: variation between seeds is not covered")
        if few_units:
            parts.append(f"only {few_units}: the interval is likely too narrow")
        return "; ".join(parts)


def _check(scores_a, scores_b, resamples, confidence) -> None:
    if len(scores_a) != len(scores_b) or not len(scores_a):
        raise DataError(
            "A paired difference needs scores of the same seeds, at least one, from both strategies.\n"
            f"Received {len(scores_a)} and {len(scores_b)} seeds."
        )
    if resamples < 100 or not 0 < confidence < 1:
        raise DataError(
            "resamples must be at least 100 and confidence between 0 and 1.\n"
            f"Received resamples={resamples!r}, confidence={confidence!r}."
        )
