import gzip
import json
import os
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn.model_selection import train_test_split

from tf_transfer.data.splits import split_table
from tf_transfer.data.tables import clean_table, load_table, save_table
from tf_transfer.errors import DataError
from tf_transfer.kinds import infer_kind


def write(folder, name, content):
    path = folder / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def message(*arguments, **options):
    with pytest.raises(DataError) as error:
        load_table(*arguments, **options)
    return str(error.value)


ROWS = [["good film", "pos", 4], ["bad, bad film", "neg", 1]]


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.csv", 'text,tone,stars\ngood film,pos,4\n"bad, bad film",neg,1\n'),
        ("bom.csv", '\ufefftext,tone,stars\r\ngood film,pos,4\r\n\r\n"bad, bad film",neg,1'),
        ("a.tsv", "text\ttone\tstars\ngood film\tpos\t4\nbad, bad film\tneg\t1\n"),
        (
            "a.csv.gz",
            gzip.compress(b'text,tone,stars\ngood film,pos,4\n"bad, bad film",neg,1\n', mtime=0),
        ),
        (
            "a.jsonl",
            '{"text": "good film", "tone": "pos", "stars": 4}\n\n{"stars": 1, "tone": "neg", '
            '"text": "bad, bad film"}',
        ),
        ("index.csv", ',text,tone,stars\n0,good film,pos,4\n1,"bad, bad film",neg,1\n'),
    ],
)
def test_every_format_gives_the_same_table(tmp_path, name, content):
    table = load_table(write(tmp_path, name, content))
    assert list(table.columns) == ["text", "tone", "stars"]
    assert table.values.tolist() == ROWS
    assert table["stars"].dtype == np.int64


def test_parquet_and_data_frame(tmp_path):
    frame = pd.DataFrame(ROWS, columns=["text", "tone", "stars"], index=[7, 7])
    frame.to_parquet(tmp_path / "a.parquet")
    for source in (frame, tmp_path / "a.parquet"):
        table = load_table(source)
        assert table.values.tolist() == ROWS and table.index.tolist() == [0, 1]
    table.loc[0, "text"] = "changed"
    assert frame["text"].tolist() == ["good film", "bad, bad film"]


def test_words_that_mean_missing_elsewhere_stay_words(tmp_path):
    words = ["NA", "null", "None", "nan", "N/A", "007", "1e5", " x "]
    lines = "".join(f"{w},{w}\n" for w in words) + "last,\n"
    table = load_table(write(tmp_path, "a.csv", "text,tone\n" + lines))
    assert table["text"].tolist() == [*words, "last"]
    assert table["tone"].tolist()[:-1] == words
    assert table["tone"].isna().tolist() == [False] * len(words) + [True]


def test_markers_of_missing_numbers_are_gaps_among_numbers(tmp_path):
    table = load_table(
        write(tmp_path, "a.csv", "text,stars,year\na,4.5,1999\nb,NA,\nc,nan,2001\nd,,inf\n")
    )
    np.testing.assert_array_equal(table["stars"], [4.5, np.nan, np.nan, np.nan])
    np.testing.assert_array_equal(table["year"], [1999, np.nan, 2001, np.inf])
    only_markers = load_table(write(tmp_path, "b.csv", "text,tone\na,NA\nb,None\n"))
    assert only_markers["tone"].tolist() == ["NA", "None"]


def test_numbers_are_read_to_the_last_bit(tmp_path):
    numbers = np.random.default_rng(0).normal(size=1000)
    save_table(pd.DataFrame({"text": "a", "y": numbers}), tmp_path / "a.csv")
    assert (load_table(tmp_path / "a.csv")["y"].to_numpy() == numbers).all()


def test_quotes_newlines_and_long_cells(tmp_path):
    long = "x" * 200_000
    content = f'text,tone\n"one\ntwo ""three""",a\n{long},b\nmid "quotes" stay,c\n'
    assert load_table(write(tmp_path, "a.csv", content))["text"].tolist() == [
        'one\ntwo "three"',
        long,
        'mid "quotes" stay',
    ]
    table = load_table(
        write(tmp_path, "a.tsv", 'text\ttone\n"Yes" he said\ta\nan 8" disc\tb\n'), quote=None
    )
    assert table["text"].tolist() == ['"Yes" he said', 'an 8" disc']


def test_json_lines_keep_types(tmp_path):
    content = '{"text": "12", "tags": ["a"], "n": null}\n{"text": "a\u2028b", "n": 2.5}\n'
    table = load_table(write(tmp_path, "a.jsonl", content))
    assert table["text"].tolist() == ["12", "a\u2028b"]
    assert table["tags"].iloc[0] == ["a"] and pd.isna(table["tags"].iloc[1])
    assert pd.isna(table["n"].iloc[0]) and table["n"].iloc[1] == 2.5


def test_other_columns_pairs_encodings_and_delimiters(tmp_path):
    path = write(tmp_path, "a.csv", "frage;antwort;y\nwarum;später;1\n".encode("cp1252"))
    table = load_table(path, "frage", "antwort", encoding="cp1252", delimiter=";")
    assert table.values.tolist() == [["warum", "später", 1]]


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("a.xlsx", "", [".csv", "a.xlsx"]),
        ("a.cvs", "", ["Did you mean '.csv'?"]),
        ("a.csv", "", ["a.csv", "empty"]),
        ("a.csv", "\n \n", ["empty"]),
        ("a.csv", "text,tone\n", ["rows", "none"]),
        ("a.csv", "text;tone\na;b\n", ["';'", "delimiter=';'"]),
        ("a.csv", "text\ttone\na\tb\n", ["delimiter='\\t'"]),
        ("a.tsv", "text,tone\na,b\n", ["delimiter=','"]),
        ("a.csv", "txt,tone\na,b\n", ["'text'", "'txt', 'tone'", "Did you mean 'txt'?"]),
        ("a.csv", "text,tone,tone\na,b,c\n", ["'tone'", "a.csv", "[2, 3]"]),
        ("a.csv", "text,,tone\na,b,c\n", ["name", "column 2 of 3"]),
        ("a.csv", 'text,tone\n"x\ny",b\n\na,b,c\n', ["line 5", "3 in", "2 cells"]),
        ("a.csv", "text,tone\na,b\nc\n", ["line 3", "1 in", "2 cells"]),
        ("a.csv", 'text,tone\n"a" b,c\n', ["Line 2", "quote=None"]),
        ("a.csv", 'text,tone\na,b\n"c,d\ne,f\n', ["Line 3", "quote"]),
        (
            "a.csv",
            "text,tone\ncafé,x\nnaïve,y\n".encode("latin-1"),
            ["0xe9", "offset 13", "line 2", "cp1252"],
        ),
        ("a.csv", "text,tone\na,b\n".encode("utf-16"), ["0xff", "utf-16"]),
        ("a.csv.gz", "text,tone\na,b\n", ["a.csv.gz", "gzip"]),
        ("a.parquet", "text", ["a.parquet", "Parquet"]),
        ("a.jsonl", '{"text": "a"}\n{"text": \n', ["Line 2", "a.jsonl"]),
        ("a.jsonl", '["a"]\n', ["Line 1", "object"]),
        ("a.jsonl", '{"text": "a", "text": "b"}\n', ["Line 1", "twice"]),
        ("a.jsonl", '{"text": 5}\n', ["'text'", "5", "int", "row 0", "astype(str)"]),
        (
            "a.csv",
            "text,tone\na,b\n ,c\n,d\n",
            ["'text'", "2 of 3 rows", "1, 2", "drop_empty=True"],
        ),
        ("a.jsonl", '{"text": "a"}\n{"text": null}\n', ["1 of 2 rows"]),
    ],
)
def test_bad_files_are_refused(tmp_path, name, content, words):
    path = write(tmp_path, name, content)
    received = message(path)
    assert all(word in received for word in words), received


def test_files_that_are_not_there(tmp_path):
    write(tmp_path, "reviews.csv", "text\na\n")
    assert "Did you mean 'reviews.csv'?" in message(tmp_path / "revews.csv")
    assert "folder" in message(tmp_path / "data" / "reviews.csv")
    (tmp_path / "folder.csv").mkdir()
    assert "folder" in message(tmp_path / "folder.csv")
    assert "dict" in message({"text": ["a"]})
    assert "utf-9" in message(tmp_path / "reviews.csv", encoding="utf-9")


def test_bad_frames_are_refused():
    frame = pd.DataFrame([["a", "b"]], columns=["text", "text"])
    assert "unique" in message(frame)
    assert "second" in message(pd.DataFrame({"text": ["a"]}), text_pair="second")
    assert "1 of 1 rows" in message(
        pd.DataFrame({"text": ["a"], "second": [None]}), text_pair="second"
    )
    assert "2.5 (float)" in message(pd.DataFrame({"text": ["a", 2.5]}))
    assert "rows with text" in message(pd.DataFrame({"text": [" "]}), drop_empty=True)


def test_rows_without_text_are_dropped_on_request():
    table = load_table(
        pd.DataFrame({"text": ["a", None, " ", "b"], "y": [1, 2, 3, 4]}), drop_empty=True
    )
    assert table.values.tolist() == [["a", 1], ["b", 4]] and table.index.tolist() == [0, 1]


TRICKY = [
    "a,b",
    'say "x"',
    "line\nbreak",
    "return\rhere",
    "tab\there",
    "NA",
    "#x",
    "é👍",
    " padded ",
]


@pytest.mark.parametrize("name", ["a.csv", "a.tsv", "a.csv.gz", "a.jsonl", "a.parquet"])
def test_saved_tables_are_read_back(tmp_path, name):
    table = pd.DataFrame({"text": TRICKY, "y": np.arange(len(TRICKY)), "z": [None, *TRICKY[1:]]})
    save_table(table, tmp_path / name)
    back = load_table(tmp_path / name)
    assert back["text"].tolist() == TRICKY and back["y"].tolist() == table["y"].tolist()
    assert back["z"].isna().tolist() == table["z"].isna().tolist()
    assert back["z"].tolist()[1:] == TRICKY[1:]
    assert os.listdir(tmp_path) == [name]


def test_label_lists_are_read_back_as_multilabel(tmp_path):
    save_table(
        pd.DataFrame({"text": ["a", "b", "c"], "y": [("u", "v"), (), ("u",)]}), tmp_path / "a.csv"
    )
    labels = load_table(tmp_path / "a.csv")["y"]
    assert labels.tolist() == ["u|v", "|", "u"] and infer_kind(labels) == "multilabel"


def test_a_failed_save_leaves_the_old_file(tmp_path, monkeypatch):
    path = write(tmp_path, "a.csv", "text\nold\n")

    write_bytes = Path.write_bytes

    def full(self, content):
        write_bytes(self, content[:4])
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(DataError, match=r"a\.csv.*the disk is full"):
        save_table(pd.DataFrame({"text": ["new"]}), path)
    assert path.read_text() == "text\nold\n" and os.listdir(tmp_path) == ["a.csv"]
    with pytest.raises(DataError, match="extension"):
        save_table(pd.DataFrame({"text": ["new"]}), tmp_path / "a.xlsx")


def test_clean_table_cleans_every_text_column():
    table = pd.DataFrame(
        {"text": ["<b>film</b>", "<br>"], "other": ["x &amp; y", "the z"], "y": ["<p>", "q"]}
    )
    with pytest.raises(DataError, match="after cleaning"):
        clean_table(table)
    cleaned = clean_table(table, text_pair="other", drop_empty=True, stop_words="english")
    assert cleaned.values.tolist() == [["film", "x & y", "<p>"]]
    cleaned = clean_table(table, text="other")
    assert cleaned.values.tolist() == [["<b>film</b>", "x & y", "<p>"], ["<br>", "the z", "q"]]
    assert table["other"].tolist() == ["x &amp; y", "the z"]


def test_spans_move_along_when_their_text_is_cleaned():
    text = "  in  <b>New&amp;  York</b> , cafe\u0301\u200b today"
    parts = ["in", "New&amp;  York", "cafe\u0301\u200b", "today"]
    spans = [
        {"start": text.index(part), "end": text.index(part) + len(part), "label": "x"}
        for part in parts
    ]
    answers = [{"text": parts[1], "start": text.index(parts[1]), "by": 7}]
    table = pd.DataFrame({"text": [text], "n": [1], "spans": [spans], "answers": [answers]})
    table["json"] = [json.dumps(spans)]
    triples = [(s["start"], s["end"], s["label"]) for s in spans]
    table["triples"], table["lists"] = [triples], [json.dumps(triples)]
    cleaned = clean_table(table)
    new = cleaned["text"][0]
    assert new == "in New& York , café today"
    assert [new[s["start"] : s["end"]] for s in cleaned["spans"][0]] == [
        *("in", "New& York", "café", "today")
    ]
    assert json.loads(cleaned["json"][0]) == cleaned["spans"][0]
    places = [(s["start"], s["end"], s["label"]) for s in cleaned["spans"][0]]
    assert cleaned["triples"][0] == places
    assert json.loads(cleaned["lists"][0]) == list(map(list, places))
    assert cleaned["answers"][0] == [{"text": "New& York", "start": 3, "by": 7}]
    assert table["spans"][0] is spans and spans[0]["start"] == 2


def test_a_text_in_which_a_span_cannot_be_followed_stays_as_it_is():
    """The span is markup alone, cuts an entity, or is none; a text without spans is cleaned."""
    rows = {
        "a <br> b": [{"start": 2, "end": 6, "label": "x"}],
        "a  &amp;": [{"start": 3, "end": 6, "label": "x"}],
        "a  b": [{"start": "0", "end": 1, "label": "x"}],
        "a  c": [],
        "a  d": None,
    }
    table = pd.DataFrame({"text": list(rows), "spans": pd.Series(rows.values(), dtype=object)})
    cleaned = clean_table(table)
    assert cleaned["text"].tolist() == [*list(rows)[:3], "a c", "a d"]
    assert cleaned["spans"].tolist() == list(rows.values())


def numbered(rows, **columns):
    return pd.DataFrame({"row": range(rows), **columns}, index=np.arange(rows) + 100)


def test_a_plain_split_is_that_of_scikit_learn_in_table_order():
    train, test = split_table(numbered(10), 0.25, seed=0)
    # RandomState(0).permutation(10) starts 2, 8, 4; a quarter of 10 rows is rounded up to 3.
    assert test["row"].tolist() == [2, 4, 8]
    assert train["row"].tolist() == [0, 1, 3, 5, 6, 7, 9]
    assert train.index.tolist() == list(range(7)) and test.index.tolist() == [0, 1, 2]
    oracle = train_test_split(np.arange(10), test_size=3, random_state=5)[1]
    assert split_table(numbered(10), 3, seed=5)[1]["row"].tolist() == sorted(oracle)


def test_a_stratified_split_keeps_shares_and_missing_values():
    labels = ["a"] * 60 + ["b"] * 30 + [None] * 10
    train, test = split_table(numbered(100, y=labels), 0.2, stratify="y")
    assert test["y"].fillna("missing").value_counts().to_dict() == {"a": 12, "b": 6, "missing": 2}
    assert len(train) == 80 and not set(train["row"]) & set(test["row"])
    lists = split_table(numbered(20, y=[["a"], ["b"]] * 10), 0.5, stratify="y")[1]["y"]
    assert lists.map(tuple).value_counts().tolist() == [5, 5]


def test_a_split_by_group_counts_rows_and_keeps_groups_whole():
    sizes = np.random.default_rng(1).integers(1, 40, 60)
    group = np.repeat([f"g{i}" for i in range(60)], sizes)
    for seed in range(5):
        train, test = split_table(numbered(len(group), g=group), 0.2, seed=seed, group="g")
        assert not set(train["g"]) & set(test["g"])
        assert abs(len(test) - 0.2 * len(group)) <= sizes.max() / 2
        assert test["row"].is_monotonic_increasing
    again = split_table(numbered(len(group), g=group), 0.2, seed=4, group="g")[1]
    assert again["row"].tolist() == test["row"].tolist()


def test_rows_without_a_group_are_groups_of_their_own():
    table = numbered(10, g=["a"] * 4 + [None] * 6)
    train, test = split_table(table, 3, group="g")
    assert len(test) == 3 and len(train) == 7


def test_no_side_is_left_without_a_group():
    halves = numbered(10, g=["a"] * 5 + ["b"] * 5)
    assert [len(side) for side in split_table(halves, 9, group="g")] == [5, 5]
    unequal = numbered(10, g=["a"] * 6 + ["b"] * 4)
    assert [len(side) for side in split_table(unequal, 1, group="g")] == [6, 4]


def test_one_group_larger_than_the_test_goes_to_train():
    train, test = split_table(numbered(10, g=["a"] * 9 + ["b"]), 0.2, group="g")
    assert set(train["g"]) == {"a"} and set(test["g"]) == {"b"}


@pytest.mark.parametrize("test_size", [0.2, 0.3, 0.05, 0.9])
def test_a_stratified_split_by_group(test_size):
    rng = np.random.default_rng(0)
    group = rng.integers(0, 200, 2000)
    label = np.where(rng.random(2000) < 0.3, "rare", "common")
    train, test = split_table(numbered(2000, g=group, y=label), test_size, stratify="y", group="g")
    assert not set(train["g"]) & set(test["g"])
    assert len(test) / 2000 == pytest.approx(test_size, abs=0.02)
    assert (test["y"] == "rare").mean() == pytest.approx((label == "rare").mean(), abs=0.04)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"test_size": 0}, ["test_size", "0"]),
        ({"test_size": 1.0}, ["10 rows"]),
        ({"test_size": 10}, ["test_size=10"]),
        ({"test_size": -0.1}, ["test_size"]),
        ({"test_size": float("nan")}, ["test_size"]),
        ({"stratify": "once"}, ["'once'", "in one row only", "'b'"]),
        ({"stratify": "row"}, ["10 values in 10 rows"]),
        ({"group": "same"}, ["'same'", "two groups", "'x'"]),
        ({"group": "grp"}, ["'grp'"]),
    ],
)
def test_impossible_splits_are_refused(options, words):
    table = numbered(10, once=["a"] * 9 + ["b"], same=["x"] * 10)
    with pytest.raises(DataError) as error:
        split_table(table, **options)
    assert all(word in str(error.value) for word in words)


@pytest.mark.parametrize("rows", [0, 1])
def test_a_table_too_small_to_split(rows):
    with pytest.raises(DataError, match=f"{rows} rows"):
        split_table(numbered(rows))
