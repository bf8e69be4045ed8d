"""The Keras contract and the meaning of the loss."""

import pickle
import re

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import accuracy_score, log_loss, mean_absolute_error

from tests import tiny
from tf_transfer.devices.backend import keras, tf
from tf_transfer.encoders.freezing import freeze
from tf_transfer.errors import DataError, TrainingError
from tf_transfer.kinds.tasks import Task

PLAIN = Task("mood", kind="classification", classes=tiny.MOODS)


@pytest.fixture(scope="module")
def model():
    """Three tasks, plain gradient descent, steps run eagerly; `fresh` puts its first weights
    back.
    """
    model = tiny.make_model()
    model.compile(optimizer=keras.optimizers.SGD(0.5), run_eagerly=True)
    model.first = tiny.snapshot(model)
    return model


@pytest.fixture
def fresh(model):
    tiny.restore(model, model.first)
    return model


def batch(model, table):
    """The whole table as one ``(x, y, w)``, in order."""
    return next(iter(model.dataset(table, batch_size=len(table))))


def after_step(model, data):
    tiny.restore(model, model.first)
    model.train_step(data)
    return tiny.snapshot(model)


def head_weights(model, task):
    return [v.numpy() for v in model.heads[task].trainable_variables]


# -- the loss --------------------------------------------------------------------------------------


def test_the_loss_is_the_documented_sum(fresh):
    table = tiny.make_table(8)
    table.loc[[0, 3], "mood"] = None
    table.loc[1, "stars"] = None
    x, y, w = batch(fresh, table)
    outputs = fresh(x)
    loss, parts, count = fresh.compute_losses(y, outputs, w)
    p = tf.nn.softmax(outputs["mood"]).numpy()
    mood = [
        -np.log(p[r, tiny.MOODS.index(m)])
        for r, m in enumerate(table["mood"])
        if isinstance(m, str)
    ]
    stars = ((table["stars"] - outputs["stars"].numpy()) ** 2).dropna()
    themes = [float(v) for v in fresh.heads["themes"].losses_of(y["themes"], outputs["themes"])]
    assert float(count) == 6 + 8 + 7
    assert float(loss) == pytest.approx((sum(mood) + sum(themes) + sum(stars)) / 21, rel=1e-5)
    assert {t: (float(m), float(n)) for t, (m, n) in parts.items()} == {
        "mood": (pytest.approx(np.mean(mood), rel=1e-5), 6),
        "themes": (pytest.approx(np.mean(themes), rel=1e-5), 8),
        "stars": (pytest.approx(np.mean(stars), rel=1e-5), 7),
    }


def test_a_missing_label_is_a_dropped_row_for_that_task(fresh):
    """Every gradient is the sum of the rows' gradients over N, whether a row is masked or not
    there.
    """
    table = tiny.make_table(6)
    masked = table.copy()
    masked.loc[[1, 4], "mood"] = None

    def gradients(rows, count):
        x, y, w = batch(fresh, rows)
        with tf.GradientTape() as tape:
            loss, _, n = fresh.compute_losses(y, fresh(x), w)
            loss = loss * n / count
        found = tape.gradient(loss, fresh.trained_variables)
        return [tf.convert_to_tensor(g).numpy() for g in found]

    whole = gradients(masked, 16)
    kept = gradients(table.drop(index=[1, 4]), 16)
    rest = gradients(table.loc[[1, 4]].assign(mood=None), 16)
    for together, a, b in zip(whole, kept, rest):
        np.testing.assert_allclose(together, a + b, rtol=1e-4, atol=1e-6)
    head = slice(*[len(whole) - 6, len(whole) - 4])  # kernel and bias of the first of three heads
    for together, alone in zip(whole[head], kept[head]):
        np.testing.assert_allclose(together, alone, rtol=1e-5, atol=1e-7)
        assert np.abs(alone).max() > 1e-4


def test_a_row_without_any_label_changes_nothing(fresh):
    table = tiny.make_table(6)
    more = pd.concat(
        [table, table.head(2).assign(mood=None, themes=None, stars=None)], ignore_index=True
    )
    first = fresh.compute_losses(*outputs_of(fresh, table))[0]
    second = fresh.compute_losses(*outputs_of(fresh, more))[0]
    np.testing.assert_allclose(first, second, rtol=1e-6)


def outputs_of(model, table):
    x, y, w = batch(model, table)
    return y, model(x), w


def test_what_stands_in_for_a_missing_label_does_not_matter(fresh):
    table = tiny.make_table(6)
    table.loc[2, ["mood", "stars"]] = None
    x, y, w = batch(fresh, table)
    first = after_step(fresh, (x, y, w))
    stars = tf.where(w["stars"] > 0, y["stars"], np.nan)
    mood = tf.where(w["mood"] > 0, y["mood"], 2)
    second = after_step(fresh, (x, y | {"stars": stars, "mood": mood}, w))
    assert tiny.same(first, second)
    assert all(np.isfinite(v).all() for v in second)


def test_a_batch_without_labels_is_no_division_by_zero(fresh):
    x, y, w = batch(fresh, tiny.make_table(3))
    fresh.reset_metrics()
    logs = fresh.train_step((x, y, {t: tf.zeros_like(v) for t, v in w.items()}))
    assert float(logs["loss"]) == 0
    assert all(np.isfinite(v).all() for v in tiny.snapshot(fresh))


@pytest.mark.parametrize("label", ["mood", "themes"])
def test_a_class_weight_counts_like_repeated_rows(label):
    """A weight of 3 is the row three times, up to N, which counts the labels."""
    kind = {"mood": "classification", "themes": "multilabel"}[label]
    classes = {"mood": tiny.MOODS, "themes": ("water", "noise")}[label]
    heavy, weight = classes[-1], {classes[-1]: 3.0}
    weighted = tiny.make_model(Task(label, kind=kind, classes=classes, class_weight=weight))
    plain = tiny.make_model(Task(label, kind=kind, classes=classes))
    tiny.restore(plain, tiny.snapshot(weighted))
    table = tiny.make_table(9)
    is_heavy = table[label].map(lambda v: heavy in v if isinstance(v, list) else v == heavy)
    assert 0 < is_heavy.sum() < 9
    repeated = pd.concat([table, table[is_heavy], table[is_heavy]], ignore_index=True)
    first, _, n = weighted.compute_losses(*outputs_of(weighted, table))
    second, _, m = plain.compute_losses(*outputs_of(plain, repeated))
    assert (float(n), float(m)) == (9, 9 + 2 * is_heavy.sum())
    assert float(first * n) == pytest.approx(float(second * m), rel=1e-5)


def test_a_loss_weight_of_0_leaves_that_head_to_the_bit():
    tasks = [PLAIN, Task("stars", kind="regression", loss_weight=0)]
    model = tiny.make_model(tasks)
    model.compile(optimizer=keras.optimizers.AdamW(0.1, weight_decay=0.1), run_eagerly=True)
    before = head_weights(model, "stars"), head_weights(model, "mood")
    model.fit(tiny.make_table(8), batch_size=8, verbose=0)
    assert tiny.same(before[0], head_weights(model, "stars"))
    assert not tiny.same(before[1], head_weights(model, "mood"))
    alone = tiny.make_model([PLAIN])
    alone.compile(optimizer=keras.optimizers.AdamW(0.1, weight_decay=0.1), run_eagerly=True)
    alone.fit(tiny.make_table(8), batch_size=8, verbose=0)
    assert tiny.same(head_weights(alone, "mood"), head_weights(model, "mood"))


def test_loss_weights_scale_the_gradient(fresh):
    table = tiny.make_table(5)
    double = tiny.make_model(
        [Task("mood", kind="classification", classes=tiny.MOODS, loss_weight=2.0)]
    )
    plain = tiny.make_model([PLAIN])
    tiny.restore(double, tiny.snapshot(plain))
    first = plain.compute_losses(*outputs_of(plain, table))[0]
    second = double.compute_losses(*outputs_of(double, table))[0]
    assert float(second) == pytest.approx(2 * float(first), rel=1e-6)


# -- training --------------------------------------------------------------------------------------


def test_history_has_losses_and_metrics_of_whole_epochs(trained):
    history = trained.history_of_fit.history
    assert set(history) == {
        prefix + name
        for prefix in ("", "val_")
        for name in ("loss", "mood_loss", "themes_loss", "stars_loss", "mood_accuracy", "stars_mae",
                     "themes_binary_accuracy")
    } | {"gradient_norm", "learning_rate"}  # fmt: skip
    assert all(len(values) == 2 for values in history.values())
    assert history["loss"][1] < history["loss"][0]


def test_keras_metrics_are_of_probabilities_and_in_the_labels_unit(trained):
    table = tiny.make_table(10, seed=1)
    scores, history = trained.predict(table, verbose=0), trained.history_of_fit.history
    assert history["val_mood_accuracy"][-1] == pytest.approx(
        accuracy_score(table["mood"], scores["mood"].labels)
    )
    assert history["val_stars_mae"][-1] == pytest.approx(
        mean_absolute_error(table["stars"], scores["stars"].scores), rel=1e-5
    )
    truth = np.array([[c in labels for c in ("water", "noise")] for labels in table["themes"]])
    right = (scores["themes"].scores > 0.5) == truth
    assert history["val_themes_binary_accuracy"][-1] == pytest.approx(right.mean())


def test_losses_are_means_over_labels_not_over_batches(trained):
    table = tiny.make_table(11, seed=2)
    table.loc[:6, "mood"] = None
    found = trained.evaluate(trained.dataset(table, batch_size=4), return_dict=True, verbose=0)
    scores = trained.predict(table, verbose=0)["mood"].scores
    present = table["mood"].notna()
    expected = log_loss(table["mood"][present], scores[present], labels=tiny.MOODS)
    assert found["mood_loss"] == pytest.approx(expected, rel=1e-5)


def test_callbacks_early_stopping_and_the_best_weights():
    model = tiny.make_model([PLAIN])
    model.compile(optimizer="adam", run_eagerly=True)
    model.optimizer.learning_rate = 0.0
    stop = keras.callbacks.EarlyStopping("val_loss", patience=1, restore_best_weights=True)
    seen = []
    history = model.fit(
        tiny.make_table(4),
        epochs=9,
        batch_size=4,
        validation_data=tiny.make_table(4, seed=1),
        verbose=0,
        callbacks=[
            stop,
            keras.callbacks.LambdaCallback(on_epoch_end=lambda e, logs: seen.append(e)),
        ],
    )
    assert isinstance(history, keras.callbacks.History)
    assert seen == [0, 1]


def test_the_progress_bar(trained, capsys):
    dataset = trained.dataset(tiny.make_table(8), batch_size=4)
    trained.evaluate(dataset, return_dict=True, verbose=1)
    assert "2/2 [" in capsys.readouterr().out
    trained.evaluate(dataset, return_dict=True, verbose=0)
    trained.predict(tiny.make_table(9, seed=8), verbose=0)
    assert capsys.readouterr().out == ""
    trained.predict(tiny.make_table(9, seed=9), verbose=1)
    assert "9/9 [" in capsys.readouterr().out


@pytest.fixture(scope="module")
def twin():
    """Two models of the same form that fit in a traced step, and their first weights."""
    models = [tiny.make_model([PLAIN], seed=3) for _ in range(2)]
    for model in models:
        model.compile(optimizer="adam")
    return (*models, tiny.snapshot(models[0]))


def reset(model, values):
    tiny.restore(model, values)
    for variable in model.optimizer.variables:
        variable.assign(tf.zeros_like(variable) if "learning_rate" not in variable.name else 1e-3)


@pytest.mark.slow
def test_training_repeats_and_a_resumed_run_ends_with_the_same_bits(twin):
    first, second, values = twin
    table = tiny.make_table(20)
    first.fit(table, epochs=3, batch_size=8, verbose=0)
    second.fit(table, epochs=1, batch_size=8, verbose=0)
    assert not tiny.same(tiny.snapshot(first), tiny.snapshot(second))
    second.fit(table, initial_epoch=1, epochs=3, batch_size=8, verbose=0)
    assert tiny.same(tiny.snapshot(first), tiny.snapshot(second))
    # seed, steps: each step has its own masks
    assert first.encoder.dropout_state.numpy().tolist() == [3, 9]
    ends = tiny.snapshot(first)
    reset(second, values)
    second.fit(
        second.dataset(table, batch_size=8, shuffle=True, epochs=3),
        epochs=3,
        steps_per_epoch=3,
        verbose=0,
    )
    assert tiny.same(ends, tiny.snapshot(second))


def test_several_tables_are_one(twin):
    first, second, values = twin
    table = tiny.make_table(12)
    reset(first, values)
    reset(second, values)
    first.fit(table, batch_size=8, verbose=0)
    second.fit([table.head(5), table.tail(7)], batch_size=8, verbose=0)
    assert tiny.same(tiny.snapshot(first), tiny.snapshot(second))


def test_seeds_change_heads_and_dropout_and_order():
    first, other = (tiny.make_model([PLAIN], seed=s) for s in (3, 4))
    assert not tiny.same(head_weights(first, "mood"), head_weights(other, "mood"))
    table = tiny.make_table(12)
    x, _, _ = batch(first, table)
    tiny.restore(other, [*tiny.snapshot(first)])
    other.encoder.reseed(4)
    assert not np.array_equal(first(x, training=True)["mood"], other(x, training=True)["mood"])
    orders = [
        [y["mood"].numpy().tolist() for _, y, _ in m.dataset(table, batch_size=4, shuffle=True)]
        for m in (first, other)
    ]
    assert orders[0] != orders[1]
    other.restart(3)
    assert tiny.same(head_weights(first, "mood"), head_weights(other, "mood"))
    assert np.array_equal(first(x, training=True)["mood"], other(x, training=True)["mood"])


def test_a_loss_that_becomes_nan_stops_with_the_last_whole_epochs_weights():
    model = tiny.make_model([Task("stars", kind="regression")])
    model.compile(optimizer=keras.optimizers.SGD(0.01), run_eagerly=True)
    kept = {}

    def spoil(epoch, logs=None):
        kept["weights"] = tiny.snapshot(model)
        if epoch == 1:
            model.heads["stars"].kernel.assign(tf.fill(model.heads["stars"].kernel.shape, np.inf))

    callback = keras.callbacks.LambdaCallback(on_epoch_begin=spoil)
    with pytest.raises(
        TrainingError, match=r"in step 1 of epoch 2(.|\n)*before epoch 2(.|\n)*learning rate"
    ):
        model.fit(tiny.make_table(6), epochs=3, batch_size=3, callbacks=callback, verbose=0)
    assert tiny.same(kept["weights"], tiny.snapshot(model))


def test_mixed_precision_trains_in_half_and_keeps_full_heads():
    keras.mixed_precision.set_global_policy("mixed_bfloat16")
    try:
        model = tiny.make_model([PLAIN])
    finally:
        keras.mixed_precision.set_global_policy("float32")
    model.compile(run_eagerly=True)
    before = tiny.snapshot(model)
    history = model.fit(tiny.make_table(4), batch_size=4, verbose=0).history
    assert np.isfinite(history["loss"][0])
    assert model.heads["mood"].kernel.dtype == tf.float32
    assert not tiny.same(before, tiny.snapshot(model))


def test_losses_after_a_second_compile_are_those_of_the_training_that_goes_on():
    """Keras lists the metrics of the first `compile` too, and the logs took theirs."""
    model, table = tiny.make_model([PLAIN]), tiny.make_table(10)
    for _ in range(2):
        model.compile(optimizer=keras.optimizers.SGD(0.1), metrics=["accuracy"], run_eagerly=True)
        found = model.fit(table, validation_data=table, batch_size=5, verbose=0).history
        scores = model.predict(table, verbose=0)["mood"].scores
        expected = log_loss(table["mood"], scores, labels=tiny.MOODS)
        assert found["val_loss"] == found["val_mood_loss"] == [pytest.approx(expected, rel=1e-5)]
        assert (
            found["loss"][0] == pytest.approx(expected, rel=0.2) and found["gradient_norm"][0] > 0
        )
    names = [m.name for m in model.metrics]
    assert names == ["loss", "mood_loss", "gradient_norm", "accuracy"]


@pytest.mark.slow
def test_start_run_is_a_new_compile(fresh):
    model = tiny.make_model([PLAIN])
    model.compile(learning_rate=1e-2, run_eagerly=True)
    start, table, ends = tiny.snapshot(model), tiny.make_table(6), []
    for _ in range(2):
        tiny.restore(model, start)
        model.start_run(learning_rate=1e-2, seed=7)
        model.fit(table, batch_size=4, epochs=2, verbose=0)
        ends.append(tiny.snapshot(model))
    assert tiny.same(*ends)
    assert model.run_eagerly  # still the first compile
    fresh_twin = tiny.make_model([PLAIN])
    tiny.restore(fresh_twin, start)
    fresh_twin.compile(learning_rate=1e-2, run_eagerly=True)
    fresh_twin.options["seed"] = 7
    fresh_twin.encoder.reseed(7)
    fresh_twin.fit(table, batch_size=4, epochs=2, verbose=0)
    assert tiny.same(ends[0], tiny.snapshot(fresh_twin))


# -- predicting and evaluating ---------------------------------------------------------------------


def test_predictions_come_in_row_order(trained):
    table = tiny.make_table(13, seed=5)
    whole = trained.predict(table, batch_size=4, verbose=0)
    for row in (0, 5, 12):
        alone = trained.predict(table.iloc[[row]], verbose=0)
        for task in whole:
            np.testing.assert_allclose(whole[task].scores[[row]], alone[task].scores, rtol=1e-5)
    np.testing.assert_allclose(whole["mood"].scores.sum(1), 1, rtol=1e-12)
    assert list(whole["mood"].labels) == [tiny.MOODS[i] for i in whole["mood"].scores.argmax(1)]


@pytest.mark.parametrize("labels", [True, False])
def test_predicting_tf_data_is_predicting_the_table(trained, labels):
    table = tiny.make_table(13, seed=5)
    dataset = trained.dataset(table, batch_size=4)
    found = trained.predict(dataset if labels else dataset.map(lambda x, y, w: x), verbose=0)
    expected = trained.predict(table, verbose=0)
    for task in expected:
        np.testing.assert_allclose(found[task].scores, expected[task].scores, rtol=1e-4, atol=1e-6)


@pytest.mark.filterwarnings("ignore::tf_transfer.evaluation.metrics.UndefinedMetricWarning")
def test_evaluating_tf_data_is_evaluating_the_table(trained):
    table = tiny.make_table(13, seed=5)
    table.loc[:3, "stars"] = None
    expected = trained.evaluate({"new": table, "old": tiny.make_table()}, verbose=0)
    assert list(expected) == ["new", "old"]
    assert expected.rows["new"] == {"mood": 13, "themes": 13, "stars": 9}
    shuffled = trained.dataset(table, batch_size=2).shuffle(7)  # in another order each time
    found = trained.evaluate({"new": shuffled}, verbose=0)
    for task, metric in (("mood", "log_loss"), ("themes", "log_loss"), ("stars", "mae")):
        assert found["new", task, metric] == pytest.approx(expected["new", task, metric], rel=1e-4)
    assert trained.evaluate(table, verbose=0)["test"]["stars"] == expected["new", "stars"]


def test_vectors_are_kept_until_the_encoder_changes(fresh, monkeypatch):
    table, calls = pd.concat([tiny.make_table(7, seed=6)] * 20, ignore_index=True), []
    compute = fresh._vectoriser._compute
    monkeypatch.setattr(fresh._vectoriser, "_compute", lambda *a: calls.append(1) or compute(*a))
    first = fresh.encode(table, verbose=0)
    assert fresh.encode(table.copy(), verbose=0) is first
    fresh.heads["mood"].bias.assign([1.0, 2.0, 3.0])
    fresh.encode(table, verbose=0)
    assert len(calls) == 1
    with pytest.raises(ValueError, match="read-only"):
        first[0, 0] = 1
    weight = fresh.encoder.state[0]
    weight.assign(weight + 0.01)
    assert not np.array_equal(fresh.encode(table, verbose=0), first)
    assert len(calls) == 2
    for _ in range(2):  # so few tokens are quicker to encode than to look up
        fresh.encode(table.head(3), verbose=0)
    assert len(calls) == 4


def test_the_model_reads_the_columns_it_was_told(trained):
    table = tiny.make_table(3)
    with pytest.raises(DataError, match="column 'text'"):
        trained.predict(table.rename(columns={"text": "review"}), verbose=0)
    model = tiny.make_model([PLAIN], text="review", text_pair="reply")
    tokens = model.tokenise(pd.DataFrame({"review": ["cold"], "reply": ["rain"]}))
    assert model.encoder.tokenizer.decode(tokens.ids) == "[CLS] cold [SEP] rain [SEP]"


# -- tasks, copies, compile ------------------------------------------------------------------------


def test_open_tasks_are_read_from_the_first_table():
    model = tiny.make_model([Task("mood"), Task("stars")])
    with pytest.raises(DataError, match=r"'mood', 'stars' have no kind"):
        model.predict(tiny.make_table(4))
    model.resolve(tiny.make_table())
    assert [(t.kind, t.classes) for t in model.tasks] == [
        ("classification", tiny.MOODS),
        ("regression", ()),
    ]
    heads = dict(model.heads)
    model.resolve(pd.DataFrame({"text": ["dawn"]}))  # nothing is open any more
    assert dict(model.heads) == heads


@pytest.mark.parametrize(
    ("tasks", "reason"), [([], "needs tasks"), ([PLAIN, PLAIN], "name that differs")]
)
def test_tasks_need_names_that_differ(tasks, reason):
    with pytest.raises(DataError, match=reason):
        tiny.make_model(tasks)


def test_a_class_of_the_validation_table_alone_is_named(fresh):
    table = tiny.make_table(4)
    table.loc[2, "mood"] = "mad"
    with pytest.raises(DataError, match=r"'mad' in column 'mood', row 2 of the validation table"):
        fresh.fit(tiny.make_table(4), validation_data=table, verbose=0)


def test_a_copy_has_the_same_weights_in_its_own_variables(trained):
    copy = trained.copy()
    table = tiny.make_table(5)
    assert tiny.same(tiny.snapshot(copy), tiny.snapshot(trained))
    assert tiny.same(copy.predict(table, verbose=0), trained.predict(table, verbose=0))
    before = tiny.snapshot(trained)
    for variable in copy.state:
        variable.assign(tf.ones_like(variable))
    assert tiny.same(before, tiny.snapshot(trained))
    assert trained.copy(out=copy) is copy
    assert tiny.same(before, tiny.snapshot(copy))


def test_an_encoder_that_was_frozen_stays_frozen_in_model_and_copy():
    encoder = tiny.make_encoder()
    freeze(encoder, "embeddings")
    model = tiny.TransferModel(encoder, [PLAIN])
    free = len(encoder.trainable_variables)
    assert free < len(encoder.state)
    assert len(model.copy().encoder.trainable_variables) == free
    freeze(encoder, "all")
    assert len(model.copy().trained_variables) == 2
    free = tiny.TransferModel(encoder.copy(), [PLAIN], freeze="none")
    assert len(free.encoder.trainable_variables) == len(encoder.state)


def test_an_encoder_belongs_to_one_model(trained):
    with pytest.raises(
        DataError,
        match=r"an encoder of its own(.|\n)*Call load_encoder again(.|\n)*encoder.copy\(\)",
    ):
        tiny.TransferModel(trained.encoder, [PLAIN], freeze="all")
    assert trained.encoder.frozen == "none"  # a model that is refused changes nothing
    own = trained.encoder.copy()
    assert tiny.same([v.numpy() for v in own.state], [v.numpy() for v in trained.encoder.state])
    assert not {id(v) for v in own.state} & {id(v) for v in trained.encoder.state}
    with pytest.raises(DataError, match="freeze must be"):
        tiny.TransferModel(own, [PLAIN], freeze="some")
    # one that could not be made has not taken it
    assert tiny.TransferModel(own, [PLAIN]).encoder is own


def test_all_weights_are_the_models_own():
    model = tiny.make_model([PLAIN])
    known = {id(v) for v in model.weights}
    assert all(id(v) in known for v in model.state)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"loss": "mse"}, "loss follows from each task's kind"),
        ({"optimizer": "adam", "learning_rate": 1e-3}, "learning_rate is for optimizer='auto'"),
    ],
)
def test_compile_refuses_what_it_would_ignore(fresh, options, message):
    with pytest.raises(DataError, match=re.escape(message)):
        fresh.compile(**options)


@pytest.mark.parametrize("rate", [0, -1e-3, float("nan"), float("inf"), "1e-3"])
def test_compile_refuses_rates_that_are_none(fresh, rate):
    with pytest.raises(DataError, match="must be a number above 0, or 'auto'"):
        fresh.compile(learning_rate=rate)


def test_a_resumed_run_follows_the_learning_rates_of_the_whole_run():
    class Rates(keras.callbacks.Callback):
        def on_train_begin(self, logs=None):
            self.found = []

        def on_train_batch_end(self, batch, logs=None):
            self.found.append(
                float(self.model.optimizer._learning_rate(self.model.optimizer.iterations - 1))
            )

    rates, table, model = Rates(), tiny.make_table(12), tiny.make_model([PLAIN])
    options = {"batch_size": 4, "verbose": 0, "callbacks": [rates]}
    model.compile(run_eagerly=True)
    model.fit(table, epochs=2, **options)
    whole = rates.found
    model.compile(run_eagerly=True)
    model.fit(table, epochs=2, initial_epoch=1, **options)
    assert len(whole) == 6 and rates.found == pytest.approx(whole[3:])


# -- pickling --------------------------------------------------------------------------------------


def test_a_pickled_model_predicts_the_same_bits(trained):
    table = tiny.make_table(4)
    read = pickle.loads(pickle.dumps(trained))
    assert tiny.same(read.predict(table, verbose=0), trained.predict(table, verbose=0))
    assert tiny.same(tiny.snapshot(read), tiny.snapshot(trained)) and not read.compiled_once
    assert read.tasks == list(trained.tasks) and read.options == trained.options


def test_a_model_with_open_tasks_can_be_pickled():
    model = tiny.make_model(Task("mood"), freeze="embeddings")
    read = pickle.loads(pickle.dumps(model))
    assert read.tasks == [Task("mood")] and not read.heads and read.encoder.frozen == "embeddings"
    assert tiny.same(
        [v.numpy() for v in read.encoder.state], [v.numpy() for v in model.encoder.state]
    )
