"""How sure we are: intervals of metrics, paired differences, and the verdict.

A result depends on which rows happen to be in the test split and on which seeds happened to be run
(a seed draws the initial weights, the order of the batches and the sampled labels). `bootstrap`
says how an interval covers both, `power` what the smallest effect is that could have been shown,
`paired_tests` has the tests that speak of the rows alone. How often a verdict is wrong: `python -m
tests.benchmarks.calibration`.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Literal

import numpy as np

from tf_transfer.errors import DataError
from tf_transfer.evaluation.metrics import resampled_suite
from tf_transfer.kinds import METRICS, kind_named
from tf_transfer.kinds.answers import as_answers, digest_of
from tf_transfer.measures.metric import Metric
from tf_transfer.statistics import power, proportions
from tf_transfer.statistics.bootstrap import Sample, group_codes, row_counts

Verdict = Literal["helped", "hurt", "equivalent", "undecided"]
CONFIDENCE = 0.95


@dataclasses.dataclass(frozen=True)
class Interval:
    """A metric with its confidence interval.

    Args:
        value: the mean over seeds, in the metric's unit; NaN where it is undefined.
        low, high: ends of the interval; NaN where it is undefined, or the rows are too few for one.
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
        p: two-sided; the smallest ``1 - confidence`` whose interval excludes 0. NaN where the
            difference is undefined.
        minimum_effect: the true difference that a repetition with other rows and seeds would show
            with a chance of 80 %; see `power`. Inf where it is none that the metric can have, NaN
            where nothing varies.
        rows_needed: test rows with which the difference found would be the minimum effect; inf
            beyond `power.MOST_UNITS`.
        seeds_needed: the same of seeds, beyond `power.MOST_SEEDS`; NaN also with one seed.
        margin: the largest difference that does not matter, in the metric's unit; None when not
            asked for.
        equivalent: both one-sided tests at ``(1 - confidence)`` reject a difference as large as
            ``margin``.
        effect: what `at_level` goes by; None where nothing varies.
    """

    p: float = np.nan
    minimum_effect: float = np.nan
    rows_needed: float = np.nan
    seeds_needed: float = np.nan
    margin: float | None = None
    equivalent: bool = False
    effect: power.Effect | None = dataclasses.field(default=None, repr=False)

    @property
    def verdict(self) -> Verdict:
        """``"helped"`` or ``"hurt"`` when the interval excludes 0, else ``"undecided"``.

        ``"equivalent"`` comes first, where a margin was asked for: no difference that matters.
        """
        if self.equivalent:
            return "equivalent"
        return "helped" if self.low > 0 else "hurt" if self.high < 0 else "undecided"

    def at_level(self, alpha: float) -> Difference:
        """With the minimum effect of verdicts at ``alpha``, and the rows and seeds that would
        settle it there.
        """
        if self.effect is None:
            return self
        smallest, seeds = (
            power.minimum_effect(self.effect, alpha),
            power.seeds_needed(self.effect, alpha),
        )
        if smallest >= np.ptp(METRICS[self.metric].range):
            smallest = np.inf
        rows = float(
            np.ceil(power.units_needed(self.effect, alpha) * self.rows / self.effect.units)
        )
        return dataclasses.replace(
            self, minimum_effect=smallest, rows_needed=rows, seeds_needed=seeds
        )

    def __str__(self) -> str:
        text = f"{self.metric} {self.value:+.4f} [{self.low:+.4f}, {self.high:+.4f}] {self.verdict}"
        if self.verdict == "undecided" and not np.isnan(self.minimum_effect):
            text += f" (a difference of {self.minimum_effect:.4f} could have been told)"
        return text


def verdict(difference: Difference) -> Verdict:
    """See `Difference.verdict`."""
    return difference.verdict


def paired_difference(
    metric: str,
    kind: str,
    y,
    scores_a,
    scores_b,
    *,
    groups=None,
    resamples=2000,
    confidence=CONFIDENCE,
    seed=0,
    margin=None,
) -> Difference:
    """How much better strategy A is than B on the same rows, over rows and seeds.

    Args:
        metric: one of the kind's.
        kind: kind of the task.
        y: labels of the test rows, as `Task.encode` gives them.
        scores_a, scores_b: an array of scores for each seed, as `Prediction.scores` has them; seed
            s of A is paired with seed s of B.
        groups: (rows,) names of groups that are drawn whole, such as the documents of sentences.
        resamples: int >= 100.
        confidence: in (0, 1).
        seed: of the row draws; equal seeds share the draws between calls.
        margin: None, or the largest difference that does not matter, > 0 and in the metric's unit.

    Returns:
        The difference; exactly 0 with the interval [0, 0] for identical predictions, while others
        that no row tells apart have the interval that the number of rows gives. NaN and undecided
        when the metric is undefined for one of the seeds, for instance a correlation with
        constants.

    Raises:
        DataError: lists of different lengths, a missing group, or what
            `evaluation.metrics.resampled` raises.

    Example:
        >>> y, rows = np.tile([0, 1], 100), np.arange(200)
        >>> better = np.eye(2)[np.where(rows % 10 < 9, y, 1 - y)]  # right in 9 rows of 10
        >>> worse = np.eye(2)[np.where(rows % 10 < 7, y, 1 - y)]  # right in 7, all the better one's
        >>> difference = paired_difference("accuracy", "classification", y, [better], [worse])
        >>> round(difference.value, 6), difference.verdict
        (0.2, 'helped')
        >>> paired_difference("accuracy", "classification", y, [better], [better]).verdict
        'undecided'
    """
    draws = suite_draws(
        kind,
        y,
        [*scores_a, *scores_b],
        groups=groups,
        resamples=resamples,
        seed=seed,
        names=[metric],
    )
    first = range(len(scores_a))
    second = range(len(scores_a), len(scores_a) + len(scores_b))
    return draws.difference(metric, first, second, confidence, margin)


def bootstrap_interval(
    metric: str, kind: str, y, scores, *, groups=None, resamples=2000, confidence=CONFIDENCE, seed=0
) -> Interval:
    """The interval of one strategy's metric over rows and seeds, within the range of the metric.

    Args:
        scores: an array of scores for each seed; for the rest see `paired_difference`.

    Raises:
        DataError: as `paired_difference`.

    Example:
        >>> right = np.eye(2)[[0] * 8 + [1] * 2]  # predictions for ten rows of class 0
        >>> print(bootstrap_interval("accuracy", "classification", np.zeros(10, int), [right]))
        accuracy 0.8000 [0.4902, 0.9433]
    """
    draws = suite_draws(
        kind, y, scores, groups=groups, resamples=resamples, seed=seed, names=[metric]
    )
    return draws.interval(metric, range(len(scores)), confidence)


def suite_draws(kind: str, y, scores, *, groups=None, resamples=2000, seed=0, names=None) -> Draws:
    """Many metrics of many scores on the same row draws, from which intervals and differences cost
    little.

    Args:
        scores: list of scores of the same rows, of every strategy and seed.
        names: metrics; None for the suite of the kind. For the rest see `paired_difference`.

    Raises:
        DataError: a missing group, or what `evaluation.metrics.resampled` raises.
    """
    if resamples < 100:
        raise DataError(f"resamples must be at least 100.\nReceived resamples={resamples!r}.")
    y = as_answers(y)
    if not len(scores):
        raise DataError(
            "An interval or difference needs scores of at least one seed.\nReceived 0 seeds."
        )
    _, units = group_codes(len(y), groups)
    once = resampled_suite(kind, y, scores, np.ones((1, len(y)), np.uint8), names)
    drawn = resampled_suite(kind, y, scores, row_counts(len(y), groups, resamples, seed), names)
    digests = tuple(map(digest_of, scores))
    return Draws(
        kind, len(y), units, groups is not None, {m: v[0] for m, v in once.items()}, drawn, digests
    )


@dataclasses.dataclass(frozen=True)
class Draws:
    """Metrics of scores on all rows and on the resamples of the rows.

    Args:
        kind: kind of the task.
        rows: number of test rows.
        units: number of rows, or of groups where these are drawn whole.
        grouped: whether groups are drawn.
        values: of each metric (scores,).
        resamples: of each metric (resamples, scores).
        digests: (scores,), equal for equal predictions.
    """

    kind: str
    rows: int
    units: int
    grouped: bool
    values: dict[str, np.ndarray]
    resamples: dict[str, np.ndarray]
    digests: tuple[int, ...]

    def interval(
        self, metric: str, seeds: Sequence[int], confidence: float = CONFIDENCE
    ) -> Interval:
        """The interval of the mean over seeds; ``seeds`` are positions in the list of scores.

        A proportion, such as accuracy, has Wilson's, and so has a metric of classes at an end of
        its range on all draws, such as F1 where all rows are right; every other metric has the
        bootstrap's. The calibration error sums absolute gaps, whose bias is that of the draws only
        somewhere between: where the gaps are clear it is none, where there are none it is 1 + √2
        times as large, since noise of variance 2 instead of 1 makes the draws of a gap of 0. So its
        interval reaches from the second case to the first.
        """
        _check(seeds, seeds, confidence)
        seeds = list(seeds)
        sample = Sample(self.values[metric][seeds], self.resamples[metric][:, seeds], self.units)
        low, high = sample.bounds(1 - confidence)
        if self._metric(metric).proportion and not np.isnan(low):
            low, high = proportions.of_sample(sample, 1 - confidence, exact=not self.grouped)
        elif self._at_an_end(sample, metric) and not np.isnan(low):
            low, high = proportions.at_an_end(sample, 1 - confidence, *METRICS[metric].range)
        elif self._metric(metric).gaps:
            low, high = low - np.sqrt(2) * sample.bias, high + sample.bias
        low, high = np.clip([low, high], *METRICS[metric].range)
        note = self._note(sample, metric, confidence)
        return Interval(
            sample.value, float(low), float(high), confidence, metric, self.rows, len(seeds), note
        )

    def difference(
        self,
        metric: str,
        first: Sequence[int],
        second: Sequence[int],
        confidence: float = CONFIDENCE,
        margin: float | None = None,
    ) -> Difference:
        """How much better the scores at positions ``first`` are than those at ``second``, seed by
        seed.
        """
        _check(first, second, confidence, margin)
        first, second, alpha = list(first), list(second), 1 - confidence
        sign = METRICS[metric].sign
        values, draws = self.values[metric], self.resamples[metric]
        sample = Sample(
            sign * (values[first] - values[second]),
            sign * (draws[:, first] - draws[:, second]),
            self.units,
        )
        ends, one_sided, p = sample.bounds(alpha), sample.bounds(2 * alpha), sample.p()
        if sample.decides(alpha) and not sample.varies and not self._identical(first, second):
            ends, one_sided, p = _of_alike_rows(sample, np.ptp(METRICS[metric].range), alpha)
        return Difference(
            sample.value,
            *ends,
            confidence,
            metric,
            self.rows,
            len(first),
            self._note(sample, metric, confidence),
            p,
            margin=margin,
            equivalent=margin is not None and _within(one_sided, margin),
            effect=power.Effect.of(sample) if sample.decides(alpha) and sample.varies else None,
        ).at_level(alpha)

    def _at_an_end(self, sample: Sample, metric: str) -> bool:
        ends = METRICS[metric].range
        finite = not kind_named(self.kind).numbers and np.isfinite(ends).all()
        return bool(finite and not sample.varies and np.isclose(sample.value, ends, 0, 1e-12).any())

    def _metric(self, name: str) -> Metric:
        return kind_named(self.kind).metric(name)

    def _identical(self, first: list[int], second: list[int]) -> bool:
        return all(self.digests[a] == self.digests[b] for a, b in zip(first, second))

    def _note(self, sample: Sample, metric: str, confidence: float) -> str:
        return sample.note(metric, confidence, "groups" if self.grouped else "rows")


def _of_alike_rows(sample: Sample, width: float, alpha: float) -> tuple[tuple, tuple, float]:
    """The interval of a difference that no draw varies, the one for equivalence, and p; a metric
    without a largest value bounds none of them, and keeps the first and p.
    """
    if not np.isfinite(width):
        return sample.bounds(alpha), (-np.inf, np.inf), sample.p()
    ends = proportions.of_alike_rows(sample.value, sample.units, width, alpha)
    return ends, ends, proportions.p_of_alike_rows(sample.value, sample.units, width)


def _within(bounds: tuple[float, float], margin: float) -> bool:
    return bool(-margin < bounds[0] and bounds[1] < margin)


def _check(first, second, confidence, margin=None) -> None:
    if len(first) != len(second) or not len(first):
        raise DataError(
            "A paired difference needs scores of the same seeds, at least one, from both "
            "strategies.\n"
            f"Received {len(first)} and {len(second)} seeds."
        )
    if not 0 < confidence < 1:
        raise DataError(f"confidence must be between 0 and 1.\nReceived confidence={confidence!r}.")
    check_margin(margin)


def check_margin(margin: float | None) -> None:
    """Raises:
    DataError: a margin that is not above 0.
    """
    if margin is not None and not 0 < margin < np.inf:
        raise DataError(
            "margin must be above 0, in the unit of the metric, or None.\nReceived "
            f"margin={margin!r}."
        )
