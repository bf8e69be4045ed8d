"""Labels as people and programs write them: look-alikes, missing ones, lists as text, decimal
commas.
"""

import datetime
import json
import warnings

import numpy as np
import pandas as pd
import pytest

from tf_transfer.errors import DataError, LabelWarning, speaking
from tf_transfer.experiments.prepared import plain_task
from tf_transfer.kinds import infer_kind
from tf_transfer.kinds.label_columns import labels_of
from tf_transfer.kinds.tasks import Task, describe
from tf_transfer.model.checkpoints import _task_from_json, _task_to_json


def column(values, dtype=object):
    return pd.DataFrame({"y": pd.Series(values, dtype=dtype)})


def warned(values, **options) -> str:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        Task("y", **options).resolve(column(values))
    assert len(caught) <= 1
    return str(caught[0].message) if caught else ""


@pytest.mark.parametrize(
    ("values", "words"),
    [
        (["OK", "ok", "OK", "bad"], ["'OK' (2), 'ok' (1) look alike", "labels={'ok': 'OK'}"]),
        (
            ["very good", "very  good", "verygood", "bad"],
            ["'very good' (1), 'very  good' (1), 'verygood' (1)"],
        ),
        ([" pos", "pos", "neg"], ["' pos' (1): blanks around a label do not count"]),
        (["caf\u00e9", "cafe\u0301", "x"], ["look alike"]),
        (["a\u00a0b", "a b", "a\u200bb"], ["look alike"]),
        (["ﬁne", "fine", "Ｆine"], ["look alike"]),
        (["Straße", "STRASSE"], ["look alike"]),
        (["007", "7", "12"], ["'007' (1), '7' (1) look alike"]),
        (["3", "3.0", "4"], ["'3' (1), '3.0' (1)"]),
        (
            ["n/a", "yes", "no"],
            ["'n/a' (1) may mean that there is no label", "labels={'n/a': None}"],
        ),
        (["None", "yes", "-"], ["'None' (1) may mean", "'-' (1) may mean"]),
        ([0, 1, -100, -100], ["-100 (2) may mean that there is no label"]),
        ([["OK", "a"], ["ok"]], ["'OK' (1), 'ok' (1) look alike"]),
        ([f"c{i}" for i in range(40)] + [f"C{i}" for i in range(40)], ["and 30 more"]),
    ],
)
def test_labels_that_look_alike_or_missing_are_named_once_with_counts(values, words):
    message = warned(values)
    assert message.startswith("Labels of task 'y' in column 'y'")
    assert all(word in message for word in words), message


@pytest.mark.parametrize(
    "values",
    [
        ["pos", "neg"],
        [0, 1, -1],
        [1.0, None, 2.0],
        ["C", "C++"],
        [0.5, 1.5],
        ["no", "none of them"],
        [True, False],
    ],
)
def test_labels_that_differ_give_no_warning(values):
    assert warned(values) == ""


def test_what_the_user_has_decided_gives_no_warning():
    assert warned(["OK", "ok", "n/a", "bad"], labels={"OK": "ok", "n/a": None}) == ""
    assert warned(["none", "joy"], labels={"none": "none"}) == ""
    assert warned(["OK", "ok"], classes=("OK", "ok")) == ""


def test_the_warning_names_labels_as_an_experiment_writes_them():
    with speaking("yaml"):
        assert 'labels: {"n/a": null}' in warned(["n/a", "a", "b"])


def test_labels_get_other_names_or_none():
    task = Task("y", labels={"OK": "ok", " n/a ": None}).resolve(
        column(["OK", "ok ", "n/a", "bad", None])
    )
    assert task.classes == ("bad", "ok")
    y, present = task.encode(column(["n/a", "OK", "bad", " OK"]))
    assert present.tolist() == [False, True, True, True] and y.tolist() == [0, 1, 0, 1]


def test_several_labels_get_other_names():
    table = column(["a|n/a", ["A", "b"], "n/a", "|", "['A', 'a']", []])
    task = Task("y", labels={"A": "a", "n/a": None}).resolve(table)
    assert (task.kind, task.classes) == ("multilabel", ("a", "b"))
    y, present = task.encode(table)
    np.testing.assert_array_equal(y, [[1, 0], [1, 1], [0, 0], [0, 0], [1, 0], [0, 0]])
    assert present.tolist() == [True, True, False, True, True, True]


def test_0_and_1_for_each_class_and_other_names():
    cells = column(
        [{"OK": 1, "ok": 0, "n/a": 1}, {"OK": 0, "ok": 0, "n/a": 1}, {"OK": 0, "ok": 1, "n/a": 0}]
    )
    task = Task("y", labels={"OK": "ok", "n/a": None}).resolve(cells)
    assert task.classes == ("ok",) and task.encode(cells)[0].tolist() == [[1], [0], [1]]
    rows = column([[0, 1, 0], [1, 1, 0], [0, 0, 0]])
    task = Task("y", labels={"n/a": None}).resolve(rows)
    assert task.encode(rows)[0].tolist() == rows["y"].tolist()
    assert describe(task, rows) == "y (multilabel): 3 classes with rows: 0 (1), 1 (2), 2 (0)"


def test_other_names_may_be_of_any_type_of_classes():
    task = Task("y", labels={"then": datetime.date(2020, 1, 31), "n/a": None})
    by_file = _task_from_json(json.loads(json.dumps(_task_to_json(task))))
    of_a_run = Task(**json.loads(json.dumps(plain_task(task))))
    assert by_file == of_a_run == task
    later = datetime.date(2021, 1, 31)
    assert by_file.resolve(column(["then", later, "n/a"])).classes == (
        datetime.date(2020, 1, 31),
        later,
    )
    gaps = Task("y", labels={5: None}).resolve(column([1, None, 2], float))
    assert [type(c) for c in gaps.classes] == [int, int]


def test_numbers_get_other_names():
    table = column([0, 1, -100, 2.0])
    task = Task("y", labels={-100: None, "2": "two", 0: "none", 1: "one"}).resolve(table)
    assert task.classes == ("none", "one", "two")
    assert task.encode(table)[1].tolist() == [True, True, False, True]
    numbers = Task("y", kind="regression", labels={"ten": 10, "n/a": None}).encode(
        column(["ten", "2.50", "n/a"])
    )
    assert numbers[0].tolist() == [10, 2.5, 0] and numbers[1].tolist() == [True, True, False]


@pytest.mark.parametrize("labels", [{"n/a": None, "2": 1, "x": True}, None])
def test_labels_survive_a_checkpoint(labels):
    task = Task("y", labels=labels)
    assert _task_from_json(_task_to_json(task)) == task


@pytest.mark.parametrize(
    "labels", [["a"], "a", {None: "a"}, {"a": ["b"]}, {"a": {"b": 1}}, {"a": float("nan")}]
)
def test_wrong_labels_of_a_task_are_refused(labels):
    with pytest.raises(DataError, match=r"labels of task|class must have a name"):
        Task("y", labels=labels)


@pytest.mark.parametrize("name", [None, float("nan"), ["a"], {"a": 1}, pd.NA, pd.NaT])
def test_classes_without_a_name_are_refused(name):
    with pytest.raises(DataError, match="must have a name"):
        Task("y", classes=("a", name))


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ([{"a": None}, {"b": 1}], ["row 0", "{'a': None}"]),
        ([["a", None], ["b"]], ["row 0", "None"]),
        ([["a"], ["b", float("nan")]], ["row 1", "nan"]),
        ([["a"], [["b"]]], ["row 1", "['b']"]),
        (["['a' 'b']", "['c']"], ["row 0", "commas", "['a' 'b']"]),
        (["['a', 'b'" + ", 'c'" * 4000 + "]", "['c']"], ["row 0", "10,000"]),
        (["3,5", "4", "4,25"], ["'3,5'", "decimal=','", "kind='classification'"]),
        (["1.1", "1.10", "2.5"], ["'1.1' and '1.10'", "kind='regression'"]),
        ([b"a", "b", 1], ["all text or all numbers"]),
    ],
)
def test_what_can_be_meant_in_two_ways_is_refused(values, words):
    with pytest.raises(DataError) as error:
        Task("y").resolve(column(values))
    assert all(word in str(error.value) for word in words), str(error.value)


def test_decimal_commas_are_named_in_a_regression():
    with pytest.raises(DataError, match="decimal=','"):
        Task("y", kind="regression").encode(column(["3,5"]))
    assert Task("y", kind="classification").resolve(column(["3,5", "4"])).classes == ("3,5", "4")


def test_numbers_beyond_float64_are_refused_as_labels_of_a_regression():
    with pytest.raises(DataError, match="must be finite numbers"):
        Task("y", kind="regression").encode(column([10**400, 1]))
    assert Task("y").resolve(column([10**400, 1])).kind == "regression"


@pytest.mark.parametrize(
    ("text", "labels"),
    [
        ("['a', 'b']", ["a", "b"]),
        ('["a|b", "c"]', ["a|b", "c"]),
        ("('a', \"b's\")", ["a", "b's"]),
        ("{'b', 'a'}", ["a", "b"]),
        ("[1, 2]", [1, 2]),
        ("[]", []),
        ("a | b", ["a", "b"]),
        ("|", []),
        ("[pos]", ["[pos]"]),
        ("(a)", ["(a)"]),
        ("[__import__('os')]", ["[__import__('os')]"]),
        ("[" * 5000 + "]" * 5000, ["[" * 5000 + "]" * 5000]),
    ],
)
def test_lists_that_are_written_as_text(text, labels):
    assert labels_of(text) == labels


@pytest.mark.parametrize(
    ("values", "kind"),
    [
        (["['a']", "[]", None], "multilabel"),
        (["[pos]", "[neg]"], "classification"),
        (["['a']", "plain"], "classification"),
        (["4.50", "3.25"], "regression"),
        (["4.00", "3.00"], "classification"),
        ([str(i) for i in range(100)], "classification"),
        ([*map(str, range(30)), "1e3"], "regression"),
        ([1.5, "2.50"], "regression"),
        (pd.Categorical([1.5, 2.5]), "classification"),
    ],
)
def test_kinds_of_texts(values, kind):
    assert infer_kind(pd.Series(values)) == kind


def test_nothing_nan_and_blank_are_all_no_label():
    table = column([None, "", np.nan, pd.NA, pd.NaT, "  ", "a", "b"])
    assert Task("y").resolve(table).encode(table)[1].tolist() == [False] * 6 + [True] * 2


def test_a_task_is_described_by_its_classes_and_rows():
    table = column(["a", "b", "a ", None, "n/a"])
    task = Task("y", labels={"n/a": None}).resolve(table)
    assert (
        describe(task, table)
        == "y (classification): 2 classes with rows: 'a' (2), 'b' (1); 2 rows without a label"
    )
    many = column([f"c{i:02}" for i in range(30)])
    assert describe(Task("y").resolve(many), many).endswith("'c19' (1) and 10 more")
    assert describe(Task("y", kind="regression"), column([1.5, None])) == (
        "y (regression): 1 row with a number; 1 row without a label"
    )
    with pytest.warns(LabelWarning):
        assert "'A' (1), 'a' (1)" in describe(Task("y").resolve(column(["a|A"])), column(["a|A"]))
