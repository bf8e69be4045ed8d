"""Baselines without an encoder, against scikit-learn and by hand."""

import numpy as np
import pandas as pd
import pytest
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression, Ridge
from threadpoolctl import threadpool_info, threadpool_limits

from tests.experiments import make_table
from tf_transfer.errors import DataError
from tf_transfer.kinds.tasks import Task
from tf_transfer.strategies import Majority, TfIdf

pytestmark = pytest.mark.filterwarnings(
    "ignore::tf_transfer.evaluation.metrics.UndefinedMetricWarning", "error:Label"
)

STARS, MOOD = (
    Task("stars", kind="regression"),
    Task("mood", kind="classification", classes=("angry", "glad", "sad")),
)
SOURCE, SUPPORT, TEST = make_table(14, seed=1), make_table(8, seed=2), make_table(10, seed=3)


class Model:
    """The part of `TransferModel` that these strategies read."""

    def __init__(self, tasks, text_pair=None):
        self.tasks, self.options = tasks, {"text": "text", "text_pair": text_pair}

    def resolve(self, table):
        self.tasks = [task.resolve(table) for task in self.tasks]


def learn(strategy, tasks=(STARS, MOOD), support=SUPPORT, source=SOURCE, text_pair=None):
    fitted = strategy.fit(Model(list(tasks), text_pair), source, seed=0)
    return strategy.adapt(fitted, support, seed=0)


def words(texts, **options):
    counted = TfidfVectorizer(
        ngram_range=(1, 2), sublinear_tf=True, token_pattern=r"(?u)\b\w+\b|[^\w\s]+", **options
    )
    return counted, counted.fit_transform(texts)


@pytest.mark.parametrize(("strategy", "tables"), [
    (TfIdf(penalty=0.5), [SOURCE, SUPPORT]), (TfIdf(penalty=0.5, uses_source=False), [SUPPORT]),
])  # fmt: skip
def test_tfidf_is_ridge_and_logistic_regression_on_word_counts(strategy, tables):
    table = pd.concat(tables)
    counted, x = words(table["text"])
    predicted = learn(strategy).predict(TEST)
    ridge = Ridge(alpha=0.5).fit(x, table["stars"])
    np.testing.assert_allclose(
        predicted["stars"].scores, ridge.predict(counted.transform(TEST["text"])), rtol=1e-12
    )
    logistic = LogisticRegression(C=2, max_iter=1000).fit(x, table["mood"])
    expected = np.insert(logistic.predict_proba(counted.transform(TEST["text"])), 0, 0, axis=1)
    np.testing.assert_allclose(predicted["mood"].scores, expected, rtol=1e-9)
    assert list(predicted["mood"].labels) == list(logistic.predict(counted.transform(TEST["text"])))


def test_linear_models_use_one_thread(monkeypatch):
    """With more, the last digits depended on how many processes share the cores."""
    threads, original = [], Ridge.fit

    def fit(ridge, x, y):
        threads.extend(pool["num_threads"] for pool in threadpool_info())
        return original(ridge, x, y)

    monkeypatch.setattr(Ridge, "fit", fit)
    with threadpool_limits(4):
        learn(TfIdf(), [STARS])
    assert threads and set(threads) == {1}


def test_stop_words_are_left_out():
    support = SUPPORT.assign(text="the " + SUPPORT["text"])
    with_stop_words, without = (
        learn(TfIdf(uses_source=False, stop_words=stop), support=support) for stop in (False, True)
    )
    plain = learn(TfIdf(uses_source=False))
    np.testing.assert_array_equal(
        without.predict(TEST)["stars"].scores, plain.predict(TEST)["stars"].scores
    )
    assert not np.array_equal(
        with_stop_words.predict(TEST)["stars"].scores, plain.predict(TEST)["stars"].scores
    )


def test_class_weights_count():
    weighted = Task(
        "mood", kind="classification", classes=("glad", "sad"), class_weight={"sad": 5.0}
    )
    counted, x = words(SUPPORT["text"])
    logistic = LogisticRegression(max_iter=1000, class_weight={"glad": 1, "sad": 5}).fit(
        x, SUPPORT["mood"]
    )
    found = learn(TfIdf(uses_source=False), [weighted]).predict(TEST)["mood"].scores
    np.testing.assert_allclose(
        found, logistic.predict_proba(counted.transform(TEST["text"])), rtol=1e-9
    )


def test_majority_gives_shares_and_the_mean_of_the_target():
    predicted = learn(Majority()).predict(TEST)
    shares = [(SUPPORT["mood"] == c).mean() for c in MOOD.classes]
    np.testing.assert_allclose(predicted["mood"].scores, np.tile(shares, (10, 1)), rtol=1e-12)
    np.testing.assert_allclose(
        predicted["stars"].scores, np.full(10, SUPPORT["stars"].mean()), rtol=1e-12
    )


def test_majority_has_no_use_for_a_source():
    assert not Majority.uses_source
    one, other = (learn(Majority(), source=s).predict(TEST)["stars"].scores for s in (SOURCE, None))
    np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("strategy", [TfIdf(), TfIdf(uses_source=False), Majority()])
class TestBoth:
    def test_one_class_in_the_labels_is_certain(self, strategy):
        glad = SUPPORT.assign(mood="glad")
        scores = (
            learn(strategy, support=glad, source=SOURCE.assign(mood="glad"))
            .predict(TEST)["mood"]
            .scores
        )
        np.testing.assert_array_equal(scores, np.tile([0.0, 1.0, 0.0], (10, 1)))

    @pytest.mark.parametrize("classes", [("a",), ("a", "b"), ("a", "b", "c")])
    def test_multilabel_scores_have_a_column_a_class(self, strategy, classes):
        """Class a is in some rows, b in all, c in none."""
        task = Task("topics", kind="multilabel", classes=classes)
        rows = [[c for c in classes if c == "b" or (c == "a" and i % 2)] for i in range(8)]
        table = SUPPORT.assign(topics=rows)
        scores = learn(strategy, [task], support=table, source=table).predict(TEST)["topics"].scores
        assert scores.shape == (10, len(classes))
        assert (scores[:, 0] > 0).all() and (scores[:, 0] < 1).all()
        np.testing.assert_array_equal(
            scores[:, 1:], np.tile([1.0, 0.0][: len(classes) - 1], (10, 1))
        )

    def test_rows_without_a_label_do_not_count(self, strategy):
        gaps = pd.concat(
            [SUPPORT, make_table(5, seed=9).assign(stars=np.nan, mood=None)], ignore_index=True
        )
        ours, theirs = (learn(strategy, support=s).predict(TEST) for s in (gaps, SUPPORT))
        for name in ("stars", "mood"):
            np.testing.assert_array_equal(ours[name].scores, theirs[name].scores)

    def test_a_task_without_a_label_is_left_out(self, strategy):
        bare = [table.drop(columns="stars") for table in (SUPPORT, SOURCE)]
        learnt = learn(strategy, support=bare[0], source=bare[1])
        assert set(learnt.predict(TEST)) == {"mood"}
        assert set(learnt.evaluate({"test": TEST})["test"]) == {"mood"}

    def test_open_tasks_are_read_from_the_labels(self, strategy):
        learnt = learn(strategy, [Task("stars", kind="regression"), Task("mood")])
        assert learnt.tasks[1] == Task("mood", kind="classification", classes=("glad", "sad"))

    def test_fitting_another_target_leaves_the_first_alone(self, strategy):
        fitted = strategy.fit(Model([STARS]), SOURCE)
        first = strategy.adapt(fitted, SUPPORT)
        before = first.predict(TEST)["stars"].scores
        strategy.adapt(fitted, make_table(8, seed=7))
        np.testing.assert_array_equal(first.predict(TEST)["stars"].scores, before)

    def test_evaluation_is_of_the_predictions(self, strategy):
        learnt = learn(strategy)
        found = learnt.evaluate({"test": TEST})
        error = np.abs(learnt.predict(TEST)["stars"].scores - TEST["stars"]).mean()
        assert found["test", "stars", "mae"] == pytest.approx(error, rel=1e-12)

    def test_both_texts_of_a_pair_count(self, strategy):
        pairs = SUPPORT.assign(text="same", text_pair=SUPPORT["text"])
        model = learn(strategy, support=pairs, source=pairs, text_pair="text_pair")
        scores = model.predict(TEST.assign(text="same", text_pair=TEST["text"]))["stars"].scores
        assert (np.ptp(scores) > 0.1) == isinstance(strategy, TfIdf)

    def test_a_table_without_text_is_refused(self, strategy):
        with pytest.raises(DataError, match="must have a column 'text'"):
            learn(strategy).predict(TEST.rename(columns={"text": "txt"}))


def test_tfidf_needs_a_source_if_it_is_to_use_one():
    with pytest.raises(DataError, match="Source 'source' must be a table with rows"):
        TfIdf().fit(Model([STARS]), None)
    with pytest.raises(DataError, match="learns from source tables"):
        TfIdf().fit(Model([STARS]), {})


def test_several_sources_are_joined():
    halves = {"a": SOURCE[:7], "b": SOURCE[7:]}
    one, other = (learn(TfIdf(), source=s).predict(TEST)["stars"].scores for s in (halves, SOURCE))
    np.testing.assert_allclose(one, other, rtol=1e-12)
