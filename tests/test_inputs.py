"""What Keras and Hugging Face users pass to `fit`, `predict` and `evaluate` is read as a table
would be.
"""

import numpy as np
import pandas as pd
import pytest

from tests import tiny
from tf_transfer.batches.inputs import rows_of, with_labels
from tf_transfer.batches.token_inputs import batches_of
from tf_transfer.data.hugging_face import from_dataset
from tf_transfer.data.tables import load_table
from tf_transfer.devices.backend import tf
from tf_transfer.errors import DataError
from tf_transfer.kinds.tasks import Task

TABLE = tiny.make_table(16)
TEXTS, MOODS, STARS = TABLE["text"].tolist(), TABLE["mood"].tolist(), TABLE["stars"].to_numpy()
MOOD = Task("mood", kind="classification", classes=tiny.MOODS)
CODES = np.array([tiny.MOODS.index(m) for m in MOODS])


def read(x, y=None, weights=None, tasks=(MOOD,), **columns):
    return rows_of(x, y, weights, tasks=tasks, **columns)


def tokenised(model):
    """What its own documentation tells a user of the tokenizer to write."""
    return model.encoder.tokenizer(
        TEXTS, padding=True, truncation=True, max_length=24, return_tensors="np"
    )


@pytest.fixture(scope="module")
def fitted():
    """Trains one model from the same start on whatever it is given; the state that results."""
    model = tiny.make_model(MOOD)
    model.compile()
    start = tiny.snapshot(model)

    def fit(*args, **options):
        tiny.restore(model, start)
        model.start_run(seed=1)
        model.fit(*args, **{"epochs": 1, "batch_size": 8, "verbose": 0} | options)
        return tiny.snapshot(model)

    fit.model = model
    return fit


@pytest.fixture(scope="module")
def hub():
    return pytest.importorskip(
        "datasets", reason="Hugging Face datasets is not installed: pip install datasets"
    )


@pytest.fixture(scope="module")
def dataset(hub):
    features = hub.Features(
        {
            "text": hub.Value("string"),
            "mood": hub.ClassLabel(names=list(tiny.MOODS)),
            "themes": hub.Sequence(hub.ClassLabel(names=["water", "noise"])),
            "stars": hub.Value("float64"),
        }
    )
    themes = [[["water", "noise"].index(t) for t in row] for row in TABLE["themes"]]
    return hub.Dataset.from_dict(
        {"text": TEXTS, "mood": CODES, "themes": themes, "stars": STARS}, features
    )


# -- training and predicting -----------------------------------------------------------------------


FORMS = {
    "lists": (TEXTS, MOODS),
    "arrays": (np.array(TEXTS), np.array(MOODS)),
    "class numbers": (np.array(TEXTS, object), CODES),
    "series": (pd.Series(TEXTS, index=range(7, 23)), pd.Series(MOODS, dtype="category")),
    "a dict of columns": ({"text": TEXTS}, {"mood": MOODS}),
    "a table without labels": (TABLE[["text"]], np.array(MOODS)[:, None]),
}


@pytest.fixture(scope="module")
def expected(fitted):
    return fitted(TABLE)


@pytest.mark.slow
@pytest.mark.parametrize("form", FORMS)
def test_fit_on_arrays_is_fit_on_the_table(fitted, expected, form):
    assert tiny.same(fitted(*FORMS[form]), expected)


@pytest.mark.parametrize("batch", [None, 5])
def test_fit_on_tf_data_of_texts(fitted, expected, batch):
    data = tf.data.Dataset.from_tensor_slices((TEXTS, MOODS))
    assert tiny.same(fitted(data if batch is None else data.batch(batch)), expected)


def test_fit_on_a_dataset_of_the_hub(fitted, expected, dataset):
    assert tiny.same(fitted(dataset), expected)


def test_a_row_of_weight_0_is_a_row_without_a_label(fitted, expected):
    weights = np.ones(16)
    weights[[2, 5]] = 0
    found = fitted(TEXTS, MOODS, sample_weight=weights)
    unlabelled = TABLE.assign(mood=[None if i in (2, 5) else m for i, m in enumerate(MOODS)])
    assert tiny.same(found, fitted(unlabelled)) and not tiny.same(found, expected)
    data = tf.data.Dataset.from_tensor_slices((TEXTS, MOODS, weights))
    assert tiny.same(found, fitted(data.batch(4)))


@pytest.mark.parametrize("shuffle", [False, True])
def test_what_a_tokenizer_returns_becomes_the_batches_of_the_table(fitted, shuffle):
    model, tokens = fitted.model, tokenised(fitted.model)
    (x, y, w), *_ = model.dataset(TABLE, batch_size=16)
    length = tokens["input_ids"].shape[1]
    one_task = tf.data.Dataset.from_tensor_slices((dict(tokens), CODES)).batch(16)
    weighted = tf.data.Dataset.from_tensor_slices((dict(tokens), CODES, np.ones(16))).batch(16)
    for given in ((dict(tokens), MOODS), (tokens, {"mood": CODES}), (one_task,), (weighted,)):
        found_x, found_y, found_w = next(
            iter(batches_of(model, *given, batch_size=16, shuffle=shuffle))
        )
        order = np.lexsort(found_x["input_ids"].numpy().T) if shuffle else np.arange(16)
        expected = np.lexsort(x["input_ids"].numpy()[:, :length].T) if shuffle else np.arange(16)
        for field in x:
            found = found_x[field]
            assert found.dtype == tf.int32
            assert np.array_equal(found.numpy()[order], x[field].numpy()[expected, :length])
        assert np.array_equal(found_y["mood"].numpy()[order], y["mood"].numpy()[expected])
        assert np.array_equal(found_w["mood"], w["mood"]) and found_w["mood"].dtype == tf.float32


def test_validation_on_arrays_is_validation_on_the_table(fitted, dataset):
    model = fitted.model
    losses = []
    for validation in (TABLE, (TEXTS, MOODS), (TEXTS, CODES, np.ones(16)), dataset):
        fitted(TABLE, validation_data=validation)
        losses.append(model.history.history["val_loss"])
    assert all(loss == losses[0] for loss in losses)


@pytest.mark.slow
def test_predict_takes_the_same(trained, dataset):
    expected = trained.predict(TABLE, verbose=0)
    tokens = tokenised(trained)
    del tokens["token_type_ids"]
    batches = tf.data.Dataset.from_tensor_slices(dict(tokens)).batch(5)
    texts = tf.data.Dataset.from_tensor_slices(TEXTS).batch(3)
    for x in (
        TEXTS,
        tuple(TEXTS),
        np.array(TEXTS),
        dataset,
        texts,
        {"text": TEXTS},
        tokens,
        dict(tokens),
        batches,
    ):
        found = trained.predict(x, verbose=0)
        for name in expected:
            np.testing.assert_allclose(
                found[name].scores, expected[name].scores, rtol=1e-5, atol=1e-5
            )
    assert trained.predict(TEXTS[:1], verbose=0).to_frame()["mood"].tolist() == [
        expected["mood"].labels[0]
    ]


def test_evaluate_takes_the_same(trained, hub, dataset):
    expected = trained.evaluate({"a": TABLE}, verbose=0)
    labels = {name: TABLE[name] for name in ("mood", "themes", "stars")}
    assert trained.evaluate({"a": (TEXTS, labels)}, verbose=0) == expected
    assert trained.evaluate(hub.DatasetDict({"a": dataset}), verbose=0) == expected
    assert trained.evaluate(TEXTS, labels, verbose=0).to_dict()["test"] == expected.to_dict()["a"]
    tokens = tokenised(trained)
    found = trained.evaluate(dict(tokens), labels, verbose=0)["test"]
    for name in labels:
        for metric, value in expected["a", name].items():
            np.testing.assert_allclose(found[name][metric], value, rtol=1e-3, atol=1e-4)


# -- reading ---------------------------------------------------------------------------------------


def test_pairs_of_texts():
    pairs = [("a", "b"), ("c", "d")]
    table = pd.DataFrame({"text": ["a", "c"], "other": ["b", "d"]})
    for x in (pairs, np.array(pairs), {"text": ["a", "c"], "other": ["b", "d"]}):
        found = read(x, text_pair="other").table
        assert found.to_dict("list") == table.to_dict("list")
    features = {"text": ["a", "c"], "other": ["b", "d"]}
    data = tf.data.Dataset.from_tensor_slices((features, ["calm", "sad"]))
    found = read(data.batch(2), text_pair="other").table
    assert found.to_dict("list") == table.to_dict("list") | {"mood": ["calm", "sad"]}


def test_labels_of_a_multi_label_task():
    task = Task("themes", kind="multilabel", classes=("water", "noise"))
    lists = with_labels(TABLE[["text"]].head(3), [["water"], [], ["noise", "water"]], [task])
    indicators = with_labels(TABLE[["text"]].head(3), np.array([[1, 0], [0, 0], [1, 1]]), [task])
    for table in (lists, indicators):
        assert task.encode(table)[0].tolist() == [[1, 0], [0, 0], [1, 1]]


def test_class_numbers_are_places_only_where_classes_are_names():
    numbers = Task("n", kind="classification", classes=(3, 4))
    assert with_labels(TABLE.head(2), [4, 3], [numbers])["n"].tolist() == [4, 3]
    digits = Task("n", kind="classification", classes=("0", "1", "2"))
    assert with_labels(TABLE.head(2), [2, 0], [digits])["n"].tolist() == [2, 0]
    assert with_labels(
        TABLE.head(2), [2, 0], [Task("n", kind="classification", classes=tuple("cab"))]
    )["n"].tolist() == ["b", "c"]


def test_labels_by_column_or_by_task():
    stars = Task("rating", label="stars", kind="regression")
    for y in (
        {"rating": [1, 2]},
        {"stars": [1, 2]},
        pd.DataFrame({"stars": [1, 2]}),
        tf.constant([1, 2]),
    ):
        assert with_labels(TABLE[["text"]].head(2), y, [stars])["stars"].tolist() == [1, 2]


def test_token_ids_that_are_complete_are_handed_back(trained):
    data = trained.dataset(TABLE)
    assert batches_of(trained, data) is data


def test_generators_of_token_ids_are_handed_to_keras(fitted):
    """They are streamed, batch by batch; see `array_likes` for generators of texts."""
    model = fitted.model
    whole = model.dataset(TABLE, batch_size=8)
    assert tiny.same(fitted(iter(whole), steps_per_epoch=2, shuffle=False), fitted(whole))


# -- Hugging Face datasets -------------------------------------------------------------------------


def test_a_dataset_is_a_table_with_names(dataset):
    table = load_table(dataset)
    assert table["mood"].tolist() == MOODS and table["stars"].tolist() == STARS.tolist()
    assert [list(t) for t in table["themes"]] == [list(t) for t in TABLE["themes"]]


def test_minus_one_is_no_label(hub):
    features = hub.Features(
        {"text": hub.Value("string"), "mood": hub.ClassLabel(names=["calm", "sad"])}
    )
    data = hub.Dataset.from_dict({"text": ["a", "b", "c"], "mood": [1, -1, None]}, features)
    assert load_table(data)["mood"].tolist() == ["sad", None, None]


def test_a_dict_of_splits_is_no_table(hub, dataset):
    splits = hub.DatasetDict({"train": dataset, "test": dataset})
    for call in (load_table, from_dataset, read):
        with pytest.raises(
            DataError, match=r"'train', 'test'.\nChoose one, for instance dataset\['train'\]"
        ):
            call(splits)


class StandIn:
    """What a `datasets.Dataset` shows of itself; for environments without the library."""

    def __init__(self, table, names):
        label = type("ClassLabel", (), {"int2str": lambda self, i: names[i]})()
        self.table, self.features, self.column_names = (
            table,
            {"text": object(), "mood": label},
            list(table),
        )

    def to_pandas(self):
        return self.table.copy()


def test_the_library_need_not_be_installed():
    data = StandIn(pd.DataFrame({"text": TEXTS, "mood": CODES}), tiny.MOODS)
    assert load_table(data)["mood"].tolist() == MOODS


# -- bad input -------------------------------------------------------------------------------------


TWO = [MOOD, Task("stars", kind="regression")]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("one text",), "Give a list"),
        ((np.array("one text"),), "Give a list"),
        (([],), "Received none"),
        ((["a", 3],), "Received int 3 in row 1"),
        (([["a", "b"]],), "Received rows of 2"),
        ((["a", "b"], ["calm"]), "Received 2 x, 1 y of 'mood'"),
        ((["a"], [3]), r"must be 0 to 2.\nReceived 3"),
        (
            (["a"], np.eye(3)[:1]),
            r"shape \(1, 3\).\nGive class names or numbers, for instance y.argmax",
        ),
        ((["a"], ["calm"], None, TWO), r"{task: labels} with 'mood', 'stars'.\nReceived a list"),
        ((["a"], {"moood": ["calm"]}), "Did you mean 'mood'"),
        (
            (["a", "b"], ["calm", "sad"], [1.0]),
            r"must be 2 numbers of at least 0, one a row.\nReceived the shape \(1,\)",
        ),
        ((["a", "b"], ["calm", "sad"], [1.0, -1]), "with -1.0"),
        (
            (["a"], np.array([[2, 0]]), None, [Task("t", kind="multilabel", classes=("x", "y"))]),
            "0 or 1",
        ),
        (({"text": ["a"], "other": ["b", "c"]}, None, None, (MOOD,), "other"), "1 x"),
    ],
)
def test_bad_rows(arguments, message):
    *arguments, text_pair = [*arguments, None] if len(arguments) < 5 else arguments
    with pytest.raises(DataError, match=message):
        read(*arguments, text_pair=text_pair)


def test_bad_data_sets(trained):
    texts = tf.data.Dataset.from_tensor_slices(TEXTS)
    with pytest.raises(DataError, match=r"never ends.\nCut it: dataset.take"):
        read(texts.repeat())
    with pytest.raises(DataError, match="Received none"):
        read(texts.take(0))
    with pytest.raises(DataError, match="holds its own labels"):
        read(texts, MOODS)
    with pytest.raises(DataError, match=r"'attention_mask': …}.\nReceived 'input_ids'"):
        trained.predict({"input_ids": np.ones((2, 3), int)})
    ids = np.ones((2, 3), int)
    data = tf.data.Dataset.from_tensor_slices(
        ({"input_ids": ids, "attention_mask": ids}, [0, 1])
    ).batch(2)
    with pytest.raises(DataError, match="y must be a dict with the tasks"):
        batches_of(trained, data)
