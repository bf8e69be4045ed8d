"""Exact match and F1 of answers, as the official evaluation scripts of SQuAD count them.

The rules are those of English. A text's words are what blanks part once case, ASCII punctuation and
the words a, an and the are gone. Articles of other languages stay, and a text of a language that
writes no blanks is one word, whose F1 is its exact match.

Reference:
    Rajpurkar et al. 2016, "SQuAD: 100,000+ Questions for Machine Comprehension of Text", section
    6.1; Rajpurkar et al. 2018, "Know What You Don't Know", of questions without an answer.
"""

from __future__ import annotations

import re
import string
from collections import Counter
from collections.abc import Callable, Sequence

import numpy as np

from tf_transfer.kinds.answer_spans import AnswerSpans

_ARTICLES = re.compile(r"\b(a|an|the)\b")
_WITHOUT_PUNCTUATION = str.maketrans("", "", string.punctuation)

Words = list[str]


def words_of(text: str) -> Words:
    """The normalised words of an answer.

    Example:
        >>> words_of("The  Old-Town of a city.")
        ['oldtown', 'of', 'city']
    """
    plain = text.lower().translate(_WITHOUT_PUNCTUATION)
    return _ARTICLES.sub(" ", plain).split()


def exact_match(answer: Words, reference: Words) -> float:
    """1 where two answers have the same words in the same order, else 0."""
    return float(answer == reference)


def word_f1(answer: Words, reference: Words) -> float:
    """F1 of the bags of words; of an answer without words whether both are without."""
    if not answer or not reference:
        return exact_match(answer, reference)
    common = Counter(answer) & Counter(reference)
    return 2 * common.total() / (len(answer) + len(reference))


def best_of_rows(
    score: Callable[[Words, Words], float], y: AnswerSpans, answers: AnswerSpans
) -> np.ndarray:
    """(rows,): the greatest score of each row's answer beside its references.

    References without words do not count, as in the script of version 2.0. A row without another
    one has no answer, and neither has a row without references.

    Args:
        y: any number of references a row.
        answers: at most one a row.
    """
    rows = zip(map(_words_of_row, y), map(_words_of_row, answers), strict=True)
    return np.array([_best(score, references, said) for references, said in rows], np.float64)


def _words_of_row(spans: np.ndarray) -> Sequence[Words]:
    words = [words_of(text) for text in spans["text"]]
    return [each for each in words if each] or [[]]


def _best(score: Callable, references: Sequence[Words], said: Sequence[Words]) -> float:
    return max(score(said[0], reference) for reference in references)
