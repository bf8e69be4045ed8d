"""The time and memory of every interval and pairwise test of a large comparison.

8 strategies x 5 seeds x 10,000 test rows, of a classification with 4 classes and of a regression:
18 + 8 = 26 metrics, the whole suites, with 2,000 resamples. For each strategy the interval of every
metric; for each of the 28 pairs the paired difference in every metric with its p, the permutation
test of every metric that is a mean over rows, and McNemar's test of the accuracy of each seed.

    python -m tests.benchmarks.statistics_speed
"""

from __future__ import annotations

import resource
import sys
import time
from itertools import combinations

import numpy as np

from tests.benchmarks.leakage import peak_megabytes
from tests.benchmarks.reporting import Report
from tf_transfer.kinds import KINDS
from tf_transfer.statistics.intervals import suite_draws
from tf_transfer.statistics.paired_tests import row_tests
from tf_transfer.statistics.verdicts import false_discovery_rate

STRATEGIES, SEEDS, ROWS, CLASSES, RESAMPLES = 8, 5, 10_000, 4, 2000
MOST_SECONDS, MOST_MEGABYTES = 60.0, 2000.0


def classification(rng):
    """Labels, and probabilities of every strategy and seed."""
    y = rng.integers(CLASSES, size=ROWS)
    shared = rng.normal(size=(ROWS, CLASSES)) + 1.5 * np.eye(CLASSES)[y]
    logits = shared + rng.normal(0, 0.7, (STRATEGIES * SEEDS, ROWS, CLASSES))
    p = np.exp(logits)
    return y, list(p / p.sum(-1, keepdims=True))


def regression(rng):
    """Labels to one decimal, and predictions of every strategy and seed."""
    y = rng.normal(0, 2, ROWS).round(1)
    shared = 0.7 * y + rng.normal(size=ROWS)
    return y, list(shared + rng.normal(0, 0.5, (STRATEGIES * SEEDS, ROWS)))


def main() -> int:
    report = Report(
        f"Intervals and pairwise tests: {STRATEGIES} strategies x {SEEDS} seeds x {ROWS:,} rows x "
        f"{sum(len(KINDS[kind].metrics) for kind in ('classification', 'regression'))} metrics, "
        f"{RESAMPLES:,} resamples"
    )
    rng = np.random.default_rng(0)
    data = {"classification": classification(rng), "regression": regression(rng)}
    before = used()
    start, total = time.perf_counter(), {"intervals": 0, "differences": 0, "tests of rows": 0}
    for kind, (y, scores) in data.items():
        lap = time.perf_counter()
        draws = suite_draws(kind, y, scores, resamples=RESAMPLES)
        lap = took(report, f"{kind}: metrics of the resamples", lap)
        of = [range(s * SEEDS, (s + 1) * SEEDS) for s in range(STRATEGIES)]
        found = [draws.interval(m, seeds) for m in KINDS[kind].metric_names for seeds in of]
        total["intervals"] += len(found)
        pairs = list(combinations(of, 2))
        differences = [
            draws.difference(m, a, b) for m in KINDS[kind].metric_names for a, b in pairs
        ]
        false_discovery_rate([d.p for d in differences])
        total["differences"] += len(differences)
        lap = took(report, f"{kind}: intervals and differences", lap)
        for a, b in pairs:
            first, second = ([scores[i] for i in seeds] for seeds in (a, b))
            total["tests of rows"] += len(row_tests(kind, y, first, second, resamples=RESAMPLES))
        took(report, f"{kind}: tests of rows", lap)
    seconds = time.perf_counter() - start
    report.figure("all of it", seconds, "s", at_most=MOST_SECONDS, digits=1,
                  detail=", ".join(f"{n:,} {what}" for what, n in total.items()))  # fmt: skip
    report.figure("processor time", used() - before, "s", digits=1)
    report.figure(
        "peak memory of the process", peak_megabytes(), "MB", at_most=MOST_MEGABYTES, digits=0
    )
    return report.finish()


def took(report: Report, name: str, since: float) -> float:
    """Reports the seconds since a time, and returns the time."""
    now = time.perf_counter()
    report.figure(name, now - since, "s", digits=1)
    return now


def used() -> float:
    """Seconds of processor time, of all threads."""
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


if __name__ == "__main__":
    sys.exit(main())
