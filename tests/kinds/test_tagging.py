"""Tagging: spans in cells, tags of words, the best sequence of tags, and metrics of spans."""

import itertools
import json
import types

import numpy as np
import pandas as pd
import pytest
import tokenizers

from tests import tiny
from tests.experiments import WORDS
from tf_transfer.batches.token_spans import spans_of as token_spans_of
from tf_transfer.errors import DataError, LabelWarning
from tf_transfer.evaluation import metrics
from tf_transfer.experiments.draft import draft
from tf_transfer.kinds import KINDS, infer_kind
from tf_transfer.kinds.answers import digest_of
from tf_transfer.kinds.spans import Spans, hits
from tf_transfer.kinds.tasks import Task
from tf_transfer.kinds.words import Words
from tf_transfer.model.model import TransferModel
from tf_transfer.strategies import LinearProbe

TYPES = ("city", "person")
TAGGING = KINDS["tagging"]


def task(**options):
    return Task("names", **{"kind": "tagging", "classes": TYPES} | options)


def random_spans(draws, rows: int, types: int = 3) -> list[list[tuple]]:
    """Spans of a few characters, side by side or apart."""
    cells = []
    for _ in range(rows):
        edges = np.cumsum(draws.integers(1, 4, 9))
        chosen = [(a, b) for a, b in itertools.pairwise(edges) if draws.random() < 0.4]
        cells.append([(int(a), int(b), int(draws.integers(types))) for a, b in chosen])
    return cells


def shaken(draws, cells: list, types: int = 3) -> list:
    """The same spans, of which some are lost, longer or of another type."""
    changed = []
    for spans in cells:
        row = []
        for start, end, kind in spans:
            draw = draws.random()
            if draw < 0.6:
                row.append((start, end, kind))
            elif draw < 0.75:
                row.append((start, end, int(draws.integers(types))))
            elif draw < 0.9 and end - start > 1:
                row.append((start, end - 1, kind))
        changed.append(row)
    return changed


# -- metrics ---------------------------------------------------------------------------------------


def by_hand(true: list, said: list, types: int) -> dict:
    """Precision, recall and F1 of sets of spans, as CoNLL's script counts them."""
    counts = np.zeros((types, 3), int)
    for row, (a, b) in enumerate(zip(true, said, strict=True)):
        for kind in range(types):
            of_row = [{(row, *span) for span in spans if span[2] == kind} for spans in (a, b)]
            counts[kind] += [len(of_row[0] & of_row[1]), len(of_row[1]), len(of_row[0])]
    right, answered, there = counts.sum(0)
    f1 = [2 * r / (a + t) for r, a, t in counts if a + t]
    return {
        "precision_micro": right / answered,
        "recall_micro": right / there,
        "f1_micro": 2 * right / (answered + there),
        "f1_macro": np.mean(f1),
        "sequence_accuracy": np.mean([set(a) == set(b) for a, b in zip(true, said, strict=True)]),
    }


@pytest.mark.parametrize("seed", range(5))
def test_metrics_are_those_of_sets_of_spans(seed):
    draws = np.random.default_rng(seed)
    true = random_spans(draws, 400)
    said = shaken(draws, true)
    suite = metrics.suite(
        task(classes=("a", "b", "c")), Spans.of_rows(true, 3), Spans.of_rows(said, 3)
    )
    for name, value in by_hand(true, said, 3).items():
        assert suite[name] == pytest.approx(value, abs=1e-12), name
    per_type = hits(Spans.of_rows(true, 3), Spans.of_rows(said, 3)).sum(0)
    assert suite["support"].tolist() == per_type[6:].tolist()


def test_resampled_metrics_are_those_of_the_repeated_rows():
    draws = np.random.default_rng(7)
    true = random_spans(draws, 60)
    said = shaken(draws, true)
    y, answers = Spans.of_rows(true, 3), Spans.of_rows(said, 3)
    counts = draws.multinomial(60, np.full(60, 1 / 60), size=20)
    many = metrics.resampled_suite("tagging", y, [answers], counts)
    for number, row_counts in enumerate(counts):
        rows = np.repeat(np.arange(60), row_counts)
        expected = by_hand([true[r] for r in rows], [said[r] for r in rows], 3)
        for name, value in expected.items():
            assert many[name][number, 0] == pytest.approx(value, abs=1e-12)


def test_a_row_without_spans_is_right_where_none_is_answered():
    y = Spans.of_rows([[], [], [(0, 1, 0)]], 2)
    said = Spans.of_rows([[], [(0, 1, 0)], []], 2)
    assert TAGGING.row_error(y, said).tolist() == [0, 1, 1]


# -- words and tags --------------------------------------------------------------------------------


def make_words(lengths) -> Words:
    """Words of three characters with a blank between."""
    rows = np.repeat(np.arange(len(lengths)), lengths)
    places = np.concatenate([np.arange(n) for n in lengths] or [[]]).astype(int)
    return Words(rows, np.arange(len(rows)), 4 * places, 4 * places + 3, len(lengths))


def test_tags_of_spans_and_spans_of_tags():
    words = make_words([4, 0, 3])
    spans = Spans.of_rows([[(0, 7, 1), (8, 11, 0)], [(0, 3, 0)], [(4, 11, 0)]], 2)
    tags, lost = words.tags(spans)
    assert tags.tolist() == [3, 4, 1, 0, 0, 1, 2]
    assert lost.tolist() == [False, False, True, False]
    back = words.spans(tags, 2)
    assert [part.tolist() for part in back] == [
        [[0, 7, 1], [8, 11, 0]],
        [],
        [[4, 11, 0]],
    ]


def test_a_span_within_a_word_is_of_the_whole_word():
    words = make_words([2])
    tags, lost = words.tags(Spans.of_rows([[(1, 2, 0)]], 1))
    assert tags.tolist() == [1, 0] and not lost.any()
    assert words.spans(tags, 1)[0].tolist() == [[0, 3, 0]]


def allowed(tags) -> bool:
    """Whether no span goes on that has not begun."""
    return all(
        tag == 0 or tag % 2 == 1 or before in (tag, tag - 1)
        for before, tag in itertools.pairwise([0, *tags])
    )


def test_the_best_tags_are_the_best_of_all_that_are_allowed():
    draws = np.random.default_rng(0)
    lengths = [3, 1, 0, 4, 2]
    words = make_words(lengths)
    for _ in range(20):
        scores = draws.normal(0, 2, (10, 5))
        found = words.best_tags(scores)
        start = 0
        for length in lengths:
            tries = [t for t in itertools.product(range(5), repeat=length) if allowed(t)]
            part = scores[start : start + length]
            best = max(tries, key=lambda t, part=part: part[np.arange(len(t)), list(t)].sum())
            assert tuple(found[start : start + length]) == best
            start += length


def test_tags_that_are_allowed_say_the_spans_they_were_made_of():
    draws = np.random.default_rng(1)
    words = make_words([5] * 40)
    scores = draws.normal(size=(200, 7))
    tags = words.best_tags(scores)
    again, lost = words.tags(words.spans(tags, 3))
    assert again.tolist() == tags.tolist() and not lost.any()


# -- cells -----------------------------------------------------------------------------------------


def written(*spans) -> list[dict]:
    return [dict(zip(("start", "end", "label"), span)) for span in spans]


def test_cells_are_lists_of_dicts_or_triples_or_json():
    cells = [
        written((5, 9, "city"), (0, 4, "person")),
        [(0, 4, "person"), (5, 9, "city")],
        json.dumps(written((0, 4, "person"), (5, 9, "city"))),
        [],
        "[]",
        None,
    ]
    y, present = task().encode(pd.DataFrame({"names": pd.Series(cells, dtype=object)}))
    assert present.tolist() == [True] * 5 + [False]
    assert all(y[row].tolist() == [[0, 4, 1], [5, 9, 0]] for row in range(3))
    assert y.lengths[3:].tolist() == [0, 0, 0]
    labels = TAGGING.labels_of(task(), y)
    assert labels[0] == written((0, 4, "person"), (5, 9, "city")) and labels[3] == []


def test_the_kind_is_inferred_where_it_is_safe():
    spans = [written((0, 4, "city")), []]
    assert infer_kind(pd.Series(spans)) == "tagging"
    assert infer_kind(pd.Series([json.dumps(cell) for cell in spans])) == "tagging"
    triples = [[(0, 4, "city")], []]
    assert infer_kind(pd.Series(triples)) == "tagging"
    assert infer_kind(pd.Series([json.dumps(cell) for cell in triples])) == "tagging"
    assert infer_kind(pd.Series([["a", "b"], []])) == "multilabel"
    assert infer_kind(pd.Series([["a", "b", "c"], ["d", "e", "f"]])) == "multilabel"
    assert infer_kind(pd.Series(["[]", "['a']"])) == "multilabel"
    table = pd.DataFrame({"names": pd.Series(spans, dtype=object)})
    assert Task("names").resolve(table).classes == ("city",)


@pytest.mark.parametrize(
    ("cell", "message"),
    [
        ([(0, 4, "city"), (3, 6, "city")], "must not overlap"),
        ([(4, 4, "city")], "begins at a character"),
        ([(4, 1, "city")], "begins at a character"),
        ([(-1, 2, "city")], "begins at a character"),
        ([(0.5, 2, "city")], "begins at a character"),
        ([("a", 2, "city")], "begins at a character"),
        ([(0, 2)], "a start, an end and a label"),
        ([{"start": 0, "end": 2}], "a start, an end and a label"),
        ('[{"start": 0, "end": Infinity, "label": "city"}]', "begins at a character"),
        ("city", "must be JSON"),
        ('{"start": 0}', "Spans are a list"),
        (7, "Spans are a list"),
        ([(0, 2, "cty")], "knows the classes 'city', 'person'[\\s\\S]*'city'"),
    ],
)
def test_cells_that_cannot_be_are_named(cell, message):
    table = pd.DataFrame({"names": pd.Series([[], cell], dtype=object)})
    with pytest.raises(DataError, match=message) as error:
        task().encode(table, "the table of names")
    assert "row 1 of the table of names" in str(error.value)


@pytest.mark.parametrize("option", [{"labels": {"a": "city"}}])
def test_what_a_tagging_does_not_take_is_refused(option):
    with pytest.raises(DataError, match="takes no"):
        task(**option)


def test_what_is_packed_comes_back():
    spans = Spans.of_rows([[(0, 4, 1)], [], [(2, 3, 0)]], 2)
    again = Spans.unpack(spans.pack())
    assert digest_of(again) == digest_of(spans) and again.types == 2
    assert digest_of(spans[[0, 1]]) != digest_of(spans)
    for change in ({"types": np.array(0)}, {"values": np.zeros((2, 2), int)}):
        with pytest.raises(ValueError):
            Spans.unpack(spans.pack() | change)


def test_several_models_answer_what_more_than_half_of_them_do():
    answers = [
        Spans.of_rows(rows, 1)
        for rows in ([[(0, 1, 0)], []], [[(0, 1, 0)], [(4, 5, 0)]], [[], [(3, 5, 0)]])
    ]
    together = TAGGING.mean_answers(answers)
    assert [part.tolist() for part in together] == [[[0, 1, 0]], []]


# -- texts -----------------------------------------------------------------------------------------

TEXTS = {
    "emoji": "I ❤️ New 🗽 York",
    "combining marks": "Cafe\u0301 Zu\u0308rich",
    "right to left": "אני גר בברלין",
    "leading blanks": "   New York ",
}


@pytest.mark.parametrize("text", TEXTS.values(), ids=TEXTS)
def test_spans_are_of_the_characters_of_the_text_as_it_is(text):
    """What the tags of each pair of neighbouring words say is those words' part of the text."""
    encoder = tiny.make_encoder(texts=tuple(TEXTS.values()))
    model = TransferModel(encoder, task(), max_length=40)
    tokens = model.tokenise([text], spans=True)
    words = Words.of(tokens)
    parts = [text[a:b] for a, b in zip(words.starts, words.ends)]
    assert "".join(parts) == "".join(text.split())
    for first, last in itertools.pairwise(range(len(parts))):
        span = int(words.starts[first]), int(words.ends[last]), 1
        tags, lost = words.tags(Spans.of_rows([[span]], 2))
        assert not lost.any() and words.spans(tags, 2)[0].tolist() == [list(span)]


def tokenizer_of(pre_tokenizer, post_processor=None):
    """A tokenizer of single characters, whose words are as those of a family."""
    known = sorted({*"ĠĊ▁ .,!-", *"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"})
    vocabulary = {"?": 0} | {token: number + 1 for number, token in enumerate(known)}
    tokenizer = tokenizers.Tokenizer(tokenizers.models.BPE(vocabulary, [], unk_token="?"))
    tokenizer.pre_tokenizer = pre_tokenizer
    if post_processor is not None:
        tokenizer.post_processor = post_processor
    return tokenizer


BYTES = tokenizers.pre_tokenizers.ByteLevel(add_prefix_space=False)
BLANKS = tokenizers.pre_tokenizers.WhitespaceSplit()
PIECES = tokenizers.pre_tokenizers.Metaspace()
BACKENDS = {
    "wordpiece": tokenizer_of(tokenizers.pre_tokenizers.BertPreTokenizer()),
    "gpt2": tokenizer_of(BYTES, tokenizers.processors.ByteLevel(trim_offsets=False)),
    "roberta": tokenizer_of(BYTES, tokenizers.processors.ByteLevel(trim_offsets=True)),
    "albert": tokenizer_of(PIECES),
    "xlm-roberta": tokenizer_of(tokenizers.pre_tokenizers.Sequence([BLANKS, PIECES])),
}


@pytest.mark.parametrize("backend", BACKENDS.values(), ids=BACKENDS)
def test_words_are_the_same_for_every_family(backend):
    texts = ["in New York.", "  two  blanks, well-known!"]
    spans = token_spans_of(backend.encode_batch(texts), texts, None)
    tokens = types.SimpleNamespace(
        spans=spans, lengths=[len(e.ids) for e in backend.encode_batch(texts)]
    )
    words = Words.of(tokens)
    parts = [texts[row][a:b] for row, a, b in zip(words.rows, words.starts, words.ends)]
    first, second = ["in", "New", "York", "."], ["two", "blanks", ",", "well", "-", "known", "!"]
    assert parts == [*first, *second]


def test_a_model_that_has_diverged_is_no_model_that_finds_nothing():
    model = TransferModel(tiny.make_encoder(), task(), max_length=8)
    model.heads["names"].bias.assign([np.nan] * 5)
    with pytest.raises(DataError, match="has diverged"):
        model.predict(["cold rain"], verbose=0)


def test_keras_metrics_are_refused():
    model = TransferModel(tiny.make_encoder(), task(), max_length=8)
    with pytest.raises(DataError, match="'names' has one a token"):
        model.compile(metrics={"names": ["accuracy"]})


def test_spans_that_no_word_is_of_are_counted_unless_they_were_cut_off():
    encoder = tiny.make_encoder(texts=("cold rain", "warm light again"))
    model = TransferModel(encoder, task(), max_length=4)
    table = pd.DataFrame(
        {
            "text": ["cold rain", "warm", "warm light again"],
            "names": [[(0, 4, "city")], [(0, 4, "city"), (7, 9, "city")], [(11, 16, "city")]],
        }
    )
    with pytest.warns(LabelWarning, match=r"^1 spans of task 'names'.* row 1\.$"):
        dataset = model.dataset(table, batch_size=3)
    ((_, y, _),) = dataset
    assert (y["names"].numpy() == 1).sum() == 2


def test_what_is_cut_off_counts_as_missed():
    encoder = tiny.make_encoder(texts=("cold rain again",))
    model = TransferModel(encoder, task(classes=("city",)), max_length=4)
    head = model.heads["names"]
    head.bias.assign([0.0, 9.0, 0.0])
    table = pd.DataFrame(
        {"text": ["cold rain again"], "names": [[(0, 4, "city"), (5, 9, "city"), (10, 15, "city")]]}
    )
    scores = model.evaluate(table)["test", "names"]
    assert scores["precision_micro"] == 1 and scores["recall_micro"] == pytest.approx(2 / 3)


def test_heads_of_words_are_solved_on_frozen_vectors():
    """Names that a text's words alone tell, with an encoder that stays random."""
    draws = np.random.default_rng(0)
    rows = []
    for _ in range(120):
        words = [str(word) for word in draws.choice(["oslo", "carl", "rain", "warm"], 4)]
        text, types_of = " ".join(words), {"oslo": "city", "carl": "person"}
        starts = [5 * place for place in range(4)]
        named = [(a, a + 4, types_of[w]) for a, w in zip(starts, words) if w in types_of]
        rows.append((text, named))
    table = pd.DataFrame(rows, columns=["text", "names"])
    encoder = tiny.make_encoder(texts=("oslo carl rain warm",))
    model = TransferModel(encoder, task(), max_length=12)
    before = tiny.snapshot(model)
    adapted = LinearProbe(uses_source=False).adapt(model, table[:40])
    assert adapted.evaluate(table[40:])["test", "names", "f1_micro"] > 0.9
    assert tiny.same(before, tiny.snapshot(model))


def test_a_draft_leaves_out_what_counts_words(tmp_path):
    draws = np.random.default_rng(0)
    for name in ("films", "tweets"):
        rows = []
        for _ in range(60):
            text = " ".join([*draws.permutation(WORDS)[:9], "oslo"])
            rows.append({"text": text, "names": written((len(text) - 4, len(text), "city"))})
        lines = "".join(json.dumps(row) + "\n" for row in rows)
        (tmp_path / f"{name}.jsonl").write_text(lines)
    content = draft([tmp_path / "films.jsonl"], tmp_path / "tweets.jsonl", tmp_path)
    assert "kind: tagging" in content and "linear_probe" in content
    assert "tfidf" not in content and "majority" not in content
    assert "- lexicon" in content and "- word_windows" in content


def test_a_blank_within_a_token_is_no_character_of_its_word():
    encoding = types.SimpleNamespace(sequence_ids=[0, 0], offsets=[(0, 2), (2, 6)], word_ids=[0, 1])
    spans = token_spans_of([encoding], ["in New"], None)
    assert spans.tolist() == [[0, 0, 2, 0], [0, 3, 6, 1]]
