"""A baseline of answers in a text without an encoder: the words that surround an answer are those
of its question.

Reference:
    Richardson et al. 2013, "MCTest: A Challenge Dataset for the Open-Domain Machine Comprehension
    of Text", algorithm 1 (sliding window) and its distances.
    Rajpurkar et al. 2016, "SQuAD: 100,000+ Questions for Machine Comprehension of Text", section
    5.1 (a baseline of spans by the same).
"""

from __future__ import annotations

import dataclasses
import math
from collections import Counter
from collections.abc import Callable, Sequence
from typing import ClassVar

import numpy as np
from sklearn.base import BaseEstimator

from tf_transfer.kinds.answer_spans import AnswerSpans
from tf_transfer.kinds.squad import best_of_rows, word_f1
from tf_transfer.kinds.words import word_places
from tf_transfer.strategies.word_baseline import WordBaseline

LONGEST = 0.95
"""The share of training's answers that the longest answer is as long as."""


def pairs(texts: Sequence[str], questions: Sequence[str]) -> list[tuple[str, str]]:
    """The context and the question of each row."""
    return list(zip(texts, questions, strict=True))


@dataclasses.dataclass(frozen=True)
class WordOverlap(WordBaseline):
    """Answers with the words that stand nearest to the rare words of the question.

    Args:
        uses_source: know the words and the lengths of the source's answers, too.
    """

    name: ClassVar[str] = "word_overlap"
    lacks_labels: ClassVar[str] = "lengths of answers are learned from the target's labels alone"
    trait: ClassVar[str] = "answers_questions"
    refusal: ClassVar[str] = (
        "looks for the answer to a question; a {kind} has none.\nReceived task {task!r}.\n"
        "Leave the strategy out."
    )
    read: ClassVar[Callable] = staticmethod(pairs)

    def _estimator(self, task, y):
        return OverlapReader()


class OverlapReader(BaseEstimator):
    """The baseline in the form of scikit-learn: ``(text, question)`` in, `AnswerSpans` out.

    A word of the question at distance d from a candidate, counted in words, speaks for it with
    idf / d, and a word of the question inside speaks against it with its idf. Of candidates that
    score alike, the length that training's answers have most often goes first.
    """

    def fit(self, rows: Sequence[tuple[str, str]], y: AnswerSpans) -> OverlapReader:
        """Learns how rare words are, how long answers are and, where rows have none, from which
        score on an answer is given: that of the best F1 on the rows themselves.
        """
        counts = Counter(word for text, _ in rows for word in set(_lower_words(text)))
        self.idf_ = {word: math.log((1 + len(rows)) / (1 + n)) + 1 for word, n in counts.items()}
        self.rarest_ = math.log(1 + len(rows)) + 1
        lengths = [len(word_places(text)) for text in y.values["text"]]
        self.lengths_ = Counter(lengths)
        self.longest_ = max(1, round(np.quantile(lengths, LONGEST))) if lengths else 1
        self.least_ = -math.inf
        if (y.lengths == 0).any():
            self.least_ = _best_cut(y, *self._answers(rows))
        return self

    def predict(self, rows: Sequence[tuple[str, str]]) -> AnswerSpans:
        answers, scores = self._answers(rows)
        return _given(answers, scores, self.least_)

    def _answers(self, rows) -> tuple[list, np.ndarray]:
        """The best answer of each row as (start, text), and its score."""
        best = [self._best(text, question) for text, question in rows]
        return [answer for answer, _ in best], np.array([score for _, score in best])

    def _best(self, text: str, question: str) -> tuple[tuple[int, str], float]:
        places = word_places(text)
        asked = set(_lower_words(question))
        weights = np.array(
            [
                self.idf_.get(word, self.rarest_) if word in asked and word[0].isalnum() else 0.0
                for word in (text[start:end].lower() for start, end in places)
            ]
        )
        before, behind = near(weights), near(weights[::-1])[::-1]
        inside = np.concatenate([[0.0], np.cumsum(weights)])
        ranked = []
        for length in range(1, min(self.longest_, len(places)) + 1):
            first = np.arange(len(places) - length + 1)
            scores = before[first] + behind[first + length - 1]
            scores = np.round(scores - (inside[first + length] - inside[first]), 9)
            at = int(scores.argmax())
            ranked.append((float(scores[at]), self.lengths_[length], -at, length))
        score, _, at, length = max(ranked)
        start, end = places[-at][0], places[-at + length - 1][1]
        return (start, text[start:end]), score


def near(weights: np.ndarray) -> np.ndarray:
    """(n,): of each place, the sum of the weights before it, each divided by its distance."""
    places = np.arange(len(weights))
    distances = places[:, None] - places[None, :]
    return np.where(distances > 0, weights / np.maximum(distances, 1), 0.0).sum(1)


def _given(answers: list, scores: np.ndarray, least: float) -> AnswerSpans:
    rows = [[answer] if score >= least else [] for answer, score in zip(answers, scores)]
    return AnswerSpans.of_rows(rows)


def _best_cut(y: AnswerSpans, answers: list, scores: np.ndarray) -> float:
    """The score from which on answers are given so that the mean F1 is the greatest."""
    given = best_of_rows(word_f1, y, _given(answers, scores, -math.inf))
    left_out = (y.lengths == 0).astype(float)
    cuts = [*np.unique(scores), math.inf]
    return max(cuts, key=lambda cut: np.where(scores >= cut, given, left_out).sum())


def _lower_words(text: str) -> list[str]:
    return [text[start:end].lower() for start, end in word_places(text)]
