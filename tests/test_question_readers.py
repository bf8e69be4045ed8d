"""Readers of texts with questions, on small made-up files in the formats of the real ones."""

import json

from tf_transfer.data import question_readers, readers


def placed(table) -> list[list[str]]:
    """The characters of a row's text where its answers are said to be."""
    return [
        [text[answer["start"] :][: len(answer["text"])] for answer in answers]
        for text, answers in zip(table["text"], table["answers"])
    ]


QAMR = {
    "wiki-sentences.tsv": 'W:wikipedia:1:0:0\tThe "cat sat on 🐈 mats .\n'
    'W:wikinews:2:0:0\tNo "one" .\n',
    "dev.tsv": "sentence\tquestion\tanswer\tanswer_2\tanswer_3\n"
    "W:wikipedia:1:0:0\tWho sat?\t0 1\t1\t1 4\n"
    "W:wikipedia:1:0:0\tWhere?\t4 5\t0 1 2 3 4 5 6\t4\n"
    "W:wikipedia:1:0:0\tWhat?\t0 2\t1 3\t5 4\n",
    "test.tsv": "sentence\tquestion\tanswer\tanswer_2\tanswer_3\n"
    "W:wikinews:2:0:0\tWho?\t0 1\t0 1\t\n",
}


def test_qamr_has_the_answers_that_are_one_part_of_their_sentence(serve):
    serve({name: text.encode() for name, text in QAMR.items()})
    table = readers.read_dataset("qamr")
    assert list(table.columns) == ["text", "question", "answers", "domain", "split", "sentence"]
    assert list(table["question"]) == ["Who sat?", "Where?", "Who?"]
    assert placed(table) == [
        ['The "cat', '"cat'],
        ["🐈 mats", 'The "cat sat on 🐈 mats .', "🐈"],
        ['No "one"', 'No "one"'],
    ]
    assert placed(table) == [[answer["text"] for answer in row] for row in table["answers"]]
    assert list(table["sentence"]) == [*["W:wikipedia:1:0:0"] * 2, "W:wikinews:2:0:0"]
    assert list(table["split"]) == ["validation", "validation", "test"]
    assert list(readers.read_dataset("qamr", domain="wikinews").index) == [0]


def article(language: str) -> dict:
    """Two paragraphs; the first begins with a blank and has two questions."""
    paragraphs = [
        {
            "context": f" {language} é first",
            "qas": [
                {"id": "q1", "question": "Q1", "answers": [{"answer_start": 1, "text": language}]},
                {"id": "q2", "question": "Q2", "answers": [{"answer_start": 4, "text": "é"}]},
            ],
        },
        {
            "context": "second",
            "qas": [{"id": "q3", "question": "Q3", "answers": [{"answer_start": 0, "text": "se"}]}],
        },
    ]
    return {"title": "Rain", "paragraphs": paragraphs}


def test_xquad_has_each_question_with_its_paragraph_in_every_language(serve):
    languages = question_readers.XQUAD_LANGUAGES
    serve(
        {
            f"xquad.{language}.json": json.dumps({"data": [article(language)]}).encode()
            for language in languages
        }
    )
    table = readers.read_dataset("xquad", domain="de")
    assert list(table.columns) == ["text", "question", "answers", "article", "domain", "group"]
    assert list(table["text"]) == [" de é first", " de é first", "second"]
    assert placed(table) == [["de"], ["é"], ["se"]]
    assert list(table["group"]) == ["q1", "q2", "q3"] and set(table["article"]) == {"Rain"}
    assert set(readers.read_dataset("xquad").groupby("group").size()) == {len(languages)}
