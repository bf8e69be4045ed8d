"""Reliability curves, against SciPy, the suite's calibration error, and by hand."""

import numpy as np
import pytest
from scipy.stats import binomtest, norm, sem, t

from tests.analysis.folders import make_comparison
from tf_transfer.analysis.calibration import wilson
from tf_transfer.metrics import classification_suite

RNG = np.random.default_rng(17)


@pytest.mark.parametrize(("right", "rows"), [(0, 5), (5, 5), (3, 10), (70, 200)])
@pytest.mark.parametrize("confidence", [0.8, 0.95])
def test_wilsons_interval_is_scipys(right, rows, confidence):
    expected = binomtest(right, rows).proportion_ci(confidence, method="wilson")
    low, high = wilson(np.array([right / rows]), np.array([rows]), confidence)
    assert (low[0], high[0]) == pytest.approx((expected.low, expected.high), abs=1e-12)


def test_the_bins_are_those_of_the_calibration_error(tmp_path):
    y = RNG.integers(0, 2, 300)
    p = RNG.random(300).astype(np.float32)
    scores = np.stack([1 - p, p], 1)
    found = make_comparison(tmp_path, y, {"target_only": {16: [scores]}}).reliability()
    error = (found["rows"] * (found["observed"] - found["predicted"]).abs()).sum() / 300
    assert error == pytest.approx(classification_suite(y, scores)["expected_calibration_error"], abs=1e-7)
    assert found["rows"].sum() == 300
    assert (found["above"].to_numpy() < found["predicted"]).all()
    assert (found["predicted"] <= found["up_to"] + 1e-9).all()
    assert found["bin"].is_monotonic_increasing


def test_seeds_are_pooled_and_do_not_count_as_rows(tmp_path):
    y = np.array([0, 0, 1, 1])
    sure = np.array([[0.9, 0.1]] * 4, np.float32)
    found = make_comparison(tmp_path, y, {"target_only": {16: [sure, sure[:, ::-1]]}}).reliability(bins=10)
    assert len(found) == 1
    row = found.iloc[0]
    assert row[["rows", "observed"]].tolist() == [4, 0.5]
    expected = binomtest(2, 4).proportion_ci(0.95, method="wilson")
    assert (row["low"], row["high"]) == pytest.approx((expected.low, expected.high))


def test_every_label_counts_where_there_are_several(tmp_path):
    y = np.array([[1, 0, 1], [0, 0, 1]], np.float32)
    p = np.array([[0.9, 0.2, 0.95], [0.1, 0.15, 0.3]], np.float32)
    found = make_comparison(tmp_path, y, {"target_only": {16: [p]}}, task="themes").reliability(bins=2)
    assert found["rows"].tolist() == [4, 2]
    assert found["predicted"].tolist() == pytest.approx([0.1875, 0.925])
    assert found["observed"].tolist() == [0.25, 1]


def test_numbers_are_compared_in_tenths(tmp_path):
    y = RNG.normal(size=100)
    prediction = y + RNG.normal(size=100)
    found = make_comparison(tmp_path, y, {"target_only": {16: [prediction]}}, task="stars").reliability()
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
        s: {b: [np.full((50, 2), 0.5, np.float32)] for b in (16, 64)} for s in ("target_only", "fine_tune", "tfidf")
    }
    comparison = make_comparison(tmp_path, y, scores)
    assert len(comparison.reliability()) == 6
    found = comparison.reliability(strategy="tfidf", budget=64)
    assert found[["strategy", "budget"]].to_numpy().tolist() == [["tfidf", 64]]


def test_normal_quantile_of_wilson_is_two_sided():
    low, high = wilson(np.array([0.5]), np.array([1e9]), 0.95)
    assert (high - low)[0] / 2 == pytest.approx(norm.ppf(0.975) * 0.5 / np.sqrt(1e9), rel=1e-3)
