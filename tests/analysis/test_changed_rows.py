"""Which rows transfer broke and mended."""

import numpy as np
import pytest

from tests.analysis.folders import make_comparison, make_table, probabilities
from tf_transfer.errors import DataError

TABLE = make_table(6)
Y = np.array([0, 0, 0, 1, 1, 1])


def test_rows_are_sorted_by_the_change_of_the_share_of_wrong_seeds(tmp_path):
    scores = {
        # Wrong in: row 0 both, row 1 one, row 5 none.
        "target_only": {
            16: [probabilities([1, 1, 0, 1, 1, 1], 0.9), probabilities([1, 0, 0, 1, 1, 1], 0.6)]
        },
        # Row 3 breaks in one seed, row 5 in both; rows 0 and 1 mend.
        "fine_tune": {
            16: [probabilities([0, 0, 0, 0, 1, 0], 0.9), probabilities([0, 0, 0, 1, 1, 0], 0.6)]
        },
    }
    comparison = make_comparison(tmp_path, Y, scores, table=TABLE)
    found = comparison.changed_rows("tweets", "mood", "fine_tune", 16)
    assert found["row"].tolist() == [0, 5, 1, 3]
    assert found["change"].tolist() == [1, -1, 0.5, -0.5]
    assert found["before"].tolist() == [1, 0, 0.5, 0]
    assert found["after"].tolist() == [0, 1, 0, 0.5]
    assert found["text"].tolist() == TABLE["text"][[0, 5, 1, 3]].tolist()
    assert found["label"].tolist() == ["glad", "sad", "glad", "sad"]
    # Mean probability of sad in row 1: (.9 + .4) / 2; in row 3: (.1 + .6) / 2.
    assert found["baseline"].tolist() == ["sad", "sad", "sad", "sad"]
    assert found["prediction"].tolist() == ["glad", "glad", "glad", "glad"]
    assert comparison.changed_rows("tweets", "mood", "fine_tune", 16, most=1)["row"].tolist() == [
        0,
        5,
    ]


def test_ties_go_by_the_probability_of_the_label(tmp_path):
    scores = {
        "target_only": {
            16: [
                np.array([[0.4, 0.6], [0.1, 0.9], [0.45, 0.55], [0, 1], [0, 1], [0, 1]], np.float32)
            ]
        },
        "fine_tune": {16: [probabilities(Y, 0.8)]},
    }
    found = make_comparison(tmp_path, Y, scores, table=TABLE).changed_rows(
        "tweets", "mood", "fine_tune", 16
    )
    assert found["row"].tolist() == [1, 0, 2]


def test_numbers_change_by_their_absolute_error(tmp_path):
    stars = np.array([1.0, 2, 3, 4, 5, 6])
    theirs = [stars + np.array([1, 0, 0, 0, 0, -2]), stars + np.array([-1, 0, 0, 0, 0, -4])]
    ours = [stars + np.array([0, 0, 0.5, 0, 0, 1])] * 2
    comparison = make_comparison(
        tmp_path,
        stars,
        {"target_only": {16: theirs}, "fine_tune": {16: ours}},
        task="stars",
        table=TABLE,
    )
    found = comparison.changed_rows("tweets", "stars", "fine_tune", 16)
    assert found["row"].tolist() == [5, 0, 2]
    assert found["change"].tolist() == [2, 1, -0.5]
    assert found.loc[0, ["label", "baseline", "prediction", "before", "after"]].tolist() == [
        6,
        3,
        7,
        3,
        1,
    ]


def test_several_labels_change_by_their_share(tmp_path):
    y = np.array([[1, 0, 1], [0, 0, 0], [1, 1, 1], [0, 1, 0], [1, 0, 0], [0, 0, 1]], np.float32)
    wrong = y.copy()
    wrong[0] = 1 - wrong[0]
    comparison = make_comparison(
        tmp_path,
        y,
        {"target_only": {16: [wrong]}, "fine_tune": {16: [y]}},
        task="themes",
        table=TABLE,
    )
    found = comparison.changed_rows("tweets", "themes", "fine_tune", 16).iloc[0]
    assert found[["label", "baseline", "prediction", "change"]].tolist() == [
        "price|wait",
        "taste",
        "price|wait",
        1,
    ]


def test_row_numbers_count_rows_without_a_label(tmp_path):
    present = np.array([False, True, True, True, True, True])
    scores = {
        "target_only": {16: [probabilities([0, 1, 0, 1, 1, 1])]},
        "fine_tune": {16: [probabilities([1, 0, 0, 1, 1, 1])]},
    }
    comparison = make_comparison(tmp_path, Y, scores, table=TABLE, present=present)
    found = comparison.changed_rows("tweets", "mood", "fine_tune", 16)
    assert (found["row"].tolist(), found["text"].tolist()) == ([1], [TABLE["text"][1]])


def test_both_texts_of_a_pair_are_shown(tmp_path):
    scores = {"target_only": {16: [probabilities(1 - Y)]}, "fine_tune": {16: [probabilities(Y)]}}
    common = {"text": "text", "text_pair": "reply"}
    table = TABLE.assign(reply=[None, *"bcdef"])
    comparison = make_comparison(tmp_path, Y, scores, table=table, common=common)
    found = comparison.changed_rows("tweets", "mood", "fine_tune", 16).set_index("row")["text"]
    assert found[1] == f"{TABLE['text'][1]} / b"
    assert found[0] == f"{TABLE['text'][0]} / "


def test_only_common_seeds_count_and_none_is_told(tmp_path):
    right, wrong = probabilities(Y), probabilities(1 - Y)
    scores = {"target_only": {16: [right, wrong]}, "fine_tune": {16: [wrong, None]}}
    comparison = make_comparison(tmp_path, Y, scores, table=TABLE)
    assert (comparison.changed_rows("tweets", "mood", "fine_tune", 16)["change"] == -1).all()
    scores["target_only"] = {16: [None, wrong]}
    comparison = make_comparison(tmp_path / "other", Y, scores, table=TABLE)
    with pytest.raises(DataError, match="from a common seed"):
        comparison.changed_rows("tweets", "mood", "fine_tune", 16)


@pytest.mark.parametrize(
    "place",
    [
        ("tweet", "mood", "fine_tune", 16),
        ("tweets", "moods", "fine_tune", 16),
        ("tweets", "mood", "finetune", 16),
        ("tweets", "mood", "fine_tune", 17),
    ],
)
def test_unknown_names_are_told(tmp_path, place):
    scores = {s: {16: [probabilities(Y)]} for s in ("target_only", "fine_tune")}
    with pytest.raises(DataError, match="must be one of"):
        make_comparison(tmp_path, Y, scores, table=TABLE).changed_rows(*place)
