"""The smallest effect that an experiment can show, and the rows or seeds that would settle an open
verdict.

The minimum effect is the true difference that a repetition of the experiment, with other rows and
seeds, would show with a chance of 80 %. Bloom's (t + t_80 %) standard errors take the standard
error for known; from three seeds it is not, and is as likely half as twice the truth. So with f
degrees of freedom the factor is the k of

    P(k U + Z > t V) = 0.8,    U² and V² ~ chi² / f, Z normal, all independent,

where U is the scatter of this experiment's standard error, V that of the repetition's, and t
Student's quantile of the confidence: 39 for f = 1, 8.8 for 2, 4.7 for 4, 3.5 for 9, 2.8 for many.
The variances of rows and seeds come with factors of their own: m² = k²(n - 1) row variance + k²(S -
1) seed variance.

Other numbers of rows n' and seeds S' change the parts to n/n' of the row variance, S/S' of the pure
seed variance, and both of the part they share.

Reference:
    Bloom 1995, "Minimum Detectable Effects: A Simple Way to Report the Statistical Power of
    Experimental Designs".
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable

import numpy as np
from scipy.optimize import brentq
from scipy.special import chdtri, ndtr, stdtrit

from tf_transfer.statistics.bootstrap import Sample

POWER = 0.8
"""The chance that the minimum effect is shown."""

MOST_UNITS, MOST_SEEDS = 100_000, 30
"""Test rows (or groups), and seeds, beyond which no number is named.

Few could have them, and what the variances of a small experiment say of them means nothing."""


@dataclasses.dataclass(frozen=True)
class Effect:
    """What an experiment found and how it varies: the part of a `bootstrap.Sample` that power goes
    by.
    """

    value: float
    units: int
    seeds: int
    row_variance: float
    seed_variance: float
    shared_variance: float

    @classmethod
    def of(cls, sample: Sample) -> Effect:
        """The part of a sample."""
        return cls(*(getattr(sample, field.name) for field in dataclasses.fields(cls)))


def minimum_effect(
    sample: Effect | Sample, alpha: float, units: int | None = None, seeds: int | None = None
) -> float:
    """The true difference shown with a chance of `POWER`, in the unit of the statistic.

    Args:
        sample: of an experiment.
        alpha: two-sided level of the verdict.
        units, seeds: those of another experiment; None for the sample's own.
    """
    units, seeds = units or sample.units, seeds or sample.seeds
    of_units, of_seeds = sample.units / units, sample.seeds / seeds
    rows = sample.row_variance * of_units
    shared = sample.shared_variance * of_units * of_seeds
    alone = (sample.seed_variance - sample.shared_variance) * of_seeds
    variance = factor(units - 1, alpha) ** 2 * rows
    if shared + alone:
        variance += factor(seeds - 1, alpha) ** 2 * (shared + alone)
    return float(np.sqrt(variance))


def units_needed(sample: Effect | Sample, alpha: float) -> float:
    """The rows (or groups) with which the observed difference is the minimum effect; inf beyond
    `MOST_UNITS`.
    """
    effect = functools.partial(minimum_effect, sample, alpha)
    return _smallest(lambda units: effect(units=units), sample.units, abs(sample.value), MOST_UNITS)


def seeds_needed(sample: Effect | Sample, alpha: float) -> float:
    """The same of seeds; inf beyond `MOST_SEEDS`, NaN with one seed, which does not tell how seeds
    vary.
    """
    if sample.seeds == 1:
        return np.nan
    effect = functools.partial(minimum_effect, sample, alpha)
    return _smallest(lambda seeds: effect(seeds=seeds), sample.seeds, abs(sample.value), MOST_SEEDS)


TYPICAL = {"f1_macro": (0.29, 0.013), "pearson": (0.3, 0.007)}
"""Standard deviations of a paired difference, of one row and of one seed, by metric; see
`expected_effect`.
"""


def expected_effect(metric: str, units: int, seeds: int, alpha: float = 0.05) -> float | None:
    """About the minimum effect of an experiment of so many test rows (or groups) and seeds, before
    it is run.

    None for a metric of which `TYPICAL` knows nothing. The figures there are medians over verdicts
    on the demo's tweets, fine-tuning with and without the sources; ``python -m
    tests.benchmarks.fairness`` prints those of its runs.
    """
    if metric not in TYPICAL or units < 2:
        return None
    of_row, of_seed = TYPICAL[metric]
    shared = of_row**2 / units / seeds
    effect = Effect(0.0, units, seeds, of_row**2 / units, of_seed**2 / seeds + shared, shared)
    return (
        minimum_effect(effect, alpha)
        if seeds > 1
        else factor(units - 1, alpha) * of_row / units**0.5
    )


def factor(freedom: float, alpha: float) -> float:
    """The standard errors in a minimum effect; see the module."""
    inverse, factors = _factors(alpha)
    return float(np.interp(1 / freedom, inverse, factors))


@functools.lru_cache(maxsize=8)
def _factors(alpha: float) -> tuple[np.ndarray, np.ndarray]:
    """``1 / freedom``, rising, and the factors, between which to interpolate."""
    freedoms = np.array([2.0**20, 1024, 256, 128, 64, 48, 32, 24, 16, *range(12, 0, -1)])
    chances = (np.arange(100) + 0.5) / 100
    factors = []
    for freedom in freedoms:
        scatter = np.sqrt(chdtri(freedom, chances) / freedom)
        needed = -stdtrit(freedom, alpha / 2) * scatter
        factors.append(brentq(_missed, 0, 10 * needed.max(), args=(scatter, needed), xtol=1e-6))
    return 1 / freedoms, np.array(factors)


def _missed(factor: float, scatter, needed) -> float:
    return POWER - ndtr(factor * scatter[:, None] - needed).mean()


def _smallest(effect: Callable[[int], float], start: int, value: float, most: int) -> float:
    """The smallest number from ``start`` to ``most`` whose effect is at most ``value``; inf where
    there is none.
    """
    if effect(start) <= value:
        return float(start)
    if start >= most or effect(most) > value:
        return np.inf
    low, high = start, most
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if effect(middle) <= value else (middle, high)
    return float(high)
