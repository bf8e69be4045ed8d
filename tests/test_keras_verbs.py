"""What Keras users type: arguments are honoured as in Keras, or refused with one message."""

import re

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import accuracy_score, log_loss

from tests import tiny
from tf_transfer.checks.arguments import rate, whole
from tf_transfer.data.splits import split_table
from tf_transfer.devices.backend import keras, tf
from tf_transfer.encoders.tiny import tiny_encoder
from tf_transfer.errors import DataError
from tf_transfer.kinds.tasks import Task, infer_tasks
from tf_transfer.model.model import TransferModel

MOOD = Task("mood", kind="classification", classes=tiny.MOODS)
TABLE = tiny.make_table(12)
TEXTS, MOODS = TABLE["text"].tolist(), TABLE["mood"].tolist()
PLACES = np.array([tiny.MOODS.index(m) for m in MOODS])
SILENT = {"batch_size": 6, "verbose": 0}


@pytest.fixture(scope="module")
def model():
    """Plain gradient descent with a rate of 0: a training changes nothing, and its losses can be
    computed.
    """
    model = tiny.make_model(MOOD, dropout=0.0, max_length=40)
    tiny.restore(model, [v + 0.3 * np.sin(np.arange(v.size)).reshape(v.shape) if v.ndim == 2 else v
                         for v in tiny.snapshot(model)])  # fmt: skip
    compiled(model)
    model.encoder.trainable = False  # without dropout
    return model


def compiled(model, **options):
    model.compile(optimizer=keras.optimizers.SGD(0.0), run_eagerly=True, **options)
    return model


def losses(model, table=TABLE) -> np.ndarray:
    """(rows,) cross-entropies in nats, from the predicted probabilities."""
    scores = model.predict(table, verbose=0)["mood"].scores
    return -np.log(scores[np.arange(len(table)), [tiny.MOODS.index(m) for m in table["mood"]]])


def texts_trained_on(model, **options) -> list[str]:
    """The texts of a training, step by step."""
    seen, decode = [], model.encoder.tokenizer.batch_decode

    class Listening(type(model)):
        def train_step(self, data):
            texts = decode(data[0]["input_ids"].numpy(), skip_special_tokens=True)
            seen.extend(text.replace(" ##", "") for text in texts)
            return super().train_step(data)

    own, model.__class__ = type(model), Listening
    try:
        model.train_function = None
        model.fit(TABLE, **SILENT | options)
    finally:
        model.__class__, model.train_function = own, None
    return seen


# -- fit -------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_rows_come_as_they_are_without_shuffling(model):
    assert texts_trained_on(model, shuffle=False) == TEXTS
    assert texts_trained_on(model, shuffle=False, epochs=2, batch_size=5) == TEXTS * 2
    shuffled = texts_trained_on(model)
    assert shuffled != TEXTS and sorted(shuffled) == sorted(TEXTS)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("given", "factors"),
    [
        ({0: 1.0, 1: 2.0, 2: 0.5}, [1.0, 2.0, 0.5]),
        ({2: 3.0}, [1.0, 1.0, 3.0]),
        ({"glad": 4}, [1.0, 4.0, 1.0]),
        ([1.0, 0.5, 0.25], [1.0, 0.5, 0.25]),
        ("balanced", 12 / (3 * np.bincount(PLACES))),
    ],
)
def test_class_weights_of_keras(model, given, factors):
    expected = (losses(model) * np.array(factors)[PLACES]).mean()
    for data in ((TABLE,), (TEXTS, PLACES)):
        history = model.fit(*data, class_weight=given, validation_data=TABLE, **SILENT).history
        assert history["loss"] == [pytest.approx(expected, rel=1e-5)]
        # as in Keras, of training alone
        assert history["val_loss"] == [pytest.approx(losses(model).mean(), rel=1e-5)]


def test_class_weights_of_token_ids(model):
    tokens = model.encoder.tokenizer(
        TEXTS, padding=True, truncation=True, max_length=40, return_tensors="np"
    )
    history = model.fit(dict(tokens), PLACES, class_weight={1: 2.0}, **SILENT).history
    expected = (losses(model) * np.array([1.0, 2.0, 1.0])[PLACES]).mean()
    assert history["loss"] == [pytest.approx(expected, rel=1e-4)]


def test_class_weights_times_row_weights(model):
    weights = np.arange(12) % 3
    found = model.fit(
        TABLE, class_weight={1: 2.0}, sample_weight={"mood": weights}, **SILENT
    ).history["loss"][0]
    each = losses(model) * weights * np.array([1.0, 2.0, 1.0])[PLACES]
    assert found == pytest.approx(each.sum() / (weights > 0).sum(), rel=1e-5)


def test_the_last_rows_are_validated_on(model):
    """As Keras cuts them, before any shuffling; row weights go along."""
    weights = np.r_[np.ones(9), [2.0, 0.0, 1.0]]
    for data, share in (
        ((TABLE,), 0.25),
        ((TEXTS, MOODS), 0.25),
        ((pd.Series(TEXTS), np.array(MOODS)), 0.34),
    ):
        cut = int(12 * (1 - share))
        history = model.fit(*data, validation_split=share, sample_weight=weights, **SILENT).history
        first, last = losses(model)[:cut], losses(model)[cut:]
        assert history["loss"] == [pytest.approx(np.average(first), rel=1e-5)]
        counted = (weights[cut:] > 0).sum()
        assert history["val_loss"] == [
            pytest.approx((last * weights[cut:]).sum() / counted, rel=1e-5)
        ]


def test_open_classes_are_read_from_all_rows_of_a_split():
    model = compiled(tiny.make_model(Task("mood")))
    model.fit(TABLE.sort_values("mood"), validation_split=0.5, **SILENT)
    assert model.tasks[0].classes == tiny.MOODS


def test_arguments_in_the_order_of_keras(model):
    history = model.fit(TEXTS, MOODS, 4, 2, 0).history  # batch_size, epochs, verbose
    assert len(history["loss"]) == 2
    assert model.evaluate(TEXTS, MOODS, 4, 0) == model.evaluate(TABLE, batch_size=4, verbose=0)
    assert len(model.predict(TEXTS, 4, 0, 2)["mood"].scores) == 8  # batch_size, verbose, steps


def test_lengths_of_validation_are_handed_to_keras(model):
    options = {"validation_data": [TEXTS, MOODS], "validation_batch_size": 2, "validation_steps": 3}
    history = model.fit(TABLE, epochs=2, validation_freq=2, **SILENT, **options).history
    assert history["val_loss"] == [pytest.approx(losses(model)[:6].mean(), rel=1e-5)]


FIT = {
    "a misspelt argument": ({"batchsize": 2}, "Received batchsize=2. Did you mean 'batch_size'"),
    "no batch": ({"batch_size": 0}, "batch_size must be a whole number of at least 1.\nReceived 0"),
    "half a batch": ({"batch_size": 2.5}, "Received 2.5"),
    "no epoch": ({"epochs": 0}, "epochs must be"),
    "an epoch before the first": (
        {"initial_epoch": -1},
        "initial_epoch must be a whole number of at least 0",
    ),
    "no step": ({"steps_per_epoch": 0}, "steps_per_epoch must be"),
    "an order of files": ({"shuffle": "batch"}, "shuffle must be True or False"),
    "an unknown class": ({"class_weight": {"gladd": 1}}, "Did you mean 'glad'"),
    "a place beyond": ({"class_weight": {3: 1.0}}, "must name its classes.*\nReceived '3'"),
    "no share": (
        {"validation_split": 1.0},
        "validation_split must be a number of at least 0 and below 1",
    ),
    "two validations": (
        {"validation_split": 0.2, "validation_data": TABLE},
        "Received validation_data too",
    ),
    "a split of one row": ({"x": TABLE.head(1), "validation_split": 0.5}, "rows on both sides"),
    "nothing to validate on": ({"validation_steps": 2}, "nothing to validate on"),
    "nothing to validate on at times": ({"validation_freq": 2}, "nothing to validate on"),
    "weights of an unknown task": ({"sample_weight": {"moo": np.ones(12)}}, "Did you mean 'mood'"),
    "a class as callback": ({"callbacks": keras.callbacks.EarlyStopping}, "Give objects"),
    "an unknown monitor": (
        {"callbacks": [keras.callbacks.EarlyStopping("val_acc")], "validation_data": TABLE},
        "Received 'val_acc'.\nNames with 'val_' come from validation_data, Keras' metrics from",
    ),
    "no data": ({"x": None}, "Received None"),
    "no rows": ({"x": TABLE.head(0)}, "There must be rows"),
    "a column twice": (
        {"x": [pd.concat([TABLE, TABLE[["mood"]]], axis=1), TABLE]},
        "Column 'mood' of .* unique",
    ),
}


@pytest.mark.parametrize("case", FIT)
def test_fit_refuses_what_it_would_ignore(model, case):
    options, message = FIT[case]
    with pytest.raises(DataError, match=message):
        model.fit(**{"x": TABLE} | SILENT | options)


def test_class_weights_are_for_one_task_with_classes():
    stars = Task("stars", kind="regression")
    for tasks in ([MOOD, stars], stars, Task("mood", classes=tiny.MOODS, class_weight="balanced")):
        model = compiled(tiny.make_model(tasks))
        with pytest.raises(
            DataError, match=r"one task with classes(.|\n)*Task\(..., class_weight="
        ):
            model.fit(TABLE, class_weight={0: 1.0}, **SILENT)


def test_token_ids_are_not_split_and_hold_their_weights(model):
    tokens = dict(model.encoder.tokenizer(TEXTS, padding=True, return_tensors="np"))
    with pytest.raises(DataError, match="Give validation_data"):
        model.fit(tokens, PLACES, validation_split=0.5, **SILENT)
    with pytest.raises(DataError, match="Put them into the batches"):
        model.fit(model.dataset(TABLE), class_weight={0: 1.0}, verbose=0)


@pytest.mark.parametrize("given", [16 / 4, np.int64(4), 4])
def test_whole_numbers(given):
    assert whole("steps", given) == 4 and type(whole("steps", given)) is int
    assert whole("seed", -3, least=None) == -3 and whole("batch_size", None, default=32) == 32
    for wrong in (None, "4", True, 4.5, -1, float("nan")):
        with pytest.raises(DataError, match="steps must be a whole number of at least 1"):
            whole("steps", wrong)


def test_shares():
    assert rate("dropout", 0, below=1) == 0
    for wrong in (None, "0", True, 1, -0.1, float("nan")):
        with pytest.raises(DataError, match="at least 0 and below 1"):
            rate("dropout", wrong, below=1)


# -- evaluate and predict --------------------------------------------------------------------------


def test_keras_own_evaluation_of_tables_and_lists(model):
    weights = np.arange(12.0)
    for data in ((TABLE,), (TEXTS, MOODS)):
        whole_loss = model.evaluate(*data, return_dict=True, **SILENT)
        assert whole_loss == {
            "loss": pytest.approx(losses(model).mean(), rel=1e-5),
            "mood_loss": whole_loss["loss"],
        }
        weighted = model.evaluate(*data, return_dict=True, sample_weight=weights, **SILENT)["loss"]
        assert weighted == pytest.approx((losses(model) * weights).sum() / 11, rel=1e-5)
        first = model.evaluate(*data, return_dict=True, steps=1, **SILENT)["loss"]
        assert first == pytest.approx(losses(model)[:6].mean(), rel=1e-5)
    assert model.evaluate(TABLE, return_dict=False, **SILENT) == [
        whole_loss["loss"],
        whole_loss["loss"],
    ]
    loaded = model.copy()  # not compiled
    assert loaded.evaluate(TABLE, return_dict=True, **SILENT) == pytest.approx(whole_loss)


def test_steps_end_an_evaluation_and_a_prediction(model):
    assert model.evaluate(TABLE, steps=1, **SILENT).rows == {"test": {"mood": 6}}
    batches = model.dataset(TABLE, batch_size=4)
    assert model.evaluate({"a": batches}, steps=2, verbose=0).rows == {"a": {"mood": 8}}
    expected = model.predict(TABLE, verbose=0)["mood"].scores
    assert np.array_equal(model.predict(TABLE, steps=1, **SILENT)["mood"].scores, expected[:6])


def test_callbacks_hear_of_evaluations_and_predictions(model):
    heard = []
    listen = keras.callbacks.LambdaCallback(
        on_test_batch_end=lambda batch, logs: heard.append(("test", batch, logs["loss"])),
        on_predict_batch_end=lambda batch, logs: heard.append(
            ("predict", batch, len(logs["outputs"]["mood"]))
        ),
    )
    assert model.evaluate(TABLE, callbacks=[listen], **SILENT) == model.evaluate(TABLE, **SILENT)
    assert heard == [
        ("test", 0, pytest.approx(losses(model)[:6].mean(), rel=1e-5)),
        ("test", 1, pytest.approx(losses(model).mean(), rel=1e-5)),
    ]
    heard.clear()
    found = model.predict(TABLE, callbacks=listen, batch_size=5, verbose=0)["mood"].scores
    np.testing.assert_allclose(found, model.predict(TABLE, verbose=0)["mood"].scores, rtol=1e-5)
    assert heard == [("predict", 0, 5), ("predict", 1, 5), ("predict", 2, 2)]


def test_a_dict_of_columns_is_data_and_a_dict_of_tables_are_splits(model):
    columns = {"text": TEXTS, "mood": MOODS}
    assert model.evaluate(columns, verbose=0) == model.evaluate(TABLE, verbose=0)
    splits = {"text": TABLE, "b": TABLE.head(6)}  # a split may be called as the column is
    assert list(model.evaluate(splits, verbose=0)) == ["text", "b"]


@pytest.mark.parametrize(
    ("verb", "options", "message"),
    [
        ("evaluate", {"batchsize": 2}, "Did you mean 'batch_size'"),
        ("evaluate", {"sample_weight": np.ones(12)}, "return_dict=True"),
        ("evaluate", {"steps": 0}, "steps must be"),
        ("predict", {"step": 1}, "Did you mean 'steps'"),
        ("predict", {"batch_size": -1}, "batch_size must be"),
        ("save", {"include_optimizer": False}, "save takes the arguments"),
    ],
)
def test_the_other_verbs_refuse_what_they_would_ignore(model, tmp_path, verb, options, message):
    with pytest.raises(DataError, match=message):
        getattr(model, verb)(tmp_path / "model" if verb == "save" else TABLE, **options)


@pytest.mark.parametrize(
    ("name", "options"), [("m.h5", {}), ("m.keras", {}), ("m", {"save_format": "h5"})]
)
def test_a_model_is_no_file_of_keras(model, tmp_path, name, options):
    with pytest.raises(DataError, match=r"saved as a folder(.|\n)*export\(folder\)"):
        model.save(tmp_path / name, **options)
    assert not (tmp_path / name).exists()


def test_single_batches_of_texts(model):
    both = (
        model.train_on_batch(TEXTS, MOODS, return_dict=True),
        model.test_on_batch(TABLE, return_dict=True),
    )
    assert [logs["loss"] for logs in both] == [pytest.approx(losses(model).mean(), rel=1e-5)] * 2
    logits = model.predict_on_batch(TEXTS)["mood"]
    assert log_loss(MOODS, tf.nn.softmax(logits).numpy(), labels=tiny.MOODS) == pytest.approx(
        losses(model).mean()
    )


def test_the_call_takes_token_ids(model):
    with pytest.raises(DataError, match=r"Received \['good'\].\nFor texts call predict"):
        model(["good"])
    vectors = model.encode(pd.Series(TEXTS).array, verbose=0)
    assert np.array_equal(vectors, model.encode(TABLE, verbose=0))


# -- compile ---------------------------------------------------------------------------------------


def test_metrics_count_rows_alike_and_weighted_ones_by_weight():
    model = compiled(
        tiny.make_model(MOOD, dropout=0.0), metrics=["accuracy"], weighted_metrics=["accuracy"]
    )
    table = TABLE.assign(mood=[None, *MOODS[1:]])  # does not count in either
    history = model.fit(
        table, class_weight={0: 1.0, 1: 3.0, 2: 0.5}, **SILENT | {"batch_size": 12}
    ).history
    guesses = model.predict(table, verbose=0)["mood"].labels
    factors = np.array([1.0, 3.0, 0.5])[PLACES]
    assert history["accuracy"] == [pytest.approx(accuracy_score(MOODS[1:], guesses[1:]))]
    weighted = accuracy_score(MOODS[1:], guesses[1:], sample_weight=factors[1:])
    assert history["weighted_accuracy"] == [pytest.approx(weighted)] != history["accuracy"]


def test_the_learning_rate_in_the_history_is_a_number(model):
    """Not the optimizer's variable, which goes on changing."""
    optimizer = keras.optimizers.SGD(keras.optimizers.schedules.ExponentialDecay(1e-9, 1, 0.5))
    own = model.copy()
    own.compile(optimizer=optimizer, run_eagerly=True)
    rates = own.fit(TABLE, epochs=2, **SILENT | {"batch_size": 12}).history["learning_rate"]
    assert (
        rates == [pytest.approx(1e-9), pytest.approx(5e-10)] and type(rates[0]) is not tf.Variable
    )


COMPILE = {
    "loss weights": (
        {"loss_weights": {"mood": 2.0}},
        "Set kind, loss_weight or class_weight of the Task",
    ),
    "a misspelt argument": ({"metric": ["accuracy"]}, "Did you mean 'metrics'"),
    "an unknown optimizer": (
        {"optimizer": "adm"},
        "optimizer must be 'auto', a name that Keras knows",
    ),
    "a class as optimizer": (
        {"optimizer": keras.optimizers.Adam},
        "an object of tf_keras.optimizers",
    ),
    "a negative rate": ({"learning_rate": -1}, "learning_rate must be a number above 0"),
    "no rate": ({"learning_rate": "fast"}, "learning_rate must be a number above 0"),
}


@pytest.mark.parametrize("case", COMPILE)
def test_compile_refuses_what_it_cannot_use(model, case):
    options, message = COMPILE[case]
    with pytest.raises(DataError, match=message):
        model.compile(**options)


def test_objects_of_keras_3_are_refused_by_name(model):
    k3 = pytest.importorskip("keras", "3")

    class Own(k3.callbacks.Callback):
        pass

    compile_options = [
        ({"optimizer": k3.optimizers.Adam(1e-4)}, "Adam"),
        (
            {"metrics": {"mood": [k3.metrics.SparseCategoricalAccuracy()]}},
            "SparseCategoricalAccuracy",
        ),
        ({"weighted_metrics": [k3.metrics.binary_accuracy]}, "binary_accuracy"),
    ]
    for options, name in compile_options:
        with pytest.raises(
            DataError, match=rf"Received {name} of Keras 3(.|\n)*import tf_keras as keras"
        ):
            model.compile(**options)
    for callback in (k3.callbacks.EarlyStopping("loss"), Own()):
        for verb in (model.fit, model.evaluate, model.predict):
            with pytest.raises(DataError, match=f"Received {type(callback).__name__} of Keras 3"):
                verb(TABLE, callbacks=[callback], **SILENT)


# -- the constructor -------------------------------------------------------------------------------


def test_tasks_may_be_names():
    encoder = tiny.make_encoder()
    assert list(
        TransferModel(encoder, ["mood", STARS := Task("stars", kind="regression")]).tasks
    ) == [
        Task("mood"),
        STARS,
    ]
    assert list(TransferModel(encoder.copy(), "mood").tasks) == [Task("mood")]


def test_an_encoder_may_be_named(encoder_folder):
    model = TransferModel(encoder_folder, MOOD, max_length=8)
    assert model.predict(["so"], verbose=0)["mood"].scores.shape == (1, 3)
    with pytest.raises(DataError, match="Did you mean 'bert-tiny'"):
        TransferModel("bert-tinyy", MOOD)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"max_length": None}, "max_length must be a whole number of at least 3"),
        # [CLS] and [SEP] leave no room for a text
        ({"max_length": 2}, "of at least 3.\nReceived 2"),
        ({"max_length": 3, "text_pair": "more"}, "of at least 4"),
        ({"max_length": 0}, "Received 0"),
        ({"dropout": 1.5}, "dropout must be a number of at least 0 and below 1"),
        ({"seed": None}, "seed must be a whole number"),
        ({"seed": 1.5}, "seed must be a whole number"),
        ({"encoder": 5}, "what load_encoder returns"),
        ({"encoder": keras.Sequential()}, "what load_encoder returns"),
    ],
)
def test_arguments_that_cannot_be_are_refused(options, message):
    with pytest.raises(DataError, match=message):
        TransferModel(**{"encoder": tiny.make_encoder(), "tasks": MOOD} | options)


def test_the_least_length_is_that_of_a_token():
    model = tiny.make_model(MOOD, max_length=3)
    assert model.tokenise(["still lake at dawn"]).lengths.tolist() == [3]
    assert TransferModel(
        tiny_encoder("gpt2", texts=tiny.VOCABULARY, width=16, layers=1), MOOD, max_length=1
    )


def test_tokens_that_the_encoder_does_not_know_are_named():
    model = tiny.make_model(MOOD)
    model.encoder.tokenizer.add_tokens(["zzzq"])
    with pytest.raises(DataError, match=r"Received the token 'zzzq', number \d+"):
        model.predict(["still zzzq"], verbose=0)


def test_a_column_is_no_table(model):
    with pytest.raises(
        DataError, match=r"must be a DataFrame with named columns.\nReceived a Series"
    ):
        infer_tasks(TABLE["text"])
    for argument in ("stratify", "group"):
        with pytest.raises(
            DataError, match=re.escape(f"Give its name, for instance {argument}='mood'")
        ):
            split_table(TABLE, 0.25, **{argument: TABLE["mood"]})


# -- weights ---------------------------------------------------------------------------------------


def test_get_weights_are_the_weights_whatever_is_compiled_or_frozen(model):
    fresh = tiny.make_model(MOOD)
    weights = model.get_weights()
    assert len(weights) == len(fresh.get_weights()) == len(fresh.weights)
    fresh.encoder.trainable = True
    fresh.set_weights(weights)
    assert tiny.same(tiny.snapshot(fresh), tiny.snapshot(model))
    assert [w.shape for w in weights[: len(model.state)]] == [tuple(v.shape) for v in model.state]


@pytest.mark.parametrize("name", ["weights.h5", "checkpoint"])
def test_weights_by_keras_own_files(model, tmp_path, name):
    model.save_weights(tmp_path / name)
    other = tiny.make_model(MOOD, seed=5, max_length=40)
    other.load_weights(tmp_path / name)
    assert tiny.same(other.predict(TABLE, verbose=0), model.predict(TABLE, verbose=0))


def test_a_model_is_not_made_from_a_configuration(model):
    for call in (model.get_config, model.to_json, lambda: keras.models.clone_model(model)):
        with pytest.raises(DataError, match=r"copy\(\) makes another model"):
            call()


# -- numbers far from 0 ----------------------------------------------------------------------------


@pytest.mark.slow
def test_seconds_since_1970_are_learned_as_small_numbers_are():
    """The loss is of standardised labels: an offset changes nothing but the predictions, by
    itself.
    """
    found = []
    for offset in (0.0, 1.6e9):
        model = tiny.make_model(Task("stars", kind="regression"), dropout=0.0)
        model.compile(optimizer=keras.optimizers.SGD(0.1), run_eagerly=True)
        model.encoder.trainable = False
        table = TABLE.assign(stars=offset + 600 * TABLE["stars"])
        history = model.fit(table, epochs=3, validation_data=table, shuffle=False, **SILENT).history
        scores = model.predict(table, verbose=0)["stars"].scores - offset
        found.append([*history["loss"], *history["val_loss"], *scores / 600])
        assert model.evaluate(table, verbose=0)["test", "stars", "rmse"] == pytest.approx(
            np.sqrt(np.square(scores - 600 * TABLE["stars"]).mean())
        )
    np.testing.assert_allclose(*found, rtol=1e-4)
