"""How often the verdict is wrong: whole experiments simulated with a known truth.

Each setting draws test rows and seeds anew for every experiment. A row has a difficulty that all
strategies and seeds share, so that they are correlated, and one for each strategy; a seed shifts a
strategy on all rows; the rest is noise of a row and seed. Every experiment is done twice, on rows
and seeds of its own: without a true difference, and with one of twice the minimum effect that
another experiment of the setting, itself without a difference, has stated. Both go through
`paired_difference` as a comparison's do.

The z-test beside it is the usual practice: the two strategies' standard errors over the rows of a
test set, added as if they had been tested on different rows, without any part for the seeds.

    python -m tests.benchmarks.calibration [EXPERIMENTS] [--only NAME]
"""

from __future__ import annotations

import argparse
import dataclasses
import os
import sys
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor

# Each of the two processes gets one thread.
for _name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(_name, "1")

import numpy as np  # noqa: E402
from scipy import optimize, stats  # noqa: E402
from scipy.special import ndtri  # noqa: E402

from tests.benchmarks.reporting import Report  # noqa: E402
from tf_transfer.evaluation.metrics import resampled_suite  # noqa: E402
from tf_transfer.kinds import METRICS  # noqa: E402
from tf_transfer.statistics.bootstrap import row_counts  # noqa: E402
from tf_transfer.statistics.intervals import paired_difference  # noqa: E402

EXPERIMENTS = 2500
PROCESSES = 2
Z_RESAMPLES = 200
"""Of the standard errors of the z-test, for metrics that are not a mean."""


@dataclasses.dataclass(frozen=True)
class Setting:
    """A kind of experiment.

    Args:
        name: for the report.
        metric, kind: as `paired_difference` has them.
        rows, seeds: of one experiment.
        level: the true metric of both strategies without a difference.
        seed_sd: how much a seed shifts a strategy, in the unit of the ``noise``.
        row_sd, strategy_sd, noise: scatter of a row, of a row and strategy, of a row, strategy and
            seed.
        simulate: ``(setting, levels of A and B, generator)`` to labels and the scores of A and B.
    """

    name: str
    metric: str
    kind: str
    rows: int
    seeds: int
    level: float
    seed_sd: float
    simulate: Callable
    row_sd: float = 1.0
    strategy_sd: float = 0.4
    noise: float = 0.5


def classifier(setting: Setting, levels, rng, positive: float = 0.5):
    """A row is right where its margin is above 0; the level is the accuracy, or the macro F1, of
    many rows.
    """
    y = (rng.random(setting.rows) < positive).astype(int)
    difficulty = rng.normal(0, setting.row_sd, setting.rows)
    scatter = np.sqrt(
        setting.row_sd**2 + setting.strategy_sd**2 + setting.seed_sd**2 + setting.noise**2
    )
    arms = []
    for level in levels:
        right = level if setting.metric == "accuracy" else accuracy_of(level, positive)
        margin = (
            scatter * ndtri(right) + difficulty + rng.normal(0, setting.strategy_sd, setting.rows)
        )
        margin = margin + rng.normal(0, setting.seed_sd, (setting.seeds, 1))
        margin = margin + rng.normal(0, setting.noise, (setting.seeds, setting.rows))
        arms.append([np.eye(2)[np.where(m > 0, y, 1 - y)] for m in margin])
    return y, *arms


def rare_class(setting: Setting, levels, rng):
    """`classifier` with one row in ten of the second class."""
    return classifier(setting, levels, rng, positive=0.1)


def many_classes(setting: Setting, levels, rng, classes: int = 20):
    """As `classifier`, with more classes, all as frequent; a row that is not right is taken for one
    other class.

    Then the share of right rows is the precision, recall and F1 of every class.
    """
    y = rng.integers(classes, size=setting.rows)
    binary, *arms = classifier(dataclasses.replace(setting, metric="accuracy"), levels, rng)
    other = (y + rng.integers(1, classes, setting.rows)) % classes
    return y, *(
        [np.eye(classes)[np.where(s.argmax(1) == binary, y, other)] for s in arm] for arm in arms
    )


def accuracy_of(f1_macro: float, positive: float) -> float:
    """The share of either class that is right, of a classifier with this macro F1."""

    def missed(right):
        shares = np.array([positive, 1 - positive])
        return (right * shares / (right * shares + (1 - right) / 2)).mean() - f1_macro

    return optimize.brentq(missed, 1e-9, 1 - 1e-9)


def skewed_errors(setting: Setting, levels, rng):
    """Absolute errors with lognormal parts, of which the level is the mean."""

    def scatter(sd, shape):
        z = rng.lognormal(0, 1, shape)
        return sd * (z - np.exp(0.5)) / np.sqrt(np.exp(2) - np.exp(1))

    difficulty = scatter(setting.row_sd, setting.rows)
    arms = []
    for level in levels:
        error = level + difficulty + scatter(setting.strategy_sd, setting.rows)
        error = error + rng.normal(0, setting.seed_sd, (setting.seeds, 1))
        arms.append(list(np.abs(error + scatter(setting.noise, (setting.seeds, setting.rows)))))
    return np.zeros(setting.rows), *arms


def correlated(setting: Setting, levels, rng):
    """Predictions of which the level is Pearson's r; a seed shifts r."""
    y, difficulty = rng.normal(size=(2, setting.rows))
    parts = np.array([setting.row_sd, setting.strategy_sd, setting.noise])
    row, strategy, noise = parts / np.sqrt((parts**2).sum())
    arms = []
    for level in levels:
        r = np.clip(level + rng.normal(0, setting.seed_sd, (setting.seeds, 1)), -0.999, 0.999)
        rest = row * difficulty + strategy * rng.normal(size=setting.rows)
        rest = rest + noise * rng.normal(size=(setting.seeds, setting.rows))
        arms.append(list(r * y + np.sqrt(1 - r**2) * rest))
    return y, *arms


SETTINGS = (
    Setting(
        "accuracy .75, 100 rows, 5 seeds",
        "accuracy",
        "classification",
        100,
        5,
        0.75,
        0.1,
        classifier,
    ),
    Setting(
        "accuracy .95, 1,000 rows, 5 seeds",
        "accuracy",
        "classification",
        1000,
        5,
        0.95,
        0.1,
        classifier,
    ),
    Setting(
        "accuracy .75, 5,000 rows, 3 seeds",
        "accuracy",
        "classification",
        5000,
        3,
        0.75,
        0.1,
        classifier,
    ),
    Setting(
        "macro F1 .80, 500 rows, a class of 10 %, 5 seeds",
        "f1_macro",
        "classification",
        500,
        5,
        0.8,
        0.1,
        rare_class,
    ),
    Setting(
        "mean absolute error, skewed, 200 rows, 3 seeds",
        "mae",
        "regression",
        200,
        3,
        8.0,
        0.03,
        skewed_errors,
        strategy_sd=0.3,
        noise=0.3,
    ),
    Setting(
        "Pearson r .60, 2,000 rows, 10 seeds",
        "pearson",
        "regression",
        2000,
        10,
        0.6,
        0.02,
        correlated,
    ),
    Setting(
        "macro F1 .70, 400 rows, 20 classes, 3 seeds",
        "f1_macro",
        "classification",
        400,
        3,
        0.7,
        0.1,
        many_classes,
    ),
)


@dataclasses.dataclass(frozen=True)
class Outcome:
    """What one experiment found, as value, ends of the interval and minimum effect; and the
    z-test's verdict.
    """

    truth: float
    value: float
    low: float
    high: float
    minimum_effect: float
    verdict: str
    z: float


def experiment(setting: Setting, difference: float, rng) -> Outcome:
    """One experiment in which A is truly better than B by ``difference``."""
    sign = METRICS[setting.metric].sign
    levels = setting.level + sign * difference / 2, setting.level - sign * difference / 2
    y, a, b = setting.simulate(setting, levels, rng)
    found = paired_difference(setting.metric, setting.kind, y, a, b)
    z = found.value / np.hypot(*(standard_error(setting, y, arm) for arm in (a, b)))
    return Outcome(
        difference, found.value, found.low, found.high, found.minimum_effect, found.verdict, z
    )


def standard_error(setting: Setting, y, scores) -> float:
    """Over the rows, of the first seed: that of a mean, else that of a bootstrap."""
    if setting.metric == "accuracy":
        return stats.sem(scores[0].argmax(1) == y)
    if setting.metric == "mae":
        return stats.sem(np.abs(scores[0] - y))
    counts = row_counts(len(y), resamples=2000)[:Z_RESAMPLES]
    return float(
        np.nanstd(
            resampled_suite(setting.kind, y, scores[:1], counts, [setting.metric])[setting.metric]
        )
    )


def largest(setting: Setting) -> float:
    """The largest true difference that the setting has room for."""
    return 1.8 * min(setting.level, (1 if setting.metric != "mae" else np.inf) - setting.level)


def experiments(number: int, share: int, count: int) -> tuple[list[Outcome], list[Outcome]]:
    """``count`` experiments without a difference, and as many with twice the effect that those have
    stated.
    """
    setting, rng = SETTINGS[number], np.random.default_rng([number, share])
    without = [experiment(setting, 0.0, rng) for _ in range(count)]
    stated = [found.minimum_effect for found in without if found.verdict == "undecided"]
    stated = rng.permutation([effect for effect in stated if not np.isnan(effect)])
    twice = [min(2 * effect, largest(setting)) for effect in stated]
    return without, [experiment(setting, difference, rng) for difference in twice]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument(
        "count", nargs="?", type=int, default=EXPERIMENTS, help="experiments of a setting"
    )
    parser.add_argument("--only", default="", help="the settings whose name has this in it")
    arguments = parser.parse_args()
    count = arguments.count
    report = Report(
        f"Verdicts at 95 % of simulated experiments with a known truth: {count:,} a setting "
        "without a difference\n"
        "and one with twice the stated minimum effect for each of them that was undecided; "
        f"{PROCESSES} processes.\n"
        "In brackets the 95 % range of the rate (Clopper and Pearson)."
    )
    start, wrong, decided = time.perf_counter(), 0, 0
    with ProcessPoolExecutor(PROCESSES) as pool:
        for number, setting in enumerate(SETTINGS):
            if arguments.only not in setting.name:
                continue
            shares = [
                count // PROCESSES + (share < count % PROCESSES) for share in range(PROCESSES)
            ]
            parts = list(pool.map(experiments, [number] * PROCESSES, range(PROCESSES), shares))
            without, twice = ([found for part in parts for found in part[i]] for i in (0, 1))
            show(report, setting, without, twice)
            wrong += sum(found.verdict == "hurt" for found in twice)
            decided += len(twice)
    report.note("all settings")
    rate(report, "wrong sign", wrong, decided, at_most=0.1)
    report.figure("time", (time.perf_counter() - start) / 60, "min", digits=1)
    return report.finish()


def show(report: Report, setting: Setting, without: list[Outcome], twice: list[Outcome]) -> None:
    """The figures of one setting."""
    report.note(setting.name)
    n = len(without)
    false = sum(found.verdict != "undecided" for found in without)
    rate(report, "no difference: helped or hurt", false, n, at_least=3)
    rate(report, "no difference: helped or hurt", false, n, at_most=6)
    for name, found in (("no difference", without), ("twice the minimum effect", twice)):
        covered = sum(f.low <= f.truth <= f.high for f in found)
        rate(report, f"{name}: interval covers the truth", covered, len(found), at_least=93)
        rate(report, f"{name}: interval covers the truth", covered, len(found), at_most=97)
    rate(
        report,
        "twice the minimum effect: helped",
        sum(f.verdict == "helped" for f in twice),
        len(twice),
        at_least=90,
    )
    rate(
        report,
        "twice the minimum effect: hurt",
        sum(f.verdict == "hurt" for f in twice),
        len(twice),
        at_most=0.1,
    )
    report.figure(
        "median of twice the minimum effect",
        float(np.median([f.truth for f in twice])),
        digits=4,
        detail=f"{sum(f.truth == largest(setting) for f in twice)} cut to what the metric has "
        "room for",
    )
    critical = ndtri(0.975)
    rate(
        report,
        "unpaired z-test, no difference: a verdict",
        sum(abs(f.z) > critical for f in without),
        n,
    )
    rate(
        report,
        "unpaired z-test, twice: the right verdict",
        sum(f.z > critical for f in twice),
        len(twice),
    )


def rate(report: Report, name: str, hits: int, of: int, **bound) -> None:
    """A share in per cent with its range."""
    low, high = stats.binomtest(int(hits), of).proportion_ci(method="exact")
    report.figure(
        name, 100 * hits / of, "%", **bound, detail=f"[{100 * low:.2f}, {100 * high:.2f}]"
    )


if __name__ == "__main__":
    sys.exit(main())
