"""Baselines of tagging without an encoder: a lexicon, and logistic regression on windows of words.

Reference:
    Tjong Kim Sang and De Meulder 2003, "Introduction to the CoNLL-2003 Shared Task" (its baseline).
    Ratinov and Roth 2009, "Design Challenges and Misconceptions in Named Entity Recognition"
    (windows of words and their shapes).
"""

from __future__ import annotations

import dataclasses
import itertools
import re
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from typing import ClassVar

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.feature_extraction import DictVectorizer
from sklearn.linear_model import LogisticRegression

from tf_transfer.kinds import kind_of
from tf_transfer.kinds.spans import Spans
from tf_transfer.kinds.words import Words, word_places
from tf_transfer.strategies.word_baseline import WordBaseline

WINDOW = 2
"""Words on each side whose features a word has."""
_SHAPES = (
    ("[^\\W\\d_]", lambda m: "X" if m[0].isupper() else "x"),
    ("\\d", "d"),
    (r"(.)\1+", r"\1"),
)


@dataclasses.dataclass(frozen=True)
class WordTagging(WordBaseline):
    """What the baselines of tagging share."""

    lacks_labels: ClassVar[str] = "words are learned from the target's labels alone"
    lacks_classes: ClassVar[str] = "their words are learned from the target's labels alone"
    trait: ClassVar[str] = "spans"
    refusal: ClassVar[str] = (
        "tags the words of a text; a {kind} is about all of it.\nReceived task {task!r}.\n"
        "Leave the strategy out, or use tfidf."
    )


@dataclasses.dataclass(frozen=True)
class Lexicon(WordTagging):
    """Finds the spans of training again wherever their words stand, whatever is around them.

    Args:
        uses_source: know the spans of the source's rows, too.
    """

    name: ClassVar[str] = "lexicon"

    def _estimator(self, task, y):
        return LexiconTagger()


@dataclasses.dataclass(frozen=True)
class WordWindows(WordTagging):
    """Logistic regression on each word, its shape, its ends, and those of its neighbours.

    Args:
        uses_source: train on the source's rows together with the target's.
        penalty: of `LogisticRegression(C=1/penalty)`.
    """

    name: ClassVar[str] = "word_windows"
    search_space: ClassVar[Mapping[str, object]] = {
        "uses_source": [True, False],
        "penalty": {"min": 0.01, "max": 100.0, "sampling": "log"},
    }

    penalty: float = 1.0

    def _estimator(self, task, y):
        factors = kind_of(task).output_factors(task, y)
        return WindowTagger(self.penalty, factors if task.class_weight else None)


class LexiconTagger(BaseEstimator):
    """A lexicon in the form of scikit-learn: texts in, `Spans` out."""

    def fit(self, texts: Sequence[str], y: Spans) -> LexiconTagger:
        """Each sequence of words, in lower case, has the type that it had most often; of two types
        as often, the first.
        """
        counts: dict[tuple, Counter] = defaultdict(Counter)
        for text, spans in zip(texts, y, strict=True):
            for start, end, kind in spans:
                counts[tuple(_lower_words(text[start:end]))][int(kind)] += 1
        self.entries_ = {
            words: max(sorted(kinds), key=kinds.__getitem__) for words, kinds in counts.items()
        }
        self.longest_ = max(map(len, self.entries_), default=0)
        self.types_ = y.types
        return self

    def predict(self, texts: Sequence[str]) -> Spans:
        """From left to right, the longest entry first."""
        return Spans.of_rows([list(self._matches(text)) for text in texts], self.types_)

    def _matches(self, text: str) -> Iterator[tuple[int, int, int]]:
        places, words, at = word_places(text), _lower_words(text), 0
        while at < len(words):
            ends = range(min(at + self.longest_, len(words)), at, -1)
            end = next((end for end in ends if tuple(words[at:end]) in self.entries_), None)
            if end is not None:
                yield places[at][0], places[end - 1][1], self.entries_[tuple(words[at:end])]
            at = at + 1 if end is None else end


class WindowTagger(BaseEstimator):
    """Logistic regression on `window_features` in the form of scikit-learn: texts in, `Spans` out.

    Args:
        penalty: a number above 0.
        factors: (tags,) of the words of each tag in the loss, or None.
    """

    def __init__(self, penalty: float = 1.0, factors: np.ndarray | None = None):
        self.penalty, self.factors = penalty, factors

    def fit(self, texts: Sequence[str], y: Spans) -> WindowTagger:
        tags, _ = Words.of_texts(texts).tags(y)
        self.types_, self.tags_ = y.types, np.unique(tags)
        if len(self.tags_) > 1:
            self.vectorizer_ = DictVectorizer()
            x = self.vectorizer_.fit_transform(window_features(texts))
            weights = None if self.factors is None else self.factors[tags]
            self.model_ = LogisticRegression(C=1 / self.penalty, max_iter=1000)
            self.model_.fit(x, tags, sample_weight=weights)
        return self

    def predict(self, texts: Sequence[str]) -> Spans:
        """The spans of the best sequence of tags; a tag that no word of training has is none."""
        words = Words.of_texts(texts)
        scores = np.full((len(words.rows), 1 + 2 * self.types_), -np.inf)
        scores[:, self.tags_] = 0
        if len(self.tags_) > 1:
            x = self.vectorizer_.transform(window_features(texts))
            scores[:, self.tags_] = self.model_.predict_log_proba(x)
        return words.spans(words.best_tags(scores), self.types_)


def window_features(texts: Sequence[str]) -> Iterator[dict]:
    """The features of each word: its own, and those of the words up to `WINDOW` away."""
    for text in texts:
        own = [_features(text[start:end]) for start, end in word_places(text)]
        for place in range(len(own)):
            yield {"first": place == 0, "last": place == len(own) - 1, **_of_window(own, place)}


def _of_window(own: list[dict], place: int) -> dict:
    first, behind = max(place - WINDOW, 0), min(place + WINDOW + 1, len(own))
    parts = [
        {f"{at - place} {name}": value for name, value in own[at].items()}
        for at in range(first, behind)
    ]
    return dict(itertools.chain.from_iterable(part.items() for part in parts))


def _features(word: str) -> dict:
    return {
        "word": word,
        "lower": word.lower(),
        "shape": shape(word),
        "prefix": word[:3].lower(),
        "suffix": word[-3:].lower(),
        "title": word.istitle(),
        "digit": any(map(str.isdigit, word)),
    }


def shape(word: str) -> str:
    """Capitals as X, other letters as x, digits as d; what repeats stands once: *Apollo-11* is
    *Xx-d*.
    """
    for pattern, by in _SHAPES:
        word = re.sub(pattern, by, word)
    return word


def _lower_words(text: str) -> list[str]:
    return [text[start:end].lower() for start, end in word_places(text)]
