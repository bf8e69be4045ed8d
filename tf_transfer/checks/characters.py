"""Unicode: halves of a surrogate pair, and normal forms in time that grows with the text."""

from __future__ import annotations

import re
import unicodedata
from typing import Literal

Form = Literal["NFC", "NFD", "NFKC", "NFKD"]

MOST_MARKS = 30
"""Combining marks in a row that Unicode's Stream-Safe Text Format allows (Standard Annex 15)."""
_LONG = 1000
_HALVES = re.compile("[\ud800-\udfff]")


def mend_halves(text: str) -> str:
    """The text with U+FFFD for each half of a surrogate pair, which no encoding can write.

    An emoji that was cut in the middle leaves such a half.
    """
    return _HALVES.sub("\ufffd", text)


def is_punctuation(character: str) -> bool:
    """Whether a character is a mark of punctuation or a symbol, as an emoji is."""
    return unicodedata.category(character)[0] in "PS"


def normalise(text: str, form: Form) -> str:
    """The Unicode normal form; of a long text no more than `MOST_MARKS` combining marks in a row
    stay.

    Sorting a run of marks takes its length squared, so that one long run would take for ever.
    """
    if len(text) > _LONG and not text.isascii():
        text = _cut_runs(text)
    return unicodedata.normalize(form, text)


def _cut_runs(text: str) -> str:
    kept, run = [], 0
    for character in text:
        run = run + 1 if unicodedata.combining(character) else 0
        if run <= MOST_MARKS:
            kept.append(character)
    return "".join(kept)
