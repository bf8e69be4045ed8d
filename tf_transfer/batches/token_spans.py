"""Which characters of its text each token stands for, and of which word it is."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator

import numpy as np

from tf_transfer.checks.characters import is_punctuation


def spans_of(encodings, texts: list[str], pairs: list[str] | None) -> np.ndarray:
    """(tokens, 4) int32 of `batches.tokens.Tokens.spans`.

    Args:
        encodings: of the fast tokenizer, one a row.
        texts, pairs: what the rows were made of; None where there are no second texts.
    """
    spans = []
    for row, encoding in enumerate(encodings):
        spans += _row_spans(encoding, (texts[row], "" if pairs is None else pairs[row]))
    return np.array(spans, np.int32).reshape(-1, 4)


def _row_spans(encoding, read: tuple[str, str]) -> Iterator[tuple[int, int, int, int]]:
    """The spans of one row. Tokenizers differ in two things, which are made alike: whether the
    blank before a word belongs to it, and whether the punctuation behind a word does.
    """
    number, before = -1, None
    places = zip(encoding.sequence_ids, encoding.offsets, encoding.word_ids, strict=True)
    for part, (start, end), word in places:
        piece = "" if part is None else read[part][start:end]
        if not piece.strip():
            yield -1, 0, 0, -1
            continue
        text = read[part]
        start += len(piece) - len(piece.lstrip())
        end -= len(piece) - len(piece.rstrip())
        goes_on = before is not None and before[:2] == (part, word)
        if not goes_on or is_punctuation(text[start]) or is_punctuation(before[2]):
            number += 1
        before = part, word, text[end - 1]
        yield part, start, _with_marks(text, end), number


def _with_marks(text: str, end: int) -> int:
    """The end of a token with the marks that follow its last character, as accents; tokenizers
    leave those out that they do not read.
    """
    while end < len(text) and unicodedata.category(text[end]).startswith("M"):
        end += 1
    return end
