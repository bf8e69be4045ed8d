"""The files of known data sets to tables of texts with spans, which a `Task` of kind ``"tagging"``
reads: named entities, slots and parts of speech.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from tf_transfer.data.lines import decode_lines
from tf_transfer.data.tagged_tokens import join_tokens

WNUT17_FILES = {
    "train": "wnut17train.conll",
    "validation": "emerging.dev.conll",
    "test": "emerging.test.annotated",
}
SPLITS = {"train": "train", "dev": "validation", "test": "test"}
"""The name of each split by the one that the sources give it."""
CROSSNER_DOMAINS = ("ai", "literature", "music", "politics", "science")
WIKIANN_LANGUAGES = PUD_LANGUAGES = ("en", "de")
RESTAURANT8K_FILES = {"train": "train_0.json", "test": "test.json"}
_BYTE_ORDER_MARK = "\ufeff"


def read_wnut17(folder: Path) -> pd.DataFrame:
    """``text, entities, split`` (train, validation, test)."""
    parts = [
        _read_tagged(folder / name).assign(split=split) for split, name in WNUT17_FILES.items()
    ]
    return _with_entities(parts)


def read_wikiann(folder: Path) -> pd.DataFrame:
    """``text, entities, domain`` (the language: en, de), ``split`` (train, validation, test).

    Every token is written with its language, as ``en:``, which is left out.
    """
    parts = []
    for language, (stem, split) in itertools.product(WIKIANN_LANGUAGES, SPLITS.items()):
        part = _read_tagged(folder / f"{language}-{stem}", prefix=f"{language}:")
        parts.append(part.assign(domain=language, split=split))
    return _with_entities(parts)


def read_crossner(folder: Path) -> pd.DataFrame:
    """``text, entities, domain`` (ai, literature, music, politics, science), ``split`` (train,
    validation, test). Types differ between domains.
    """
    parts = []
    for domain, (stem, split) in itertools.product(CROSSNER_DOMAINS, SPLITS.items()):
        part = _read_tagged(folder / f"{domain}-{stem}.txt")
        parts.append(part.assign(domain=domain, split=split))
    return _with_entities(parts)


def read_ud_pud(folder: Path) -> pd.DataFrame:
    """``text, upos, domain`` (the language: en, de), ``group`` (the sentence, in both languages).

    The text is the words with blanks between them; ``upos`` has the universal part of speech of
    each. Words that are written as one, as German ``zum``, are the words that it stands for; words
    that are not written are left out.
    """
    parts = []
    for language in PUD_LANGUAGES:
        sentences = _sentences(folder / f"{language}_pud-ud-test.conllu")
        rows = [(_pud_sentence(lines), *_pud_words(lines)) for lines in sentences]
        part = pd.DataFrame(rows, columns=["group", "tokens", "tags"])
        parts.append(part.assign(domain=language))
    table = join_tokens(pd.concat(parts, ignore_index=True), spans="upos", plain=True)
    return table[["text", "upos", "domain", "group"]]


def read_snips(folder: Path) -> pd.DataFrame:
    """``text, intent, split`` (train, validation), ``slots``."""
    rows = []
    for split, pattern in (("train", "train_*_full.json"), ("validation", "validate_*.json")):
        for path in sorted(folder.glob(pattern)):
            for intent, requests in json.loads("\n".join(decode_lines(path))).items():
                for request in requests:
                    text, slots = _snips_request(request["data"])
                    rows.append((text, intent, split, slots))
    return pd.DataFrame(rows, columns=["text", "intent", "split", "slots"])


def read_restaurant8k(folder: Path) -> pd.DataFrame:
    """``text, slots, requested`` (the slots that were asked for, a list), ``split`` (train, test).

    Of slots that overlap the longer one is kept, of equally long ones the first that the source
    names: 59 of 7,635 are left out in train and 18 of 3,477 in test.
    """
    rows = []
    for split, name in RESTAURANT8K_FILES.items():
        for row in json.loads((folder / name).read_text("utf-8")):
            text = row["userInput"]["text"]
            slots = [_restaurant8k_slot(text, label) for label in row.get("labels", [])]
            requested = row.get("context", {}).get("requestedSlots", [])
            rows.append((text, _longest(slots), sorted(requested), split))
    return pd.DataFrame(rows, columns=["text", "slots", "requested", "split"])


# -- tokens with tags ------------------------------------------------------------------------------


def _sentences(path: Path) -> list[list[str]]:
    """The lines of each sentence; a line of white space or a byte order mark lies between two."""
    lines = [line.replace(_BYTE_ORDER_MARK, "").strip() for line in decode_lines(path)]
    return [list(group) for has_text, group in itertools.groupby(lines, key=bool) if has_text]


def _read_tagged(path: Path, prefix: str = "") -> pd.DataFrame:
    """``tokens, tags`` from lines of a token, which begins with ``prefix``, a tab and a tag."""
    rows = []
    for sentence in _sentences(path):
        tokens, tags = zip(*(line.split("\t") for line in sentence), strict=True)
        rows.append(([token.removeprefix(prefix) for token in tokens], list(tags)))
    return pd.DataFrame(rows, columns=["tokens", "tags"])


def _with_entities(parts: Sequence[pd.DataFrame]) -> pd.DataFrame:
    return join_tokens(pd.concat(parts, ignore_index=True), spans="entities")


def _pud_sentence(lines: Sequence[str]) -> str:
    return next(line for line in lines if line.startswith("# sent_id")).split(" = ")[1]


def _pud_words(lines: Sequence[str]) -> tuple[list[str], list[str]]:
    """The words and their parts of speech, from the lines whose number is a whole one."""
    rows = [line.split("\t") for line in lines if not line.startswith("#")]
    words = [row for row in rows if row[0].isdecimal()]
    return [row[1] for row in words], [row[3] for row in words]


# -- spans of characters ---------------------------------------------------------------------------


def _span(text: str, start: int, end: int, label: str) -> dict:
    """A span without the white space at its edges."""
    part = text[start:end]
    first = start + len(part) - len(part.lstrip())
    return {"start": first, "end": first + len(part.strip()), "label": label}


def _snips_request(parts: Sequence[dict]) -> tuple[str, list[dict]]:
    """The text of a request, without white space at its edges, and its slots."""
    whole = "".join(part["text"] for part in parts)
    before = len(whole) - len(whole.lstrip())
    slots, end = [], 0
    for part in parts:
        start, end = end, end + len(part["text"])
        if "entity" in part:
            span = _span(whole, start, end, part["entity"])
            slots.append(span | {"start": span["start"] - before, "end": span["end"] - before})
    return whole.strip(), slots


def _restaurant8k_slot(text: str, label: dict) -> dict:
    """A slot of a label; one from the first character on has no start in the source."""
    place = label["valueSpan"]
    return _span(text, place.get("startIndex", 0), place["endIndex"], label["slot"])


def _longest(spans: Sequence[dict]) -> list[dict]:
    """The spans that overlap none longer, in the order of the text; the first of equally long
    ones.
    """
    kept: list[dict] = []
    for span in sorted(spans, key=lambda span: span["start"] - span["end"]):
        if not any(_overlap(span, other) for other in kept):
            kept.append(span)
    return sorted(kept, key=lambda span: span["start"])


def _overlap(one: dict, other: dict) -> bool:
    return one["start"] < other["end"] and other["start"] < one["end"]
