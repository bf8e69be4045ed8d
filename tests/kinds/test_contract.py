"""Every kind of task goes the whole way: labels, metrics, a head, a comparison, a report, a search,
an estimator.
"""

import dataclasses

import numpy as np
import pytest

from tests import tiny
from tests.kinds import contract
from tf_transfer.errors import DataError
from tf_transfer.kinds import KINDS, METRICS, infer_kind, kind_of, kinds_where, register
from tf_transfer.kinds.classification import Classification
from tf_transfer.kinds.labels import encode_labels
from tf_transfer.kinds.tasks import Task
from tf_transfer.measures.metric import Metric
from tf_transfer.model.model import TransferModel
from tf_transfer.scikit_learn.estimators import TransferClassifier, TransferRegressor
from tf_transfer.strategies import LinearProbe, TfIdf
from tf_transfer.strategies.solve_heads import solve_heads

ESTIMATORS = {"classification": TransferClassifier, "regression": TransferRegressor}


@pytest.fixture(params=KINDS)
def kind(request):
    return request.param


@pytest.fixture
def label(kind):
    return contract.SAMPLES[kind]


def test_every_kind_has_sample_labels():
    assert set(contract.SAMPLES) == set(KINDS)


def test_labels(kind, label):
    contract.check_labels(kind, label)


def test_the_kind_is_inferred_from_its_labels(kind, label):
    assert infer_kind(contract.make_table(label, 100, seed=0)["tone"]) == kind


def test_metrics(kind, label):
    contract.check_metrics(kind, label)


def test_a_head_learns_and_answers(kind, label):
    model = TransferModel(tiny.make_encoder(), Task("tone", kind=kind), max_length=16)
    contract.check_model(kind, label, model)


def test_a_comparison(kind, label, encoder_folder, tmp_path):
    contract.check_run(kind, label, encoder_folder, tmp_path / "run")


@pytest.mark.slow
def test_a_search(kind, label, encoder_folder, tmp_path):
    contract.check_search(kind, label, encoder_folder, tmp_path / "search")


def test_an_estimator(kind, label):
    if kind not in ESTIMATORS:
        pytest.skip("scikit-learn's conventions have one label a row")
    table = contract.make_table(label, 21, seed=0).dropna()
    estimator = ESTIMATORS[kind](strategy="tfidf").fit(table["text"], table["tone"].to_numpy())
    assert len(estimator.predict(table["text"])) == len(table)


# -- the table of kinds ----------------------------------------------------------------------------


def test_metrics_of_one_name_mean_the_same():
    for kind in KINDS.values():
        for metric in kind.metrics:
            one = METRICS[metric.name]
            assert (one.written, one.higher, one.range) == (
                metric.written,
                metric.higher,
                metric.range,
            )


def test_a_second_kind_of_a_name_is_refused():
    with pytest.raises(DataError, match="name of its own"):
        register(Classification())


def test_a_metric_that_means_something_else_under_a_known_name_is_refused():
    class Other(Classification):
        name = "other"
        metrics = (
            dataclasses.replace(Classification.metrics[0], higher=False),
            *Classification.metrics[1:],
        )

    with pytest.raises(DataError, match="mean the same"):
        register(Other())
    assert "other" not in KINDS


def test_kinds_are_chosen_by_what_they_are():
    assert kinds_where(one_class=True) == ["classification"]
    assert kinds_where(has_classes=True) == ["classification", "multilabel", "tagging"]
    assert kinds_where(episodes=None) == ["multilabel"]


def test_an_unknown_metric_names_those_of_the_kind():
    with pytest.raises(DataError, match=r"metric of a regression[\s\S]*pearson"):
        KINDS["regression"].metric("f1_macro")


def test_a_regression_whose_labels_are_all_0_counts_as_taught():
    task = Task("stars", kind="regression")
    assert KINDS["regression"].taught(task, np.zeros(3)).tolist() == [True]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"name": "auto"}, "name of its own"),
        ({"metrics": (*Classification.metrics, Classification.metrics[0])}, "one metric of a name"),
        ({"primary": "pearson"}, "metric of a new"),
        ({"row_metric": "f1_macro"}, "mean over rows"),
    ],
)
def test_a_kind_that_cannot_work_is_refused(changes, message):
    new = type("New", (Classification,), {"name": "new"} | changes)
    with pytest.raises(DataError, match=message):
        register(new())
    assert "new" not in KINDS


@pytest.mark.parametrize(
    "parts",
    [{}, {"columns": len}, {"finish": len}, {"columns": len, "finish": len, "ordered": len}],
)
def test_a_metric_has_columns_or_needs_the_rows_in_order(parts):
    with pytest.raises(ValueError, match="columns and finish, or ordered"):
        Metric("new", **parts)


def test_resamples_that_are_in_doubt_need_a_direct_answer():
    with pytest.raises(ValueError, match="direct"):
        Metric("new", len, len, doubtful=len)


def test_no_class_weight_weighs_nothing(kind, label):
    table = contract.make_table(label, 21, seed=0)
    task = dataclasses.replace(contract.make_task(kind, label), class_weight={})
    _, weights = encode_labels([task], table)
    assert set(weights["tone"]) == {0.0, 1.0}


def test_an_open_task_has_as_many_outputs_as_classes():
    assert (Task("tone").outputs, Task("tone", classes=("a", "b")).outputs) == (0, 2)
    with pytest.raises(DataError, match="no kind yet"):
        kind_of(Task("tone"))


def test_a_regression_with_classes_hears_that_it_has_none():
    with pytest.raises(DataError, match="regression and has no classes"):
        Task("tone", kind="regression", classes=("a", "a"))


@pytest.fixture
def unsolvable(monkeypatch):
    """Classifications as a kind whose heads nothing but training can set."""
    monkeypatch.setattr(Classification, "link", None)
    monkeypatch.setattr(Classification, "linear_model", lambda *_: None)
    return TransferModel(
        tiny.make_encoder(),
        contract.make_task("classification", contract.SAMPLES["classification"]),
    )


def test_heads_that_cannot_be_solved_are_left_alone_and_refused(unsolvable):
    table = contract.make_table(contract.SAMPLES["classification"], 21, seed=0)
    before = tiny.snapshot(unsolvable)
    assert solve_heads(unsolvable, table) == {} and tiny.same(before, tiny.snapshot(unsolvable))
    with pytest.raises(DataError, match="do not have"):
        LinearProbe().fit(unsolvable, table)
    words = TfIdf(uses_source=False)
    with pytest.raises(DataError, match="no model for tasks of kind"):
        words.adapt(words.fit(unsolvable), table)
