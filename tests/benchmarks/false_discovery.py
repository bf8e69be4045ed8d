"""The correction of a run's verdicts on simulated families of comparisons: share of false verdicts,
and power.

    python -m tests.benchmarks.false_discovery

A family is what one run compares: 6, 12 or 36 differences to one baseline, whose errors are
correlated by 0, .5 or .8 since they share rows and baseline. Each has the t of 3 seeds and few rows
(6 degrees of freedom); of those with an effect it is three standard errors. Beside the two-stage
procedure stands the one-stage of Benjamini and Hochberg.
"""

from __future__ import annotations

import sys

import numpy as np
from scipy import stats

from tests.benchmarks.reporting import Report
from tf_transfer.statistics.verdicts import false_discovery_rate

ALPHA = 0.05
FAMILIES = 4_000
FREEDOM = 6
EFFECT = 3.0


def p_values(members: int, true: int, correlation: float, rng: np.random.Generator) -> np.ndarray:
    """(families, members) two-sided p; the last ``true`` members of each have an effect."""
    shared, own = rng.normal(size=(FAMILIES, 1)), rng.normal(size=(FAMILIES, members))
    noise = np.sqrt(correlation) * shared + np.sqrt(1 - correlation) * own
    effect = np.where(np.arange(members) < members - true, 0, EFFECT)
    spread = np.sqrt(rng.chisquare(FREEDOM, (FAMILIES, members)) / FREEDOM)
    return 2 * stats.t.sf(np.abs((noise + effect) / spread), FREEDOM)


def rates(rejected: np.ndarray, true: int) -> tuple[float, float]:
    """Mean share of false verdicts among the verdicts, and share of the effects that are found."""
    effects = rejected[:, rejected.shape[1] - true :]
    false = rejected.sum(1) - effects.sum(1)
    return float(np.mean(false / np.maximum(rejected.sum(1), 1))), float(
        effects.mean()
    ) if true else np.nan


def main() -> int:
    report = Report(f"False verdicts of corrected families, {FAMILIES:,} families each")
    rng = np.random.default_rng(0)
    largest, gains = 0.0, []
    for correlation in (0.0, 0.5, 0.8):
        for members in (6, 12, 36):
            for true in (0, members // 4, members // 2, members * 3 // 4, members * 9 // 10):
                p = p_values(members, true, correlation, rng)
                q = np.stack([false_discovery_rate(family, ALPHA) for family in p])
                false, found = rates(q < ALPHA, true)
                false_once, found_once = rates(
                    stats.false_discovery_control(p, axis=1) < ALPHA, true
                )
                largest = max(largest, false)
                gains.append(found - found_once)
                report.note(
                    f"correlation {correlation:.1f}, {true:2d} of {members:2d} effects: false "
                    f"{100 * false:4.2f} % (one stage {100 * false_once:4.2f} %), found "
                    f"{100 * found:5.1f} % ({100 * found_once:5.1f} %)"
                )
    report.figure("largest share of false verdicts", 100 * largest, "%", at_most=6.0)
    report.figure(
        "effects found more than by one stage, mean", 100 * float(np.nanmean(gains)), "points"
    )
    return report.finish()


if __name__ == "__main__":
    sys.exit(main())
