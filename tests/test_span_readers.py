"""Readers of texts with spans, on small made-up files that have the traps of the real formats."""

import itertools
import json

import pytest

from tf_transfer.data import readers, span_readers
from tf_transfer.errors import LabelWarning
from tf_transfer.kinds.tasks import Task


def marked(table, column: str) -> list[list[tuple[str, str]]]:
    """The characters and the type of each span."""
    return [
        [(text[span["start"] : span["end"]], span["label"]) for span in spans]
        for text, spans in zip(table["text"], table[column])
    ]


WNUT17 = {
    "wnut17train.conll": "Léa\tB-person\nin\tO\n\t\nGo\tO\n\n",
    "emerging.dev.conll": "Mo\ufeff\tB-person\nLi\tI-person\n\n\ufeff\n",
    "emerging.test.annotated": "'s\tO\nX\tB-product\nY\tB-product\n\n\n",
}


def test_wnut17_with_lines_of_white_space_and_byte_order_marks(serve):
    serve({name: text.encode() for name, text in WNUT17.items()})
    table = readers.read_dataset("wnut17")
    assert list(table.columns) == ["text", "entities", "split"]
    assert list(table["text"]) == ["Léa in", "Go", "Mo Li", "'s X Y"]
    assert list(table["split"]) == ["train", "train", "validation", "test"]
    assert marked(table, "entities") == [
        [("Léa", "person")],
        [],
        [("Mo Li", "person")],
        [("X", "product"), ("Y", "product")],
    ]
    task = Task("entities").resolve(table)
    assert (task.kind, task.classes) == ("tagging", ("person", "product"))
    assert list(readers.read_dataset("wnut17", split="test").index) == [0]


def test_a_tag_that_goes_on_with_nothing_is_counted_by_its_row(serve):
    files = {**WNUT17, "emerging.dev.conll": "at\tO\nMo\tI-person\n"}
    serve({name: text.encode() for name, text in files.items()})
    with pytest.warns(LabelWarning, match=r"1 tags go on .* first is in row 2\."):
        table = readers.read_dataset("wnut17", split="validation")
    assert marked(table, "entities") == [[("Mo", "person")]]


def test_wikiann_leaves_out_the_language_of_each_token(serve):
    for language, stem in itertools.product(("en", "de"), ("train", "dev", "test")):
        text = f"{language}:{stem}\tO\n{language}:{language}:Bonn\tB-LOC\n\n{language}::\tO\n\n"
        serve({f"{language}-{stem}": text.encode()})
    table = readers.read_dataset("wikiann", domain="de")
    assert list(table["text"]) == ["train de:Bonn", ":", "dev de:Bonn", ":", "test de:Bonn", ":"]
    assert list(table["split"].unique()) == ["train", "validation", "test"]
    assert marked(table, "entities")[:2] == [[("de:Bonn", "LOC")], []]
    assert len(readers.read_dataset("wikiann")) == 12


def test_crossner_has_a_domain_for_each_folder(serve):
    for domain, stem in itertools.product(span_readers.CROSSNER_DOMAINS, ("train", "dev", "test")):
        serve({f"{domain}-{stem}.txt": f"{stem}\tO\n{domain}\tB-{domain}\n\n".encode()})
    table = readers.read_dataset("crossner", domain="music")
    assert list(table.columns) == ["text", "entities", "domain", "split"]
    assert list(table["text"]) == ["train music", "dev music", "test music"]
    assert list(table["split"]) == ["train", "validation", "test"]
    assert marked(table, "entities")[0] == [("music", "music")]
    assert len(readers.read_dataset("crossner")) == 15


def conllu(sentence: str, *words: str) -> bytes:
    """Lines of ``number form UPOS``, with the columns that are not read between and behind them."""
    rows = ("\t".join([*word.split()[:2], "B-x", *word.split()[2:], "_"]) for word in words)
    return "\n".join([f"# sent_id = {sentence}", "# text = a = b", *rows, "", ""]).encode()


def test_ud_pud_has_the_words_that_are_written(serve):
    english = conllu("n1", "1-2 I'm _", "1 I PRON", "2 'm AUX", "2.1 here ADV") + conllu(
        "n2", "1 Go VERB"
    )
    german = conllu("n1", "1 1 NUM", "2-3 im _", "2 in ADP", "3 dem DET")
    serve({"en_pud-ud-test.conllu": english, "de_pud-ud-test.conllu": german})
    table = readers.read_dataset("ud_pud")
    assert list(table.columns) == ["text", "upos", "domain", "group"]
    assert list(table["text"]) == ["I 'm", "Go", "1 in dem"]
    assert list(table["domain"]) == ["en", "en", "de"]
    assert list(table["group"]) == ["n1", "n2", "n1"]
    assert marked(table, "upos")[0] == [("I", "PRON"), ("'m", "AUX")]
    assert marked(table, "upos")[2] == [("1", "NUM"), ("in", "ADP"), ("dem", "DET")]


def test_snips_with_latin_1_and_utf_8_lines(serve):
    train = (
        '{"PlayMusic": [\n{"data": [{"text": "Play "}, {"text": "Bj\u00f6rk", "entity": '
        '"artist"}]},\n'
    )
    train = train.encode() + b'{"data": [{"text": "r\xedo "}]}\n]}'
    valid = b'{"GetWeather": [{"data": [{"text": "rain?"}]}]}'
    serve({"train_PlayMusic_full.json": train, "validate_GetWeather.json": valid})
    table = readers.read_dataset("snips")
    assert table.to_dict("list") == {
        "text": ["Play Björk", "río", "rain?"],
        "intent": ["PlayMusic", "PlayMusic", "GetWeather"],
        "split": ["train", "train", "validation"],
        "slots": [[{"start": 5, "end": 10, "label": "artist"}], [], []],
    }


def test_slots_of_snips_hold_no_white_space_at_their_edges(serve):
    parts = [
        {"text": "  "},
        {"text": " Ana ", "entity": "artist"},
        {"text": "in "},
        {"text": "two years ", "entity": "time"},
    ]
    serve({"train_X_full.json": json.dumps({"X": [{"data": parts}]}).encode()})
    table = readers.read_dataset("snips")
    assert list(table["text"]) == ["Ana in two years"]
    assert marked(table, "slots") == [[("Ana", "artist"), ("two years", "time")]]


def booking(text: str, *slots: tuple, context: dict | None = None) -> dict:
    """As the source has it: a start of 0, no labels and no context are not written."""
    labels = []
    for slot, start, end in slots:
        place = {"startIndex": start} if start else {}
        labels.append({"slot": slot, "valueSpan": place | {"endIndex": end}})
    row = {"userInput": {"text": text}}
    return row | ({"labels": labels} if labels else {}) | (context or {})


def test_restaurant8k_keeps_the_longer_of_slots_that_overlap(serve):
    train = [
        booking("5 at 8 tonight", ("people", 0, 1), ("date", 7, 14), ("time", 5, 14)),
        booking("in an hour", ("time", 0, 10), ("date", 0, 10)),
        booking("for 6 on", ("people", 3, 5), ("time", 4, 5)),
        booking("abcdef", ("date", 3, 6), ("time", 1, 4), ("people", 0, 2)),
        booking("abcdef", ("time", 0, 2), ("date", 1, 6)),
        booking("abcdef", ("time", 0, 4), ("date", 4, 5), ("people", 5, 6)),
    ]
    asked = {"context": {"requestedSlots": ["time", "date"]}}
    test = [booking("no", context=asked), booking("yes", context={"context": {}})]
    serve({"train_0.json": json.dumps(train).encode(), "test.json": json.dumps(test).encode()})
    table = readers.read_dataset("restaurant8k")
    assert list(table.columns) == ["text", "slots", "requested", "split"]
    assert marked(table, "slots") == [
        [("5", "people"), ("8 tonight", "time")],
        [("in an hour", "time")],
        [("6", "people")],
        [("ab", "people"), ("def", "date")],
        [("bcdef", "date")],
        [("abcd", "time"), ("e", "date"), ("f", "people")],
        [],
        [],
    ]
    assert list(table["requested"]) == [*[[]] * 6, ["date", "time"], []]
    assert list(table["split"]) == [*["train"] * 6, *["test"] * 2]
    assert Task("slots").resolve(table).kind == "tagging"
