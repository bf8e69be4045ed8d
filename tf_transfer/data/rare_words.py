"""How much of a test text its training has hardly seen."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
from sklearn.feature_extraction.text import CountVectorizer

RARE = 1
"""A word that occurs in as many training texts, or in fewer, is rare."""


def rare_word_shares(
    tests: Sequence[str], known: Iterable[str], supports: Iterable[Sequence[str]]
) -> np.ndarray:
    """The share of each test text's words that occur in at most `RARE` training texts.

    Args:
        tests: texts of the test rows; a word counts once in a text, in any case.
        known: texts of the sources.
        supports: for each seed, the texts of the target's labelled rows.

    Returns:
        (rows,) float32 in [0, 1], the mean over seeds; 0 for a text without a word.
    """
    words = CountVectorizer(binary=True, token_pattern=r"(?u)\b\w+\b", dtype=np.float32)
    try:
        present = words.fit_transform(tests)
    except ValueError:  # no text has a word
        return np.zeros(len(tests), np.float32)
    sizes = np.maximum(np.asarray(present.sum(1)).ravel(), 1)
    seen = _counts(words, known)
    shares = [present @ (seen + _counts(words, support) <= RARE) / sizes for support in supports]
    return np.mean(shares, axis=0).astype(np.float32)


def _counts(words: CountVectorizer, texts: Iterable[str]) -> np.ndarray:
    """In how many of ``texts`` each word occurs."""
    return np.asarray(words.transform(texts).sum(0)).ravel()
