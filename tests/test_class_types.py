"""Predicted classes have the type that went in, also after a file."""

import datetime
import decimal
import json

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import accuracy_score

from tf_transfer.errors import DataError
from tf_transfer.evaluation.predictions import Prediction, Predictions
from tf_transfer.evaluation.scores import score
from tf_transfer.experiments.prepared import plain_task
from tf_transfer.kinds import infer_kind
from tf_transfer.kinds.class_types import class_array, class_from_json, class_text, unified
from tf_transfer.kinds.tasks import Task, infer_tasks
from tf_transfer.model.checkpoints import _task_from_json, _task_to_json

DAY = datetime.date(2020, 1, 31)
PAIRS = {
    "text": ("neg", "pos"),
    "integers": (1, 2),
    "large integers": (2**70, 2**71),
    "floats": (0.0, 1.0),
    "fractions": (0.1, 0.25),
    "bools": (False, True),
    "bytes": (b"neg", b"pos\xff"),
    "decimals": (decimal.Decimal("1.10"), decimal.Decimal("2")),
    "dates": (DAY, DAY + datetime.timedelta(1)),
    "datetimes": (pd.Timestamp("2020-01-31 12:00", tz="UTC"), pd.Timestamp("2021-01-01", tz="UTC")),
    "times": (datetime.time(8), datetime.time(9, 30, 1, 5)),
    "durations": (pd.Timedelta("1h"), pd.Timedelta("2 days 1ns")),
    "Python's durations": (datetime.timedelta(hours=1), datetime.timedelta(days=2, microseconds=1)),
    "intervals": (pd.Interval(0.0, 0.5), pd.Interval(0.5, 1.0)),
    "intervals of dates": (
        pd.Interval(pd.Timestamp("2020"), pd.Timestamp("2021"), "both"),
        pd.Interval(pd.Timestamp("2021"), pd.Timestamp("2022"), "both"),
    ),
    "periods": (pd.Period("2020-01"), pd.Period("2020-02")),
}


def resolved(labels) -> Task:
    column = pd.Series(list(labels), dtype=object)
    return Task("y", kind="classification").resolve(pd.DataFrame({"y": column}))


@pytest.mark.parametrize("kind", PAIRS)
def test_classes_come_back_as_they_went_in(kind):
    pair = PAIRS[kind]
    task = resolved([*pair, *pair[::-1]])
    by_file = _task_from_json(json.loads(json.dumps(_task_to_json(task))))
    of_a_run = Task(**json.loads(json.dumps(plain_task(task))))
    for read in (task, by_file, of_a_run):
        assert read.classes == pair
        assert [type(c) for c in read.classes] == [type(c) for c in pair]
        labels = Prediction(read, np.array([[0.9, 0.1], [0.2, 0.8]])).labels
        assert labels.tolist() == list(pair)
        table = pd.DataFrame({"y": pd.Series([*pair, None], dtype=object)})
        assert read.encode(table)[0].tolist() == [0, 1, 0]


@pytest.mark.parametrize("kind", PAIRS)
def test_an_evaluation_is_a_file_with_its_classes(kind):
    task = resolved(PAIRS[kind])
    predicted = Predictions({"y": Prediction(task, np.array([[0.9, 0.1], [0.2, 0.8]]))})
    truth = np.array([0, 1]), np.array([True, True])
    scores = score([task], {"test": predicted}, {"test": {"y": truth}})
    content = json.loads(json.dumps(scores.to_dict()))
    assert tuple(map(class_from_json, content["test"]["y"]["classes"])) == PAIRS[kind]


@pytest.mark.parametrize("kind", ["text", "integers", "floats", "bools"])
@pytest.mark.parametrize("form", [list, np.array, pd.Series])
def test_predicted_labels_can_be_scored_against_those_given(kind, form):
    y = form(list(PAIRS[kind]) * 2)
    labels = Prediction(resolved(y), np.eye(2)[[0, 1, 0, 0]]).labels
    assert accuracy_score(y, labels) == 0.75


def test_numbers_have_a_type_of_numpy_and_the_rest_are_objects():
    assert [
        class_array(c).dtype
        for c in ((1, 2), (0.5, 1.0), (False, True), ("a", "b"), (1, "a"), (2**70, 1))
    ] == [
        np.int64,
        np.float64,
        np.bool_,
        object,
        object,
        object,
    ]


def test_integers_that_gaps_made_floats_are_integers_again():
    assert unified([1.0, 2.0], gaps=True) == [1, 2] and unified([1.0, 2]) == [1, 2]
    assert Task("y").resolve(pd.DataFrame({"y": [1.0, None, 2.0]})).classes == (1, 2)
    floats = Task("y").resolve(pd.DataFrame({"y": [1.0, 2.0]}))
    assert [type(c) for c in floats.classes] == [float, float]
    # files write them in other ways
    for later in ([1, 2], ["1", "2"], [1.0, 2.0], [np.float32(1), np.int8(2)]):
        assert floats.encode(pd.DataFrame({"y": pd.Series(later, dtype=object)}))[0].tolist() == [
            0,
            1,
        ]
    assert class_text(3.0) == class_text(3) == "3" and class_text(b"a ") == "a"


def test_classes_are_found_whether_bytes_or_text():
    assert resolved(["neg", "pos"]).encode(pd.DataFrame({"y": [b"pos", b"neg"]}))[0].tolist() == [
        1,
        0,
    ]
    assert resolved([b"neg", b"pos"]).encode(pd.DataFrame({"y": ["pos", "neg"]}))[0].tolist() == [
        1,
        0,
    ]


def test_decimals_are_numbers():
    column = pd.Series([decimal.Decimal(i) / 4 for i in range(16)], dtype=object)
    assert infer_kind(column) == infer_kind(column.astype(float)) == "regression"
    y, _ = Task("y", kind="regression").encode(pd.DataFrame({"y": column}))
    assert y.tolist() == [i / 4 for i in range(16)]


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        ([DAY, pd.Timestamp("2021")], "otherwise of one type"),
        ([1, pd.Timestamp("2021")], "otherwise of one type"),
        (
            [1 + 2j, 2j],
            r"task 'label'.* row 0 .*class must have a name: text.*\nReceived .*\(complex\)",
        ),
        ([{"n": "a"}, {"n": "b"}], "lists of classes, or 0 or 1"),
        ([object(), object()], r"\(object\)"),
    ],
)
def test_classes_without_an_order_or_a_type_are_refused(labels, message):
    table = pd.DataFrame({"text": ["a", "b"], "label": pd.Series(labels, dtype=object)})
    with pytest.raises(DataError, match=f"(?i){message}"):
        infer_tasks(table)


@pytest.mark.parametrize(
    "classes", [[[1], [2]], [None, "a"], [float("nan"), 1.0], 2, {"a": 1}, [{"date": "soon"}]]
)
def test_given_classes_that_are_none_are_refused(classes):
    with pytest.raises(DataError):
        Task("y", kind="classification", classes=classes)
    assert Task("y", classes=np.array(["a", "b"])).classes == ("a", "b")
