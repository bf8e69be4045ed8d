"""The baseline of answers in a text by the words around them, by hand and by brute force."""

import math

import numpy as np
import pandas as pd
import pytest

from tf_transfer.encoders.loading import load_encoder
from tf_transfer.errors import DataError
from tf_transfer.kinds.answer_spans import AnswerSpans
from tf_transfer.kinds.tasks import Task
from tf_transfer.kinds.words import word_places
from tf_transfer.model.model import TransferModel
from tf_transfer.strategies import Lexicon, WordOverlap
from tf_transfer.strategies.word_overlap import OverlapReader, near


@pytest.fixture
def encoder(encoder_folder):
    return load_encoder(encoder_folder)


ROWS = [
    ("Ada was born in Rome", "Where was Ada born?"),
    ("Carl met Ada in May", "When did Carl meet Ada?"),
    ("the old town", "What is old?"),
]
Y = AnswerSpans.of_rows([[(16, "Rome")], [(16, "May")], [(8, "town")]])


def test_weights_before_a_place_by_their_distance():
    assert near(np.array([6.0, 0.0, 2.0, 1.0])).tolist() == [0, 6, 3, 4]


def brute_force(reader, text, question):
    """The best candidate, its weights added up one by one."""
    places = word_places(text)
    words = [text[start:end].lower() for start, end in places]
    asked = {question[start:end].lower() for start, end in word_places(question)} - {"?"}
    ranked = []
    for first in range(len(words)):
        for last in range(first, min(first + reader.longest_, len(words))):
            score = 0.0
            for at, word in enumerate(words):
                idf = reader.idf_.get(word, reader.rarest_) if word in asked else 0.0
                distance = max(first - at, at - last, 0)
                score += idf / distance if distance else -idf
            length = last - first + 1
            ranked.append((round(score, 9), reader.lengths_[length], length, -first))
    score, _, length, first = max(ranked, key=lambda each: (each[0], each[1], each[3], each[2]))
    return places[-first][0], text[places[-first][0] : places[-first + length - 1][1]], score


def test_the_best_candidate_is_that_of_brute_force():
    rng, words = np.random.default_rng(0), list("abcdefgh")
    draw = lambda count: " ".join(rng.choice(words, count))  # noqa: E731
    rows = [(draw(rng.integers(1, 12)), draw(3) + "?") for _ in range(150)]
    y = AnswerSpans.of_rows([[(0, text[:3])] if len(text) > 2 else [(0, text)] for text, _ in rows])
    reader = OverlapReader().fit(rows, y)
    answers, scores = reader._answers(rows)
    for (text, question), answer, score in zip(rows, answers, scores):
        start, said, expected = brute_force(reader, text, question)
        assert score == pytest.approx(expected)
        assert answer == (start, said)


def test_rare_words_count_more():
    reader = OverlapReader().fit(ROWS, Y)
    assert reader.idf_["ada"] == math.log(4 / 3) + 1 and reader.idf_["rome"] == math.log(2) + 1
    assert reader.rarest_ == math.log(4) + 1 and reader.longest_ == 1
    said = reader.predict([("Ada was born in Rome", "Where was Ada born?")])
    assert said.values["text"].tolist() == ["in"]


def test_marks_of_the_question_do_not_count():
    reader = OverlapReader().fit(ROWS, Y)
    said = reader.predict([("? one two three sea four", "sea ?")])
    assert said.values["text"].tolist() == ["three"]


def test_an_answer_is_given_from_the_score_on_that_is_best_in_training():
    """Rows without an answer have no word of their question."""
    rows = [("red sea", "red what?"), ("blue sea", "blue what?"), ("green sea", "who came?")]
    y = AnswerSpans.of_rows([[(4, "sea")], [(5, "sea")], []])
    said = OverlapReader().fit(rows, y).predict([*rows, ("old sea", "old what?")])
    assert said.lengths.tolist() == [1, 1, 0, 1]
    assert said.values["text"].tolist() == ["sea"] * 3
    assert OverlapReader().fit(rows[2:], y[2:]).predict(rows).lengths.tolist() == [0, 0, 0]


def test_the_strategy_reads_text_and_question(encoder):
    table = pd.DataFrame(ROWS, columns=["text", "question"])
    table["answers"] = [[{"start": start, "text": text}] for ((start, text),) in map(list, Y)]
    model = TransferModel(encoder, Task("answers", kind="span"), text_pair="question")
    strategy = WordOverlap(uses_source=False)
    adapted = strategy.adapt(strategy.fit(model), table)
    said = adapted.predict(table)["answers"].scores
    expected = OverlapReader().fit(ROWS, Y).predict(ROWS)
    assert [row.tolist() for row in said] == [row.tolist() for row in expected]
    with pytest.raises(DataError, match="looks for the answer to a question; a classification"):
        strategy.check_kinds([Task("mood", kind="classification")])


def test_word_baselines_of_tagging_read_the_first_text_alone(encoder):
    table = pd.DataFrame({"text": ["Ada left", "rain"], "more": ["Ada", "Ada came"]})
    table["names"] = [[(0, 3, "person")], []]
    model = TransferModel(encoder, Task("names", kind="tagging"), text_pair="more")
    model.resolve(table)
    strategy = Lexicon(uses_source=False)
    said = strategy.adapt(strategy.fit(model), table).predict(table)["names"].scores
    assert said.lengths.tolist() == [1, 0]
