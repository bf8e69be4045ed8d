"""A kind that reads tokens and answers with spans goes the whole way, beside one that reads
texts.
"""

import numpy as np
import pandas as pd
import pytest

from tests import tiny
from tests.experiments import WORDS, make_experiment
from tests.kinds import marked
from tf_transfer.batches.rows import to_dataset
from tf_transfer.comparison.compare import compare
from tf_transfer.comparison.comparison import Comparison
from tf_transfer.devices.backend import keras, tf
from tf_transfer.errors import DataError
from tf_transfer.kinds import KINDS, METRICS, register
from tf_transfer.kinds.answers import Ragged, digest_of
from tf_transfer.kinds.base import PADDED
from tf_transfer.kinds.tasks import Task
from tf_transfer.model.model import TransferModel


@pytest.fixture(scope="module", autouse=True)
def marked_kind():
    yield register(marked.Marked())
    KINDS.pop("marked")
    METRICS.pop("span_f1"), METRICS.pop("exactly_marked")


def make_table(rows: int, seed: int) -> pd.DataFrame:
    table = marked.make_table(rows, seed)
    return table.assign(named=["yes" if "-" in str(v) else "no" for v in table["names"]])


@pytest.fixture(scope="module")
def model():
    encoder = tiny.make_encoder(texts=(" ".join(WORDS), *marked.NAMES))
    tasks = [Task("names", kind="marked"), Task("named", kind="classification")]
    model = TransferModel(encoder, tasks, max_length=24)
    model.compile(learning_rate=5e-3)
    model.fit(make_table(240, 0), epochs=6, batch_size=16, verbose=0)
    return model


def test_names_are_marked_where_they_stand(model):
    table = make_table(60, 1).dropna()
    scores = model.evaluate(table)
    assert scores["test", "names", "span_f1"] > 0.9 and scores["test", "named", "accuracy"] > 0.7
    said = model.predict(table, verbose=0)
    for text, spans in zip(table["text"], said["names"].scores):
        words = [text[a:b] for a, b in spans]
        assert sum(word in marked.NAMES for word in words) >= len(words) - 1
    assert list(said.to_frame()) == ["names", "named", "named:no", "named:yes"]


def test_what_batches_have_padded_changes_no_answer(model):
    table = make_table(40, 2)
    together = model.predict(table, verbose=0)
    alone = [model.predict(table.iloc[[row]], verbose=0) for row in range(5)]
    for row, each in enumerate(alone):
        assert np.array_equal(each["names"].scores[0], together["names"].scores[row])
        np.testing.assert_allclose(
            each["named"].scores[0], together["named"].scores[row], atol=1e-6
        )


def test_the_loss_of_a_row_is_the_mean_over_its_tokens(model):
    """By hand, from the outputs that the model gives for each row alone."""
    table = make_table(12, 3)
    dataset = model.dataset(table, batch_size=12)
    ((x, y, w),) = dataset
    assert y["names"].shape == x["input_ids"].shape and y["named"].shape == (12,)
    outputs = model(x)
    logits = outputs["names"].numpy()[..., 0].astype(np.float64)
    by_hand = []
    for row, labels in enumerate(y["names"].numpy()):
        known = labels != PADDED
        margins = np.where(labels == 1, -logits[row], logits[row])[known]
        by_hand.append(np.log1p(np.exp(margins)).mean())
    found = model.heads["names"].losses_of(y["names"], outputs["names"])
    np.testing.assert_allclose(found, by_hand, rtol=1e-5)
    weights = w["names"].numpy()
    expected = (np.array(by_hand) * weights).sum() / weights.sum()
    _, parts, _ = model.compute_losses(y, outputs, w)
    assert float(parts["names"][0]) == pytest.approx(expected, rel=1e-5)


def test_labels_of_tokens_stay_with_their_tokens(model):
    table = make_table(40, 4)
    tokens = model.tokenise(table, spans=True)
    names = Task("names", kind="marked")
    targets = KINDS["marked"].targets(names, names.encode(table)[0], tokens)
    numbers = np.arange(len(tokens.ids), dtype=np.int32)
    batches = to_dataset(
        tokens, {}, {}, batch_size=8, shuffle=True, token_y={"a": numbers, "b": targets}
    )
    seen = 0
    for x, y, _ in batches:
        real = y["a"].numpy() != PADDED
        places = y["a"].numpy()[real]
        assert np.array_equal(x["input_ids"].numpy()[real], tokens.ids[places])
        assert np.array_equal(y["b"].numpy()[real], targets[places])
        assert (real == x["attention_mask"].numpy().astype(bool)).all()
        seen += real.sum()
    assert seen >= len(tokens.ids)


def test_spans_of_tokens_are_characters_of_each_text():
    encoder = tiny.make_encoder(texts=("naïve cafés", "cold rain"))
    model = TransferModel(encoder, Task("names", kind="marked"), max_length=24)
    tokens = model.tokenise(["  naïve   cafés", "rain"], spans=True)
    first = tokens.spans[: tokens.lengths[0]]
    text = "  naïve   cafés"
    assert "".join(text[a:b] for part, a, b, _ in first if part == 0) == "naïvecafés"
    assert first[0].tolist() == first[-1].tolist() == [-1, 0, 0, -1]
    words = {word: text[a:b] for part, a, b, word in first if part == 0}
    assert len(words) == 2


def test_spans_of_pairs_say_which_text():
    encoder = tiny.make_encoder(texts=("cold rain",))
    options = {"text_pair": "more", "max_length": 24}
    model = TransferModel(encoder, Task("names", kind="marked"), **options)
    table = pd.DataFrame({"text": ["cold rain", "rain"], "more": ["rain", None]})
    tokens = model.tokenise(table, spans=True)
    parts = tokens.spans[:, 0]
    assert set(parts[: tokens.lengths[0]]) == {-1, 0, 1}
    assert set(parts[tokens.lengths[0] :]) == {-1, 0}


def test_token_ids_are_refused(model):
    ids = {"input_ids": np.ones((2, 4), int), "attention_mask": np.ones((2, 4), int)}
    for use in (model.predict, model.evaluate, model.fit):
        with pytest.raises(DataError, match="'names' is about their characters"):
            use(ids)
    with pytest.raises(DataError, match="no callbacks"):
        model.predict(make_table(4, 0), callbacks=[], verbose=0)


def test_labelled_batches_train_as_their_table():
    encoder = tiny.make_encoder(texts=(" ".join(WORDS), *marked.NAMES))
    model = TransferModel(encoder, Task("names", kind="marked"), max_length=24)
    table = make_table(12, 5)
    model.compile(keras.optimizers.SGD(0.0))
    model.encoder.reseed(0)
    of_table = model.fit(table, batch_size=4, shuffle=False, verbose=0)
    model.encoder.reseed(0)
    of_batches = model.fit(model.dataset(table, batch_size=4), verbose=0)
    assert of_batches.history["loss"] == of_table.history["loss"]


def test_saved_and_loaded_it_says_the_same(model, tmp_path):
    table = make_table(12, 5)
    model.save(tmp_path / "model")
    again = TransferModel.load(tmp_path / "model").predict(table, verbose=0)
    assert digest_of(again["names"].scores) == digest_of(
        model.predict(table, verbose=0)["names"].scores
    )


def test_a_comparison_has_verdicts_and_a_report(encoder_folder, tmp_path):
    brief = {"adapt_steps": 6, "adapt_batch_size": 8}
    content = make_experiment(
        encoder={"name": str(encoder_folder), "max_length": 24},
        tasks=[{"name": "names", "kind": "marked"}, "named"],
        sources={"films": make_table(30, 1)},
        targets={"tweets": {"train": make_table(40, 2), "test": make_table(42, 3)}},
        baseline="target_only",
        strategies=[{"target_only": brief}, {"fine_tune": brief | {"epochs": 2}}],
        budgets=[20],
        leave_one_out=[],
    )
    comparison = compare(content, tmp_path / "run", verbose=0)
    assert not comparison.unusable
    verdicts = comparison.verdicts()
    assert list(verdicts["metric"]) == ["span_f1", "f1_macro"]
    results = comparison.results
    assert set(results.query("task == 'names'")["metric"]) == {"span_f1", "exactly_marked"}
    assert set(comparison.slices()["task"]) == {"names", "named"}
    assert set(comparison.reliability()["task"]) == {"named"}
    changed = comparison.changed_rows("tweets", "names", "fine_tune", 20)
    assert (changed["before"] != changed["after"]).all()
    comparison.save()
    page = (tmp_path / "run" / "report.html").read_text(encoding="utf-8")
    assert "span F1" in page
    # What a stopped run lacks is done again, to the same bits.
    sorted(tmp_path.glob("run/cells/tweets/fine_tune/*.npz"))[0].unlink()
    again = compare(content, tmp_path / "run", verbose=0)
    pd.testing.assert_frame_equal(again.results, results)
    pd.testing.assert_frame_equal(Comparison(tmp_path / "run").verdicts(), verdicts)


@pytest.mark.parametrize("strategy", ["tfidf", "majority", "proto_net"])
def test_strategies_of_whole_texts_are_refused_before_any_training(
    encoder_folder, tmp_path, strategy
):
    content = make_experiment(
        encoder={"name": str(encoder_folder), "max_length": 24},
        tasks=[{"name": "names", "kind": "marked"}],
        sources={"films": make_table(30, 1)},
        targets={"tweets": {"train": make_table(40, 2), "test": make_table(42, 3)}},
        baseline="target_only",
        strategies=["target_only", strategy],
        budgets=[20],
        leave_one_out=[],
    )
    with pytest.raises(DataError, match=f"{strategy} learns from whole texts"):
        compare(content, tmp_path / "run", verbose=0)
    assert not (tmp_path / "run").exists()


# -- rows of different lengths ---------------------------------------------------------------------

ROWS = [[(0, 4)], [], [(2, 3), (5, 9)], []]


def test_rows_are_chosen_as_those_of_an_array_are():
    spans = Ragged.of(ROWS, marked.NO_SPAN)
    for chosen in ([2, 0, 2], slice(1, 3), [True, False, True, True], [], slice(None)):
        numbers = np.arange(4)[chosen]
        assert [part.tolist() for part in spans[chosen]] == [
            [list(span) for span in ROWS[row]] for row in numbers
        ]
    assert spans[2].tolist() == [[2, 3], [5, 9]]
    assert spans.row_numbers.tolist() == [0, 2, 2]


def test_what_is_packed_comes_back():
    spans = Ragged.of(ROWS, marked.NO_SPAN)
    again = Ragged.unpack(spans.pack())
    assert digest_of(again) == digest_of(spans) != digest_of(spans[[0, 1, 2]])


@pytest.mark.parametrize(
    "arrays",
    [
        {"values": np.zeros((3, 2))},
        {"values": np.zeros((3, 2)), "lengths": np.array([1, 1])},
        {"values": np.zeros((3, 2)), "lengths": np.array([4, -1])},
        {"values": np.zeros((3, 2)), "lengths": np.array([1.0, 2.0])},
    ],
)
def test_arrays_that_do_not_fit_are_refused(arrays):
    with pytest.raises(ValueError):
        Ragged.unpack(arrays)


def test_a_model_of_texts_alone_is_as_before():
    """Its call has one path, whose graph is that of before there were heads on tokens."""
    model = tiny.make_model()
    x = next(iter(to_dataset(model.tokenise(tiny.make_table(4)), batch_size=4)))
    vectors = model.encoder(x)
    for name, output in model.apply_heads(vectors).items():
        assert np.array_equal(output, model(x)[name]), name
    assert tf.nest.flatten(model.apply_heads(vectors))[0].shape[0] == 4
