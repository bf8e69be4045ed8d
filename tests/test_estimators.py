"""scikit-learn's checks, its tools around the estimators, and what the estimators train."""

import copy
import dataclasses
import inspect
import itertools

import joblib
import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
import sklearn.utils.estimator_checks as checks
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer

from tests import scikit_learn_checks, tiny
from tf_transfer.devices.backend import tf
from tf_transfer.errors import DataError
from tf_transfer.kinds.tasks import Task
from tf_transfer.model.model import TransferModel
from tf_transfer.scikit_learn.estimators import (
    TransferClassifier,
    TransferRegressor,
    TransferTagger,
)
from tf_transfer.strategies import FineTune, LinearProbe, TargetOnly, TfIdf

TABLE = tiny.make_table(24)
TEXTS, MOODS, STARS = TABLE["text"].tolist(), TABLE["mood"].to_numpy(), TABLE["stars"].to_numpy()


@pytest.fixture(scope="module")
def encoder():
    return tiny.make_encoder()


@pytest.fixture(scope="module")
def probe(encoder):
    """A fitted classifier with an encoder; read-only."""
    return TransferClassifier(encoder, strategy="linear_probe").fit(TEXTS, MOODS)


def tfidf(**options):
    return TransferClassifier(strategy="tfidf", **options)


# -- scikit-learn's own checks ---------------------------------------------------------------------


@checks.parametrize_with_checks(scikit_learn_checks.estimators("tfidf"))
def test_scikit_learn_checks(estimator, check):
    check(estimator)


WITHOUT_INPUT = (
    "check_estimator_cloneable",
    "check_estimator_tags_renamed",
    "check_valid_tag_types",
    "check_estimator_repr",
    "check_no_attributes_set_in_init",
    "check_do_not_raise_errors_in_init_or_set_params",
    "check_mixin_order",
    "check_parameters_default_constructible",
    "check_get_params_invariance",
    "check_set_params",
)


@pytest.mark.parametrize("name", WITHOUT_INPUT)
@pytest.mark.parametrize("kind", [TransferClassifier, TransferRegressor])
def test_checks_that_need_no_input(kind, name):
    if not hasattr(checks, name):
        pytest.skip(f"this scikit-learn has no {name}")
    getattr(checks, name)(kind.__name__, kind())


@pytest.mark.slow
@pytest.mark.skipif(
    "legacy" not in inspect.signature(checks.check_estimator).parameters,
    reason="scikit-learn < 1.6",
)
def test_all_checks_with_an_encoder():
    found = scikit_learn_checks.count(
        scikit_learn_checks.estimators("linear_probe")[0], scikit_learn_checks.EXPECTED_TO_FAIL
    )
    expected = found.get("xfail", [])
    assert "failed" not in found and len(found["passed"]) + len(expected) >= 49
    assert set(expected) <= set(scikit_learn_checks.EXPECTED_TO_FAIL)


def test_tags_say_texts():
    pytest.importorskip("sklearn", "1.6")
    from sklearn.utils import get_tags

    tags = get_tags(TransferClassifier())
    assert (
        tags.input_tags.string
        and not tags.input_tags.two_d_array
        and tags.estimator_type == "classifier"
    )
    assert get_tags(TransferRegressor()).estimator_type == "regressor"


# -- scikit-learn's tools --------------------------------------------------------------------------


@pytest.mark.slow
def test_pipelines_and_cross_validation(encoder):
    pipeline = make_pipeline(
        FunctionTransformer(lambda texts: [t.replace("so", "") for t in texts]), tfidf()
    )
    assert cross_val_score(pipeline, TEXTS, MOODS, cv=3).mean() == 1
    assert cross_val_score(TransferRegressor(strategy="tfidf"), TEXTS, STARS, cv=3).mean() > 0.7
    scores = cross_val_score(
        TransferClassifier(encoder, strategy=LinearProbe(uses_source=False)), TEXTS, MOODS, cv=2
    )
    assert scores.mean() > 0.8


def test_grid_search_over_strategies(encoder):
    grid = {"strategy": [TfIdf(penalty=1e6), TfIdf(penalty=0.1), "majority"]}
    search = GridSearchCV(tfidf(), grid, cv=2, scoring="neg_log_loss").fit(np.array(TEXTS), MOODS)
    assert search.best_params_ == {"strategy": TfIdf(penalty=0.1)}
    assert (search.predict(TEXTS) == MOODS).all()


def test_a_clone_has_an_encoder_of_its_own_with_the_same_weights(encoder):
    cloned = clone(TransferClassifier(encoder, freeze="all"))
    assert cloned.freeze == "all" and cloned.encoder is not encoder
    for own, given in zip(cloned.encoder.state, encoder.state, strict=True):
        assert own is not given and np.array_equal(own, given)


@pytest.mark.slow
def test_a_fitted_estimator_survives_a_file(probe, tmp_path):
    joblib.dump(probe, tmp_path / "probe.joblib")
    read = joblib.load(tmp_path / "probe.joblib")
    assert np.array_equal(read.predict_proba(TEXTS), probe.predict_proba(TEXTS))
    assert np.array_equal(copy.deepcopy(probe).predict_proba(TEXTS), probe.predict_proba(TEXTS))


# -- what is trained -------------------------------------------------------------------------------


def test_it_is_the_strategy_on_the_model(encoder, probe):
    model = TransferModel(copy.deepcopy(encoder), Task("mood", classes=tiny.MOODS))
    expected = LinearProbe(uses_source=False).adapt(model, TABLE).predict(TABLE, verbose=0)["mood"]
    np.testing.assert_allclose(probe.predict_proba(TEXTS), expected.scores, atol=1e-6)
    assert probe.classes_.tolist() == sorted(tiny.MOODS)
    assert probe.score(TEXTS, MOODS) == (expected.labels == MOODS).mean() > 0.9


@pytest.mark.slow
def test_fit_leaves_the_encoder_and_repeats_itself(encoder):
    before = [v.numpy() for v in encoder.state]
    options = {"epochs": 2, "batch_size": 8, "freeze": "embeddings", "random_state": 3}
    made = [TransferRegressor(encoder, **options).fit(TEXTS, STARS) for _ in range(2)]
    assert (
        all(np.array_equal(a, b) for a, b in zip(before, encoder.state))
        and encoder.frozen == "none"
    )
    assert np.array_equal(made[0].predict(TEXTS), made[1].predict(TEXTS))
    assert int(made[0].model_.optimizer.iterations) == 2 * 3


def test_source_data_counts_and_its_classes_stay_outside():
    few, moods = ["still lake", "cold rain"], ["calm", "sad"]
    sources = {"a": (TEXTS, MOODS), "b": pd.DataFrame({"text": ["zing zang"], "label": ["odd"]})}
    with_sources = tfidf(sources=sources).fit(few, moods)
    assert with_sources.classes_.tolist() == ["calm", "sad"]
    scores = with_sources.predict_proba(["dawn", "again", "zing zang drum"])
    assert scores.shape == (3, 2) and np.allclose(scores.sum(1), 1)
    assert with_sources.predict(["dawn", "again"]).tolist() == ["calm", "sad"]
    # words that the target never saw
    assert np.allclose(*tfidf().fit(few, moods).predict_proba(["dawn", "again"]))


def test_a_strategy_starts_from_the_sources(encoder):
    few = TABLE.iloc[:6]
    fitted = TransferClassifier(encoder, strategy=LinearProbe(), sources=[(TEXTS, MOODS)])
    fitted.fit(few["text"], few["mood"])
    model = TransferModel(copy.deepcopy(encoder), Task("mood", classes=tiny.MOODS))
    probe = LinearProbe()
    expected = probe.adapt(probe.fit(model, TABLE), few).predict(TABLE, verbose=0)["mood"]
    columns = [tiny.MOODS.index(c) for c in fitted.classes_]
    scores = expected.scores[:, columns] / expected.scores[:, columns].sum(1, keepdims=True)
    np.testing.assert_allclose(fitted.predict_proba(TEXTS), scores, atol=1e-5)


def test_the_strategy_follows_from_the_sources():
    assert TransferClassifier(sources=(TEXTS, MOODS))._make_strategy(6) == FineTune()
    assert TransferClassifier()._make_strategy(6) == TargetOnly()


@pytest.mark.parametrize(
    "X",
    [
        np.array(TEXTS),
        pd.Series(TEXTS, index=range(5, 29)),
        pd.DataFrame({"any": TEXTS}),
        np.array(TEXTS)[:, None],
    ],
)
def test_forms_of_texts(probe, X):
    assert np.array_equal(probe.predict(X), probe.predict(TEXTS))


FORMS = {
    "arrow strings": lambda values: pd.Series(values).array,
    "arrow": pa.array,
    "a tensor": tf.constant,
    "an iterator": iter,
    "map": lambda values: map(str, values),
}


@pytest.mark.parametrize("form", FORMS)
def test_whatever_is_like_a_list_is_read_as_one(form):
    made, labels = FORMS[form], MOODS.tolist()
    plain = tfidf(sources=(TEXTS, labels)).fit(TEXTS, labels)
    fitted = tfidf(sources=(made(TEXTS), made(labels))).fit(made(TEXTS), made(labels))
    assert np.array_equal(fitted.predict_proba(made(TEXTS)), plain.predict_proba(TEXTS))
    assert fitted.classes_.tolist() == plain.classes_.tolist()


@pytest.mark.parametrize(
    "labels", [[True, False] * 12, np.array([5.0, 7.0] * 12), [10**9, -3] * 12]
)
def test_labels_of_any_type_come_back(labels):
    fitted = tfidf().fit(TEXTS, labels)
    assert fitted.classes_.tolist() == sorted(set(np.array(labels).tolist()))
    assert fitted.predict(TEXTS).dtype == np.array(labels).dtype


def test_class_weights_pull_towards_a_class():
    plain, pulled = tfidf().fit(TEXTS, MOODS), tfidf(class_weight={"sad": 50.0}).fit(TEXTS, MOODS)
    sad = list(plain.classes_).index("sad")
    assert pulled.predict_proba(["what"])[0, sad] > plain.predict_proba(["what"])[0, sad] + 0.1


@pytest.mark.parametrize(("rows", "size", "steps"), [(24, 8, 9), (1000, 16, 48), (5, 16, 3)])
def test_epochs_are_passes(rows, size, steps):
    strategy = TransferClassifier(epochs=3, batch_size=size, learning_rate=1e-3)._make_strategy(
        rows
    )
    assert dataclasses.asdict(strategy) == dataclasses.asdict(
        TargetOnly(adapt_steps=steps, adapt_batch_size=size, adapt_learning_rate=1e-3)
    )
    assert strategy.adapt_passes(rows) == 3


# -- bad input -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "X", "y", "message"),
    [
        ({}, TEXTS, None, "requires y to be passed"),
        ({}, TEXTS, ["one"] * 24, "one class only"),
        ({}, TEXTS[:5], MOODS, "Received 5 texts and 24 labels"),
        ({}, np.ones((24, 3)), MOODS, "Received rows of 3"),
        ({}, [1.0] * 24, MOODS, "float 1.0 in row 0"),
        ({}, [*TEXTS[:23], None], MOODS, "NoneType None in row 23"),
        ({}, TABLE, MOODS, "Received a frame of 4"),
        ({}, "one text", MOODS, "Give a list"),
        ({}, set(TEXTS), MOODS, "in order, row by row"),
        ({}, [["good", "film"]] * 24, MOODS, "Received rows of 2"),
        ({}, [["good", "film"], ["bad"]] * 12, MOODS, "must hold a text in each row"),
        ({}, TEXTS, set(MOODS), "y must be in order"),
        ({}, TEXTS, "calm", "y must have a value for each row"),
        ({"class_weight": {"happy": 2}}, TEXTS, MOODS, "Received 'happy'"),
        ({"strategy": "tfdif"}, TEXTS, MOODS, "Did you mean 'tfidf'"),
        ({"strategy": 3}, TEXTS, MOODS, "must be a Strategy"),
        ({"strategy": "maml"}, TEXTS, MOODS, "learns from source data"),
        ({"strategy": "fine_tune"}, TEXTS, MOODS, "sources=None"),
        ({"sources": [TEXTS]}, TEXTS, MOODS, "pair"),
        ({"sources": (TEXTS, MOODS[:3])}, TEXTS, MOODS, "source 'source 1'"),
        ({"sources": pd.DataFrame({"txt": TEXTS})}, TEXTS, MOODS, "must have a column 'text'"),
        ({"epochs": 3}, TEXTS, MOODS, "are for strategies that fine-tune"),
        ({"strategy": "target_only", "epochs": 0.5}, TEXTS, MOODS, "epochs must be a whole number"),
    ],
)
def test_bad_input(options, X, y, message):
    with pytest.raises(DataError, match=message):
        TransferClassifier(**({"strategy": "tfidf"} | options)).fit(X, y)


def test_unfitted():
    with pytest.raises(NotFittedError):
        TransferClassifier().predict(TEXTS)


# -- spans -----------------------------------------------------------------------------------------

NAMED = {"sun": "weather", "fog": "weather", "song": "art"}


def spans_in(text: str) -> list[tuple]:
    """The spans of the words of `NAMED`."""
    starts = {word: text.index(word) for word in NAMED if word in text.split()}
    return sorted((at, at + len(word), NAMED[word]) for word, at in starts.items())


PLACED = [" ".join(words) for words in itertools.permutations(["sun", "a", "song", "fog"], 3)]
PLACED_SPANS = [spans_in(text) for text in PLACED]


@pytest.fixture(scope="module")
def tagger():
    """A fitted tagger; read-only."""
    encoder = tiny.make_encoder(texts=tuple(PLACED))
    return TransferTagger(encoder, strategy="linear_probe", max_length=12).fit(PLACED, PLACED_SPANS)


def test_a_tagger_answers_with_spans(tagger):
    assert tagger.classes_.tolist() == ["art", "weather"]
    said = tagger.predict(PLACED)
    triples = [[tuple(span.values()) for span in spans] for spans in said]
    assert list(said[0][0]) == ["start", "end", "label"]
    right = sum(len({*a} & {*b}) for a, b in zip(triples, PLACED_SPANS, strict=True))
    counts = [sum(map(len, cells)) for cells in (triples, PLACED_SPANS)]
    score = tagger.score(PLACED, PLACED_SPANS)
    assert score == pytest.approx(2 * right / sum(counts)) and score > 0.9


def test_types_that_a_tagger_does_not_know_are_missed(tagger):
    said = tagger.predict(PLACED)
    other = [[(*span[:2], "other") for span in spans] for spans in PLACED_SPANS]
    assert tagger.score(PLACED, other) == 0
    assert np.isnan(tagger.score(["a"], [[]])) == (tagger.predict(["a"]) == [[]])
    halves = [spans if row % 2 else more for row, (spans, more) in enumerate(zip(said, other))]
    right = sum(map(len, said[1::2]))
    expected = 2 * right / (sum(map(len, said)) + sum(map(len, halves)))
    assert tagger.score(PLACED, halves) == pytest.approx(expected)


def test_a_tagger_is_an_estimator_of_scikit_learn(tagger):
    assert clone(tagger).get_params()["strategy"] == "linear_probe"
    scores = cross_val_score(clone(tagger), PLACED, PLACED_SPANS, cv=2)
    assert scores.shape == (2,) and scores.min() > 0.3


def test_a_tagger_learns_from_sources_with_other_types(tagger):
    sources = (["a moon", "moon a"], [[(2, 6, "planet")], [(0, 4, "planet")]])
    fitted = TransferTagger(
        tagger.encoder, strategy="linear_probe", max_length=12, sources=sources
    ).fit(PLACED, PLACED_SPANS)
    assert fitted.model_.tasks[0].classes == ("art", "weather", "planet")
    assert fitted.classes_.tolist() == ["art", "weather"]


@pytest.mark.parametrize(
    ("y", "message"),
    [
        ([[]] * len(PLACED), "needs rows with spans"),
        (PLACED_SPANS[:-1], "23 labels"),
        ([*PLACED_SPANS[:-1], [(4, 2, "art")]], "row 23 of y"),
        ([*PLACED_SPANS[:-1], None], "Spans are a list[\\s\\S]*row 23 of y"),
    ],
)
def test_labels_that_are_no_spans_are_told(tagger, y, message):
    with pytest.raises(DataError, match=message):
        clone(tagger).fit(PLACED, y)


def test_a_tagger_refuses_a_strategy_of_whole_texts():
    with pytest.raises(DataError, match="tagging"):
        TransferTagger(strategy="tfidf").fit(PLACED, PLACED_SPANS)
