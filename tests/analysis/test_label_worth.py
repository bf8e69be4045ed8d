"""The worth of transfer in labels: hand derivations, honest ends, and coverage of a known truth."""

import numpy as np
import pytest

from tests.analysis.folders import make_comparison, noisy, probabilities, right_in

RNG = np.random.default_rng(5)
Y = RNG.integers(0, 2, 200)
BASELINE = {16: 0.5, 64: 0.7, 256: 0.9}


def worth(tmp_path, baseline: dict, ours: dict, **options):
    cells = {"target_only": baseline, "fine_tune": ours}
    # Right in the first rows and in the last, so that the two do not err together.
    right = {
        "target_only": lambda share: right_in(Y, share),
        "fine_tune": lambda share: right_in(Y[::-1], share)[::-1],
    }
    scores = {
        s: {b: [right[s](share)] * 2 for b, share in curve.items()} for s, curve in cells.items()
    }
    return make_comparison(tmp_path, Y, scores, metric="accuracy", **options).label_worth()


def test_the_baselines_curve_is_read_in_the_logarithm(tmp_path):
    found = worth(tmp_path, BASELINE, {16: 0.8}).iloc[0]
    assert found["labels"] == pytest.approx(128)
    assert 16 < found["low"] < 128 < found["high"] < 256
    assert found["censored"] == ""


def test_a_curve_that_falls_is_made_monotone(tmp_path):
    # .8 and .7 pool to .75; .625 is half-way from .5 in the logarithm.
    assert worth(tmp_path, {16: 0.5, 64: 0.8, 256: 0.7}, {16: 0.625}).iloc[0][
        "labels"
    ] == pytest.approx(32)


def test_on_a_level_stretch_the_fewest_labels_count(tmp_path):
    assert worth(tmp_path, {16: 0.5, 64: 0.7, 256: 0.7}, {16: 0.7}).iloc[0][
        "labels"
    ] == pytest.approx(64)


@pytest.mark.parametrize(("share", "censored", "low", "high"), [
    (1.0, "more than 256", 256, np.inf), (0.2, "fewer than 16", 0, 16),
])  # fmt: skip
def test_beyond_the_measured_budgets_nothing_is_made_up(tmp_path, share, censored, low, high):
    found = worth(tmp_path, BASELINE, {64: share}).iloc[0]
    assert np.isnan(found["labels"])
    assert (found["censored"], found["low"], found["high"]) == (censored, low, high)


def test_an_end_that_was_not_measured_is_open(tmp_path):
    found = worth(tmp_path, BASELINE, {16: 0.91}).iloc[0]
    assert found["censored"] == "more than 256"
    assert 64 < found["low"] < 256
    assert np.isinf(found["high"])
    found = worth(tmp_path / "few", BASELINE, {16: 0.51}).iloc[0]
    assert 16 < found["labels"] < 20
    assert found["low"] == 0 < found["high"] < 256


def test_a_twin_of_the_baseline_is_worth_its_own_labels(tmp_path):
    cells = {
        b: noisy(RNG, Y, [0.5 + s, 0.55 + s, 0.6 + s])
        for b, s in ((16, 0.0), (64, 0.15), (256, 0.3))
    }
    found = make_comparison(
        tmp_path, Y, {"target_only": cells, "fine_tune": cells}, metric="accuracy"
    ).label_worth()
    assert found["labels"].tolist() == pytest.approx([16, 64, 256])
    assert (found["low"] <= found["labels"] + 1e-6).all()
    assert (found["high"] >= found["labels"] - 1e-6).all()


def test_one_budget_of_the_baseline_is_a_curve_too(tmp_path):
    found = worth(tmp_path, {16: 0.5}, {16: 0.9}).iloc[0]
    assert (found["censored"], found["low"]) == ("more than 16", 16)


def test_losses_count_the_other_way(tmp_path):
    stars = RNG.normal(size=100)
    errors = {"target_only": {16: 1.0, 64: 0.6, 256: 0.2}, "fine_tune": {16: 0.4}}
    scores = {s: {b: [stars + e] * 2 for b, e in curve.items()} for s, curve in errors.items()}
    found = make_comparison(tmp_path, stars, scores, task="stars", metric="mae").label_worth()
    assert found["labels"].tolist() == pytest.approx([128])


def test_the_interval_agrees_with_the_verdict(tmp_path):
    """Helped at 64 labels: worth more than 64 throughout; undecided: 64 is within; hurt: fewer
    throughout.
    """
    told = set()
    for number, ours in enumerate([0.45, 0.6, 0.66, 0.7, 0.74, 0.8, 0.9]):
        rng = np.random.default_rng(number)
        scores = {
            "target_only": {b: noisy(rng, Y, [s - 0.03, s, s + 0.03]) for b, s in BASELINE.items()},
            "fine_tune": {64: noisy(rng, Y, [ours - 0.02, ours, ours + 0.02])},
        }
        comparison = make_comparison(tmp_path / str(number), Y, scores)
        verdict = comparison.difference("fine_tune", "target_only", "tweets", "mood", 64).verdict
        row = comparison.label_worth().iloc[0]
        told.add(verdict)
        assert verdict == (
            "helped" if row["low"] > 64.01 else "hurt" if row["high"] < 63.99 else "undecided"
        )
    assert told == {"helped", "hurt", "undecided"}


def test_missing_cells_are_noted_and_a_baseline_without_any_is_said(tmp_path):
    ours, theirs = noisy(RNG, Y, [0.7] * 3), noisy(RNG, Y, [0.6] * 3)
    comparison = make_comparison(
        tmp_path / "some",
        Y,
        {"target_only": {16: theirs, 64: [None, *theirs[1:]]}, "fine_tune": {16: ours}},
    )
    assert "without seed 0" in comparison.label_worth().iloc[0]["note"]
    comparison = make_comparison(
        tmp_path / "none", Y, {"target_only": {16: [None]}, "fine_tune": {16: ours}}
    )
    row = comparison.label_worth().iloc[0]
    assert np.isnan(row["labels"])
    assert row["note"] == "no seed has a defined f1_macro of both at every budget"


def simulated(rng, folder, rows=300, seeds=3):
    """The baseline's accuracy is .55 + .05 a doubling from 16 labels on; 16 transferred labels
    reach .70: worth 128.

    Rows are easier or harder for all models, and each seed shifts a whole model by up to a few
    hundredths.
    """
    y = rng.integers(0, 2, rows)
    ease = rng.normal(0, 0.1, rows)

    def cell(mean):
        shares = np.clip(mean + rng.normal(0, 0.02) + ease, 0, 1)
        return probabilities(np.where(rng.random(rows) < shares, y, 1 - y))

    baseline = {
        b: [cell(0.55 + 0.05 * np.log2(b / 16)) for _ in range(seeds)] for b in (16, 64, 256)
    }
    scores = {"target_only": baseline, "fine_tune": {16: [cell(0.70) for _ in range(seeds)]}}
    return make_comparison(folder, y, scores, metric="accuracy")


@pytest.mark.slow
def test_the_interval_covers_a_known_truth(tmp_path):
    covered, bounded = 0, 0
    for number in range(200):
        comparison = simulated(np.random.default_rng([11, number]), tmp_path / str(number))
        row = comparison.label_worth(resamples=200).iloc[0]
        covered += row["low"] <= 128 <= row["high"]
        bounded += row["low"] > 0 or np.isfinite(row["high"])
    # 95 % of 200 are 190; by chance alone fewer than 182 or more than 197 are rarer than 1 %.
    assert 182 <= covered <= 198
    assert bounded > 150
