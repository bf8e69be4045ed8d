"""What rows say of a share: Wilson's interval, and bounds where no row differs from the others."""

from __future__ import annotations

import numpy as np
from scipy.special import ndtri, stdtrit

from tf_transfer.statistics.bootstrap import Sample


def wilson(share, size, quantile):
    """Wilson's score interval, within [0, 1].

    Args:
        share: in [0, 1], a number or an array, as the others.
        size: how many rows it is of, > 0; need not be whole.
        quantile: > 0, of the normal distribution or Student's: 1.96 for 95 % of many rows.

    Returns:
        Its ends, low and high.

    Reference:
        Wilson 1927, "Probable Inference, the Law of Succession, and Statistical Inference".

    Example:
        >>> round(float(wilson(1.0, 20, 1.96)[0]), 3)  # twenty rows, all of them right
        0.839
    """
    spread = quantile**2 / size
    centre = (share + spread / 2) / (1 + spread)
    half = np.sqrt(share * (1 - share) * spread + spread**2 / 4) / (1 + spread)
    return np.maximum(centre - half, 0.0), np.minimum(centre + half, 1.0)


def of_sample(sample: Sample, alpha: float, exact: bool = True) -> tuple[float, float]:
    """Wilson's interval of a share that rows and seeds vary.

    With one seed and ``exact`` (rows that are drawn one by one) it is that of
    `scipy.stats.binomtest`. Else the rows are replaced by the number that would give the variance
    over rows and seeds, and the normal quantile by Student's, as surveys do.

    Reference:
        Dean and Pagano 2015, "Evaluating Confidence Interval Methods for Binomial Proportions in
        Clustered Surveys".
    """
    share, size, quantile = sample.value, float(sample.units), -ndtri(alpha / 2)
    variance = sample.row_variance + sample.seed_variance
    if variance and (sample.seeds > 1 or not exact):
        size = share * (1 - share) / variance
        quantile = -stdtrit(sample.freedom(sample.row_variance), alpha / 2)
    return tuple(map(float, wilson(share, size, quantile)))


def at_an_end(sample: Sample, alpha: float, lowest: float, highest: float) -> tuple[float, float]:
    """Wilson's interval of a metric that is ``lowest`` or ``highest`` on all draws, as F1 of rows
    that are all right.

    It is that of as many rows right out of all, stretched to the range of the metric.
    """
    width = highest - lowest
    low, high = wilson((sample.value - lowest) / width, sample.units, -ndtri(alpha / 2))
    return float(lowest + width * low), float(lowest + width * high)


def of_alike_rows(value: float, units: int, width: float, alpha: float) -> tuple[float, float]:
    """The interval of a mean of which no unit differs from the others, from the "rule of three".

    Units of which more than a share 1 - alpha^(1 / units) differ would have shown it with a chance
    of 1 - ``alpha``; so many may lie anywhere in ±``width``. Both ends go by the same event, so
    that for two one-sided tests at alpha, too, it is the bound at alpha and not at 2 alpha.

    Reference:
        Hanley and Lippman-Hand 1983, "If Nothing Goes Wrong, Is Everything All Right?"; Clopper and
        Pearson 1934.

    Example:
        >>> low, high = of_alike_rows(0.0, 10, 1.0, 0.05)  # ten rows, both right
        >>> round(high, 3)
        0.259
    """
    other = 1 - alpha ** (1 / units)
    return (1 - other) * value - other * width, (1 - other) * value + other * width


def p_of_alike_rows(value: float, units: int, width: float) -> float:
    """The alpha at which an end of `of_alike_rows` is 0.

    Example:
        >>> p = p_of_alike_rows(0.15, 40, 1.0)
        >>> round(of_alike_rows(0.15, 40, 1.0, p)[0], 12)
        0.0
    """
    return float((width / (abs(value) + width)) ** units)
