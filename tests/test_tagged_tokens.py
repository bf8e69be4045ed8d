"""Tags of tokens to spans of texts, and back."""

import warnings

import numpy as np
import pandas as pd
import pytest

from tf_transfer.data.tagged_tokens import (
    SCHEMES,
    TaggedSpan,
    join_tokens,
    spans_of_tags,
    tags_of_spans,
)
from tf_transfer.errors import DataError, LabelWarning
from tf_transfer.kinds.tasks import Task


def random_spans(draws) -> tuple[int, list[TaggedSpan]]:
    length, spans, place = int(draws.integers(1, 14)), [], 0
    while place < length:
        behind = min(place + int(draws.integers(1, 4)), length)
        if draws.random() < 0.5:
            spans.append(TaggedSpan(place, behind, str(draws.choice(["x", "y"]))))
        place = behind
    return length, spans


@pytest.mark.parametrize("scheme", SCHEMES)
def test_spans_come_back_from_their_tags(scheme):
    draws = np.random.default_rng(0)
    for _ in range(300):
        length, spans = random_spans(draws)
        assert spans_of_tags(tags_of_spans(length, spans, scheme)) == (spans, 0)


def by_the_script(tags) -> list[tuple]:
    """CoNLL's rules token by token, in tags of letters B, I, E, S and O."""
    spans, start, before = [], None, ("O", "")
    for place, tag in enumerate([*tags, "O"]):
        letter, _, label = tag.partition("-")
        ends = before[0] != "O" and (before[0] in "ES" or letter in "BSO" or label != before[1])
        begins = letter != "O" and (letter in "BS" or before[0] in "ESO" or label != before[1])
        if ends:
            spans.append((start, place, before[1]))
        start = place if begins else start
        before = letter, label
    return spans


def test_ill_formed_tags_are_read_as_the_script_does():
    draws = np.random.default_rng(1)
    tags = ["O", *[f"{letter}-{label}" for letter in "BIES" for label in "xy"]]
    for _ in range(2000):
        row = [str(tag) for tag in draws.choice(tags, draws.integers(1, 10))]
        assert [tuple(span) for span in spans_of_tags(row)[0]] == by_the_script(row), row


def table_of(**columns) -> pd.DataFrame:
    return pd.DataFrame({name: pd.Series(rows, dtype=object) for name, rows in columns.items()})


def test_tokens_are_joined_and_their_spans_are_of_characters():
    table = table_of(
        id=["a", "b", "c"],
        tokens=[["in", "New", "York", "!"], ["no"], ["❤️", "Zürich"]],
        tags=[["O", "B-city", "I-city", "O"], None, ["O", "B-city"]],
    )
    joined = join_tokens(table)
    assert list(joined) == ["text", "spans", "id"]
    assert joined["text"].tolist() == ["in New York !", "no", "❤️ Zürich"]
    parts = [
        [text[s["start"] : s["end"]] for s in spans or ()]
        for text, spans in zip(joined["text"], joined["spans"])
    ]
    assert parts == [["New York"], [], ["Zürich"]]
    task = Task("spans").resolve(joined)
    assert (task.kind, task.classes) == ("tagging", ("city",))
    assert task.encode(joined)[1].tolist() == [True, False, True]


def test_plain_tags_are_a_span_for_each_token():
    table = table_of(tokens=[["a", "bit"]], tags=[["DET", "NOUN"]])
    spans = join_tokens(table, plain=True)["spans"][0]
    assert [tuple(span.values()) for span in spans] == [(0, 1, "DET"), (2, 5, "NOUN")]


def test_tags_that_go_on_with_nothing_are_counted():
    table = table_of(tokens=[["a"], ["b", "c"]], tags=[["O"], ["I-x", "I-y"]])
    with pytest.warns(LabelWarning, match=r"2 tags go on .* row 1"):
        assert len(join_tokens(table)["spans"][1]) == 2
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        join_tokens(table[:1])


@pytest.mark.parametrize(
    ("tokens", "tags", "message"),
    [
        (["a", "b"], ["O"], "2 tokens and 1 tags in row 0"),
        (["a"], ["X-a"], "row 0: A tag is O"),
        (["a"], ["B"], "row 0: A tag is O"),
        (["a"], ["B-"], "row 0: A tag is O"),
        (["a"], [3], "row 0: A tag is O"),
        (["a"], "O", "must hold lists of tags"),
        (["a", " "], ["O", "O"], "not empty"),
        ([], [], "not empty"),
        ("ab", ["O"], "not empty"),
        ([1], ["O"], "not empty"),
    ],
)
def test_rows_that_cannot_be_are_named(tokens, tags, message):
    with pytest.raises(DataError, match=message):
        join_tokens(table_of(tokens=[tokens], tags=[tags]))


def test_a_missing_column_is_named():
    with pytest.raises(DataError, match="tags"):
        join_tokens(table_of(tokens=[["a"]]))
