"""Words of tokenised texts: where they stand, and which tags spans give them.

Tags are numbers: 0 outside of all spans, ``1 + 2 t`` at the first word of a span of type t, and
``2 + 2 t`` at its other words (IOB2, Tjong Kim Sang and Veenstra 1999, "Representing Text Chunks").
"""

from __future__ import annotations

import dataclasses
import unicodedata
from collections.abc import Sequence

import numpy as np

from tf_transfer.checks.characters import is_punctuation
from tf_transfer.kinds.spans import Spans

OUTSIDE = 0
ROWS_AT_ONCE = 2048
"""Rows whose best tags are looked for together, for their memory."""


@dataclasses.dataclass(frozen=True)
class Words:
    """The words of some rows that the encoder sees, in the order of the rows.

    Args:
        rows: (words,) int, the row of each.
        tokens: (words,) int, the place of its first token among all tokens.
        starts, ends: (words,) int, its first character and the one behind its last.
        count: number of rows.
    """

    rows: np.ndarray
    tokens: np.ndarray
    starts: np.ndarray
    ends: np.ndarray
    count: int

    @classmethod
    def of(cls, tokens) -> Words:
        """Those of the first text of each row.

        Args:
            tokens: `batches.tokens.Tokens` with their ``spans``.
        """
        places = np.flatnonzero(tokens.spans[:, 0] == 0)
        _, starts, ends, words = tokens.spans[places].T.astype(np.int64)
        rows = np.repeat(np.arange(len(tokens.lengths)), tokens.lengths)[places]
        new = np.ones(len(places), bool)
        new[1:] = (rows[1:] != rows[:-1]) | (words[1:] != words[:-1])
        first = np.flatnonzero(new)
        behind = np.maximum.reduceat(ends, first) if len(first) else ends
        return cls(rows[first], places[first], starts[first], behind, len(tokens.lengths))

    @classmethod
    def of_texts(cls, texts: Sequence[str]) -> Words:
        """Those of whole texts, by `word_places`: no tokenizer cuts them."""
        places = [(row, *place) for row, text in enumerate(texts) for place in word_places(text)]
        rows, starts, ends = np.array(places, np.int64).reshape(-1, 3).T
        return cls(rows, np.arange(len(rows)), starts, ends, len(texts))

    def tags(self, spans: Spans) -> tuple[np.ndarray, np.ndarray]:
        """The tag of each word, (words,) int, and the spans that no word is of, (n,) bool.

        A word is of a span where they have a character in common.
        """
        longest = max(self.ends.max(initial=0), spans.values[:, 1].max(initial=0)) + 1
        rows = spans.row_numbers * longest
        first = np.searchsorted(self.rows * longest + self.ends, rows + spans.values[:, 0], "right")
        behind = np.searchsorted(self.rows * longest + self.starts, rows + spans.values[:, 1])
        tags = np.full(len(self.rows), OUTSIDE)
        for start, end, kind in zip(first, behind, spans.values[:, 2]):
            tags[start:end] = 2 + 2 * kind
            tags[start : min(start + 1, end)] = 1 + 2 * kind
        return tags, behind <= first

    def spans(self, tags: np.ndarray, types: int) -> Spans:
        """The spans that tags (words,) say; a tag of another word of a span goes on with the one
        before it.
        """
        begins = np.flatnonzero(tags % 2 == 1)
        outside_or_new = np.flatnonzero((tags == OUTSIDE) | (tags % 2 == 1))
        nexts = np.searchsorted(outside_or_new, begins, "right")
        last = np.append(outside_or_new, len(tags))[nexts] - 1
        values = np.column_stack([self.starts[begins], self.ends[last], tags[begins] // 2])
        lengths = np.bincount(self.rows[begins], minlength=self.count)
        return Spans(values.astype(np.int64).reshape(-1, 3), lengths, types)

    def best_tags(self, scores: np.ndarray) -> np.ndarray:
        """(words,) int: the tags of the greatest sum of scores in which no span goes on that has
        not begun.

        Args:
            scores: (words, 1 + 2 types) float64.

        Reference:
            Viterbi 1967, "Error Bounds for Convolutional Codes and an Asymptotically Optimum
            Decoding Algorithm".
        """
        tags = np.zeros(len(self.rows), np.int64)
        edges = np.searchsorted(self.rows, np.arange(0, self.count, ROWS_AT_ONCE))
        for start, end in zip(edges, [*edges[1:], len(self.rows)]):
            if end > start:
                tags[start:end] = _viterbi(self.rows[start:end], scores[start:end])
        return tags


def word_places(text: str) -> list[tuple[int, int]]:
    """The first character of each word and the one behind its last.

    Blanks part words, a mark of punctuation is a word of its own, and combining marks belong to
    what they follow.

    Example:
        >>> [text[a:b] for text in ["St. Ives"] for a, b in word_places(text)]
        ['St', '.', 'Ives']
    """
    places: list[tuple[int, int]] = []
    for at, character in enumerate(text):
        if character.isspace():
            continue
        start, end = places[-1] if places else (0, -1)
        apart = is_punctuation(character) or is_punctuation(text[start])
        if end == at and (not apart or unicodedata.category(character).startswith("M")):
            places[-1] = start, at + 1
        else:
            places.append((at, at + 1))
    return places


def _viterbi(rows: np.ndarray, scores: np.ndarray) -> np.ndarray:
    """See `Words.best_tags`, of rows that are tried together."""
    rows = np.unique(rows, return_inverse=True)[1]
    lengths = np.bincount(rows)
    places = np.arange(len(rows)) - np.repeat(np.cumsum(lengths) - lengths, lengths)
    padded = np.zeros((len(lengths), lengths.max(), scores.shape[1]))
    padded[rows, places] = scores
    # An inside tag, at an even place from 2 on, follows itself or the tag before it.
    best = padded[:, 0].copy()
    best[:, 2::2] = -np.inf
    came_from = np.zeros(padded.shape, np.int64)
    for place in range(1, padded.shape[1]):
        origin = np.repeat(best.argmax(1)[:, None], scores.shape[1], axis=1)
        inside = np.arange(2, scores.shape[1], 2)
        origin[:, inside] = inside - (best[:, inside - 1] >= best[:, inside])
        step = np.take_along_axis(best, origin, 1) + padded[:, place]
        going_on = (place < lengths)[:, None]
        came_from[:, place] = np.where(going_on, origin, np.arange(scores.shape[1]))
        best = np.where(going_on, step, best)
    chosen = np.zeros(padded.shape[:2], np.int64)
    chosen[:, -1] = best.argmax(1)
    for place in range(padded.shape[1] - 1, 0, -1):
        before = np.take_along_axis(came_from[:, place], chosen[:, place, None], 1)[:, 0]
        chosen[:, place - 1] = before
    return chosen[rows, places]
