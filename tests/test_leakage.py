import json
import time

import numpy as np
import pandas as pd
import pytest

from tf_transfer.data.leakage import audit_leakage, normalise
from tf_transfer.errors import DataError

LONG = "the delivery came two days late and the box was open but the lamp itself works well"
TRAIN = pd.DataFrame(
    {
        "text": [
            "It's fine!",
            LONG,
            "alone in train",
            "It's fine!",
            "CAFÉ ②  👍",
            "set an alarm for 5 pm please",
        ],
        "y": ["pos", "neg", "neg", "neg", "pos", "pos"],
    },
    index=[9] * 6,
)
TEST = pd.DataFrame(
    {
        "text": [
            "It's fine!",
            "it 's fine",
            "café 2 👍",
            LONG.replace("two", "three"),
            "set an alarm for 17 pm please",
            "only in test",
            "cafe 2 👎",
        ],
        "y": ["pos", "pos", "pos", "pos", "neg", "neg", "neg"],
    }
)


@pytest.fixture
def report():
    return audit_leakage(TRAIN, TEST, label="y")


def test_each_row_counts_under_its_strongest_kind(report):
    tested = report.overlaps["train"].tested
    assert tested["test_row"].tolist() == [0, 1, 2, 3, 4]
    assert tested["kind"].tolist() == ["identical", "exact", "exact", "near", "near"]
    assert tested["row"].tolist() == [0, 0, 4, 1, 5]
    assert tested["matches"].tolist() == [2, 2, 1, 1, 1]
    assert tested["text"].tolist() == TRAIN["text"].iloc[[0, 0, 4, 1, 5]].tolist()
    assert tested["test_text"].tolist() == TEST["text"].iloc[:5].tolist()


def test_counts(report):
    assert report.found
    assert report.to_frame().loc["train"].to_dict() == {
        "test_rows": 7,
        "identical": 1,
        "exact": 3,
        "near": 2,
        "known": 5,
        "share": 5 / 7,
        "conflicts": 2,
        "rows": 6,
        "rows_to_drop": 5,
    }


def test_similarity_is_the_jaccard_index_of_runs_of_five_characters(report):
    def shingles(text):
        text = text.replace(" ", "")
        return {text[i : i + 5] for i in range(len(text) - 4)}

    a, b = shingles(LONG), shingles(LONG.replace("two", "three"))
    similarity = report.overlaps["train"].tested["similarity"].tolist()
    assert similarity == pytest.approx([1, 1, 1, len(a & b) / len(a | b), 1])


def test_conflicts_are_exact_matches_of_another_label(report):
    # Both copies of "It's fine!" in training differ in their label; near matches do not count.
    assert report.overlaps["train"].tested["conflict"].tolist() == [True, True, False, False, False]
    agreeing = audit_leakage(TRAIN.iloc[[0, 4]], TEST, label="y")
    assert agreeing.to_frame()["conflicts"].tolist() == [0]
    unlabelled = audit_leakage(TRAIN.assign(y=None), TEST, label="y")
    assert unlabelled.to_frame()["conflicts"].tolist() == [0]
    assert audit_leakage(TRAIN, TEST.assign(y=None), label="y").to_frame()[
        "conflicts"
    ].tolist() == [0]
    assert audit_leakage(TRAIN[["text"]], TEST, label="y").to_frame()["conflicts"].tolist() == [0]


def test_conflicts_of_several_labels_in_whatever_type_and_order():
    train = pd.DataFrame(
        {"text": ["a", "b", "c"], "y": ["1", " x", None], "tags": [["u", "v"], "u|v", ["w"]]}
    )
    test = pd.DataFrame(
        {"text": ["a", "b", "c"], "y": [1.0, "x", "z"], "tags": ["v|u", ["u"], ["w"]]}
    )
    conflict = (
        audit_leakage(train, test, label=["y", "tags", "absent"])
        .overlaps["train"]
        .tested["conflict"]
    )
    assert conflict.tolist() == [False, True, False]


def test_leaked_rows_are_dropped_from_training_only(report):
    train, before = TRAIN.copy(), TRAIN.copy()
    assert report.drop(train)["text"].tolist() == ["alone in train"]
    assert report.drop(train).index.tolist() == [0]
    assert (
        report.drop(train, kinds=["near"])["text"].tolist()
        == TRAIN["text"].iloc[[0, 2, 3, 4]].tolist()
    )
    assert report.drop(train, kinds=["identical", "exact"])["text"].tolist() == [
        LONG,
        "alone in train",
        TRAIN["text"].iloc[5],
    ]
    pd.testing.assert_frame_equal(train, before)
    assert not audit_leakage(report.drop(train), TEST).found


def test_a_threshold_of_none_finds_exact_duplicates_only():
    counts = audit_leakage(TRAIN, TEST, near=None).to_frame().loc["train"]
    assert (counts["exact"], counts["near"], counts["rows_to_drop"]) == (3, 0, 3)


def test_sources_are_audited_under_their_names():
    sources = {
        "mail": pd.DataFrame({"text": ["ONLY in test.", "x"]}),
        "chat": pd.DataFrame({"text": ["y"]}),
    }
    report = audit_leakage(TRAIN, TEST, source=sources)
    assert report.to_frame()["known"].to_dict() == {"train": 5, "mail": 1, "chat": 0}
    assert report.drop(sources["mail"], "mail")["text"].tolist() == ["x"]
    assert list(audit_leakage(TRAIN, TEST, source=sources["mail"]).overlaps) == ["train", "source"]


def test_a_pair_is_known_when_both_texts_are():
    train = pd.DataFrame({"a": ["one", "one", "ab"], "b": ["two", "three", "c"]})
    test = pd.DataFrame({"a": ["One!", "three", "a"], "b": ["two", "one", "bc"]})
    tested = audit_leakage(train, test, text="a", text_pair="b").overlaps["train"].tested
    assert tested[["test_row", "row", "kind"]].values.tolist() == [[0, 0, "exact"]]
    assert tested["text"].tolist() == ["one | two"]


def test_texts_without_letters_compare_as_they_are():
    train = pd.DataFrame({"text": [":)", "??"]})
    test = pd.DataFrame({"text": [": )", ":(", "?!"]})
    assert audit_leakage(train, test).overlaps["train"].tested["test_row"].tolist() == [0]
    assert normalise(":-)") == ":-)"
    assert normalise("So good 👍!") == "sogood👍"


def test_report_as_text_and_json(report):
    text = str(report)
    assert "train: 5 of 7 test rows are known (71.4%): 3 exact (1 identical), 2 near" in text
    assert "2 with another label" in text and "5 of 6 rows to drop" in text and "it 's fine" in text
    data = json.loads(json.dumps(report.to_dict()))
    assert data["tables"]["train"]["known_test_rows"] == [0, 1, 2, 3, 4]
    assert data["tables"]["train"]["leaked_rows"] == [0, 1, 3, 4, 5]
    assert data["tables"]["train"]["exact"] == 3 and data["near"] == 0.8
    assert data["examples"][0]["table"] == "train"
    assert len(report.examples(1)) == 3


def test_nothing_leaked():
    report = audit_leakage(pd.DataFrame({"text": ["a"]}), pd.DataFrame({"text": ["b"]}))
    assert not report.found and len(report.examples()) == 0
    assert "0 of 1 test rows" in str(report) and json.dumps(report.to_dict())
    assert not audit_leakage(pd.DataFrame({"text": []}), TEST).found


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"near": 0}, ["(0, 1]", "0"]),
        ({"near": 1.5}, ["1.5"]),
        ({"source": {"train": TRAIN}}, ["'train'"]),
        ({"text": "txt"}, ["'txt'", "'text'"]),
        ({"source": {"mail": TRAIN[["y"]]}}, ["'mail'", "'text'"]),
        ({"test": TEST[:0]}, ["rows"]),
        (
            {"test": pd.DataFrame({"text": [["a", "b"]]})},
            ["the test table must hold text", "['a', 'b'] (list) in row 0"],
        ),
        (
            {"source": {"mail": pd.DataFrame({"text": ["a", 2020.0]})}},
            ["'mail' must hold text", "2020.0", "row 1"],
        ),
    ],
)
def test_wrong_arguments_are_refused(arguments, words):
    with pytest.raises(DataError) as error:
        audit_leakage(**{"train": TRAIN, "test": TEST, **arguments})
    assert all(word in str(error.value) for word in words)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ((TRAIN[:2],), ["6 rows", "2 rows"]),
        ((TRAIN, "trian"), ["'train'"]),
        ((TRAIN, "train", ["nearly"]), ["'near'"]),
    ],
)
def test_only_the_audited_table_is_cut(report, arguments, words):
    with pytest.raises(DataError) as error:
        report.drop(*arguments)
    assert all(word in str(error.value) for word in words)


def test_repeated_texts_do_not_multiply():
    many = pd.DataFrame({"text": ["thank you very much"] * 20_000})
    start = time.perf_counter()
    counts = (
        audit_leakage(many, many[:5000].replace("much", "muchly", regex=True))
        .to_frame()
        .loc["train"]
    )
    assert counts["near"] == 5000 and counts["rows_to_drop"] == 20_000
    assert time.perf_counter() - start < 10
    assert np.isclose(counts["share"], 1)


def spans_of(*spans) -> list[dict]:
    return [dict(zip(("start", "end", "label"), span)) for span in spans]


def test_spans_of_the_test_that_are_spans_of_a_table_are_counted_and_no_leak():
    train = pd.DataFrame(
        {
            "text": ["fly to Oslo now", "my friend Carl", "rain in Rome"],
            "y": [json.dumps(spans_of((7, 11, "city"))), spans_of((10, 14, "person")), []],
        }
    )
    test = pd.DataFrame(
        {
            "text": ["OSLO and Rome are far", "where did Carl and Oslo Carl go?", "nobody"],
            "y": [
                spans_of((0, 4, "city"), (9, 13, "city")),
                json.dumps(spans_of((10, 14, "city"), (19, 28, "person"))),
                None,
            ],
        }
    )
    test["y"] = [test["y"][0], [(10, 14, "city"), (19, 28, "person")], None]
    report = audit_leakage(train, test, source={"empty": train[:0]}, label=["y"])
    counts = report.to_frame()[["spans", "known_spans"]]
    assert counts.loc["train"].tolist() == [4, 2] and counts.loc["empty"].tolist() == [4, 0]
    assert not report.found and report.drop(train).equals(train)
    assert "2 of 4 test spans are known (50.0%)." in str(report)
    assert report.to_dict()["tables"]["train"]["known_spans"] == 2
