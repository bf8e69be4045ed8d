"""What the source did to the encoder: from heads on frozen features, apart from the strategies' own
scores.
"""

import numpy as np
import pytest

from tests.analysis.folders import make_comparison, noisy, right_in
from tf_transfer.analysis.encoder_effect import COLUMNS
from tf_transfer.statistics.intervals import paired_difference

Y = np.tile([0, 1], 100)
SHARES = {"target_only": 0.85, "fine_tune": 0.6, "linear_probe": 0.8}


@pytest.fixture(scope="module")
def comparison(tmp_path_factory):
    rng = np.random.default_rng(0)
    scores = {s: {16: noisy(rng, Y, [0.8] * 3)} for s in SHARES}
    frozen = {
        s: {16: noisy(rng, Y, [share] * 3)} for s, share in SHARES.items() if s != "linear_probe"
    }
    folder = tmp_path_factory.mktemp("run")
    sources = ("fine_tune", "linear_probe")
    return make_comparison(folder, Y, scores, sources=sources, frozen=frozen, metric="accuracy")


def test_the_effect_is_the_difference_of_the_frozen_heads(comparison):
    (row,) = comparison.encoder_effect().to_dict("records")
    after, before = (
        comparison.frozen_scores(s, "tweets", "mood", 16) for s in ("fine_tune", "target_only")
    )
    accuracy = {s: np.mean([(p.argmax(1) == Y).mean() for p in kept.values()]) for s, kept in
                (("after", after), ("before", before))}  # fmt: skip
    assert (row["strategy"], row["budget"], row["metric"]) == ("fine_tune", 16, "accuracy")
    assert row["before"] == pytest.approx(accuracy["before"]) and row["after"] == pytest.approx(
        accuracy["after"]
    )
    expected = paired_difference(
        "accuracy", "classification", Y, list(after.values()), list(before.values())
    )
    assert (row["difference"], row["low"], row["high"]) == (
        expected.value,
        expected.low,
        expected.high,
    )
    assert row["verdict"] == "harmed"


def test_the_strategies_own_scores_do_not_matter(comparison):
    """Both sides were right in four rows of five after the target's training; the encoder was
    harmed all the same.
    """
    assert abs(comparison.verdicts().set_index("strategy").loc["fine_tune", "value"]) < 0.1


def test_a_strategy_that_leaves_the_encoder_alone_has_no_row(comparison):
    assert "linear_probe" not in set(comparison.encoder_effect()["strategy"])


def test_a_run_without_frozen_heads_has_no_rows(tmp_path):
    one = {"target_only": {16: [right_in(Y, 0.6)]}, "fine_tune": {16: [right_in(Y, 0.7)]}}
    effect = make_comparison(tmp_path, Y, one).encoder_effect()
    assert effect.empty and list(effect) == COLUMNS
