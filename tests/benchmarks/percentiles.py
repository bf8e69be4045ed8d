"""Percentiles or BCa: how often the 95 % interval of a paired difference leaves out the truth, by
simulation.

One seed; the rows' differences are heavy-tailed, skewed, or those of rare errors. The percentiles
are the ones of `bootstrap.Sample`; BCa is Efron's on the same draws, with the acceleration from
their skewness.

    python -m tests.benchmarks.percentiles [EXPERIMENTS]
"""

from __future__ import annotations

import sys

import numpy as np
from scipy import stats
from scipy.special import ndtr, ndtri

from tests.benchmarks.reporting import Report
from tf_transfer.statistics.bootstrap import Sample, row_counts

DRAWS = {
    "heavy tails": lambda rng, rows: rng.standard_t(3, rows),
    "skewed": lambda rng, rows: rng.lognormal(0, 1, rows) - np.exp(0.5),
    "2 % against 2 % wrong": lambda rng, rows: rng.choice(
        [1.0, -1.0, 0.0], rows, p=[0.02, 0.02, 0.96]
    ),
}
"""Differences of rows, whose true mean is 0."""


def bca(value: float, draws) -> tuple[float, float]:
    """The 95 % interval of Efron 1987, "Better Bootstrap Confidence Intervals"."""
    if np.ptp(draws) == 0:
        return value, value
    below = np.clip(((draws < value) + 0.5 * (draws == value)).mean(), 1e-4, 1 - 1e-4)
    bias, acceleration = ndtri(below), stats.skew(draws) / 6
    shifted = bias + ndtri(np.array([0.025, 0.975]))
    return tuple(np.quantile(draws, ndtr(bias + shifted / (1 - acceleration * shifted))))


def main() -> int:
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 1500
    report = Report(
        f"95 % intervals that leave out the truth, {count:,} simulations each, 2,000 resamples, "
        "one seed"
    )
    for rows in (20, 100, 400):
        counts = row_counts(rows).astype(np.float64)
        for name, draw in DRAWS.items():
            rng, missed = np.random.default_rng(3), np.zeros(2)
            for _ in range(count):
                d = draw(rng, rows)
                draws = counts @ d / rows
                found = (
                    Sample(d.mean(keepdims=True), draws[:, None], rows).bounds(0.05),
                    bca(d.mean(), draws),
                )
                missed += [low > 0 or high < 0 for low, high in found]
            for method, share in zip(("percentiles", "BCa"), 100 * missed / count):
                report.figure(f"{rows} rows, {name}: {method}", share, "%", digits=1)
    return report.finish()


if __name__ == "__main__":
    sys.exit(main())
