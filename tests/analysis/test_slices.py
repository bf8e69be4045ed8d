"""Slices of the test rows: which rows they hold, and differences that are those of the rows alone,
corrected.
"""

import json

import numpy as np
import pandas as pd
import pytest
from scipy.stats import false_discovery_control

from tests.analysis import folders
from tests.analysis.folders import make_comparison, make_table, noisy, probabilities, write_run
from tf_transfer.analysis.slices import _classes, _span_lengths
from tf_transfer.comparison.comparison import Comparison
from tf_transfer.errors import CheckpointError, DataError
from tf_transfer.kinds import KINDS
from tf_transfer.kinds.spans import Spans
from tf_transfer.kinds.tasks import Task
from tf_transfer.statistics.intervals import paired_difference

RNG = np.random.default_rng(13)
ROWS = 240
Y = RNG.integers(0, 2, ROWS)
TABLE = make_table(ROWS, seed=2)
RARE = {16: RNG.random(ROWS).astype(np.float32)}


def cells(share_on_0: float, share_on_1: float, seeds: int = 6) -> list:
    """Right with different probabilities in the two classes."""
    shares = np.where(Y == 0, share_on_0, share_on_1)
    return [probabilities(np.where(RNG.random(ROWS) < shares, Y, 1 - Y), 0.9) for _ in range(seeds)]


SCORES = {"target_only": {16: cells(0.6, 0.75)}, "fine_tune": {16: cells(0.9, 0.7)}}


@pytest.fixture(scope="module")
def comparison(tmp_path_factory):
    return make_comparison(tmp_path_factory.mktemp("run"), Y, SCORES, table=TABLE, rare_words=RARE)


@pytest.fixture(scope="module")
def found(comparison):
    return comparison.slices(columns=["domain"])


def test_the_slices_hold_all_rows_once(found):
    assert found.groupby("by", sort=False)["rows"].sum().to_dict() == {
        "class": ROWS, "length": ROWS, "rare words": ROWS, "domain": ROWS,
    }  # fmt: skip
    assert found.groupby("by", sort=False)["slice"].size().to_dict() == {
        "class": 2, "length": 3, "rare words": 3, "domain": 2,
    }  # fmt: skip


def test_a_slice_holds_the_rows_that_it_names(found):
    lengths = TABLE["text"].str.len()
    for row in found[found["by"] == "length"].itertuples():
        low, high = map(int, row.slice.removesuffix(" characters").split(" to "))
        assert row.rows == lengths.between(low, high).sum()
    for row in found[found["by"] == "rare words"].itertuples():
        low, high = map(int, row.slice.removesuffix(" %").split(" to "))
        assert row.rows == np.sum(
            (np.round(100 * RARE[16]) >= low) & (np.round(100 * RARE[16]) <= high)
        )
    named = found[found["by"] == "domain"].set_index("slice")["rows"].to_dict()
    assert named == TABLE["domain"].value_counts().to_dict()


def test_the_differences_are_those_of_the_rows_and_add_up(found):
    value = np.mean(
        [
            (a.argmax(1) == Y).mean() - (b.argmax(1) == Y).mean()
            for a, b in zip(SCORES["fine_tune"][16], SCORES["target_only"][16])
        ]
    )
    for _, part in found.groupby("by"):
        assert (part["value"] * part["rows"]).sum() / ROWS == pytest.approx(value)
    assert found.set_index("slice").loc["glad", "verdict"] == "helped"


def test_q_is_corrected_over_the_slices_and_so_are_the_intervals(found):
    np.testing.assert_allclose(found["q"], false_discovery_control(found["p"]))
    selected = int((found["q"] <= 0.05).sum())
    assert 0 < selected < len(found)  # or this test shows nothing
    for number, name in ((0, "glad"), (1, "sad")):
        rows = np.flatnonzero(number == Y)
        ours, theirs = (
            [s[rows] for s in SCORES[strategy][16]] for strategy in ("fine_tune", "target_only")
        )
        level = 1 - 0.05 * selected / len(found)
        expected = paired_difference(
            "accuracy", "classification", Y[rows], ours, theirs, confidence=level
        )
        row = found.set_index("slice").loc[name]
        assert (row["low"], row["high"]) == pytest.approx((expected.low, expected.high))
    outside = (found["low"] > 0) | (found["high"] < 0)
    assert (outside == (found["q"] <= 0.05)).all()
    assert (outside == found["verdict"].isin(["helped", "hurt"])).all()


def test_small_slices_are_named_and_not_judged(tmp_path):
    table = TABLE.assign(domain=["post"] * 19 + ["shop"] * (ROWS - 19))
    found = make_comparison(tmp_path, Y, SCORES, table=table, rare_words=RARE).slices(
        by=[], columns=["domain"]
    )
    small = found.set_index("slice").loc["post"]
    assert (small["verdict"], small["rows"]) == ("too small", 19)
    assert small[["value", "low", "high", "p", "q"]].isna().all()
    assert found.set_index("slice").loc["shop", "q"] == found.set_index("slice").loc["shop", "p"]


def test_numbers_are_cut_into_thirds_and_rare_values_pooled(tmp_path):
    table = TABLE.assign(
        year=np.arange(ROWS) % 60, author=[f"a{n % 30}" if n >= 60 else "ann" for n in range(ROWS)]
    )
    table.loc[ROWS - 1, "author"] = None
    found = make_comparison(tmp_path, Y, SCORES, table=table).slices(
        by=[], columns=["year", "author"]
    )
    by = found.groupby("by")["slice"].agg(list)
    assert by["year"] == ["0 to 19", "20 to 39", "40 to 59"]
    assert by["author"][0] == "ann"
    assert len(by["author"]) == 21
    assert by["author"][-1] == "(other values)"
    assert found["rows"].sum() == 2 * ROWS


def test_many_labels_and_numbers(tmp_path):
    stars = RNG.normal(3, 1, ROWS)
    scores = {
        "target_only": {16: [stars + RNG.normal(0, 1, ROWS)] * 2},
        "fine_tune": {16: [stars + 0.1] * 2},
    }
    found = make_comparison(tmp_path / "stars", stars, scores, task="stars", table=TABLE).slices(
        by=["class"]
    )
    assert (len(found), set(found["metric"]), set(found["verdict"])) == (3, {"mae"}, {"helped"})
    themes = RNG.integers(0, 2, (ROWS, 3)).astype(np.float32)
    scores = {"target_only": {16: [1 - themes] * 2}, "fine_tune": {16: [themes] * 2}}
    found = make_comparison(tmp_path / "themes", themes, scores, task="themes", table=TABLE).slices(
        by=["class"]
    )
    assert dict(zip(found["slice"], found["rows"])) == dict(
        zip(("price", "taste", "wait"), themes.sum(0))
    )
    assert found["value"].tolist() == pytest.approx([1, 1, 1])


def test_rows_without_a_label_are_in_no_slice(tmp_path):
    present = np.arange(ROWS) % 3 > 0
    found = make_comparison(
        tmp_path, Y, SCORES, table=TABLE, rare_words=RARE, present=present
    ).slices()
    assert set(found.groupby("by")["rows"].sum()) == {present.sum()}


def test_rare_words_are_of_the_budget(tmp_path):
    scores = {
        s: {16: noisy(RNG, Y, [0.7]), 64: noisy(RNG, Y, [0.8])}
        for s in ("target_only", "fine_tune")
    }
    rare = {16: RARE[16], 64: np.where(np.arange(ROWS) < 50, 0.5, 0).astype(np.float32)}
    found = make_comparison(tmp_path, Y, scores, table=TABLE, rare_words=rare).slices(
        by=["rare words"]
    )
    assert found[found["budget"] == 64]["slice"].tolist() == ["0 %", "50 %"]
    assert len(found[found["budget"] == 16]) == 3


@pytest.mark.parametrize("damage", ["edited", "missing"])
def test_a_spoilt_table_of_rows_is_told(tmp_path, damage):
    run = write_run(tmp_path, Y, SCORES, table=TABLE)
    path = tmp_path / "targets" / "tweets.jsonl"
    if damage == "missing":
        path.unlink()
    else:
        lines = path.read_text().splitlines()
        lines[3] = json.dumps(json.loads(lines[3]) | {"domain": "shop2"})
        path.write_text("\n".join(lines) + "\n")
    comparison = Comparison(run.folder)
    assert len(comparison.verdicts()) == 1
    with pytest.raises(
        CheckpointError, match=r"tweets.jsonl (is damaged: its content was changed|cannot be read)"
    ):
        comparison.slices()


@pytest.mark.parametrize(("options", "message"), [
    ({"by": ["lenght"]}, "Did you mean 'length'"),
    ({"columns": ["domian"]}, "Did you mean 'domain'"),
    ({"strategies": ["finetune"]}, "Did you mean 'fine_tune'"),
    ({"targets": ["tweet"]}, "Did you mean 'tweets'"),
    ({"metric": "mae"}, "metric of task 'mood' must be one of"),
])  # fmt: skip
def test_unknown_names_are_told(comparison, options, message):
    with pytest.raises(DataError, match=message):
        comparison.slices(**options)


def test_spans_are_cut_by_the_words_of_the_longest_of_a_row():
    texts = ["New York and Rome", "Carl", "no name", "city of York"]
    cells = [[(0, 8, 0), (13, 17, 0)], [(0, 4, 1)], [], [(0, 12, 0)]]
    tagging = KINDS["tagging"]
    longest = tagging.longest_spans(Spans.of_rows(cells, 2), texts)
    np.testing.assert_array_equal(longest, [2, 1, np.nan, 3])
    parts = {part.name: part.rows.tolist() for part in _span_lengths(longest)}
    assert parts == {"1 word": [1], "2 words": [0], "3 or more words": [3]}
    task = Task("names", kind="tagging", classes=("city", "person"))
    types = {part.name: part.rows.tolist() for part in _classes(task, Spans.of_rows(cells, 2))}
    assert types == {"city": [0, 3], "person": [1]}
    assert list(_span_lengths(KINDS["regression"].longest_spans(np.ones(4), texts))) == []


def test_a_comparison_of_taggings_is_cut_by_types_and_lengths_of_spans(tmp_path, monkeypatch):
    """Right spans where they are short, wrong ones where they are long."""
    monkeypatch.setitem(folders.KINDS, "names", "tagging")
    monkeypatch.setitem(folders.CLASSES, "names", ("city", "person"))
    texts = ["Rome is far"] * 40 + ["New York is far"] * 40
    true = Spans.of_rows([[(0, 4, 0)]] * 40 + [[(0, 8, 1)]] * 40, 2)
    nothing = Spans.of_rows([[]] * 80, 2)
    table = pd.DataFrame({"text": texts, "domain": "post"})
    short = Spans.of_rows([[(0, 4, 0)]] * 40 + [[]] * 40, 2)
    scores = {"target_only": {16: [nothing] * 3}, "fine_tune": {16: [short] * 3}}
    comparison = make_comparison(tmp_path, true, scores, table=table, task="names")
    parts = comparison.slices(by=["class", "span length"])
    values = dict(zip(parts["slice"], parts["value"]))
    assert values == {"city": 1, "person": 0, "1 word": 1, "2 words": 0}
