"""Reliability curves, against SciPy, the suite's calibration error, and by hand."""

import numpy as np
import pytest
from scipy.stats import binomtest, sem, t

from tests.analysis.folders import make_comparison
from tf_transfer.analysis import calibration
from tf_transfer.evaluation.metrics import classification_suite
from tf_transfer.statistics.proportions import wilson

RNG = np.random.default_rng(17)


def test_the_bins_are_those_of_the_calibration_error(tmp_path):
    y = RNG.integers(0, 2, 300)
    p = RNG.random(300).astype(np.float32)
    scores = np.stack([1 - p, p], 1)
    found = make_comparison(tmp_path, y, {"target_only": {16: [scores]}}).reliability()
    error = (found["rows"] * (found["observed"] - found["predicted"]).abs()).sum() / 300
    assert error == pytest.approx(
        classification_suite(y, scores)["expected_calibration_error"], abs=1e-7
    )
    assert found["rows"].sum() == 300
    assert (found["above"].to_numpy() < found["predicted"]).all()
    assert (found["predicted"] <= found["up_to"] + 1e-9).all()
    assert found["bin"].is_monotonic_increasing


def test_seeds_are_pooled_and_do_not_count_as_rows(tmp_path):
    y = np.array([0, 0, 1, 1])
    sure = np.array([[0.9, 0.1]] * 4, np.float32)
    found = make_comparison(tmp_path, y, {"target_only": {16: [sure, sure[:, ::-1]]}}).reliability(
        bins=10
    )
    assert len(found) == 1
    row = found.iloc[0]
    assert row[["rows", "observed"]].tolist() == [4, 0.5]
    expected = binomtest(2, 4).proportion_ci(0.95, method="wilson")
    assert (row["low"], row["high"]) == pytest.approx((expected.low, expected.high))


def test_every_label_counts_where_there_are_several(tmp_path):
    y = np.array([[1, 0, 1], [0, 0, 1]], np.float32)
    p = np.array([[0.9, 0.2, 0.95], [0.1, 0.15, 0.3]], np.float32)
    found = make_comparison(tmp_path, y, {"target_only": {16: [p]}}, task="themes").reliability(
        bins=2
    )
    assert found["rows"].tolist() == [4, 2]
    assert found["predicted"].tolist() == pytest.approx([0.1875, 0.925])
    assert found["observed"].tolist() == [0.25, 1]


def test_rows_of_a_group_and_labels_of_a_row_that_go_together_count_once(tmp_path):
    """40 groups of ten equal rows, and 40 rows of three equal labels: Wilson's interval of 40, with
    Student's t.
    """
    right = np.arange(40) < 30
    expected = wilson(0.75, 39, t.ppf(0.975, 39))
    grouped = np.repeat(right, 10)
    sure = np.where(grouped[:, None], [0.9, 0.1], [0.1, 0.9]).astype(np.float32)
    comparison = make_comparison(
        tmp_path / "groups",
        np.zeros(400, int),
        {"target_only": {16: [sure, sure]}},
        groups=np.repeat(np.arange(40), 10).astype(str),
    )
    (found,) = comparison.reliability().itertuples()
    assert (found.rows, found.observed, found.low, found.high) == pytest.approx(
        (400, 0.75, *expected)
    )
    labels = np.repeat(right[:, None], 3, axis=1).astype(np.float32)
    likely = np.full((40, 3), 0.9, np.float32)
    (found,) = (
        make_comparison(tmp_path / "labels", labels, {"target_only": {16: [likely]}}, task="themes")
        .reliability()
        .itertuples()
    )
    assert (found.rows, found.observed, found.low, found.high) == pytest.approx(
        (120, 0.75, *expected)
    )


def test_labels_of_a_row_that_do_not_go_together_count_almost_each(tmp_path):
    labels = (RNG.random((400, 3)) < 0.7).astype(np.float32)
    comparison = make_comparison(
        tmp_path, labels, {"target_only": {16: [np.full((400, 3), 0.7, np.float32)]}}, task="themes"
    )
    (found,) = comparison.reliability().itertuples()
    low, high = wilson(found.observed, 1200, 1.96)
    assert (found.high - found.low) / (high - low) == pytest.approx(1, abs=0.08)


def test_rows_that_are_all_right_are_worth_their_groups(tmp_path):
    sure = np.tile(np.array([0.9, 0.1], np.float32), (40, 1))
    comparison = make_comparison(
        tmp_path, np.zeros(40, int), {"target_only": {16: [sure]}}, groups=list("abcd") * 10
    )
    (found,) = comparison.reliability().itertuples()
    assert (found.low, found.high) == pytest.approx(wilson(1.0, 4, t.ppf(0.975, 3)))


def test_numbers_of_a_group_that_go_together_count_once(tmp_path):
    y = np.repeat(RNG.normal(size=40), 5)
    comparison = make_comparison(tmp_path, y, {"target_only": {16: [y]}}, task="stars",
                                 groups=np.repeat(np.arange(40), 5).astype(str))  # fmt: skip
    third, means = comparison.reliability().iloc[2], np.sort(y)[40:60:5]
    assert (third["low"], third["high"]) == pytest.approx(
        t.interval(0.95, 3, means.mean(), sem(means))
    )


def test_numbers_are_compared_in_tenths(tmp_path):
    y = RNG.normal(size=100)
    prediction = y + RNG.normal(size=100)
    found = make_comparison(
        tmp_path, y, {"target_only": {16: [prediction]}}, task="stars"
    ).reliability()
    assert found["rows"].tolist() == [10] * 10
    rows = np.argsort(prediction)[20:30]
    third = found.iloc[2]
    assert third["predicted"] == pytest.approx(prediction[rows].mean())
    assert third["observed"] == pytest.approx(y[rows].mean())
    expected = t.interval(0.95, 9, y[rows].mean(), sem(y[rows]))
    assert (third["low"], third["high"]) == pytest.approx(expected)


def test_of_fewer_than_ten_rows_each_is_a_bin(tmp_path):
    y = np.array([3.0, 1.0, 2.0])
    found = make_comparison(tmp_path, y, {"target_only": {16: [y]}}, task="stars").reliability()
    assert found["observed"].tolist() == [1, 2, 3]
    assert found["low"].isna().all()


def test_only_what_is_asked_for(tmp_path):
    y = RNG.integers(0, 2, 50)
    scores = {
        s: {b: [np.full((50, 2), 0.5, np.float32)] for b in (16, 64)}
        for s in ("target_only", "fine_tune", "tfidf")
    }
    comparison = make_comparison(tmp_path, y, scores)
    assert len(comparison.reliability()) == 6
    found = comparison.reliability(strategy="tfidf", budget=64)
    assert found[["strategy", "budget"]].to_numpy().tolist() == [["tfidf", 64]]


def test_probabilities_of_a_row_are_drawn_together_in_all_seeds_also_where_it_has_one():
    """A task with one class has one probability a row; its rows are then what is drawn, as groups
    of one would be.
    """
    draws = np.random.default_rng(0)
    right = draws.integers(0, 2, 60) > 0
    seeds = [(draws.uniform(size=60), right) for _ in range(3)]
    together = calibration._of_probabilities(seeds, 60, True, None, 2, 0.95)
    np.testing.assert_allclose(
        together, calibration._of_probabilities(seeds, 60, False, np.arange(60), 2, 0.95)
    )
    alone = calibration._of_probabilities(seeds, 60, False, None, 2, 0.95)
    assert not np.allclose(together, alone)
