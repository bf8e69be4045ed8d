"""The files of each known data set to one tidy table, with the traps of its format handled.

Every table has a column ``text``; see `READERS` for the others. Texts are as in the source (HTML
entities, spacing): cleaning is `tf_transfer.data.tables`' part. Rows without any text are left out.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from pathlib import Path

import pandas as pd

from tf_transfer.assets import fetching as assets
from tf_transfer.assets import registry
from tf_transfer.data import question_readers, span_readers
from tf_transfer.data.lines import decode_lines
from tf_transfer.errors import DataError, check_choice

VADER_FILES = {
    "tweets": "tweets",
    "movie": "movieReviewSnippets",
    "amazon": "amazonReviewSnippets",
    "nyt": "nytEditorialSnippets",
}
TREC_CLASSES = ("description", "entity", "abbreviation", "human", "location", "number")
POLARITY = {"0": "negative", "1": "positive"}
LANGUAGES = ("en", "de", "es", "fr", "zh")


def read_dataset(name: str, split: str | None = None, domain: str | None = None) -> pd.DataFrame:
    """The data set ``name`` as a table, fetched when it is not in the cache.

    Args:
        name: a data set of `assets.registry.ENTRIES`.
        split: only rows of this split, such as ``"train"``; all when not given.
        domain: only rows of this domain (or language); all when not given.

    Returns:
        A table with a fresh index 0..rows-1.

    Raises:
        AssetError: the data set is unknown or cannot be fetched.
        DataError: ``name`` is an encoder, or has no such split or domain.
    """
    registry.find(name)
    check_choice("A data set", name, list(READERS))
    table = READERS[name](assets.fetch(name))
    for column, wanted in (("split", split), ("domain", domain)):
        if wanted is not None:
            table = table[_equals(table, column, wanted, name)]
    return table.reset_index(drop=True)


def vader_raters(domain: str | None = None) -> pd.DataFrame:
    """What each rater gave: the noise ceiling of the ratings of ``vader``.

    Args:
        domain: ``"tweets"``, ``"movie"``, ``"amazon"`` or ``"nyt"``; all when not given.

    Returns:
        ``id``, ``domain``, ``rating`` (mean of the scores), ``spread`` (their standard deviation)
        and ``scores``, a list of int in -4..4. The raters are anonymous and their number differs
        between rows. In 196 tweets the mean differs from the rating that `read_vader` reads
        from the ground truth, by up to 1.13.
    """
    if domain is not None:
        check_choice("domain of 'vader'", domain, list(VADER_FILES))
    folder = assets.fetch("vader")
    parts = []
    for name in [domain] if domain else VADER_FILES:
        columns = ["id", "rating", "spread", "scores"]
        part = _read_tsv(folder / f"{VADER_FILES[name]}_anonDataRatings.txt", columns)
        scores = [json.loads(cell) for cell in part["scores"]]
        parts.append(part.assign(domain=name, scores=pd.Series(scores, dtype=object)))
    return pd.concat(parts, ignore_index=True)


def read_vader(folder: Path) -> pd.DataFrame:
    """``text, rating`` (-4..4), ``polarity, domain, group`` (the document), ``id``.

    Sentences of amazon and nyt belong to documents: split by ``group``. The polarity of a rating
    of exactly 0 is missing.
    """
    parts = []
    for domain, stem in VADER_FILES.items():
        part = _read_tsv(folder / f"{stem}_GroundTruth.txt", ["id", "rating", "text"])
        document = part["id"].str.split("_").str[0]
        parts.append(part.assign(domain=domain, group=domain + ":" + document))
    table = pd.concat(parts, ignore_index=True)
    table["polarity"] = table["rating"].gt(0).map({True: "positive", False: "negative"})
    table["polarity"] = table["polarity"].where(table["rating"] != 0)
    return table[["text", "rating", "polarity", "domain", "group", "id"]]


def read_fdu_mtl(folder: Path) -> pd.DataFrame:
    """``text, polarity, domain, split`` (train, test)."""
    rows = []
    for path in sorted(folder.glob("*.task.*")):
        domain, _, split = path.name.split(".")
        for line in decode_lines(path):
            label, text = line.split("\t")
            rows.append((text, POLARITY[label], domain, split))
    table = pd.DataFrame(rows, columns=["text", "polarity", "domain", "split"])
    return table[table["text"].str.strip() != ""]


def read_clinc150(folder: Path) -> pd.DataFrame:
    """``text, intent, domain, split``; requests out of scope are splits of their own.

    Splits: train, validation, test, and oos_train, oos_validation, oos_test with the intent and
    domain ``"oos"``.
    """
    domains = json.loads((folder / "domains.json").read_text("utf-8"))
    domain_of = {intent: domain for domain, intents in domains.items() for intent in intents}
    splits = json.loads((folder / "data_full.json").read_text("utf-8"))
    rows = [
        (text, intent, domain_of.get(intent, "oos"), split.replace("val", "validation"))
        for split, pairs in splits.items()
        for text, intent in pairs
    ]
    return pd.DataFrame(rows, columns=["text", "intent", "domain", "split"])


def read_trec(folder: Path) -> pd.DataFrame:
    """``text, answer`` (what the question asks for, 6 classes), ``split`` (train, test)."""
    rows = []
    for split in ("train", "test"):
        for line in decode_lines(folder / f"TREC.{split}.all"):
            label, text = line.split(" ", 1)
            rows.append((text, TREC_CLASSES[int(label)], split))
    return pd.DataFrame(rows, columns=["text", "answer", "split"])


def read_mpqa(folder: Path) -> pd.DataFrame:
    """``text, polarity``; there are no splits. Three lines hold a label and no phrase: they are
    left out.
    """
    rows = [line.split(" ", 1) for line in decode_lines(folder / "mpqa.all")]
    phrases = [(text, POLARITY[label]) for label, text in rows if text.strip()]
    return pd.DataFrame(phrases, columns=["text", "polarity"])


def read_stsb_multi(folder: Path) -> pd.DataFrame:
    """``text, text_pair, similarity`` (0..5), ``domain`` (the language), ``split, group``.

    Rows of one ``group`` are one pair in five languages.
    """
    parts = []
    for language in LANGUAGES:
        for split, stem in (("train", "train"), ("validation", "dev"), ("test", "test")):
            part = pd.read_csv(
                folder / f"stsb-{language}-{stem}.csv",
                names=["text", "text_pair", "similarity"],
                encoding="utf-8",
                keep_default_na=False,
            )
            group = [f"{split}:{row}" for row in range(len(part))]
            parts.append(part.assign(domain=language, split=split, group=group))
    return pd.concat(parts, ignore_index=True)


def read_sick_nl(folder: Path) -> pd.DataFrame:
    """``text, text_pair, entailment, relatedness`` (1..5), ``domain`` (en, nl), ``split, group``.

    Rows of one ``group`` are one pair in both languages.
    """
    source = _read_tsv(folder / "SICK_NL.txt")
    shared = pd.DataFrame(
        {
            "entailment": source["entailment_label"].str.lower(),
            "relatedness": source["relatedness_score"].astype(float),
            "split": source["SemEval_set"].map(
                {"TRAIN": "train", "TRIAL": "validation", "TEST": "test"}
            ),
            "group": source["pair_ID"].astype(str),
        }
    )
    parts = []
    for language, suffix in (("en", "_original"), ("nl", "")):
        texts = {"text": source[f"sentence_A{suffix}"], "text_pair": source[f"sentence_B{suffix}"]}
        parts.append(pd.DataFrame(texts).join(shared).assign(domain=language))
    columns = ["text", "text_pair", "entailment", "relatedness", "domain", "split", "group"]
    return pd.concat(parts, ignore_index=True)[columns]


READERS: dict[str, Callable[[Path], pd.DataFrame]] = {
    "vader": read_vader,
    "fdu_mtl": read_fdu_mtl,
    "clinc150": read_clinc150,
    "snips": span_readers.read_snips,
    "trec": read_trec,
    "mpqa": read_mpqa,
    "stsb_multi": read_stsb_multi,
    "sick_nl": read_sick_nl,
    "wnut17": span_readers.read_wnut17,
    "wikiann": span_readers.read_wikiann,
    "crossner": span_readers.read_crossner,
    "restaurant8k": span_readers.read_restaurant8k,
    "ud_pud": span_readers.read_ud_pud,
    "qamr": question_readers.read_qamr,
    "xquad": question_readers.read_xquad,
}
"""The reader of each data set: from the folder of its files to its table."""


def _read_tsv(path: Path, names: list[str] | None = None) -> pd.DataFrame:
    """A tab-separated file whose quotes are plain characters; ``id`` and ``text`` stay text."""
    return pd.read_csv(
        path,
        sep="\t",
        names=names,
        quoting=csv.QUOTE_NONE,
        encoding="utf-8-sig",
        keep_default_na=False,
        dtype={"id": str, "text": str, "rating": float},
    )


def _equals(table: pd.DataFrame, column: str, wanted: str, name: str) -> pd.Series:
    if column not in table.columns:
        raise DataError(
            f"Data set {name!r} has no {column}s.\nReceived {column}={wanted!r}.\nLeave it out."
        )
    check_choice(f"{column} of {name!r}", wanted, list(table[column].unique()))
    return table[column] == wanted
