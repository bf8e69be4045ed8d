"""A trial's score from its measurements, and when a trial may end early."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy.special import stdtrit

CONFIDENCE = 0.95
LEAST = 3
"""Measurements of a trial before it may end."""


def score_interval(
    values: Sequence[float], overlap: float = 0.0, confidence: float = CONFIDENCE
) -> tuple[float, float, float]:
    """The mean of a trial's measurements, with the interval of its expectation over splits and
    seeds.

    Student's interval with the variance s²(1/n + overlap). The folds of a k-fold learn from rows
    that they share, so their scores vary together and s²/n would be too small; the overlap that
    mends it is that of validation rows to training rows, 1/(k − 1).

    Args:
        values: (n,) measurements.
        overlap: 0 for measurements that share no choice of rows, such as seeds of one split.
        confidence: in (0, 1).

    Returns:
        The mean and the ends of the interval, which are NaN with a single measurement.

    Reference:
        Nadeau and Bengio 2003, "Inference for the Generalization Error", equation 8; for repeated
        k-fold, Bouckaert and Frank 2004, "Evaluating the Replicability of Significance Tests".
    """
    values = np.asarray(values, np.float64)
    if len(values) < 2:
        return float(values.mean()), float("nan"), float("nan")
    half = (
        _quantile(len(values), confidence) * values.std(ddof=1) * np.sqrt(1 / len(values) + overlap)
    )
    return float(values.mean()), float(values.mean() - half), float(values.mean() + half)


def cannot_reach(
    values: Sequence[float], best: Sequence[float], sign: int = 1, confidence: float = CONFIDENCE
) -> bool:
    """Whether a trial may end early: what its score would be lies below the best one's.

    Trials are measured on the same folds with the same seeds in the same order, so a trial is
    compared with the best one measurement by measurement, d = sign·(values − best). After m of n
    measurements, the mean of all n lies in the interval

        mean(d) ± t(m − 1) · s/√m · √(1 − m/n)

    where s is the deviation of the m differences and the last factor, the finite population
    correction, says that only n − m of them are still open. The trial ends when the upper end is
    below 0. The 95 % interval leaves 2.5 % at that end: so often, at each look, a trial is ended
    that would have come to the best one's score. The first look is after three measurements.

    Args:
        values: (m,) measurements of the trial.
        best: (n,) measurements of the best trial that was measured to the end.
        sign: 1 where higher scores are better, −1 where lower ones are.
        confidence: of the two-sided interval.

    Reference:
        Cochran 1977, "Sampling Techniques", section 2.8. Paired racing of candidates on common
        folds: Maron and Moore 1994, "Hoeffding Races"; Birattari et al. 2002, "A Racing Algorithm
        for Configuring Metaheuristics".
    """
    done, planned = len(values), len(best)
    if not LEAST <= done < planned:
        return False
    differences = sign * (np.asarray(values, np.float64) - np.asarray(best, np.float64)[:done])
    error = differences.std(ddof=1) / np.sqrt(done) * np.sqrt(1 - done / planned)
    return bool(differences.mean() + _quantile(done, confidence) * error < 0)


def expected_score(values: Sequence[float], best: Sequence[float]) -> float:
    """What the score of a trial that ended early would have been: the best one's, moved by the mean
    difference.

    The mean of the first few folds alone says as much of these folds as of the trial.
    """
    values, best = np.asarray(values, np.float64), np.asarray(best, np.float64)
    return float(best.mean() + (values - best[: len(values)]).mean())


def _quantile(count: int, confidence: float) -> float:
    return float(-stdtrit(count - 1, (1 - confidence) / 2))
