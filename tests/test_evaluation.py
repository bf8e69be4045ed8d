"""Evaluation of a model on splits, and what a reader sees of it."""

import json

import numpy as np
import pandas as pd
import pytest
from sklearn import metrics as sk

from tf_transfer.errors import DataError
from tf_transfer.evaluation.predictions import Prediction, Predictions
from tf_transfer.evaluation.scores import Evaluation, encode_split, evaluate, score
from tf_transfer.kinds.tasks import Task

TASKS = [
    Task("mood", kind="classification", classes=("<b>sad</b>", "glad")),
    Task("stars", kind="regression"),
    Task("topics", kind="multilabel", classes=("food", "price")),
]


class Fixed:
    """A model whose predictions are columns of the table."""

    tasks = TASKS

    def predict(self, table):
        p = table["p"].to_numpy()
        both = np.stack([1 - p, p], axis=1)
        scores = [both, table["guess"].to_numpy(), both]
        return Predictions({task.name: Prediction(task, s) for task, s in zip(TASKS, scores)})


def table(rows=40, seed=0):
    rng = np.random.default_rng(seed)
    p, mood = rng.random(rows), rng.integers(2, size=rows)
    stars = rng.normal(size=rows)
    return pd.DataFrame(
        {
            "text": "a text",
            "mood": np.array(["<b>sad</b>", "glad"], object)[mood],
            "stars": stars,
            "topics": np.array(["food", "food|price"], object)[mood],
            "p": p,
            "guess": stars + rng.normal(size=rows),
        }
    )


def test_values_are_those_of_the_whole_split():
    tests = table()
    got = evaluate(Fixed(), tests)
    truth, predicted = (tests["mood"] == "glad").astype(int), (tests["p"] > 0.5).astype(int)
    assert got["test"]["mood"]["f1_macro"] == pytest.approx(
        sk.f1_score(truth, predicted, average="macro"), abs=1e-12
    )
    assert got["test", "stars", "r2"] == pytest.approx(
        sk.r2_score(tests["stars"], tests["guess"]), abs=1e-12
    )
    assert list(got) == ["test"] and set(got["test"]) == {"mood", "stars", "topics"}


def test_rows_without_a_label_do_not_count():
    tests = table()
    tests.loc[5:14, "mood"] = None
    tests.loc[::2, "stars"] = np.nan
    got = evaluate(Fixed(), tests)
    assert got.rows["test"] == {"mood": 30, "stars": 20, "topics": 40}
    kept = tests[tests["stars"].notna()].drop(columns="mood")
    assert evaluate(Fixed(), kept)["test"]["stars"] == got["test"]["stars"]


def test_task_without_labels_is_left_out_of_that_split_only():
    splits = {"full": table(), "stars only": table(seed=1).drop(columns=["mood", "topics"])}
    got = evaluate(Fixed(), splits)
    assert {split: list(tasks) for split, tasks in got.items()} == {
        "full": ["mood", "stars", "topics"],
        "stars only": ["stars"],
    }


def test_prints_metrics_in_rows_and_splits_in_columns():
    got = evaluate(Fixed(), {"a": table(), "b": table(seed=1)})
    text = got.table()
    assert list(text.columns)[:3] == ["a/mood", "a/stars", "a/topics"]
    assert text.loc["rows", "a/mood"] == "40" and text.loc["mae", "a/mood"] == ""
    assert text.loc["pearson", "b/stars"] == f"{got['b', 'stars', 'pearson']:.4f}"
    got = evaluate(Fixed(), {f"split number {n}": table() for n in range(6)})
    assert "f1_macro" in str(got) and max(map(len, str(got).splitlines())) <= 110


def test_undefined_prints_as_nan_and_large_errors_stay_readable():
    tests = table()
    tests["stars"] = 2.0
    tests["guess"] = 123456.78
    with pytest.warns(UserWarning, match="of test/stars is undefined"):
        cells = evaluate(Fixed(), tests).table()["test/stars"]
    assert cells["pearson"] == "nan" and cells["mae"] == "123,454.8"


def test_html_escapes_names_from_data():
    html = evaluate(Fixed(), {"<script>x</script>": table()})._repr_html_()
    assert "<script>" not in html and "&lt;script&gt;" in html and "<table" in html


def test_per_class_and_confusion():
    tests = table()
    got = evaluate(Fixed(), tests)
    by_class = got.per_class("test", "mood")
    assert list(by_class.index) == ["<b>sad</b>", "glad"]
    assert by_class.loc["glad", "support"] == (tests["mood"] == "glad").sum()
    confusion = got.confusion("test", "mood")
    wrong = ((tests["mood"] == "glad") & (tests["p"] <= 0.5)).sum()
    assert confusion.loc["glad", "<b>sad</b>"] == wrong and confusion.to_numpy().sum() == 40
    with pytest.raises(DataError, match="regression"):
        got.per_class("test", "stars")
    with pytest.raises(DataError, match="topics"):
        got.confusion("test", "topics")
    with pytest.raises(DataError, match="Did you mean 'mood'"):
        got.per_class("test", "moods")


def test_frame_is_tidy():
    got = evaluate(Fixed(), table())
    frame = got.to_frame()
    assert list(frame.columns) == ["split", "task", "metric", "class", "value"]
    one = frame[(frame["task"] == "mood") & (frame["metric"] == "f1") & (frame["class"] == "glad")]
    assert one["value"].item() == got["test", "mood", "f1"][1]
    scalar = frame[(frame["task"] == "mood") & (frame["metric"] == "accuracy")]
    assert scalar["class"].item() is None and frame["value"].dtype == np.float64
    assert not frame.duplicated(["split", "task", "metric", "class"]).any()


def test_dict_is_json_with_null_for_undefined():
    tests = table()
    tests["guess"] = 1.0
    with pytest.warns(UserWarning):
        got = evaluate(Fixed(), tests)
    loaded = json.loads(json.dumps(got.to_dict(), allow_nan=False))
    assert loaded["test"]["stars"]["metrics"]["pearson"] is None
    assert (
        loaded["test"]["mood"]["classes"] == ["<b>sad</b>", "glad"]
        and loaded["test"]["mood"]["rows"] == 40
    )
    assert np.sum(loaded["test"]["mood"]["metrics"]["confusion_matrix"]) == 40
    assert got == Evaluation(dict(got), TASKS, got.rows) and got != "other"


def test_stored_predictions_score_the_same():
    splits = {"a": table(), "b": table(seed=1)}
    truths = {name: encode_split(TASKS, t, name) for name, t in splits.items()}
    predictions = {name: Fixed().predict(t) for name, t in splits.items()}
    assert score(TASKS, predictions, truths) == evaluate(Fixed(), splits)


def test_predictions_that_do_not_fit_are_named():
    truths = {"a": encode_split(TASKS, table(), "a")}
    with pytest.raises(DataError, match=r"'a' must have a row for each label\.\nReceived 39"):
        score(TASKS, {"a": Fixed().predict(table(39))}, truths)
    with pytest.raises(DataError, match="'mood'"):
        score(TASKS, {"a": {}}, truths)
    with pytest.raises(DataError, match="split with labels"):
        score(TASKS, {}, truths)


@pytest.mark.parametrize(
    "splits, message",
    [
        (
            {"tweets": table().drop(columns=["mood", "stars", "topics"])},
            "'tweets' must have labels",
        ),
        ({"tweets": table().iloc[:0]}, "0 rows"),
        ({"tweets": [1, 2]}, "Received list"),
        ({}, "without entries"),
        ("tweets.csv", "Received str"),
        ({"tweets": table().assign(mood="angry")}, "row 0 of split 'tweets'"),
    ],
)
def test_bad_splits_are_named_before_any_prediction(splits, message):
    model = Fixed()
    model.predict = lambda table: pytest.fail("predicted before the check")
    with pytest.raises(DataError, match=message):
        evaluate(model, splits)
