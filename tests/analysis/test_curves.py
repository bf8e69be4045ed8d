"""Learning curves, the area between them and their crossing, against hand derivations."""

import numpy as np
import pytest

from tests.analysis.folders import make_comparison, noisy, right_in
from tf_transfer.statistics.intervals import bootstrap_interval

RNG = np.random.default_rng(3)
Y = RNG.integers(0, 2, 200)


def exact(**curves) -> dict:
    """Two seeds that agree; accuracies of each strategy by budget."""
    return {
        s: {b: [right_in(Y, share)] * 2 for b, share in curve.items()}
        for s, curve in curves.items()
    }


def gain(tmp_path, **curves):
    comparison = make_comparison(tmp_path, Y, exact(**curves), metric="accuracy")
    return comparison.curve_gains().iloc[0]


def test_curves_are_the_intervals_of_every_cell(tmp_path):
    scores = {
        "target_only": {b: noisy(RNG, Y, [0.6, 0.7]) for b in (64, 16)},
        "fine_tune": {16: noisy(RNG, Y, [0.8])},
    }
    found = make_comparison(tmp_path, Y, scores, seeds=[0, 1]).curves()
    assert list(zip(found["strategy"], found["budget"])) == [
        ("target_only", 16),
        ("target_only", 64),
        ("fine_tune", 16),
    ]
    expected = bootstrap_interval("f1_macro", "classification", Y, scores["target_only"][64])
    assert tuple(found.loc[1, ["value", "low", "high"]]) == (
        expected.value,
        expected.low,
        expected.high,
    )
    assert (found["low"] <= found["value"]).all()
    assert (found["high"] >= found["value"]).all()
    assert "one seed" in found.loc[2, "note"]


def test_the_area_is_the_mean_difference_over_log_labels(tmp_path):
    found = gain(
        tmp_path, target_only={16: 0.5, 32: 0.6, 128: 0.8}, fine_tune={16: 0.9, 32: 0.8, 128: 0.8}
    )
    # Differences .4, .2, 0 at 4, 5 and 7 doublings: (.3 * 1 + .1 * 2) / 3.
    assert found["area"] == pytest.approx(0.5 / 3)
    assert found["verdict"] == "helped"
    assert 0 < found["low"] < found["area"] < found["high"]


def test_of_one_budget_the_area_is_the_difference(tmp_path):
    scores = {
        "target_only": {16: noisy(RNG, Y, [0.6, 0.65, 0.7])},
        "fine_tune": {16: noisy(RNG, Y, [0.7, 0.8, 0.75])},
    }
    comparison = make_comparison(tmp_path, Y, scores)
    found = comparison.curve_gains().iloc[0]
    expected = comparison.difference("fine_tune", "target_only", "tweets", "mood", 16)
    assert (found["area"], found["low"], found["high"]) == pytest.approx(
        (expected.value, expected.low, expected.high)
    )
    assert found["verdict"] == expected.verdict


def test_the_crossing_is_read_in_the_logarithm(tmp_path):
    found = gain(
        tmp_path,
        target_only={16: 0.5, 64: 0.7, 256: 0.9},
        fine_tune={16: 0.77, 64: 0.77, 256: 0.77},
    )
    # +.07 at 64, -.13 two doublings later
    assert found["crossing"] == pytest.approx(64 * 2 ** (2 * 0.35))
    assert 64 < found["crossing_low"] < 104 < found["crossing_high"] < 256
    assert found["hurt_from"] == 256


def test_what_never_hurts_has_no_crossing(tmp_path):
    found = gain(tmp_path, target_only={16: 0.5, 64: 0.6}, fine_tune={16: 0.8, 64: 0.8})
    assert found[["hurt_from", "crossing", "crossing_low", "crossing_high"]].isna().all()


def test_what_hurts_from_the_start_has_no_crossing_but_a_budget(tmp_path):
    found = gain(tmp_path, target_only={16: 0.8, 64: 0.9}, fine_tune={16: 0.5, 64: 0.5})
    assert found["hurt_from"] == 16
    assert np.isnan(found["crossing"])


def test_what_hurts_and_later_helps_does_not_hurt_from_there(tmp_path):
    dips = {"target_only": {16: 0.8, 64: 0.6, 256: 0.8}, "fine_tune": {16: 0.6, 64: 0.8, 256: 0.6}}
    assert gain(tmp_path / "again", **dips)["hurt_from"] == 256
    dips["fine_tune"][256] = 0.8
    assert np.isnan(gain(tmp_path / "never", **dips)["hurt_from"])
    unsure = {
        "target_only": {16: 0.8, 64: 0.705, 256: 0.8},
        "fine_tune": {16: 0.6, 64: 0.7, 256: 0.6},
    }
    assert gain(tmp_path / "unsure", **unsure)["hurt_from"] == 16


def test_a_loss_that_falls_is_a_gain(tmp_path):
    stars = RNG.normal(size=80)
    scores = {
        "target_only": {16: [stars + 1.0] * 2, 64: [stars + 0.5] * 2},
        "fine_tune": {16: [stars + 0.2] * 2, 64: [stars + 0.2] * 2},
    }
    found = (
        make_comparison(tmp_path, stars, scores, task="stars", metric="mae").curve_gains().iloc[0]
    )
    assert found["area"] == pytest.approx((0.8 + 0.3) / 2)


def test_an_undefined_metric_is_nan_and_its_gain_says_why(tmp_path):
    stars = RNG.normal(size=40)
    scores = {
        "target_only": {16: [np.ones(40)] * 2},
        "fine_tune": {16: [stars + RNG.normal(size=40)] * 2},
    }
    comparison = make_comparison(tmp_path, stars, scores, task="stars")
    assert np.isnan(comparison.curves()["value"].iloc[0])
    (found,) = comparison.curve_gains().itertuples()
    assert np.isnan([found.area, found.low, found.high, found.hurt_from, found.crossing]).all()
    assert found.verdict == "undecided"
    assert found.note == "no seed has a defined pearson of both at every budget"


def test_too_few_rows_for_an_interval_leave_the_ends_of_the_crossing_open(tmp_path):
    y = np.array([0, 1, 0, 1])
    scores = {
        s: {b: [right_in(y, share)] for b, share in curve.items()}
        for s, curve in (("target_only", {16: 0.25, 64: 0.75}), ("fine_tune", {16: 0.75, 64: 0.25}))
    }
    found = make_comparison(tmp_path, y, scores, metric="accuracy").curve_gains().iloc[0]
    assert found[["low", "high", "crossing_low", "crossing_high"]].isna().all()


def test_few_rows_are_said_as_by_the_intervals(tmp_path):
    y = np.array([0, 1, 0, 1])
    scores = {
        s: {16: [right_in(y, share)]} for s, share in (("target_only", 0.25), ("fine_tune", 0.75))
    }
    comparison = make_comparison(tmp_path, y, scores, metric="accuracy")
    assert "only 4 rows: too few for an interval" in comparison.curves()["note"].iloc[0]
    assert "only 4 rows: too few for an interval" in comparison.label_worth()["note"].iloc[0]
