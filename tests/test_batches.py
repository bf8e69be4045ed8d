"""Tokenising, and the order, shapes and weights of batches."""

import re

import numpy as np
import pandas as pd
import pytest

from tests import tiny
from tf_transfer.batches import rows as batches
from tf_transfer.batches.rows import bucket_lengths, to_dataset
from tf_transfer.batches.tokens import Tokens, tokenise
from tf_transfer.devices.backend import tf
from tf_transfer.errors import DataError
from tf_transfer.kinds.labels import encode_labels
from tf_transfer.kinds.tasks import Task

PAD = 9


def make_tokens(lengths, types=False, **options):
    """Row r holds the ids 100 r, 100 r + 1, …"""
    lengths = np.array(lengths, np.int32)
    ids = np.concatenate([100 * r + np.arange(n) for r, n in enumerate(lengths)]).astype(np.int32)
    starts = np.concatenate([[0], np.cumsum(lengths[:-1], dtype=np.int64)])
    return Tokens(ids, ids % 2 if types else None, starts, lengths, PAD, **options)


def labelled(tokens, **options):
    """Batches whose label is the row's number."""
    rows = np.arange(len(tokens), dtype=np.int32)
    return to_dataset(tokens, {"row": rows}, {"row": np.ones(len(tokens), np.float32)}, **options)


def orders(dataset, steps):
    """The row numbers of each epoch, without the rows that fill up a batch."""
    drawn = [y["row"][w["row"] > 0].numpy() for _, y, w in dataset]
    return [np.concatenate(drawn[i : i + steps]).tolist() for i in range(0, len(drawn), steps)]


LENGTHS = np.random.default_rng(0).integers(1, 60, 43)

# -- order -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("shuffle", [False, True])
def test_no_thread_tunes_what_is_fixed_and_keeps_the_end_waiting(shuffle):
    options = labelled(make_tokens(LENGTHS), batch_size=8, shuffle=shuffle).options()
    assert options.autotune.enabled is False and options.deterministic is True


def test_every_row_comes_once_an_epoch():
    tokens = make_tokens(LENGTHS)
    dataset = labelled(tokens, batch_size=8, shuffle=True, epochs=3)
    assert int(dataset.cardinality()) == 18
    found = orders(dataset, 6)
    assert len(found) == 3
    assert all(sorted(epoch) == list(range(43)) for epoch in found)
    assert found[0] != found[1] != found[2]


def test_the_order_is_a_function_of_seed_and_epoch():
    tokens = make_tokens(LENGTHS)
    options = {"batch_size": 8, "shuffle": True}
    three = orders(labelled(tokens, seed=5, epochs=3, **options), 6)
    assert orders(labelled(tokens, seed=5, epochs=3, **options), 6) == three
    assert orders(labelled(tokens, seed=5, epochs=2, first_epoch=1, **options), 6) == three[1:]
    assert orders(labelled(tokens, seed=6, epochs=1, **options), 6)[0] != three[0]


def test_the_process_seed_does_not_matter():
    tokens = make_tokens(LENGTHS)
    found = []
    for seed in (1, 2):
        tf.random.set_seed(seed)
        found.append(orders(labelled(tokens, batch_size=8, shuffle=True), 6))
    assert found[0] == found[1]


def test_without_shuffling_rows_come_in_order_and_none_is_added():
    found = [
        y["row"].numpy().tolist()
        for _, y, _ in labelled(make_tokens([3] * 7), batch_size=3, epochs=2)
    ]
    assert found == [[0, 1, 2], [3, 4, 5], [6]] * 2


def test_the_last_batch_is_filled_up_with_rows_of_weight_0():
    shapes, weights = set(), 0.0
    for x, y, w in labelled(make_tokens([3] * 10), batch_size=4, shuffle=True):
        shapes.add((x["input_ids"].shape[0], y["row"].shape[0], w["row"].shape[0]))
        weights += float(tf.reduce_sum(w["row"]))
        filler = w["row"].numpy() == 0
        assert (x["input_ids"].numpy()[filler] == PAD).all()
        # one, so that a softmax is defined
        assert (x["attention_mask"].numpy()[filler].sum(1) == 1).all()
    assert shapes == {(4, 4, 4)}
    assert weights == 10


def test_rows_of_similar_length_share_a_batch():
    lengths = np.random.default_rng(1).integers(1, 200, 6400)
    padded = sum(
        int(tf.size(x["input_ids"])) for x, _, _ in labelled(make_tokens(lengths), shuffle=True)
    )
    assert padded < 1.2 * lengths.sum()  # 1.9 in random batches


def test_rows_of_a_small_table_meet_other_rows_in_the_next_epoch():
    lengths = np.random.default_rng(1).integers(1, 200, 250)
    batches = [y["row"].numpy()[w["row"].numpy() > 0] for _, y, w in
               labelled(make_tokens(lengths), batch_size=16, shuffle=True, epochs=2)]  # fmt: skip
    first, second = (
        {frozenset((a, b)) for batch in epoch for a in batch for b in batch if a != b}
        for epoch in (batches[:16], batches[16:])
    )
    # .06 by chance, .79 if the whole table were sorted
    assert len(first & second) < 0.3 * len(first)
    longest = np.argmax(lengths)
    short = [{len(b): set(b) for b in epoch}[250 % 16] for epoch in (batches[:16], batches[16:])]
    assert not all(longest in batch for batch in short)


# -- shapes ----------------------------------------------------------------------------------------


def test_fields_by_hand():
    (x,) = to_dataset(make_tokens([3, 1, 2], types=True, limit=3), batch_size=3)
    assert x["input_ids"].numpy().tolist() == [[0, 1, 2], [100, PAD, PAD], [200, 201, PAD]]
    assert x["attention_mask"].numpy().tolist() == [[1, 1, 1], [1, 0, 0], [1, 1, 0]]
    assert x["token_type_ids"].numpy().tolist() == [[0, 1, 0], [0, 0, 0], [0, 1, 0]]
    assert {v.dtype for v in x.values()} == {tf.int32}


@pytest.mark.parametrize(
    ("lengths", "limit", "buckets"),
    [
        ([1, 5, 8], 128, [8]),
        ([3, 9, 30], 128, [8, 12, 32]),
        ([60, 60], 128, [64]),
        ([100], 128, [104]),
        ([100], 100, [100]),
        ([7], 7, [7]),
        ([0, 0], 128, [8]),
    ],
)
def test_bucket_lengths(lengths, limit, buckets):
    assert bucket_lengths(np.array(lengths, np.int32), limit).tolist() == buckets


def test_there_are_few_lengths_and_they_waste_little():
    lengths = np.arange(1, 513)
    buckets = bucket_lengths(lengths, 512)
    assert len(buckets) <= 23 and buckets[-1] == 512
    taken = buckets[np.searchsorted(buckets, lengths)]
    assert (taken >= lengths).all() and taken.sum() / lengths.sum() < 1.12


def test_a_batch_takes_the_smallest_length_that_fits():
    dataset = to_dataset(make_tokens([2, 20, 7, 40, 41]), batch_size=1)
    assert [x["input_ids"].shape[1] for x in dataset] == [8, 20, 8, 40, 48]


def plan(lengths, budget):
    return [
        (rows.tolist(), length)
        for rows, length in batches.plan_by_length(make_tokens(lengths), budget)
    ]


def test_a_plan_by_length_fills_a_budget_of_tokens():
    assert plan([3, 11, 8, 5, 9, 40], 24) == [([0, 3, 2], 8), ([4, 1], 12), ([5], 40)]
    # Ten short rows and one long: the rows that fit the budget at the length of the longest of
    # them.
    assert plan([2] * 10 + [16], 48) == [([0, 1, 2, 3, 4, 5], 8), ([6, 7, 8], 16), ([9, 10], 16)]


@pytest.mark.parametrize("budget", [1, 64, 500, 10**6])
def test_a_plan_by_length_holds_every_row_once_and_keeps_to_its_budget(budget):
    lengths = np.random.default_rng(0).integers(1, 90, 200)
    found = batches.plan_by_length(make_tokens(lengths), budget)
    assert sorted(np.concatenate([rows for rows, _ in found])) == list(range(200))
    for rows, length in found:
        assert lengths[rows].max() <= length and (len(rows) * length <= budget or len(rows) == 1)


# -- tokenising ------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def encoder():
    return tiny.make_encoder()


def decoded(encoder, tokens):
    """Each row as text."""
    rows = [tokens.ids[s : s + n] for s, n in zip(tokens.starts, tokens.lengths)]
    return [encoder.tokenizer.decode(ids) for ids in rows]


def test_texts_are_tokenised_in_row_order(encoder):
    tokens = tokenise(encoder, pd.DataFrame({"text": ["cold rain", "dawn", "dance and drum"]}))
    assert decoded(encoder, tokens) == [
        "[CLS] cold rain [SEP]", "[CLS] dawn [SEP]", "[CLS] dance and drum [SEP]",
    ]  # fmt: skip
    assert tokens.limit == 128 and not tokens.types.any()


def test_a_long_text_is_cut(encoder):
    tokens = tokenise(encoder, pd.DataFrame({"text": ["cold " * 500, "dawn"]}), max_length=10)
    assert tokens.lengths.tolist() == [10, 3]
    assert decoded(encoder, tokens)[0] == "[CLS]" + " cold" * 8 + " [SEP]"
    longest = tokenise(encoder, pd.DataFrame({"text": ["cold " * 500]}), max_length=4000)
    assert longest.lengths.tolist() == [128]


@pytest.mark.parametrize("missing", [None, np.nan, "", "  "])
def test_pairs_with_missing_second_texts(encoder, missing):
    table = pd.DataFrame({"text": ["cold rain", "dawn"], "other": ["lake", missing]}, dtype=object)
    tokens = tokenise(encoder, table, text_pair="other")
    assert decoded(encoder, tokens) == ["[CLS] cold rain [SEP] lake [SEP]", "[CLS] dawn [SEP]"]
    assert tokens.types.tolist() == [0, 0, 0, 0, 1, 1, 0, 0, 0]
    table["other"] = missing
    assert (
        decoded(encoder, tokenise(encoder, table, text_pair="other"))[0] == "[CLS] cold rain [SEP]"
    )


def test_a_long_pair_is_cut_from_its_longer_text(encoder):
    table = pd.DataFrame({"text": ["dawn"], "other": ["cold " * 50]})
    found = decoded(encoder, tokenise(encoder, table, text_pair="other", max_length=8))
    assert found == ["[CLS] dawn [SEP] cold cold cold cold [SEP]"]


def test_a_text_without_tokens_still_has_a_vector():
    encoder = tiny.make_encoder("gpt2")  # adds no special tokens
    tokens = tokenise(encoder, pd.DataFrame({"text": ["\u0007", "dawn"]}))
    assert tokens.lengths.tolist() == [0, 1]
    (x,) = to_dataset(tokens, batch_size=2)
    assert x["attention_mask"].numpy().sum(1).tolist() == [1, 1]
    assert np.isfinite(encoder(x)).all()


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ({"text": ["dawn", None, " "]}, "2 empty ones; the first is row 1"),
        ({"text": []}, "must have rows"),
        (
            {"txt": ["dawn"]},
            "column 'text'(.|\n)*Did you mean 'txt'|column 'text'(.|\n)*columns 'txt'",
        ),
    ],
)
def test_bad_texts_are_named(encoder, table, message):
    with pytest.raises(DataError, match=message):
        tokenise(encoder, pd.DataFrame(table))


def test_a_missing_pair_column_is_named(encoder):
    with pytest.raises(DataError, match=r"column 'othr'(.|\n)*Did you mean 'other'"):
        tokenise(encoder, pd.DataFrame({"text": ["dawn"], "other": ["lake"]}), text_pair="othr")


# -- labels ----------------------------------------------------------------------------------------


def test_labels_and_weights_of_a_partly_labelled_table():
    table = pd.DataFrame(
        {
            "mood": ["sad", None, "calm"],
            "themes": [["water", "noise"], [], None],
            "stars": [1.5, np.nan, 3.0],
        }
    )
    y, w = encode_labels(tiny.TASKS, table)
    assert {k: v.tolist() for k, v in w.items()} == {
        "mood": [1, 0, 1],
        "themes": [1, 1, 0],
        "stars": [1, 0, 1],
    }
    assert y["mood"].tolist() == [2, 0, 0]
    assert y["themes"].tolist() == [[1, 1], [0, 0], [0, 0]]
    assert y["stars"].tolist() == [1.5, 0, 3]
    assert {k: str(v.dtype) for k, v in y.items()} == {
        "mood": "int32",
        "themes": "float32",
        "stars": "float64",
    }


def test_a_task_without_its_column_has_no_weight():
    _, w = encode_labels(tiny.TASKS, pd.DataFrame({"mood": ["sad"]}))
    assert {k: v.tolist() for k, v in w.items()} == {"mood": [1], "themes": [0], "stars": [0]}


def test_class_weights_are_the_rows_weights():
    task = Task("mood", kind="classification", classes=("a", "b"), class_weight={"b": 3.0})
    _, w = encode_labels([task], pd.DataFrame({"mood": ["b", "a", None]}))
    assert w["mood"].tolist() == [3, 1, 0]
    balanced = Task("mood", kind="classification", classes=("a", "b"), class_weight="balanced")
    _, w = encode_labels([balanced], pd.DataFrame({"mood": ["a", "a", "a", "b", None]}))
    np.testing.assert_allclose(w["mood"], [4 / 6, 4 / 6, 4 / 6, 2, 0], rtol=1e-6)


def test_a_table_without_any_label_is_refused():
    with pytest.raises(DataError, match=re.escape("Split 'x' must have labels in at least one of")):
        encode_labels(tiny.TASKS, pd.DataFrame({"text": ["dawn"]}), "split 'x'")
