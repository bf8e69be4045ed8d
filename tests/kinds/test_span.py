"""Span: answers in cells, SQuAD's metrics, the best span, the loss, and what a model learns."""

import collections
import json
import re
import string
import types

import numpy as np
import pandas as pd
import pytest

from tests import tiny
from tf_transfer.data.leakage import audit_leakage
from tf_transfer.data.located_answers import locate_answers
from tf_transfer.data.tables import clean_table, load_table, save_table
from tf_transfer.devices.backend import tf
from tf_transfer.errors import DataError, LabelWarning
from tf_transfer.evaluation import metrics
from tf_transfer.kinds import KINDS, infer_kind, span
from tf_transfer.kinds.answer_spans import AnswerSpans
from tf_transfer.kinds.answers import digest_of
from tf_transfer.kinds.base import PADDED
from tf_transfer.kinds.contexts import Contexts
from tf_transfer.kinds.tasks import Task
from tf_transfer.model.model import TransferModel
from tf_transfer.strategies import LinearProbe

SPAN = KINDS["span"]
TASK = Task("answers", kind="span")
PIECES = ("the", "a", "An", "river", "old-town", "1,000", "it's", "of", "!", "Über", "theory")


# -- metrics ---------------------------------------------------------------------------------------


def normalised(text: str) -> list[str]:
    """The official script's four steps, one after the other."""
    text = "".join(character for character in text.lower() if character not in string.punctuation)
    return " ".join(re.sub(r"\b(a|an|the)\b", " ", text).split()).split()


def official(answer: str, references: list[str]) -> tuple[float, float]:
    """Exact match and F1 as the script of SQuAD 2.0 counts them."""
    references = [each for each in references if normalised(each)] or [""]
    exact, f1 = [], []
    for reference in references:
        said, true = normalised(answer), normalised(reference)
        exact.append(float(said == true))
        same = sum((collections.Counter(said) & collections.Counter(true)).values())
        if not said or not true:
            f1.append(float(said == true))
        elif not same:
            f1.append(0.0)
        else:
            precision, recall = same / len(said), same / len(true)
            f1.append(2 * precision * recall / (precision + recall))
    return max(exact), max(f1)


def suite_of(answers: list, references: list) -> dict:
    said = AnswerSpans.of_rows([[(0, text)] if text else [] for text in answers])
    y = AnswerSpans.of_rows([[(0, text) for text in row if text] for row in references])
    return metrics.suite(TASK, y, said)


def test_metrics_are_those_of_the_official_script():
    draws = np.random.default_rng(0)

    def draw():
        return " ".join(draws.choice(PIECES, draws.integers(0, 5)))

    answers = [draw() for _ in range(2000)]
    references = [[draw() for _ in range(draws.integers(0, 4))] for _ in answers]
    expected = np.array([official(*row) for row in zip(answers, references)])
    for row in range(0, 2000, 50):
        part = slice(row, row + 50)
        suite = suite_of(answers[part], references[part])
        exact, f1 = expected[part].mean(0)
        assert suite["exact_match"] == pytest.approx(exact, abs=1e-12)
        assert suite["f1_words"] == pytest.approx(f1, abs=1e-12)


@pytest.mark.parametrize(
    "answer, references, exact, f1",
    [
        ("The River.", ["river"], 1, 1),
        ("theory", ["the ory"], 0, 0),
        ("old-town", ["oldtown"], 1, 1),
        ("old town", ["old-town"], 0, 0),
        ("red river", ["the river", "red"], 0, 2 / 3),
        ("red red", ["red"], 0, 2 / 3),
        ("", [], 1, 1),
        ("", ["river"], 0, 0),
        ("river", [], 0, 0),
        ("the", [], 1, 1),
        ("the", ["a", "river"], 0, 0),
        ("the", ["a"], 1, 1),
        ("Ufer\u00a0links", ["ufer links"], 1, 1),
    ],
)
def test_traps_of_the_official_script(answer, references, exact, f1):
    suite = suite_of([answer], [references])
    assert (suite["exact_match"], suite["f1_words"]) == pytest.approx((exact, f1), abs=1e-12)
    assert official(answer, references) == pytest.approx((exact, f1), abs=1e-12)


def test_the_error_of_a_row_is_what_its_f1_lacks():
    y = AnswerSpans.of_rows([[(0, "red river")], []])
    answers = AnswerSpans.of_rows([[(4, "river")], [(0, "red")]])
    assert SPAN.row_error(y, answers).tolist() == pytest.approx([1 / 3, 1])


# -- cells -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "cell",
    [
        {"text": ["May", "in May"], "answer_start": [13, 10]},
        [{"start": 13, "text": "May"}, {"answer_start": 10, "text": "in May"}],
        json.dumps({"text": ["May", "in May"], "answer_start": [13, 10]}),
    ],
)
def test_cells_of_answers(cell):
    table = pd.DataFrame({"answers": [cell, None, []]})
    y, present = TASK.encode(table)
    assert present.tolist() == [True, False, True]
    assert [row.tolist() for row in y] == [[(13, "May"), (10, "in May")], [], []]


@pytest.mark.parametrize(
    "cell, message",
    [
        ("in May", "Answers are a list"),
        ({"text": ["in May"], "answer_start": []}, "as many starts as texts"),
        ([{"start": -1, "text": "May"}], "from 0 on"),
        ([{"start": 1, "text": ""}], "An answer has a text"),
        ([{"start": 1.5, "text": "May"}], "An answer has a text"),
        ([(0, 2)], "An answer has a text"),
    ],
)
def test_cells_that_cannot_be_are_named(cell, message):
    with pytest.raises(DataError, match=message) as error:
        TASK.encode(pd.DataFrame({"answers": [[], cell]}))
    assert "row 1" in str(error.value) and "locate_answers" in str(error.value)


def test_the_kind_is_inferred_from_the_form_of_hugging_face_alone():
    safe = pd.Series([{"text": [], "answer_start": []}, {"text": ["a"], "answer_start": [0]}])
    assert infer_kind(safe) == "span"
    assert infer_kind(safe.map(json.dumps)) == "span"
    assert infer_kind(pd.Series(["in May", "in June"])) == "classification"


@pytest.mark.parametrize("option", [{"classes": ("a",)}, {"class_weight": "balanced"}])
def test_what_a_span_does_not_take_is_refused(option):
    with pytest.raises(DataError, match="takes no"):
        Task("answers", kind="span", **option)


def test_what_is_packed_comes_back():
    spans = AnswerSpans.of_rows([[(0, "Zürich"), (3, "🗽")], [], [(1, "\ud800")]])
    back = AnswerSpans.unpack(spans.pack())
    assert [row.tolist() for row in back] == [row.tolist() for row in spans]
    assert digest_of(back) == digest_of(spans) != digest_of(spans[[1, 0, 2]])
    for name, wrong in (("sizes", spans.pack()["sizes"] + 1), ("starts", np.zeros(1, int))):
        with pytest.raises(ValueError, match="Every answer has"):
            AnswerSpans.unpack(spans.pack() | {name: wrong})


def test_several_models_answer_what_most_of_them_do():
    rows = ([[(0, "a")], []], [[(2, "b")], [(1, "c")]], [[(2, "b")], []])
    together = SPAN.mean_answers([AnswerSpans.of_rows(row) for row in rows])
    assert [row.tolist() for row in together] == [[(2, "b")], []]


@pytest.mark.parametrize("extension", [".csv", ".tsv", ".jsonl", ".parquet"])
def test_answers_come_back_from_a_file(extension, tmp_path):
    cells = [{"text": ["a|b", "ü"], "answer_start": [0, 4]}, {"text": [], "answer_start": []}]
    table = pd.DataFrame({"text": ["a|b ü", "none"], "answers": cells})
    save_table(table, tmp_path / f"rows{extension}")
    back = load_table(tmp_path / f"rows{extension}")
    assert infer_kind(back["answers"]) == "span"
    y, present = TASK.encode(back)
    assert present.all() and [row.tolist() for row in y] == [[(0, "a|b"), (4, "ü")], []]


def test_answers_are_located():
    rows = [
        ("It rained in May.", ["in May", (0, 2), {"start": 3, "text": "rained"}]),
        ("🗽 May and May", "May"),
        ("no", []),
        ("none", None),
    ]
    table = pd.DataFrame(rows, columns=["text", "answers"])
    with pytest.warns(LabelWarning, match=r"^1 answers occur several times.* row 1\."):
        located = locate_answers(table)["answers"]
    assert located[0] == {"text": ["in May", "It", "rained"], "answer_start": [10, 0, 3]}
    assert located[1] == {"text": ["May"], "answer_start": [2]}
    assert located[2] == {"text": [], "answer_start": []} and located[3] is None


@pytest.mark.parametrize("answer", ["in June", (3, 90), {"start": 2, "text": "rained"}])
def test_answers_that_are_not_in_their_text_are_named(answer):
    table = pd.DataFrame({"text": ["It rained in May."], "answers": [[answer]]})
    with pytest.raises(DataError, match="must stand in its text") as error:
        locate_answers(table)
    assert "row 0" in str(error.value)


# -- texts -----------------------------------------------------------------------------------------

TEXTS = {
    "emoji": ("I ❤️ New 🗽 York", "New 🗽"),
    "combining marks": ("Cafe\u0301 Zu\u0308rich", "Zu\u0308rich"),
    "right to left": ("אני גר בברלין", "בברלין"),
    "leading blanks": ("   New York ", "York"),
}


@pytest.mark.parametrize("text, answer", TEXTS.values(), ids=TEXTS)
def test_a_head_that_knows_its_targets_answers_the_characters_of_the_text(text, answer):
    encoder = tiny.make_encoder(texts=[text for text, _ in TEXTS.values()])
    model = TransferModel(encoder, TASK, text_pair="question", max_length=60)
    table = pd.DataFrame({"text": [text], "question": ["what"]})
    tokens = model.tokenise(table, spans=True)
    y = AnswerSpans.of_rows([[(text.index(answer), answer)]])
    flags = SPAN.targets(TASK, y, tokens)[:, None] & [span.START, span.END]
    said = SPAN.decode(model.heads["answers"], (flags > 0).astype(np.float32), tokens)
    assert said[0].tolist() == y[0].tolist()
    unanswered = SPAN.targets(TASK, AnswerSpans.of_rows([[]]), tokens)
    assert np.flatnonzero(unanswered == span.START | span.END).tolist() == [0]


def test_a_target_is_of_the_context_alone():
    """The question holds the answer's word, too; its tokens do not compete."""
    encoder = tiny.make_encoder(texts=("cold rain again",))
    model = TransferModel(encoder, TASK, text_pair="question", max_length=20)
    table = pd.DataFrame({"text": ["cold rain"], "question": ["rain again"]})
    tokens = model.tokenise(table, spans=True)
    targets = SPAN.targets(TASK, AnswerSpans.of_rows([[(5, "rain")]]), tokens)
    # [CLS] cold rain [SEP] rain again [SEP]
    assert targets.tolist() == [0, 0, 3, PADDED, PADDED, PADDED, PADDED]


def test_an_answer_that_is_not_where_it_says_is_named():
    model = TransferModel(tiny.make_encoder(), TASK, text_pair="question", max_length=20)
    table = pd.DataFrame({"text": ["cold rain"], "question": ["what"]})
    table["answers"] = [[{"start": 4, "text": "rain"}]]
    with pytest.raises(DataError, match="must stand in its text where it says"):
        model.dataset(table, batch_size=1)


@pytest.mark.parametrize("start", [5, 10])
def test_what_is_cut_off_is_missed_and_has_no_loss(start):
    """The encoder sees *cold rain*, so all of an answer or its second word."""
    encoder = tiny.make_encoder(texts=("cold rain again",))
    model = TransferModel(encoder, TASK, text_pair="question", max_length=6)
    table = pd.DataFrame({"text": ["cold rain again"], "question": ["cold"]})
    table["answers"] = [[{"start": start, "text": "cold rain again"[start:]}]]
    ((_, y, _),) = model.dataset(table, batch_size=1)
    assert (y["answers"].numpy() == PADDED).all()
    assert model.evaluate(table)["test", "answers", "exact_match"] == 0


# -- the best span and the loss --------------------------------------------------------------------


def random_tokens(draws, rows: int):
    """Rows of a first token, a context of up to 6 tokens of a letter, and a question's token."""
    lengths = draws.integers(0, 7, rows)
    spans = []
    for length in lengths:
        context = [(0, place, place + 1, place) for place in range(length)]
        spans += [(-1, 0, 0, -1), *context, (1, 0, 1, length)]
    texts = ["abcdefg"[:length] for length in lengths]
    return types.SimpleNamespace(spans=np.array(spans), lengths=lengths + 2, texts=texts, cut_at=99)


def test_the_best_span_is_the_best_of_all():
    draws = np.random.default_rng(0)
    for most in (1, 3, 30):
        tokens = random_tokens(draws, 300)
        scores = draws.normal(size=(len(tokens.spans), 2)).round(1)
        contexts = Contexts.of(tokens)
        first, last, best = contexts.best_spans(scores[contexts.places], most)
        begin = 0
        for row, length in enumerate(tokens.lengths - 2):
            own = scores[begin + 1 : begin + 1 + length]
            sums = {
                (i, j): own[i, 0] + own[j, 1]
                for i in range(length)
                for j in range(i, min(i + most, length))
            }
            begin += length + 2
            if not sums:
                assert best[row] == -np.inf
                continue
            assert best[row] == pytest.approx(max(sums.values()), abs=1e-12)
            chosen = tuple(int(contexts.starts[part[row]]) for part in (first, last))
            assert sums[chosen] == pytest.approx(best[row], abs=1e-12)


def test_no_answer_is_given_where_the_first_token_scores_more():
    tokens = random_tokens(np.random.default_rng(1), 200)
    head = types.SimpleNamespace(task=TASK)
    answerable = tokens.lengths > 2
    scores = np.zeros((len(tokens.spans), 2), np.float32)
    assert (SPAN.decode(head, scores, tokens).lengths > 0).tolist() == answerable.tolist()
    scores[tokens.spans[:, 0] == -1] = 0.1
    assert not SPAN.decode(head, scores, tokens).lengths.any()


def test_the_loss_is_that_of_any_right_start_and_any_right_end():
    draws = np.random.default_rng(2)
    output = draws.normal(size=(4, 5, 2)).astype(np.float64)
    y = np.array([[0, 1, 2, 1, PADDED], [3, 0, 0, PADDED, PADDED], [PADDED] * 5, [0] * 5])
    losses = SPAN.losses(None, tf.constant(y, tf.int32), tf.constant(output)).numpy()
    for row, starts, ends, known in ((0, [1, 3], [2], 4), (1, [0], [0], 3)):
        exp = np.exp(output[row, :known])
        by_hand = [
            -np.log(exp[right, part].sum() / exp[:, part].sum())
            for part, right in enumerate((starts, ends))
        ]
        assert losses[row] == pytest.approx(np.mean(by_hand), abs=1e-9)
    assert losses[2] == losses[3] == 0  # nothing is known, or nothing is right


def test_a_model_learns_which_word_is_asked_for():
    draws = np.random.default_rng(0)
    words = ("cold", "rain", "drum", "lake")
    rows = []
    for _ in range(160):
        chosen = [str(word) for word in draws.permutation(words)]
        asked = str(draws.choice(["first", "last", "none"]))
        text = " ".join(chosen)
        starts = {"first": [0], "last": [len(text) - 4], "none": []}[asked]
        answers = [text[start : start + 4] for start in starts]
        rows.append((text, asked, {"text": answers, "answer_start": starts}))
    table = pd.DataFrame(rows, columns=["text", "question", "answers"])
    encoder = tiny.make_encoder(texts=("cold rain drum lake first last none",), width=32)
    model = TransferModel(encoder, "answers", text_pair="question", max_length=12)
    model.compile(learning_rate=3e-3)
    model.fit(table[:120], epochs=25, batch_size=20, verbose=0)
    assert model.tasks[0].kind == "span"
    scores = model.evaluate(table[120:])["test", "answers"]
    assert scores["exact_match"] > 0.9
    first = model.predict(table[120:], verbose=0)["answers"].labels[0]
    assert set(first) == {"text", "answer_start"}


def test_heads_that_cannot_be_solved_are_refused():
    model = TransferModel(tiny.make_encoder(), TASK, text_pair="question", max_length=12)
    with pytest.raises(DataError, match="tasks of kind span do not have"):
        LinearProbe().check_kinds(model.tasks)


def test_answers_move_along_when_their_text_is_cleaned():
    cell = {"text": ["Bär  & Co"], "answer_start": [9]}
    table = pd.DataFrame({"text": ["  big  \n Bär  & Co "], "answers": [cell]})
    cleaned = clean_table(table.assign(question="which  &amp; one"), text_pair="question")
    assert cleaned.loc[0, "question"] == "which & one"
    text, answers = cleaned.loc[0, ["text", "answers"]]
    start, (answer,) = answers["answer_start"][0], answers["text"]
    assert text[start : start + len(answer)] == answer == "Bär & Co"


def test_an_answer_that_is_not_in_its_text_is_not_moved():
    """Else the answer of a wrong place would become another one."""
    cell = {"text": ["rain"], "answer_start": [0]}
    table = pd.DataFrame({"text": ["cold  rain"], "answers": [cell]})
    assert clean_table(table).loc[0, ["text", "answers"]].tolist() == ["cold  rain", cell]


def test_the_same_answers_are_no_conflict():
    answer = {"text": ["cold", "rain"], "answer_start": [0, 5]}
    other = [{"start": 5, "text": "rain"}, {"start": 0, "text": "cold"}]
    train = pd.DataFrame(
        {"text": ["cold rain", "warm"], "answers": [answer, {"text": [], "answer_start": []}]}
    )
    test = pd.DataFrame(
        {"text": ["Cold rain", "warm"], "answers": [other, [{"start": 0, "text": "warm"}]]}
    )
    report = audit_leakage(train, test, label="answers")
    assert report.overlaps["train"].tested["conflict"].tolist() == [False, True]
