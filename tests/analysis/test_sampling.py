"""Samples of several cells: their intervals are those of the verdicts, and curves are read where
they were measured.
"""

import numpy as np
import pytest

from tests.analysis.folders import make_comparison, noisy
from tf_transfer.analysis.sampling import Curves, dense, falls_to_zero
from tf_transfer.statistics.intervals import paired_difference

RNG = np.random.default_rng(7)
Y = RNG.integers(0, 2, 90)
STARS = RNG.normal(3, 1, 90)


def regression(seeds: int, noise: float) -> list:
    return [STARS + RNG.normal(0.2 * s, noise, 90) for s in range(seeds)]


@pytest.mark.parametrize("seeds", [1, 2, 5])
@pytest.mark.parametrize("grouped", [False, True])
def test_a_difference_has_the_interval_and_p_of_the_verdict(tmp_path, seeds, grouped):
    groups = np.arange(90) // 3 if grouped else None
    scores = {
        "target_only": {16: noisy(RNG, Y, [0.6, 0.65, 0.7, 0.62, 0.58][:seeds])},
        "fine_tune": {16: noisy(RNG, Y, [0.7, 0.75, 0.68, 0.8, 0.7][:seeds])},
    }
    comparison = make_comparison(tmp_path, Y, scores, groups=groups)
    sample = Curves(comparison, "tweets", "mood").sample([("fine_tune", 16), ("target_only", 16)])
    ours = sample.combined(np.array([[1.0], [-1.0]]))
    theirs = paired_difference(
        "f1_macro",
        "classification",
        Y,
        scores["fine_tune"][16],
        scores["target_only"][16],
        groups=groups,
    )
    assert np.ravel([ours.mean, *ours.bounds(0.95)]) == pytest.approx(
        [theirs.value, theirs.low, theirs.high], rel=1e-9
    )
    assert ours.p()[0] == pytest.approx(theirs.p, rel=2e-4)


def test_losses_have_their_sign_turned(tmp_path):
    scores = {"target_only": {16: regression(2, 1.0)}, "fine_tune": {16: regression(2, 0.5)}}
    comparison = make_comparison(tmp_path, STARS, scores, task="stars", metric="mae")
    sample = Curves(comparison, "tweets", "stars").sample([("fine_tune", 16), ("target_only", 16)])
    assert 0 > sample.mean[0] > sample.mean[1]


def test_identical_predictions_differ_by_nothing(tmp_path):
    cells = noisy(RNG, Y, [0.6, 0.8])
    comparison = make_comparison(
        tmp_path, Y, {"target_only": {16: cells}, "fine_tune": {16: cells}}
    )
    sample = Curves(comparison, "tweets", "mood").sample([("fine_tune", 16), ("target_only", 16)])
    difference = sample.combined(np.array([[1.0], [-1.0]]))
    assert np.ravel(difference.bounds(0.95)).tolist() == [0, 0]
    assert difference.p()[0] == pytest.approx(1)


@pytest.mark.parametrize("budgets", [[16], [16, 64], [10, 30, 31, 500]])
def test_dense_points_hold_the_measured_budgets_and_read_lines_between(budgets):
    points, weights = dense(budgets)
    assert points[0] == pytest.approx(budgets[0])
    assert points[-1] == pytest.approx(budgets[-1])
    assert np.all(np.diff(points) > 0)
    heights = np.log2(budgets) * 3 - 1  # a line in the logarithm is read exactly
    np.testing.assert_allclose(heights @ weights, np.log2(points) * 3 - 1)
    for budget in budgets:
        assert np.isclose(points, budget).sum() == 1


POINTS = np.array([16.0, 32.0, 64.0, 128.0])


@pytest.mark.parametrize(("low", "high", "expected"), [
    ([1, -1, -1, -2], [3, 2, 1, -1], (32, 64)),
    ([1, 1, 1, 1], [2, 2, 2, 2], (128, np.inf)),
    ([-2, -2, -2, -2], [-1, -1, -1, -1], (0, 16)),
    ([-1, -1, -1, -1], [1, 1, 1, 1], (0, np.inf)),
    ([-1, -1, -2, -2], [1, 1, -1, -1], (0, 32)),
    ([1, 0, -1, -1], [1, 0, -1, -1], (32, 32)),
    ([1, 1, -1, -1], [2, 2, 1, 1], (64, np.inf)),
    ([1, 1, -2, -2], [2, 2, -1, -1], (32, 64)),  # no point holds 0, two neighbours do
])  # fmt: skip
def test_where_a_falling_curve_may_be_zero(low, high, expected):
    assert falls_to_zero(POINTS, np.array(low), np.array(high)) == expected


def test_seeds_that_are_missing_are_left_out_and_noted(tmp_path):
    ours, theirs = noisy(RNG, Y, [0.7] * 3), noisy(RNG, Y, [0.6] * 3)
    scores = {"target_only": {16: theirs}, "fine_tune": {16: [ours[0], None, ours[2]]}}
    sample = Curves(make_comparison(tmp_path, Y, scores), "tweets", "mood").sample(
        [("fine_tune", 16), ("target_only", 16)]
    )
    assert sample.values.shape == (2, 2)
    assert "without seed 1" in sample.note


def test_few_groups_and_undefined_draws_are_noted(tmp_path):
    y = np.array([0] * 29 + [1])
    scores = {"target_only": {16: noisy(RNG, y, [0.7, 0.7])}}
    comparison = make_comparison(
        tmp_path, y, scores, metric="balanced_accuracy", groups=np.arange(30) // 3
    )
    note = Curves(comparison, "tweets", "mood").sample([("target_only", 16)]).note
    assert "only 10 groups" in note
    assert "balanced_accuracy is undefined in" in note
