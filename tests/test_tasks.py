import dataclasses

import numpy as np
import pandas as pd
import pytest
from sklearn.utils.class_weight import compute_class_weight

from tf_transfer.errors import DataError
from tf_transfer.evaluation.predictions import Prediction, Predictions
from tf_transfer.kinds import infer_kind
from tf_transfer.kinds.labels import encode_labels
from tf_transfer.kinds.tasks import Task, infer_tasks


def column(values, dtype=None):
    return pd.DataFrame({"y": pd.Series(values, dtype=dtype)})


@pytest.mark.parametrize(
    ("values", "kind"),
    [
        (["good", "bad", None], "classification"),
        ([0, 1, 2], "classification"),
        ([1.0, None, 2.0], "classification"),
        ([True, False, None], "classification"),
        (["1", "2"], "classification"),
        (range(20), "classification"),
        (range(21), "regression"),
        ([0.5, 1.0], "regression"),
        ([1.0, 2.0, np.inf], "regression"),
        (["a|b", "c"], "multilabel"),
        ([["a"], []], "multilabel"),
        ([("a", "b"), None], "multilabel"),
    ],
)
def test_kind_is_inferred(values, kind):
    assert infer_kind(pd.Series(values)) == kind


TEXT_DTYPES = ["object", "string", "category", None]


@pytest.mark.parametrize("dtype", TEXT_DTYPES)
def test_text_labels_of_every_dtype(dtype):
    table = column(["pos", None, "neg", "pos"], dtype)
    task = Task("y").resolve(table)
    assert (task.kind, task.classes) == ("classification", ("neg", "pos"))
    y, present = task.encode(table)
    assert y.dtype == np.int32
    assert y[present].tolist() == [1, 0, 1]
    assert present.tolist() == [True, False, True, True]


@pytest.mark.parametrize("dtype", ["Int64", "Float64", "float32", "object", "category"])
def test_whole_numbers_with_gaps_are_integer_classes(dtype):
    table = column([3, None, 1], dtype)
    task = Task("y").resolve(table)
    assert task.classes == (1, 3)
    assert all(type(c) is int for c in task.classes)
    y, present = task.encode(table)
    assert y.tolist() == [1, 0, 0]
    assert present.tolist() == [True, False, True]


@pytest.mark.filterwarnings("ignore::tf_transfer.errors.LabelWarning")
def test_blank_text_is_missing_and_surrounding_space_is_dropped():
    table = column([" pos", "", "  ", "neg "])
    y, present = Task("y").resolve(table).encode(table)
    assert y.tolist() == [1, 0, 0, 0]
    assert present.tolist() == [True, False, False, True]


def test_classes_read_from_a_file_match_classes_seen_as_numbers_and_booleans():
    trained = Task("y").resolve(column([0, 1]))
    assert trained.encode(column(["1", "0"]))[0].tolist() == [1, 0]
    trained = Task("y").resolve(column([True, False]))
    assert trained.encode(column(["True", "False"]))[0].tolist() == [1, 0]
    trained = Task("y").resolve(column(["0", "1"]))
    assert trained.encode(column([1.0, None]))[0].tolist() == [1, 0]


def test_given_classes_keep_their_order_and_are_plain():
    task = Task("y", classes=(np.int64(2), 1.0)).resolve(column([1, 2]))
    assert task.classes == (2, 1) and type(task.classes[0]) is int and type(task.classes[1]) is int
    assert task.encode(column([1, 2]))[0].tolist() == [1, 0]


def test_given_classes_are_never_inferred_as_a_regression():
    task = Task("y", classes=tuple(range(30))).resolve(column(range(25)))
    assert task.kind == "classification" and task.outputs == 30


def test_multilabel_cells():
    table = column(["a|b", "c", None, " b | ", "|"])
    task = Task("y").resolve(table)
    assert (task.kind, task.classes) == ("multilabel", ("a", "b", "c"))
    y, present = task.encode(table)
    np.testing.assert_array_equal(y, [[1, 1, 0], [0, 0, 1], [0, 0, 0], [0, 1, 0], [0, 0, 0]])
    assert y.dtype == np.float32
    assert present.tolist() == [True, True, False, True, True]


def test_an_empty_list_is_a_label_but_none_is_not():
    table = pd.DataFrame({"y": [["a", "b"], [], None, np.array(["b"], object)]})
    y, present = Task("y").resolve(table).encode(table)
    np.testing.assert_array_equal(y, [[1, 1], [0, 0], [0, 0], [0, 1]])
    assert present.tolist() == [True, True, False, True]


@pytest.mark.parametrize("dtype", ["float32", "Float64", "object", "string", "category", None])
def test_regression_of_every_dtype(dtype):
    values = ["0.5", None, "-2"] if dtype == "string" else [0.5, None, -2]
    table = column(values, dtype)
    y, present = Task("y", kind="regression").encode(table)
    assert y.dtype == np.float64
    assert y.tolist() == [0.5, 0.0, -2.0]
    assert present.tolist() == [True, False, True]


def test_a_table_without_the_column_has_no_labels():
    table = pd.DataFrame({"text": ["a", "b"]})
    for task, shape in [
        (Task("y", kind="regression"), (2,)),
        (Task("y", kind="classification", classes=("a", "b")), (2,)),
        (Task("y", kind="multilabel", classes=("a", "b", "c")), (2, 3)),
    ]:
        y, present = task.encode(table)
        assert y.shape == shape and not y.any() and not present.any()


def test_balanced_class_weights_are_those_of_scikit_learn():
    y = np.array([0, 0, 0, 1, 2, 2])
    task = Task("y", kind="classification", classes=("a", "b", "c"), class_weight="balanced")
    oracle = compute_class_weight("balanced", classes=np.arange(3), y=y)
    np.testing.assert_allclose(task.class_weights(y), oracle, rtol=1e-6)


def test_class_weights_by_name_also_after_json():
    task = Task("y", kind="classification", classes=(0, 1), class_weight={1: 3.0})
    assert task.class_weights(np.array([0])).tolist() == [1.0, 3.0]
    assert dataclasses.replace(task, class_weight={"1": 3.0}).class_weights(
        np.array([0])
    ).tolist() == [
        1.0,
        3.0,
    ]
    assert Task("y", kind="regression").class_weights(np.array([0.5])) is None


def test_resolving_a_resolved_task_changes_nothing():
    task = Task("y", kind="classification", classes=("a", "b"))
    assert task.resolve(column(["c", "d"])) is task


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"name": ""}, ["name"]),
        ({"name": "a/b"}, ["'/'"]),
        ({"name": "a\0b"}, ["control characters", "'a\\x00b'", "its label"]),
        ({"name": "n" * 300}, ["at most 250 bytes"]),
        ({"name": 3}, ["must be a text", "3"]),
        ({"kind": "clasification"}, ["classification"]),
        ({"loss_weight": -1}, ["loss_weight", "-1"]),
        ({"loss_weight": float("nan")}, ["loss_weight"]),
        ({"loss_weight": "two"}, ["loss_weight", "'two'"]),
        ({"kind": "regression", "classes": ("a", "b")}, ["regression"]),
        ({"classes": ("a", "a")}, ["differ"]),
        ({"classes": "ab"}, ["list"]),
        ({"kind": "classification", "classes": ("a",)}, ["two classes"]),
        ({"class_weight": "balance"}, ["Did you mean 'balanced'"]),
    ],
)
def test_a_wrong_task_is_refused(arguments, words):
    with pytest.raises(DataError) as error:
        Task(**{"name": "y", **arguments})
    assert all(word in str(error.value) for word in words)


@pytest.mark.parametrize(
    ("task", "table", "words"),
    [
        (Task("z"), column(["a", "b"]), ["'z'", "'y'"]),
        (Task("y"), column([None, ""]), ["no label in 2 rows"]),
        (Task("y"), column(["a", "a"]), ["two classes", "'a'", "2 labelled rows"]),
        (Task("y"), pd.DataFrame({"y": [[], []]}), ["one class"]),
        (
            Task("y", kind="classification"),
            pd.DataFrame({"y": [["a"], ["b"]]}),
            ["one class in a row", "multilabel"],
        ),
    ],
)
def test_labels_that_teach_nothing_are_refused(task, table, words):
    with pytest.raises(DataError) as error:
        task.resolve(table)
    assert all(word in str(error.value) for word in words)


CLASSES = Task("y", kind="classification", classes=("refund", "delay"))
REGRESSION = Task("y", kind="regression")


@pytest.mark.parametrize(
    ("task", "values", "words"),
    [
        (CLASSES, ["delay", "refunds"], ["'refunds'", "row 1", "Did you mean 'refund'?"]),
        (CLASSES, [None, 3], ["3", "row 1"]),
        (CLASSES, [["delay"]], ["one class in a row", "row 0"]),
        (Task("y", kind="multilabel", classes=("a", "b")), ["a", "a|c"], ["'c'", "row 1"]),
        (REGRESSION, [1.0, np.nan, np.inf], ["finite", "inf", "row 2"]),
        (REGRESSION, ["1", "two"], ["'two'", "row 1"]),
        (REGRESSION, pd.to_datetime(["2020-01-01"]), ["2020-01-01", "row 0"]),
        (Task("y"), ["a"], ["resolve"]),
    ],
)
def test_wrong_labels_are_refused_with_their_row(task, values, words):
    with pytest.raises(DataError) as error:
        task.encode(column(values), "the test table")
    assert all(word in str(error.value) for word in words)
    assert "np." not in str(error.value)


@pytest.mark.parametrize("weights", [{"refunds": 2.0}, {"refund": -1.0}, {"refund": "2"}])
def test_wrong_class_weights_are_refused(weights):
    task = dataclasses.replace(CLASSES, class_weight=weights)
    with pytest.raises(DataError, match="class_weight of task 'y'"):
        task.class_weights(np.array([0, 1]))


def test_tasks_are_inferred_from_all_columns_beside_the_text():
    table = pd.DataFrame(
        {"a": ["x", "y"], "b": ["u", "v"], "stars": [0.5, 1.5], "tone": ["up", "down"]}
    )
    tasks = infer_tasks(table, "a", "b")
    assert [(t.name, t.kind) for t in tasks] == [
        ("stars", "regression"),
        ("tone", "classification"),
    ]
    with pytest.raises(DataError, match="label column"):
        infer_tasks(table[["a", "b"]], "a", "b")


def test_predictions_decode_and_export():
    tasks = [
        CLASSES,
        Task("tags", kind="multilabel", classes=("a", "b")),
        Task("stars", kind="regression"),
    ]
    scores = [
        np.array([[0.2, 0.8], [0.7, 0.3]]),
        np.array([[0.5, 0.9], [0.1, 0.2]]),
        np.array([1.5, 2.0]),
    ]
    predictions = Predictions({t.name: Prediction(t, s) for t, s in zip(tasks, scores)})
    assert predictions["y"].labels.tolist() == ["delay", "refund"]
    assert predictions["tags"].labels.tolist() == [("a", "b"), ()]
    assert predictions["stars"].probabilities is None
    table = predictions.to_frame()
    assert list(table.columns) == ["y", "y:refund", "y:delay", "tags", "tags:a", "tags:b", "stars"]
    assert table["y:delay"].tolist() == [0.8, 0.3]
    assert table["stars"].tolist() == [1.5, 2.0]


def test_classes_that_are_numbers_and_text_at_once_are_refused():
    with pytest.raises(DataError, match="must be all text or all numbers"):
        Task("x").resolve(pd.DataFrame({"x": pd.Series([1, "1", 2, "two"], dtype=object)}))


def test_a_class_weight_of_0_takes_its_rows_out_of_the_loss():
    task = Task("x", kind="classification", classes=("a", "b"), class_weight={"a": 0})
    _, w = encode_labels([task], pd.DataFrame({"x": ["a", "b", "a", None]}))
    assert w["x"].tolist() == [0, 1, 0, 0]
