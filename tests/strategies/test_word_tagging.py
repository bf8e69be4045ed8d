"""Baselines of tagging: a lexicon, and logistic regression on windows of words, by hand."""

import types

import numpy as np
import pandas as pd
import pytest
from sklearn.feature_extraction import DictVectorizer
from sklearn.linear_model import LogisticRegression

from tests.experiments import make_experiment
from tf_transfer.comparison.compare import compare
from tf_transfer.errors import DataError
from tf_transfer.kinds.spans import Spans
from tf_transfer.kinds.tasks import Task
from tf_transfer.kinds.words import word_places
from tf_transfer.strategies import Lexicon, WordWindows
from tf_transfer.strategies.word_tagging import LexiconTagger, WindowTagger, shape, window_features

TEXTS = ["we saw New York", "york is old", "New deal in york", "nothing at all"]
CELLS = [[(7, 15, 1)], [(0, 4, 1)], [(0, 3, 0), (12, 16, 0)], []]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("St. Ives", ["St", ".", "Ives"]),
        ("  well-known!", ["well", "-", "known", "!"]),
        ("Cafe\u0301 \u2764\ufe0fnow", ["Cafe\u0301", "\u2764\ufe0f", "now"]),
    ],
)
def test_words_of_a_text(text, words):
    assert [text[start:end] for start, end in word_places(text)] == words


def test_a_lexicon_finds_the_longest_entry_with_its_most_frequent_type():
    cells = [*CELLS, [(0, 4, 1)]]
    lexicon = LexiconTagger().fit([*TEXTS, "york"], Spans.of_rows(cells, 2))
    assert lexicon.entries_ == {("new", "york"): 1, ("york",): 1, ("new",): 0}
    said = lexicon.predict(["NEW YORK, new  york and a New Yorker of York", "none"])
    assert said[0].tolist() == [[0, 8, 1], [10, 19, 1], [26, 29, 0], [40, 44, 1]]
    assert said.lengths.tolist() == [4, 0] and said.types == 2


def test_an_empty_lexicon_finds_nothing():
    lexicon = LexiconTagger().fit(["a"], Spans.of_rows([[]], 3))
    assert lexicon.predict(["a", "b"]).lengths.tolist() == [0, 0]


@pytest.mark.parametrize(
    ("word", "expected"), [("Apollo", "Xx"), ("11", "d"), ("iPhone5s", "xXxdx"), ("USA", "X")]
)
def test_shapes(word, expected):
    assert shape(word) == expected


def test_features_of_a_window():
    features = list(window_features(["we saw Ada 2 times"]))
    assert features[2]["0 word"] == "Ada" and features[2]["0 shape"] == "Xx"
    assert features[2]["-2 lower"] == "we" and features[2]["2 suffix"] == "mes"
    assert features[2]["1 digit"] and features[2]["0 title"] and not features[2]["-1 title"]
    assert features[0]["first"] and not features[0]["last"] and features[4]["last"]
    assert not any(name.startswith("-") for name in features[0])
    assert not any(name.startswith("3") for name in features[0])


def test_windows_are_scikit_learns_logistic_regression_on_tags():
    """The tags by hand, and the most likely one where it is alone in its sequence."""
    tags = [0, 0, 3, 4, 3, 0, 0, 1, 0, 0, 1, 0, 0, 0]
    tagger = WindowTagger(0.1).fit(TEXTS, Spans.of_rows(CELLS, 2))
    x = DictVectorizer().fit_transform(window_features(TEXTS))
    expected = LogisticRegression(C=10, max_iter=1000).fit(x, tags)
    np.testing.assert_allclose(tagger.model_.coef_, expected.coef_, atol=1e-6)
    assert [row.tolist() for row in tagger.predict(TEXTS)] == [
        [list(span) for span in cell] for cell in CELLS
    ]


def test_windows_know_class_weights():
    weighted = Task("names", kind="tagging", classes=("a", "b"), class_weight={"O": 0.1})
    y = Spans.of_rows(CELLS, 2)
    factors = np.array([0.1, 1, 1, 1, 1], np.float32)
    tagger = WordWindows()._estimator(weighted, y).fit(TEXTS, y)
    tags = np.array([0, 0, 3, 4, 3, 0, 0, 1, 0, 0, 1, 0, 0, 0])
    x = DictVectorizer().fit_transform(window_features(TEXTS))
    expected = LogisticRegression(max_iter=1000).fit(x, tags, sample_weight=factors[tags])
    np.testing.assert_allclose(tagger.model_.coef_, expected.coef_, atol=1e-6)


@pytest.mark.parametrize(("cells", "spans"), [([[]], []), ([[(0, 1, 1)]], [[0, 1, 1], [2, 3, 1]])])
def test_words_that_all_have_one_tag(cells, spans):
    tagger = WindowTagger().fit(["a"], Spans.of_rows(cells, 2))
    assert tagger.predict(["a b"])[0].tolist() == spans


def make_table(rows: int, seed: int) -> pd.DataFrame:
    """Names that are known by themselves, among words that are none."""
    draws = np.random.default_rng(seed)
    cells, texts = [], []
    for _ in range(rows):
        words = [str(word) for word in draws.choice(["Oslo", "Carl", "rain", "warm"], 4)]
        named = {"Oslo": "city", "Carl": "person"}
        cells.append(
            [
                {"start": 5 * at, "end": 5 * at + 4, "label": named[word]}
                for at, word in enumerate(words)
                if word in named
            ]
        )
        texts.append(" ".join(words))
    return pd.DataFrame({"text": texts, "names": pd.Series(cells, dtype=object)})


def stand_in(task: Task):
    options = {"text": "text", "text_pair": None}
    return types.SimpleNamespace(tasks=[task], options=options, resolve=lambda table: None)


@pytest.mark.parametrize("strategy", [Lexicon(), WordWindows(), WordWindows(uses_source=False)])
def test_they_learn_from_a_target_and_from_sources(strategy):
    task = Task("names", kind="tagging", classes=("city", "person"))
    source = make_table(40, 0).head(40)
    support = (
        make_table(40, 1)
        if not strategy.uses_source
        else pd.DataFrame({"text": ["warm rain"], "names": [[]]})
    )
    fitted = strategy.fit(stand_in(task), source)
    scores = strategy.adapt(fitted, support).evaluate(make_table(30, 2))
    assert scores["test", "names", "f1_micro"] == 1
    assert fitted.model.estimators == {}


@pytest.mark.parametrize("source", [None, {}, {"films": make_table(0, 0)}])
def test_a_source_is_needed_if_it_is_to_be_used(source):
    task = Task("names", kind="tagging", classes=("city", "person"))
    with pytest.raises(DataError, match=r"(?i)source"):
        Lexicon().fit(stand_in(task), source)


@pytest.mark.parametrize("strategy", [Lexicon(), WordWindows()])
def test_tasks_of_whole_texts_are_refused(strategy):
    task = Task("mood", kind="classification", classes=("glad", "sad"))
    with pytest.raises(DataError, match=rf"{strategy.name} tags the words.*\n.*'mood'"):
        strategy.fit(stand_in(task), make_table(4, 0))


def test_they_take_part_in_a_comparison(tmp_path, encoder_folder):
    content = make_experiment(
        encoder={"name": str(encoder_folder), "max_length": 16},
        tasks=[{"name": "names", "kind": "tagging"}],
        sources={"films": make_table(21, 1)},
        targets={"tweets": {"train": make_table(40, 2), "test": make_table(42, 3)}},
        strategies=["lexicon", "word_windows"],
        baseline="lexicon",
        budgets=[20],
        leave_one_out=[],
        drop_leaks=False,
    )
    comparison = compare(content, tmp_path / "run", verbose=0)
    assert (comparison.results.query("metric == 'f1_micro'")["value"] == 1).all()
