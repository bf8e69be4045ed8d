"""A trial's interval and its early end, against hand derivations and simulation."""

import math

import numpy as np
import pytest
from scipy import stats

from tf_transfer.tuning.scores import cannot_reach, expected_score, score_interval


def test_the_interval_of_independent_measurements_is_students():
    values = [0.5, 0.7, 0.6, 0.8]
    found = score_interval(values)
    low, high = stats.t.interval(0.95, 3, loc=0.65, scale=stats.sem(values))
    assert found == pytest.approx((0.65, low, high))


def test_folds_that_share_rows_widen_the_interval():
    """Mean .65, s² = .05/3; n = 4 and k = 5: variance s²(1/4 + 1/4); t(3) at .975 is 3.18245."""
    mean, low, high = score_interval([0.5, 0.7, 0.6, 0.8], overlap=1 / 4)
    half = 3.182446 * math.sqrt(0.05 / 3 / 2)
    assert (mean, low, high) == pytest.approx((0.65, 0.65 - half, 0.65 + half), rel=1e-6)


def test_one_measurement_has_no_interval():
    mean, low, high = score_interval([0.5])
    assert mean == 0.5 and math.isnan(low) and math.isnan(high)


def test_the_rule_by_hand():
    """d = −.1, −.2, −.3: mean −.2, s = .1; t(2) at .975 is 4.302653.

    Of 8: 4.302653 · .1/√3 · √(1 − 3/8) = .196383 < .2, so the trial ends. Of 12: √(1 − 3/12) makes
    .215133 > .2.
    """
    best = np.full(12, 0.9)
    values = [0.8, 0.7, 0.6]
    assert cannot_reach(values, best[:8])
    assert not cannot_reach(values, best)


def test_the_rule_pairs_the_measurements():
    """Easy and hard folds: the trial is .01 worse on each, although its mean so far is above the
    best's.
    """
    best = [0.9, 0.8, 0.7, 0.1, 0.1, 0.1]
    values = [0.891, 0.789, 0.69]
    assert np.mean(values) > np.mean(best)
    assert cannot_reach(values, best)
    assert not cannot_reach([0.911, 0.809, 0.71], best)
    assert expected_score(values, best) == pytest.approx(np.mean(best) - 0.01)


def test_the_rule_for_a_loss():
    best = np.full(8, 0.1)
    assert cannot_reach([0.2, 0.3, 0.4], best, sign=-1)
    assert not cannot_reach([0.2, 0.3, 0.4], best)


@pytest.mark.parametrize("done", [0, 1, 2, 8])
def test_no_trial_ends_after_two_measurements_or_after_the_last(done):
    assert not cannot_reach([0.1] * done, [0.9] * 8)


def test_a_trial_that_would_reach_the_best_is_ended_in_a_fortieth_of_the_looks():
    """Differences whose mean over all 8 is exactly 0: the upper end is below 0 in 2.5 % of the
    draws.
    """
    draws = np.random.default_rng(0)
    differences = draws.normal(size=(20_000, 8))
    differences -= differences.mean(1, keepdims=True)
    ended = np.mean([cannot_reach(d[:4], np.zeros(8)) for d in differences])
    assert abs(ended - 0.025) < 3.5 * math.sqrt(0.025 * 0.975 / 20_000)
