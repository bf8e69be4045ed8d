"""How many degrees of freedom a variance of rows and seeds has: the candidates, held against a
known truth.

    python -m tests.benchmarks.freedom

A difference is normal. Its variance is the sum of a part of the rows, estimated from 100 of them,
and a part of the seeds, estimated from S. `bootstrap` takes Student's t times the root of the
estimated sum. Three ways to choose its degrees of freedom f stand beside each other, over all true
shares of the seeds:

* Satterthwaite 1946: 1 / f is the sum of the squared shares, each over its own degrees of freedom;
* a power: 1 / f = (1 - w) / (rows - 1) + w ** p / (S - 1), with the share w of the seeds.
  `bootstrap` takes .85, and .4 for two seeds;
* Behrens and Fisher: no f; the quantile of the sum of a normal and a Student's t of S - 1 degrees,
  weighted by the roots of the shares. It is published and has no fitted number.

An interval is right where it leaves out the truth in 5 % of cases, and the better of two that are
right is the shorter. Satterthwaite takes a share that was estimated from few seeds for certain:
where the variance between them comes out small by chance, the interval is both narrow and thought
to be sure. Half a minute on one core.
"""

from __future__ import annotations

import sys

import numpy as np
from scipy.optimize import brentq
from scipy.special import ndtri, stdtrit
from scipy.stats import t as student

from tests.benchmarks.reporting import Report
from tf_transfer.statistics.bootstrap import share_power

DRAWS, ROWS, ALPHA = 200_000, 100, 0.05
SEEDS = (2, 3, 5, 10)
SHARES = (0.0, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0)
MOST = 6.0
"""Per cent of false verdicts at most, of the way that `bootstrap` takes."""


def main() -> int:
    report = Report(
        f"False verdicts at 95 %, {DRAWS:,} draws, {len(SHARES)} true shares of the seeds from 0 "
        "to 1"
    )
    for seeds in SEEDS:
        outcomes = {name: [] for name in ways(seeds)}
        for share in SHARES:
            for name, outcome in of_share(seeds, share).items():
                outcomes[name].append(outcome)
        for name, each in outcomes.items():
            say(report, seeds, name, np.array(each))
    return report.finish()


def ways(seeds: int) -> dict:
    """Functions from the estimated share of the seeds (draws,) to the quantile that the root is
    multiplied by.
    """
    of_seeds, of_rows = seeds - 1, ROWS - 1

    def satterthwaite(share):
        return quantile(1 / ((1 - share) ** 2 / of_rows + share**2 / of_seeds))

    def power(exponent: float):
        return lambda share: quantile(1 / ((1 - share) / of_rows + share**exponent / of_seeds))

    taken = share_power(seeds)
    return {
        "Satterthwaite": satterthwaite,
        "power 1": power(1.0),
        f"power {taken}, as bootstrap": power(taken),
        "Behrens and Fisher": behrens_fisher(of_seeds),
    }


def quantile(freedom):
    return -stdtrit(freedom, ALPHA / 2)


def behrens_fisher(freedom: int):
    """The quantile of √(1 - w) Z + √w T by the share w, from a table of shares."""
    middle = ndtri((np.arange(2000) + 0.5) / 2000)
    shares = np.linspace(0, 1, 101)[1:]

    def at(share: float) -> float:
        def beyond(end: float) -> float:
            return (
                student.sf((end - np.sqrt(1 - share) * middle) / np.sqrt(share), freedom).mean()
                - ALPHA / 2
            )

        return brentq(beyond, 0, 100)

    table = [-ndtri(ALPHA / 2), *(at(share) for share in shares)]
    return lambda share: np.interp(share, [0, *shares], table)


def of_share(seeds: int, share: float) -> dict[str, tuple[float, float]]:
    """Per cent of false verdicts, and the mean half-width in true standard errors, of each way."""
    draws = np.random.default_rng([seeds, int(1000 * share)])
    error = draws.standard_normal(DRAWS)
    of_rows = (1 - share) * draws.chisquare(ROWS - 1, DRAWS) / (ROWS - 1)
    of_seeds = share * draws.chisquare(seeds - 1, DRAWS) / (seeds - 1)
    root, estimated = np.sqrt(of_rows + of_seeds), of_seeds / (of_rows + of_seeds)
    outcomes = {}
    for name, way in ways(seeds).items():
        half_width = way(estimated) * root
        outcomes[name] = 100 * (np.abs(error) > half_width).mean(), half_width.mean()
    return outcomes


def say(report: Report, seeds: int, name: str, outcomes: np.ndarray) -> None:
    wrong, widths = outcomes.T
    detail = (
        f"least {wrong.min():.1f}, mean {wrong.mean():.1f}; mean half-width {widths.mean():.2f}"
    )
    bound = {"at_most": MOST} if "as bootstrap" in name else {}
    report.figure(
        f"{seeds} seeds, {name}: most false verdicts, %",
        wrong.max(),
        digits=1,
        detail=detail,
        **bound,
    )


if __name__ == "__main__":
    sys.exit(main())
