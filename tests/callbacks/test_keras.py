"""Keras' own callbacks on `fit` and on an outer loop, given in any order."""

import csv
import importlib.util

import numpy as np
import pytest

from tests import tiny
from tests.callbacks import runs
from tests.callbacks.runs import start
from tf_transfer.devices.backend import keras, tf
from tf_transfer.errors import DataError
from tf_transfer.model.model import load_model
from tf_transfer.strategies import ProtoNet
from tf_transfer.training.callbacks.suite import EvaluateSuite

# TensorFlow 2.21 no longer brings it.
HAS_TENSORBOARD = importlib.util.find_spec("tensorboard") is not None


def scalars(folder) -> dict:
    """``{name: values}`` of the event files below a folder, in the order of their steps."""
    found = {}
    for path in sorted(folder.rglob("events.*")):
        for event in tf.compat.v1.train.summary_iterator(str(path)):
            for value in event.summary.value:
                if value.metadata.plugin_data.plugin_name == "scalars" or value.HasField("tensor"):
                    found.setdefault((path.parent.name, value.tag), []).append(
                        (event.step, value.tensor)
                    )
    return {
        key: [float(tf.make_ndarray(t)) for _, t in sorted(values, key=lambda v: v[0])]
        for key, values in found.items()
        if not any(t.dtype == tf.string.as_datatype_enum for _, t in values)
    }


@pytest.fixture(scope="module")
def everything(shared, tmp_path_factory):
    """A run with all of them at once, those that read the logs before the one that adds to them."""
    folder, heard = tmp_path_factory.mktemp("run"), []
    start(shared)
    callbacks = [
        keras.callbacks.CSVLogger(str(folder / "log.csv")),
        *(
            [keras.callbacks.TensorBoard(str(folder / "board"), update_freq=1)]
            if HAS_TENSORBOARD
            else []
        ),
        keras.callbacks.EarlyStopping("val_stars_pearson", patience=3, restore_best_weights=True),
        keras.callbacks.ModelCheckpoint(
            str(folder / "best"), monitor="val_mood_f1_macro", save_best_only=True
        ),
        keras.callbacks.ModelCheckpoint(str(folder / "weights"), save_weights_only=True),
        keras.callbacks.LambdaCallback(
            on_epoch_end=lambda epoch, logs: heard.append(("epoch", epoch, dict(logs))),
            on_train_batch_end=lambda batch, logs: heard.append(("batch", batch, dict(logs))),
            on_train_end=lambda logs: heard.append(("end", 0, {})),
        ),
        EvaluateSuite(runs.VALIDATION),
        EvaluateSuite({"more": runs.VALIDATION.head(6)}, ["mae"]),
    ]
    table = {"validation_data": runs.VALIDATION, "epochs": 3, "batch_size": 8, "verbose": 0}
    history = shared.fit(runs.TABLE, callbacks=callbacks, **table).history
    return folder, heard, history


def test_every_hook_is_called_with_logs(everything):
    _, heard, history = everything
    assert [(kind, number) for kind, number, _ in heard][:4] == [
        ("batch", 0),
        ("batch", 1),
        ("batch", 2),
        ("epoch", 0),
    ]
    assert heard[-1][0] == "end" and [kind for kind, *_ in heard].count("epoch") == 3
    assert heard[3][2] == {name: values[0] for name, values in history.items()}
    assert {"loss", "mood_loss", "gradient_norm", "learning_rate"} <= set(heard[0][2])


@pytest.mark.filterwarnings("ignore::tf_transfer.evaluation.metrics.UndefinedMetricWarning")
def test_the_suite_is_in_the_logs_under_its_names(everything, shared):
    _, _, history = everything
    names = {n for n in history if n.startswith("val_")}
    assert {
        "val_mood_f1_macro",
        "val_themes_hamming_loss",
        "val_stars_kendall",
        "val_more_stars_mae",
    } <= names
    assert "val_more_stars_rmse" not in names
    # The first epoch was the best or a later one: its weights are back.
    best = int(np.argmax(history["val_stars_pearson"]))
    found = shared.evaluate({"v": runs.VALIDATION}, verbose=0)["v"]
    assert found["stars"]["pearson"] == history["val_stars_pearson"][best]
    assert found["mood"]["f1_macro"] == history["val_mood_f1_macro"][best]


def test_the_csv_log_has_all_of_them(everything):
    folder, _, history = everything
    rows = list(csv.DictReader((folder / "log.csv").open()))
    assert [float(r["val_mood_f1_macro"]) for r in rows] == history["val_mood_f1_macro"]
    assert set(rows[0]) == {"epoch", *history}


@pytest.mark.skipif(not HAS_TENSORBOARD, reason="needs the package tensorboard")
def test_tensorboard_has_losses_rates_norms_and_the_suite(everything):
    folder, _, history = everything
    found = scalars(folder / "board")
    for name in ("loss", "mood_loss", "themes_loss", "stars_loss", "gradient_norm"):
        np.testing.assert_allclose(found["train", f"epoch_{name}"], history[name], rtol=1e-6)
        assert len(found["train", f"batch_{name}"]) == 9
    np.testing.assert_allclose(
        found["validation", "epoch_stars_pearson"], history["val_stars_pearson"], rtol=1e-6
    )
    assert len(found["train", "batch_learning_rate"]) == 9
    assert np.ptp(found["train", "batch_learning_rate"]) > 0


@pytest.mark.filterwarnings("ignore::tf_transfer.evaluation.metrics.UndefinedMetricWarning")
def test_model_checkpoint_saves_the_best_of_a_metric_of_the_suite(everything):
    folder, _, history = everything
    found = load_model(folder / "best").evaluate({"v": runs.VALIDATION}, verbose=0)[
        "v", "mood", "f1_macro"
    ]
    assert found == max(history["val_mood_f1_macro"])
    assert (folder / "weights.index").exists()


def test_terminate_on_nan_stops_without_an_error(model):
    def spoil(epoch, logs=None):
        if epoch == 1:
            model.heads["stars"].kernel.assign(tf.fill(model.heads["stars"].kernel.shape, np.inf))

    callbacks = [
        keras.callbacks.TerminateOnNaN(),
        keras.callbacks.LambdaCallback(on_epoch_begin=spoil),
    ]
    history = model.fit(runs.TABLE, epochs=4, batch_size=8, verbose=0, callbacks=callbacks)
    assert history.epoch == [0, 1]


def test_the_logged_norm_and_rate_are_those_of_the_step(model):
    data = next(
        iter(model.dataset(runs.TABLE, batch_size=8, shuffle=True, seed=3, note_labels=True))
    )
    with tf.GradientTape() as tape:
        loss, _, _ = model.compute_losses(data[1], model(data[0], training=True), data[2])
    gradients = [
        tf.convert_to_tensor(g).numpy() for g in tape.gradient(loss, model.trained_variables)
    ]
    expected = np.sqrt(sum(np.square(g.astype(np.float64)).sum() for g in gradients))
    logs = model.fit(runs.TABLE, batch_size=8, steps_per_epoch=1, verbose=0).history
    assert logs["gradient_norm"][0] == pytest.approx(expected, rel=1e-4)
    assert logs["learning_rate"][0] == pytest.approx(1e-2)  # warm-up of one step


def test_a_table_is_passed_over_again_for_as_many_steps_as_asked(model):
    seen = []
    batches = keras.callbacks.LambdaCallback(
        on_train_batch_end=lambda batch, logs: seen.append(batch)
    )
    model.fit(runs.TABLE, epochs=2, steps_per_epoch=4, batch_size=8, callbacks=batches, verbose=0)
    assert seen == [0, 1, 2, 3] * 2


# -- what is monitored -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("callbacks", "message"),
    [
        (
            [keras.callbacks.EarlyStopping("val_mood_f1")],
            r"val_mood_f1'\. Did you mean 'val_mood_f1_macro'",
        ),
        ([keras.callbacks.ReduceLROnPlateau("val_los")], "ReduceLROnPlateau must monitor"),
        ([keras.callbacks.ModelCheckpoint("x", "auc", save_best_only=True)], "Received 'auc'"),
    ],
)
def test_an_unknown_name_is_an_error_with_the_nearest_one(model, callbacks, message):
    with pytest.raises(DataError, match=message):
        model.fit(
            runs.TABLE,
            batch_size=8,
            verbose=0,
            callbacks=[*callbacks, EvaluateSuite(runs.VALIDATION, ["f1_macro"])],
        )


def test_names_that_a_users_callback_adds_may_be_monitored(model):
    class Add(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            logs["mine"] = float(epoch)

    stop = keras.callbacks.EarlyStopping("mine", patience=1)
    history = model.fit(runs.TABLE, epochs=5, batch_size=22, callbacks=[Add(), stop], verbose=0)
    assert history.epoch == [0, 1]


# -- an outer loop ---------------------------------------------------------------------------------


def test_an_outer_loop_calls_every_hook(tmp_path):
    model, heard = tiny.make_model(tiny.TASKS[:1]), []
    history = keras.callbacks.History()
    callbacks = [
        keras.callbacks.EarlyStopping("val_mood_f1_macro", patience=9, restore_best_weights=True),
        keras.callbacks.CSVLogger(str(tmp_path / "log.csv")),
        *([keras.callbacks.TensorBoard(str(tmp_path / "board"))] if HAS_TENSORBOARD else []),
        keras.callbacks.ModelCheckpoint(str(tmp_path / "best")),
        keras.callbacks.LearningRateScheduler(lambda epoch, rate: 0.001 / (epoch + 1)),
        keras.callbacks.LambdaCallback(
            on_epoch_end=lambda epoch, logs: heard.append(("epoch", epoch)),
            on_train_batch_end=lambda batch, logs: heard.append(("batch", batch)),
        ),
        EvaluateSuite(tiny.make_table(9, seed=2), ["f1_macro"]),
        history,
    ]
    source = {"one": tiny.make_table(12, seed=1)}
    ProtoNet(steps=5, meta_batch=2, shot=1, num_query=1).fit(
        model, source, callbacks=callbacks, validate_every=2
    )
    assert heard == [
        *[
            ("batch", 0),
            ("batch", 1),
            ("epoch", 0),
            ("batch", 0),
            ("batch", 1),
            ("epoch", 1),
            ("batch", 0),
            ("epoch", 2),
        ]
    ]
    assert set(history.history) == {
        "loss",
        "gradient_norm",
        "learning_rate",
        "lr",
        "val_mood_f1_macro",
    }
    np.testing.assert_allclose(history.history["learning_rate"], [1e-3, 5e-4, 1e-3 / 3], rtol=1e-6)
    rows = list(csv.DictReader((tmp_path / "log.csv").open()))
    assert [float(r["loss"]) for r in rows] == history.history["loss"]
    if HAS_TENSORBOARD:
        assert len(scalars(tmp_path / "board")["train", "epoch_gradient_norm"]) == 3
    assert load_model(tmp_path / "best").tasks[0].name == "mood"
