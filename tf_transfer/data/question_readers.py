"""The files of known data sets to tables of texts with questions, whose answers are parts of the
text.

``answers`` is a list of ``{"text", "start"}``: the characters of an answer and the place of its
first one in the text.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from tf_transfer.data.lines import decode_lines

QAMR_FILES = {"validation": "dev.tsv", "test": "test.tsv"}
XQUAD_LANGUAGES = ("en", "de", "es", "zh")


def read_qamr(folder: Path) -> pd.DataFrame:
    """``text`` (a sentence), ``question, answers`` (one to three), ``domain`` (the genre:
    wikipedia, wikinews), ``split`` (validation, test), ``sentence`` (its name).

    Rows of one ``sentence`` belong together: split by it. An answer of several parts of the
    sentence is left out, and so is a question that has no other: 2,463 answers and 95 questions.
    """
    texts = dict(line.split("\t") for line in decode_lines(folder / "wiki-sentences.tsv"))
    rows = []
    for split, name in QAMR_FILES.items():
        for line in decode_lines(folder / name)[1:]:
            sentence, question, *cells = line.split("\t")
            answers = _qamr_answers(texts[sentence], cells)
            genre = sentence.split(":")[1]
            rows.append((texts[sentence], question, answers, genre, split, sentence))
    columns = ["text", "question", "answers", "domain", "split", "sentence"]
    table = pd.DataFrame(rows, columns=columns)
    return table[table["answers"].map(len) > 0]


def read_xquad(folder: Path) -> pd.DataFrame:
    """``text`` (a paragraph), ``question, answers`` (one), ``article`` (its title), ``domain`` (the
    language: en, de, es, zh), ``group`` (the question, in every language).
    """
    rows = []
    for language in XQUAD_LANGUAGES:
        content = json.loads((folder / f"xquad.{language}.json").read_text("utf-8"))
        for article in content["data"]:
            for paragraph, row in _xquad_questions(article):
                answers = [
                    {"text": answer["text"], "start": answer["answer_start"]}
                    for answer in row["answers"]
                ]
                place = article["title"], language, row["id"]
                rows.append((paragraph, row["question"], answers, *place))
    columns = ["text", "question", "answers", "article", "domain", "group"]
    return pd.DataFrame(rows, columns=columns)


def _xquad_questions(article: dict) -> list[tuple[str, dict]]:
    """The paragraph of each question of an article, and the question."""
    paragraphs = article["paragraphs"]
    return [(paragraph["context"], row) for paragraph in paragraphs for row in paragraph["qas"]]


def _qamr_answers(text: str, cells: Sequence[str]) -> list[dict]:
    """The answers that are one part of the text, from numbers of its tokens."""
    words = text.split(" ")
    answers = []
    for cell in cells:
        numbers = [int(number) for number in cell.split()]
        if _is_one_part(numbers):
            answer = " ".join(words[numbers[0] : numbers[-1] + 1])
            start = len(" ".join([*words[: numbers[0]], ""]))
            answers.append({"text": answer, "start": start})
    return answers


def _is_one_part(numbers: Sequence[int]) -> bool:
    steps = itertools.pairwise(numbers)
    return len(numbers) > 0 and all(behind == number + 1 for number, behind in steps)
