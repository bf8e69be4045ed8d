"""Intervals and verdicts against scipy.stats.bootstrap, closed forms and hand derivations."""

import numpy as np
import pytest
from scipy import stats

from tf_transfer.errors import DataError
from tf_transfer.kinds import KINDS, kinds_where
from tf_transfer.statistics import intervals as statistics
from tf_transfer.statistics.bootstrap import Sample, row_counts
from tf_transfer.statistics.intervals import (
    Difference,
    bootstrap_interval,
    paired_difference,
    suite_draws,
)


def arms(rows=300, seeds=3, better=0.0, seed_sd=0.0, seed=0):
    """Labels 0, and predictions of A and B whose absolute errors differ by ``better`` in the
    mean.
    """
    rng = np.random.default_rng(seed)
    error = rng.gamma(4, 0.5, (seeds, rows)) + 2
    shift = better + rng.normal(0, seed_sd, (seeds, 1)) + rng.normal(0, 0.3, (seeds, rows))
    return np.zeros(rows), list(error - shift), list(error)


def test_one_seed_equals_scipys_paired_bootstrap():
    y, (a,), (b,) = arms(seeds=1, better=0.03)
    got = paired_difference("mae", "regression", y, [a], [b], resamples=20_000)
    want = stats.bootstrap(
        (b - a,), np.mean, n_resamples=20_000, method="percentile", rng=np.random.default_rng(5)
    ).confidence_interval
    assert got.value == pytest.approx((b - a).mean(), abs=1e-12)
    assert (got.low, got.high) == pytest.approx(want, abs=0.03 * (want.high - want.low))
    assert "one seed" in got.note and got.seeds == 1 and got.rows == 300
    assert got.p == pytest.approx(2 * stats.norm.sf(got.value / stats.sem(b - a)), abs=0.02)


def test_seeds_that_alone_differ_give_students_t():
    """Every row differs by the same amount within a seed: the rows add nothing, and Student's t is
    exact.
    """
    offsets = np.array([0.1, 0.4, 0.35, 0.2])
    errors = np.full(50, 2.0)
    a, b = [errors - d for d in offsets], [errors] * 4
    got = paired_difference("mae", "regression", np.zeros(50), a, b)
    want = stats.t.interval(0.95, 3, offsets.mean(), stats.sem(offsets))
    assert (got.low, got.high) == pytest.approx(want, abs=1e-9)
    assert got.p == pytest.approx(stats.ttest_1samp(offsets, 0).pvalue, rel=2e-3)
    assert got.verdict == "helped"


def test_rows_and_seeds_combine_as_documented():
    """Row effects shared by all seeds, plus an offset for each seed: variances add, df = (S - 1) /
    share ** 0.85.
    """
    rng = np.random.default_rng(2)
    rows, offsets = rng.normal(0.2, 0.5, 400), np.array([-0.05, 0.0, 0.05])
    a, b = [5 - rows - d for d in offsets], [np.full(400, 5.0)] * 3
    got = paired_difference("mae", "regression", np.zeros(400), a, b, resamples=20_000)
    of_rows, of_seeds = rows.var() / 400, offsets.var(ddof=1) / 3
    total = of_rows + of_seeds
    half = stats.t.ppf(0.975, 2 * (total / of_seeds) ** 0.85) * np.sqrt(total)
    assert (got.high - got.low) / 2 == pytest.approx(half, rel=0.02)


def test_noise_shared_by_rows_and_seeds_is_counted_once():
    """Independent rows in every seed: the mean over seeds has the standard error of S x rows
    numbers.
    """
    widths, exact = [], []
    for seed in range(20):
        y, a, b = arms(rows=200, seeds=10, seed=seed)
        difference = paired_difference("mae", "regression", y, a, b, resamples=500, seed=seed)
        widths.append((difference.high - difference.low) / 2)
        exact.append(stats.t.ppf(0.975, 9) * 0.3 / np.sqrt(2000))
    assert np.mean(widths) == pytest.approx(np.mean(exact), rel=0.1)


@pytest.mark.parametrize("seeds", [1, 3])
def test_identical_predictions_differ_by_exactly_zero(seeds):
    y, a, _ = arms(seeds=seeds)
    got = paired_difference("rmse", "regression", y, a, a)
    assert (got.value, got.low, got.high, got.p, got.verdict) == (0, 0, 0, 1, "undecided")


def sure(y, by):
    """Probabilities that are right on every row, and as sure as ``by`` says."""
    return np.eye(2)[y] * (2 * by - 1) + 1 - by


@pytest.mark.parametrize("seeds", [1, 3])
@pytest.mark.parametrize(
    "rows, margin, word",
    [
        (10, 0.01, "undecided"),
        (10, 0.25, "undecided"),
        (10, 0.27, "equivalent"),
        (400, 0.01, "equivalent"),
    ],
)
def test_rows_that_are_all_tied_bound_the_difference_by_their_number(rows, margin, word, seeds):
    """With none of 10 rows discordant, a share of up to 1 - .05 ** .1 = .259 may be."""
    y = np.arange(rows) % 2
    found = paired_difference(
        "accuracy",
        "classification",
        y,
        [sure(y, 0.9)] * seeds,
        [sure(y, 0.8)] * seeds,
        margin=margin,
    )
    assert (found.value, found.p, found.verdict) == (0, 1, word)
    exact = stats.binomtest(0, rows, alternative="less").proportion_ci(method="exact").high
    assert (found.low, found.high) == pytest.approx((-exact, exact))
    assert np.isnan([found.minimum_effect, found.rows_needed, found.seeds_needed]).all()
    same = paired_difference(
        "accuracy", "classification", y, [sure(y, 0.9)], [sure(y, 0.9)], margin=margin
    )
    assert (same.low, same.high, same.verdict) == (0, 0, "equivalent")


def test_equivalence_of_tied_rows_is_claimed_wrongly_in_five_per_cent_at_most():
    """One row in ten is worse: no tied row is found among 28 with a chance of .9 ** 28 = 5.2 %, 29
    have 4.7 %.
    """
    for rows, word in ((28, "undecided"), (29, "equivalent")):
        y = np.arange(rows) % 2
        found = paired_difference(
            "accuracy", "classification", y, [sure(y, 0.9)], [sure(y, 0.8)], margin=0.1
        )
        assert found.verdict == word


def test_the_p_of_rows_that_all_differ_alike_goes_with_their_interval():
    """All of 40 rows right, with .9 against .6: Brier .01 and .16 in every row."""
    y = np.arange(40) % 2
    found = paired_difference("brier", "classification", y, [sure(y, 0.9)], [sure(y, 0.6)])
    assert (
        found.value == pytest.approx(0.15)
        and found.low < 0 < found.high
        and found.verdict == "undecided"
    )
    assert found.p == pytest.approx((2 / 2.15) ** 40)  # the range of Brier is 2 wide
    at_p = paired_difference(
        "brier", "classification", y, [sure(y, 0.9)], [sure(y, 0.6)], confidence=1 - found.p
    )
    assert at_p.low == pytest.approx(0, abs=1e-9)


def test_rows_that_all_differ_alike_bound_the_difference_too():
    """A right and B wrong in 10 of 10 rows: up to 25.9 % of rows may be the other way round."""
    y = np.arange(10) % 2
    found = paired_difference("accuracy", "classification", y, [sure(y, 0.9)], [sure(1 - y, 0.9)])
    assert (found.value, found.low, found.high, found.verdict) == (
        1,
        pytest.approx(1 - 2 * 0.2589, abs=1e-4),
        1,
        "helped",
    )


def test_equal_errors_of_different_predictions_are_no_equivalence_where_an_error_has_no_bound():
    y = np.arange(10.0)
    found = paired_difference("mae", "regression", y, [y + 1], [y - 1], margin=0.01)
    assert (found.value, found.low, found.high, found.verdict) == (0, 0, 0, "undecided")


def test_sign_is_positive_when_a_is_better():
    y, a, b = arms(better=0.5)
    assert paired_difference("mae", "regression", y, a, b).verdict == "helped"
    assert paired_difference("mae", "regression", y, b, a).verdict == "hurt"
    y = np.arange(60) % 2
    good, bad = np.eye(2)[y], np.eye(2)[1 - y]
    assert paired_difference("accuracy", "classification", y, [good], [bad]).value == 1
    assert paired_difference("brier", "classification", y, [good], [bad]).value == 1


def test_false_verdicts_are_near_five_per_cent():
    """300 experiments without a true difference, S = 3; the binomial 99.9 % range of 3 to 6 %."""
    verdicts = []
    for seed in range(300):
        y, a, b = arms(rows=100, seeds=3, seed_sd=0.05, seed=seed)
        verdicts.append(
            paired_difference("mae", "regression", y, a, b, resamples=300, seed=seed).verdict
        )
    assert 1 <= sum(v != "undecided" for v in verdicts) <= 30


@pytest.mark.parametrize("share", [0.6, 0.95, 1.0])
@pytest.mark.parametrize("seeds", [2, 3])
def test_false_verdicts_of_few_seeds_are_at_most_six_per_cent(seeds, share):
    """2,000 experiments in which normal seeds have a known share of the variance; the rest is of
    normal rows.
    """
    rng = np.random.default_rng([seeds, int(100 * share)])
    rows = np.sqrt(1 - share) * stats.norm.ppf((np.arange(200) + 0.5) / 200)[:, None]
    wrong = 0
    for _ in range(2000):
        values = rng.normal(0, np.sqrt(seeds * share), seeds) + rng.normal(0, np.sqrt(1 - share))
        low, high = Sample(values, values + rows, 1000).bounds(0.05)
        wrong += low > 0 or high < 0
    # up to 5.8 % are expected, and two standard errors of chance are 1 %
    assert wrong <= 0.065 * 2000


def test_groups_are_drawn_whole_and_widen_the_interval():
    counts = row_counts(6, groups=list("aabbbc"), resamples=200)
    assert (counts[:, 0] == counts[:, 1]).all() and (counts[:, 2] == counts[:, 4]).all()
    assert (counts[:, [0, 2, 5]].sum(1) == 3).all() and counts.max() > 1
    rng = np.random.default_rng(0)
    groups = np.repeat(np.arange(40), 10)
    d = rng.normal(size=40)[groups]
    y, a, b = np.zeros(400), [5 - d], [np.full(400, 5.0)]
    found = [paired_difference("mae", "regression", y, a, b, groups=g) for g in (groups, None)]
    wide, narrow = (f.high - f.low for f in found)
    assert wide / narrow == pytest.approx(np.sqrt(10), rel=0.1)
    assert found[0].minimum_effect / found[1].minimum_effect == pytest.approx(np.sqrt(10), rel=0.15)


def test_undefined_resamples_are_counted_and_left_out():
    y = np.array([1] * 2 + [0] * 38)
    p1 = np.linspace(0.2, 0.8, 40)
    a, b = np.stack([p1, 1 - p1], axis=1), np.stack([1 - p1, p1], axis=1)
    got = paired_difference("auroc", "classification", y, [a], [b], resamples=200)
    lacking = int((row_counts(40, resamples=200)[:, :2].sum(1) == 0).sum())
    assert 0 < lacking < 60 and f"undefined in {lacking} of 200 resamples" in got.note
    assert np.isfinite([got.value, got.low, got.high]).all()


def test_undefined_metric_is_undecided():
    y = np.arange(30.0)
    got = paired_difference("pearson", "regression", y, [y, y], [y, y * 0])
    assert np.isnan([got.value, got.low, got.high, got.p, got.minimum_effect]).all()
    assert got.verdict == "undecided" and "seed number 1" in got.note


def test_one_row_and_ten_rows():
    got = paired_difference("mae", "regression", [1.0], [[1.5]], [[3.0]])
    assert got.value == 1.5 and "only 1 rows: too few for an interval" in got.note
    assert np.isnan([got.low, got.high, got.minimum_effect]).all() and (got.p, got.verdict) == (
        1,
        "undecided",
    )
    y, a, b = arms(rows=10)
    assert "only 10 rows" in paired_difference("mae", "regression", y, a, b).note


def test_interval_of_one_strategy_stays_within_the_range_of_the_metric():
    y = np.arange(100) % 2
    scores = [np.eye(2)[np.where(np.arange(100) < flips, 1 - y, y)] for flips in (0, 2, 30)]
    got = bootstrap_interval("accuracy", "classification", y, scores)
    assert (
        got.value == pytest.approx((1 + 0.98 + 0.7) / 3)
        and 0 <= got.low < 0.7
        and 0.98 < got.high <= 1
    )
    got = bootstrap_interval("f1_macro", "classification", y, scores)
    assert got.high == 1 and 0 <= got.low < 0.7


def right_in(share, rows=100):
    """Labels, and certain probabilities that are right in the first rows."""
    y = np.arange(rows) % 2
    return y, np.eye(2)[np.where(np.arange(rows) < round(share * rows), y, 1 - y)]


@pytest.mark.parametrize("share", [0.0, 0.03, 0.7, 1.0])
@pytest.mark.parametrize("metric", ["accuracy", "f1_micro"])
def test_a_proportion_of_one_seed_has_wilsons_interval(share, metric):
    y, scores = right_in(share)
    want = stats.binomtest(round(share * 100), 100).proportion_ci(method="wilson")
    got = bootstrap_interval(metric, "classification", y, [scores])
    assert (got.low, got.high) == pytest.approx((want.low, want.high), abs=1e-12)


def test_a_proportion_of_equal_seeds_is_that_of_one():
    """Three seeds that agree on every row add no rows: the variance is that of one, with Student's
    t.
    """
    y, scores = right_in(0.7)
    got = bootstrap_interval("accuracy", "classification", y, [scores] * 3, resamples=20_000)
    want = stats.binomtest(70, 100).proportion_ci(method="wilson")
    assert (got.low, got.high) == pytest.approx((want.low, want.high), abs=0.004)
    assert bootstrap_interval("accuracy", "classification", y, [right_in(1.0)[1]] * 3).low < 0.97


def test_a_proportion_of_groups_has_the_rows_that_the_groups_are_worth():
    """Ten rows of a group are right or wrong together: 1,000 rows are worth 100."""
    y, scores = right_in(0.7)
    want = stats.binomtest(70, 100).proportion_ci(method="wilson")
    ten = np.repeat(np.arange(100), 10)
    got = bootstrap_interval(
        "accuracy", "classification", y[ten], [scores[ten]], groups=ten, resamples=20_000
    )
    assert (got.low, got.high) == pytest.approx((want.low, want.high), abs=0.006)


@pytest.mark.parametrize("kind", kinds_where(reads="text"))
def test_a_suite_of_draws_holds_the_interval_and_difference_of_every_metric(kind):
    rng = np.random.default_rng(0)
    y = rng.normal(size=60) if kind == "regression" else rng.integers(3, size=60)
    scores = (
        list(y + rng.normal(size=(4, 60)))
        if kind == "regression"
        else list(rng.dirichlet(np.ones(3), (4, 60)))
    )
    y = np.eye(3)[y] if kind == "multilabel" else y
    draws = suite_draws(kind, y, scores, resamples=100)
    for metric in KINDS[kind].metric_names:
        got, want = (
            draws.interval(metric, [0, 1]),
            bootstrap_interval(metric, kind, y, scores[:2], resamples=100),
        )
        assert (got.low, got.high) == pytest.approx((want.low, want.high), nan_ok=True)
        got = draws.difference(metric, [0, 1], [2, 3])
        want = paired_difference(metric, kind, y, scores[:2], scores[2:], resamples=100)
        assert (got.low, got.high, got.p) == pytest.approx(
            (want.low, want.high, want.p), nan_ok=True
        )
        assert got.low <= got.value <= got.high or np.isnan(got.value)


@pytest.mark.parametrize("seeds", [1, 3])
def test_a_metric_at_its_end_on_all_draws_is_as_sure_as_that_many_rows_right(seeds):
    y = np.arange(20) % 2
    want = stats.binomtest(20, 20).proportion_ci(method="wilson").low
    draws = suite_draws("classification", y, [sure(y, 1.0)] * seeds, resamples=100)
    ends = {
        m: (found.low, found.high)
        for m in draws.values
        for found in [draws.interval(m, range(seeds))]
    }
    for metric in ("accuracy", "f1_macro", "f1_weighted", "balanced_accuracy", "auroc"):
        assert ends[metric] == pytest.approx((want, 1), abs=1e-12), metric
    assert ends["matthews"] == pytest.approx((2 * want - 1, 1), abs=1e-12)
    assert ends["expected_calibration_error"] == pytest.approx((0, 1 - want), abs=1e-12)


def guesses(rng, y, right, classes=50):
    """Certain probabilities: the true class with the chance ``right``, else any other."""
    others = (y + rng.integers(1, classes, len(y))) % classes
    return np.eye(classes)[np.where(rng.random(len(y)) < right, y, others)]


def test_averages_over_many_classes_cover_the_truth():
    """50 classes of 8 rows each. Percentiles without a correction hold the truth in 72 and 83 % of
    experiments.
    """
    rng, covered = np.random.default_rng(0), []
    for _ in range(80):
        y = rng.integers(50, size=400)
        draws = suite_draws(
            "classification",
            y,
            [guesses(rng, y, share) for share in (0.7, 0.9, 0.5)],
            resamples=200,
            names=["f1_macro"],
        )
        single, difference = draws.interval("f1_macro", [0]), draws.difference("f1_macro", [1], [2])
        covered.append((single.low <= 0.7 <= single.high, difference.low <= 0.4 <= difference.high))
    assert (np.mean(covered, axis=0) >= 0.92).all()


@pytest.mark.parametrize("gap", [0.02, 0.05, 0.1])
def test_the_calibration_error_is_covered_though_noise_adds_to_it(gap):
    """The percentiles of its draws hold a true error of .05 in 67 % of experiments with 500
    rows.
    """
    rng, covered = np.random.default_rng(3), 0
    for _ in range(150):
        p = rng.uniform(0.5, 1, 500)
        y = (rng.random(500) > p - gap).astype(int)
        found = bootstrap_interval(
            "expected_calibration_error",
            "classification",
            y,
            [np.stack([p, 1 - p], axis=1)],
            resamples=200,
        )
        covered += found.low <= gap <= found.high
    assert covered >= 0.9 * 150


@pytest.mark.parametrize("metric", ["accuracy", "brier"])
def test_a_mean_over_rows_is_not_shifted(metric):
    rng = np.random.default_rng(0)
    y = rng.integers(2, size=300)
    draws = suite_draws(
        "classification", y, list(rng.dirichlet(np.ones(2), (2, 300))), names=[metric]
    )
    assert Sample(draws.values[metric], draws.resamples[metric], 300).bias == 0


def test_an_interval_holds_its_value_where_the_bias_is_larger_than_the_spread():
    values, chance = np.array([0.5]), np.linspace(-0.01, 0.01, 1000)
    low, high = Sample(values, 0.4 + chance[:, None], 300).bounds(0.05)
    assert low == 0.5 and 0.6 < high < 0.62


@pytest.mark.parametrize("rows", [6, 10, 30])
def test_few_rows_have_students_t_and_not_the_narrow_percentiles(rows):
    d = np.random.default_rng(rows).normal(size=rows)
    got = paired_difference(
        "mae", "regression", np.zeros(rows), [9 - d], [np.full(rows, 9.0)], resamples=20_000
    )
    want = stats.t.interval(0.95, rows - 1, d.mean(), stats.sem(d))
    assert got.high - got.low == pytest.approx(want[1] - want[0], rel=0.07)


def test_five_rows_that_all_agree_decide_nothing_and_six_do():
    """All of one sign have a chance of 2 / 2**5 = 6 % of five rows, and of 3 % of six."""
    for rows, word in ((5, "undecided"), (6, "helped")):
        found = paired_difference(
            "mae", "regression", np.zeros(rows), [np.ones(rows)], [np.full(rows, 2.0)]
        )
        assert (found.value, found.verdict) == (1, word)
        assert found.p == pytest.approx(2.0 ** (1 - rows), rel=1e-3)


def test_constant_predictions_and_all_ties_are_no_difference():
    y, constant = np.arange(40) % 2, np.full((40, 2), 0.5)
    for metric in ("accuracy", "log_loss", "auroc"):
        found = paired_difference(metric, "classification", y, [constant] * 3, [constant] * 3)
        assert (found.value, found.low, found.high, found.p, found.verdict) == (
            0,
            0,
            0,
            1,
            "undecided",
        )
        assert np.isnan([found.minimum_effect, found.rows_needed, found.seeds_needed]).all()
    other = np.stack([np.full(40, 0.3), np.full(40, 0.7)], axis=1)
    assert paired_difference("auroc", "classification", y, [constant], [other]).value == 0


def test_p_is_resolved_far_below_one_in_the_number_of_resamples():
    """And close to that of Student's t, whose tail it has."""
    y, (a,), (b,) = arms(seeds=1, better=0.085)
    got = paired_difference("mae", "regression", y, [a], [b])
    want = stats.ttest_1samp(b - a, 0).pvalue
    assert want < 1e-5 and np.log10(got.p) == pytest.approx(np.log10(want), abs=0.7)


@pytest.mark.parametrize(
    "better, margin, word",
    [
        (0.015, 0.02, "equivalent"),
        (0.015, 0.005, "undecided"),
        (0.1, 0.2, "equivalent"),
        (0.1, 0.09, "helped"),
    ],
)
def test_a_margin_tells_no_difference_that_matters_from_undecided(better, margin, word):
    assert (
        paired_difference("mae", "regression", *arms(better=better), margin=margin).verdict == word
    )


def test_equivalence_is_two_one_sided_tests():
    y, (a,), (b,) = arms(seeds=1, better=0.01, rows=200)
    for margin in (0.02, 0.03, 0.04, 0.05, 0.06):
        sides = (
            stats.ttest_1samp(b - a, -margin, alternative="greater"),
            stats.ttest_1samp(b - a, margin, alternative="less"),
        )
        if abs(max(side.pvalue for side in sides) - 0.05) > 0.02:
            found = paired_difference(
                "mae", "regression", y, [a], [b], margin=margin, resamples=10_000
            )
            assert found.equivalent == all(side.pvalue < 0.05 for side in sides)


def test_same_seed_same_result_and_read_only_counts():
    y, (a,), (b,) = arms(seeds=1)
    a, b = [a], [b]
    first, second = (paired_difference("mae", "regression", y, a, b, seed=3) for _ in range(2))
    assert first == second != paired_difference("mae", "regression", y, a, b, seed=4)
    assert not row_counts(300, seed=3).flags.writeable
    assert (row_counts(300, seed=3).sum(1) == 300).all()


def test_interval_and_p_agree():
    for better in (0.0, 0.005, 0.01, 0.02, 0.04):
        difference = paired_difference("mae", "regression", *arms(better=better))
        assert (difference.p < 0.05) == (difference.verdict != "undecided")


def test_text_states_the_verdict_and_the_minimum_effect():
    difference = Difference(0.01, -0.02, 0.04, 0.95, "f1_macro", 100, 3, minimum_effect=0.03)
    assert str(difference) == (
        "f1_macro +0.0100 [-0.0200, +0.0400] undecided (a difference of 0.0300 could have been "
        "told)"
    )
    assert statistics.verdict(difference) == "undecided"


@pytest.mark.parametrize(
    "change, message",
    [
        ({"scores_b": []}, "2 and 0 seeds"),
        ({"resamples": 10}, "resamples=10"),
        ({"confidence": 95}, "confidence=95"),
        ({"metric": "rsme"}, "Did you mean 'rmse'"),
        ({"groups": ["a", None, "b"]}, "of which 1 missing"),
        ({"margin": 0}, "margin=0"),
    ],
)
def test_bad_input_is_named(change, message):
    scores = [np.ones(3)] * 2
    arguments = {
        "metric": "mae",
        "kind": "regression",
        "y": np.ones(3),
        "scores_a": scores,
        "scores_b": scores,
    }
    with pytest.raises(DataError, match=message):
        paired_difference(**arguments | change)


@pytest.mark.filterwarnings("error")
def test_predictions_that_are_equal_in_all_seeds_and_rows_warn_of_nothing():
    y = np.zeros(40)
    found = paired_difference("mae", "regression", y, [np.ones(40)] * 3, [np.ones(40)] * 3)
    assert (found.value, found.low, found.high) == (0, 0, 0)
