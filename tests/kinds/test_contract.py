"""Every kind of task goes the whole way: labels, metrics, a head, a comparison, a report, a search, an estimator."""

import numpy as np
import pytest

from tests import tiny
from tests.kinds import contract
from tf_transfer.errors import DataError
from tf_transfer.kinds import KINDS, METRICS, infer_kind, kinds_where, register
from tf_transfer.kinds.classification import Classification
from tf_transfer.kinds.tasks import Task
from tf_transfer.model.model import TransferModel
from tf_transfer.scikit_learn.estimators import TransferClassifier, TransferRegressor

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
            assert (one.written, one.higher, one.range) == (metric.written, metric.higher, metric.range)


def test_a_second_kind_of_a_name_is_refused():
    with pytest.raises(DataError, match="name of its own"):
        register(Classification())


def test_a_metric_that_means_something_else_under_a_known_name_is_refused():
    class Other(Classification):
        name = "other"
        metrics = tuple(
            type(m)(m.name, m.columns, m.finish, m.ordered, m.direct, higher=not m.higher)
            for m in Classification.metrics
        )

    with pytest.raises(DataError, match="mean the same"):
        register(Other())
    assert "other" not in KINDS


def test_kinds_are_chosen_by_what_they_are():
    assert kinds_where(one_class=True) == ["classification"]
    assert kinds_where(has_classes=True) == ["classification", "multilabel"]
    assert kinds_where(episodes=None) == ["multilabel"]


def test_an_unknown_metric_names_those_of_the_kind():
    with pytest.raises(DataError, match=r"metric of a regression[\s\S]*pearson"):
        KINDS["regression"].metric("f1_macro")


def test_a_regression_whose_labels_are_all_0_counts_as_taught():
    task = Task("stars", kind="regression")
    assert KINDS["regression"].taught(task, np.zeros(3)).tolist() == [True]
