"""The best strategy of a place, and those that cannot be told from it."""

import numpy as np

from tests.analysis.folders import make_comparison, noisy, probabilities

Y = np.tile([0, 1], 200)


def test_the_best_is_named_with_those_that_are_alike(tmp_path):
    rng = np.random.default_rng(0)
    shares = {"target_only": 0.6, "fine_tune": 0.9, "multi_task": 0.895, "tfidf": 0.7}
    scores = {s: {16: noisy(rng, Y, [share] * 3)} for s, share in shares.items()}
    comparison = make_comparison(tmp_path, Y, scores, metric="accuracy")
    (row,) = comparison.best().to_dict("records")
    means = {
        s: np.mean([(p.argmax(1) == Y).mean() for p in cells[16]]) for s, cells in scores.items()
    }
    first = max(means, key=means.get)
    assert row["strategy"] == first and row["value"] == means[first]
    assert {first, *row["alike"]} == {"fine_tune", "multi_task"}


def test_the_lowest_is_best_for_losses(tmp_path):
    scores = {
        "target_only": {16: [probabilities(Y, 0.6)]},
        "fine_tune": {16: [probabilities(Y, 0.9)]},
    }
    comparison = make_comparison(tmp_path, Y, scores, metric="log_loss")
    assert comparison.best()["strategy"].tolist() == ["fine_tune"]


def test_looking_among_more_strategies_makes_it_harder_to_tell(tmp_path):
    """A difference with a p between .05 / 5 and .05 is told with two strategies, and not among
    six.
    """
    draws = np.random.default_rng(3)
    base = np.where(draws.random(400) < 0.70, Y, 1 - Y)
    better = base.copy()
    mended = np.flatnonzero(base != Y)[:26]
    broken = np.flatnonzero(base == Y)[:12]
    better[mended], better[broken] = Y[mended], 1 - Y[broken]
    two = {"target_only": {16: [probabilities(base)]}, "fine_tune": {16: [probabilities(better)]}}
    more = two | {f"other_{i}": {16: [probabilities(base)]} for i in range(4)}
    p = make_comparison(tmp_path / "a", Y, two, metric="accuracy").verdicts()["p"].iloc[0]
    assert 0.05 / 5 < p < 0.05
    for name, scores, alike in (("b", two, 0), ("c", more, 5)):
        comparison = make_comparison(tmp_path / name, Y, scores, metric="accuracy")
        assert [len(a) for a in comparison.best()["alike"]] == [alike]
