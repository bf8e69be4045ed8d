"""Tables of tokens with tags, as corpora of named entities have them, to texts with spans."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd

from tf_transfer.errors import DataError, LabelWarning, check_choice, check_columns, shown

SCHEMES = {"bio": "BI", "bioes": "BIES", "bilou": "BILU"}
"""The letters of each scheme beside O. In the last two a span of one token has a letter of its own,
and the last token of a longer one too.
"""
_ENDS = "ESLU"


class TaggedSpan(NamedTuple):
    """The first token of a span, the one behind its last, and its type."""

    first: int
    behind: int
    label: str


def spans_of_tags(tags: Sequence[str]) -> tuple[list[TaggedSpan], int]:
    """The spans that tags say, in any scheme of `SCHEMES`.

    A tag that goes on with nothing begins a span, as CoNLL's evaluation script counts it.

    Args:
        tags: ``"O"``, or a letter, ``-`` and a type: ``"B-person"``.

    Returns:
        The spans, and how many tags of them went on with nothing.

    Raises:
        DataError: a tag is of no scheme.

    Reference:
        Tjong Kim Sang and De Meulder 2003, "Introduction to the CoNLL-2003 Shared Task".

    Example:
        >>> spans_of_tags(["B-city", "I-city", "O", "I-person"])[1]
        1
        >>> [tuple(span) for span in spans_of_tags(["U-city", "B-person", "L-person"])[0]]
        [(0, 1, 'city'), (1, 3, 'person')]
    """
    spans: list[TaggedSpan] = []
    repaired, open_label = 0, None
    for place, tag in enumerate(tags):
        letter, label = _parts(tag)
        if letter == "O":
            open_label = None
            continue
        goes_on = letter in "IEL" and label == open_label
        if goes_on:
            spans[-1] = spans[-1]._replace(behind=place + 1)
        else:
            repaired += letter in "IEL"
            spans.append(TaggedSpan(place, place + 1, label))
        open_label = None if letter in _ENDS else label
    return spans, repaired


def _parts(tag: str) -> tuple[str, str]:
    """The letter and the type of a tag."""
    text = tag if isinstance(tag, str) else str(tag)
    letter, dash, label = text.partition("-")
    if text == "O":
        return "O", ""
    if not dash or not label or letter not in set("".join(SCHEMES.values())):
        raise DataError(
            "A tag is O, or one of the letters B, I, E, S, L and U with a type, as 'B-city'.\n"
            f"Received {tag!r}.\n"
            "Give numbers their names first; tags without a scheme need plain=True."
        )
    return letter, label


def join_tokens(
    table: pd.DataFrame,
    tokens: str = "tokens",
    tags: str = "tags",
    *,
    text: str = "text",
    spans: str = "spans",
    plain: bool = False,
) -> pd.DataFrame:
    """A table of tokens and tags as one of texts and spans, which a `Task` of kind ``"tagging"``
    reads.

    Args:
        table: with a list of tokens and a list of as many tags in each row.
        tokens, tags: its columns. A row whose tags are missing gets no spans.
        text: the new column of texts, the tokens with a blank between them.
        spans: the new column: lists of ``{"start", "end", "label"}`` in characters.
        plain: tags are types without a scheme, one for each token, as parts of speech.

    Returns:
        The other columns, and the new ones.

    Raises:
        DataError: a row has another number of tags than tokens, a token that is no text or empty,
            or a tag of no scheme; the message names the row.

    Example:
        >>> table = pd.DataFrame({"tokens": [["in", "New", "York"]], "tags": [["O", "B-x", "I-x"]]})
        >>> joined = join_tokens(table)
        >>> joined["text"][0], joined["spans"][0]
        ('in New York', [{'start': 3, 'end': 11, 'label': 'x'}])
    """
    check_columns(table, [tokens, tags])
    texts, cells, repaired, first_repaired = [], [], 0, None
    for row, (words, marks) in enumerate(zip(table[tokens], table[tags], strict=True)):
        _check_tokens(words, row, tokens)
        texts.append(" ".join(words))
        if not isinstance(marks, list | tuple | np.ndarray):
            _check_missing(marks, row, tags)
            cells.append(None)
            continue
        if len(marks) != len(words):
            raise DataError(
                f"Every token must have a tag.\nReceived {len(words)} tokens and {len(marks)} tags "
                f"in row {row}.\nMend the row, or leave its tags empty."
            )
        try:
            token_spans, wrong = _plain_spans(marks) if plain else spans_of_tags(marks)
        except DataError as error:
            raise DataError(f"Column {tags!r}, row {row}: {error}") from None
        if wrong and first_repaired is None:
            first_repaired = row
        repaired += wrong
        cells.append(_in_characters(words, token_spans))
    if repaired:
        warnings.warn(
            f"{repaired} tags go on with a span that has not begun; the first is in row "
            f"{first_repaired}. Each of them begins one.",
            LabelWarning,
            stacklevel=2,
        )
    rest = table.drop(columns=[c for c in (tokens, tags, text, spans) if c in table])
    new = {text: texts, spans: pd.Series(cells, dtype=object).to_numpy()}
    return rest.assign(**new)[[text, spans, *rest.columns]]


def _plain_spans(marks: Sequence[str]) -> tuple[list[TaggedSpan], int]:
    return [TaggedSpan(place, place + 1, str(mark)) for place, mark in enumerate(marks)], 0


def _check_tokens(words, row: int, column: str) -> None:
    good = isinstance(words, list | tuple | np.ndarray) and len(words) > 0
    if not good or not all(isinstance(word, str) and word.strip() for word in words):
        raise DataError(
            f"Column {column!r} must hold lists of tokens, each a text that is not empty.\n"
            f"Received {shown(words)} in row {row}.\nMend the row, or leave it out."
        )


def _check_missing(marks, row: int, column: str) -> None:
    if not (marks is None or marks is pd.NA or (isinstance(marks, float) and np.isnan(marks))):
        raise DataError(
            f"Column {column!r} must hold lists of tags.\nReceived {shown(marks)} in row {row}.\n"
            f"Split text first: table[{column!r}].str.split()."
        )


def _in_characters(words: Sequence[str], spans: Sequence[TaggedSpan]) -> list[dict]:
    """Spans of tokens as spans of the characters of the tokens with blanks between them."""
    lengths = np.fromiter(map(len, words), int, len(words))
    starts = np.cumsum(lengths + 1) - lengths - 1
    return [
        {
            "start": int(starts[span.first]),
            "end": int(starts[span.behind - 1] + lengths[span.behind - 1]),
            "label": span.label,
        }
        for span in spans
    ]


def tags_of_spans(length: int, spans: Sequence[TaggedSpan], scheme: str = "bio") -> list[str]:
    """The tags of ``length`` tokens that say ``spans``, which do not overlap.

    Raises:
        DataError: an unknown scheme.

    Example:
        >>> tags_of_spans(4, [TaggedSpan(0, 1, "city"), TaggedSpan(2, 4, "city")], "bioes")
        ['S-city', 'O', 'B-city', 'E-city']
    """
    check_choice("scheme", scheme, list(SCHEMES))
    begin, inside, end, alone = {"bio": "BIIB", "bioes": "BIES", "bilou": "BILU"}[scheme]
    tags = ["O"] * length
    for span in spans:
        letters = [begin, *[inside] * (span.behind - span.first - 2), end]
        letters = [alone] if span.behind - span.first == 1 else letters
        for place, letter in zip(range(span.first, span.behind), letters, strict=True):
            tags[place] = f"{letter}-{span.label}"
    return tags
