"""Keras' ``trainable`` counts, on any layer, whenever it is set: in training, in copies, in
files.
"""

import pickle

import numpy as np
import pytest

from tests import tiny
from tf_transfer.devices.backend import keras, tf
from tf_transfer.encoders.freezing import blocks_of, freeze
from tf_transfer.errors import DataError
from tf_transfer.model.model import load_model
from tf_transfer.strategies import ANIL, MAML, FineTune, LinearProbe, ProtoMAML, ProtoNet
from tf_transfer.training.callbacks.settings import model_settings

MOOD, STARS = tiny.TASKS[0], tiny.TASKS[2]
TABLE = tiny.make_table(12)


def make(layers=2, **options):
    encoder = tiny.make_encoder(layers=layers, dropout=0.3)
    return tiny.TransferModel(encoder, [MOOD, STARS], **{"max_length": 24} | options)


def block(model, number):
    return blocks_of(model.encoder.transformer)[number]


def only(model, *layers):
    """The usual recipe: everything free, then what is to stay."""
    model.trainable = True
    for layer in layers:
        layer.trainable = False


BY_HAND = {
    "everything free": lambda m: only(m),
    "the encoder": lambda m: only(m, m.encoder),
    "the library's model": lambda m: only(m, m.encoder.transformer),
    "its main layer": lambda m: only(m, m.encoder.transformer.bert),
    "an upper block alone": lambda m: only(m, block(m, 1)),
    "a layer deep in a block": lambda m: only(m, block(m, 0).attention.self_attention.query),
    "the embeddings": lambda m: only(m, m.encoder.transformer.bert.embeddings),
    "a head": lambda m: only(m, m.heads["mood"]),
    "a layer that is freed inside a frozen one": lambda m: (
        only(m, block(m, 0)), setattr(block(m, 0).attention, "trainable", True),
    ),
    "a depth": lambda m: freeze(m, 1),
}  # fmt: skip


def changed_by(model, train):
    """Which of a model's weights a training changes, by their places."""
    before = tiny.snapshot(model)
    train()
    return {
        i
        for i, (old, v) in enumerate(zip(before, model.state))
        if old.tobytes() != v.numpy().tobytes()
    }


def trainable_by_keras(model):
    """What Keras itself says would be trained, by their places in ``model.state``; the oracle."""
    ids = {id(v) for v in model.trainable_variables}
    return {i for i, v in enumerate(model.state) if id(v) in ids}


def places(model, variables):
    ids = {id(v) for v in variables}
    return {i for i, v in enumerate(model.state) if id(v) in ids}


@pytest.fixture(scope="module")
def long_lived():
    """One model that is compiled once and then trained in one state after the other, step by
    step.
    """
    model = make()
    model.compile(optimizer=keras.optimizers.SGD(0.05, momentum=0.9), run_eagerly=True)
    model.fit(TABLE, batch_size=12, verbose=0)
    return model


def noise(model):
    """What changes in every training: the step of dropout, and, in the first, the scale and what
    free heads note.
    """
    notes = [head.taught for head in model.heads.values() if head.trainable]
    return places(model, [model.encoder.dropout_state, model.heads["stars"].scale, *notes])


def fit(model, **options):
    return model.fit(TABLE, **{"batch_size": 12, "verbose": 0} | options)


def changed_by_fit(model, **options):
    return changed_by(model, lambda: fit(model, **options)) - noise(model)


# -- fit -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("state", BY_HAND)
def test_fit_changes_what_keras_calls_trainable(long_lived, state):
    BY_HAND[state](long_lived)
    expected = trainable_by_keras(long_lived)
    assert places(long_lived, long_lived.trained_variables) == expected
    assert changed_by_fit(long_lived) == expected


class OfStars(keras.metrics.Metric):
    """A metric of one's own: it makes its variable at its first update, and would not take a row
    that is made up.
    """

    def __init__(self):
        super().__init__(name="own")
        self.total = None

    def update_state(self, y_true, y_pred, sample_weight=None):
        if self.total is None:
            self.total = self.add_weight("total", initializer="zeros")
        with tf.control_dependencies(
            [tf.debugging.assert_none_equal(tf.cast(y_true, tf.float32), 0.0)]
        ):
            self.total.assign_add(tf.cast(tf.reduce_sum(sample_weight), tf.float32))

    def result(self):
        return self.total + 0.0


@pytest.mark.parametrize("optimizer", ["auto", "sgd", keras.optimizers.legacy.Adam()])
def test_the_step_is_traced_once(optimizer):
    """A variable that came into being in the first trace would make TensorFlow trace the step
    again.
    """
    model, traces = make(layers=1), []
    step = model.train_step
    model.train_step = lambda data: traces.append(data) or step(data)
    model.compile(
        optimizer,
        metrics={"mood": "accuracy", "stars": OfStars()},
        weighted_metrics={"stars": "mae"},
    )
    fit(model)
    assert fit(model).history["stars_own"] == [len(TABLE)]
    assert len(traces) == 1


@pytest.mark.slow
def test_the_traced_step_follows_what_is_trainable():
    """In whatever order: compile, freeze, fit, free, fit, freeze, fit."""
    model = make(layers=1)
    everything = places(model, model.trained_variables)
    heads = places(model, [v for h in model.heads.values() for v in h.trainable_variables])
    model.compile(optimizer=keras.optimizers.SGD(0.05))
    model.encoder.trainable = False
    assert changed_by_fit(model) == heads
    freeze(model.encoder, "none")
    assert changed_by_fit(model) == everything
    freeze(model, "all")
    assert changed_by_fit(model) == heads


@pytest.mark.slow
def test_training_teaches_free_heads_alone():
    """Also where the labels cannot be read in advance; see `Head.teach_all`."""
    batches = make().dataset(TABLE, batch_size=12)
    one = next(iter(batches))
    for train in (fit, lambda m: m.fit(batches, verbose=0), lambda m: m.train_on_batch(*one)):
        model = make(layers=1)
        model.heads["stars"].trainable = False
        model.compile(optimizer=keras.optimizers.SGD(0.05))
        train(model)
        assert (
            model.heads["mood"].taught.numpy().all()
            and not model.heads["stars"].taught.numpy().any()
        )


def test_one_optimizer_serves_before_and_after_a_layer_is_freed():
    """Keras' own would not know the variables that it meets later. It starts anew, as a new one
    would.
    """
    first, second = make(layers=1), make(layers=1)
    for model in (first, second):
        tiny.restore(model, tiny.snapshot(first))
        model.compile(optimizer=keras.optimizers.Adam(0.01), run_eagerly=True)
    first.encoder.trainable = False
    fit(first)
    tiny.restore(first, tiny.snapshot(second))
    first.encoder.trainable = True
    fit(first)
    fit(second)
    assert first.optimizer.iterations.numpy() == 1
    assert tiny.same(tiny.snapshot(first), tiny.snapshot(second))
    assert len(first.optimizer.variables) == len(second.optimizer.variables)


def test_a_callback_may_free_a_layer_between_epochs():
    model = make(layers=1, freeze="all")
    seen, free = [], keras.callbacks.LambdaCallback(
        on_epoch_begin=lambda epoch, logs: setattr(model.encoder, "trainable", epoch == 1),
        on_epoch_end=lambda epoch, logs: seen.append([v.numpy() for v in model.encoder.state]),
    )  # fmt: skip
    model.compile(optimizer=keras.optimizers.SGD(0.05), run_eagerly=True)
    start = [v.numpy() for v in model.encoder.state]
    fit(model, epochs=3, callbacks=[free])
    assert (
        tiny.same(start, seen[0])
        and not tiny.same(seen[0], seen[1])
        and tiny.same(seen[1], seen[2])
    )
    assert model.encoder.frozen == "all"  # what a callback has set stays


def test_blocks_that_a_callback_trains_and_freezes_again_are_run_anew(monkeypatch):
    """What they made of the texts before the run holds no longer."""
    ends = []
    for keeps in (True, False):
        if not keeps:
            monkeypatch.setattr("tf_transfer.encoders.vectors.MOST_TRUNK_BYTES", 1)
        model = make(layers=1, freeze=1, dropout=0.0)
        model.compile(optimizer=keras.optimizers.SGD(0.5), run_eagerly=True)
        turn = keras.callbacks.LambdaCallback(
            on_epoch_begin=lambda epoch, logs, model=model: freeze(
                model, "none" if epoch == 1 else 1
            )
        )
        fit(model, epochs=3, callbacks=[turn])
        ends.append(tiny.snapshot(model))
    for kept, live in zip(*ends):
        np.testing.assert_allclose(kept, live, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    "freeze_all", [lambda m: setattr(m, "trainable", False), lambda m: only(m, *m.layers)]
)
def test_nothing_to_train_is_said(freeze_all):
    model = make()
    freeze_all(model)
    with pytest.raises(
        DataError, match=r"in which everything is frozen.\nFree a part: model.trainable = True"
    ):
        fit(model)
    with pytest.raises(DataError, match="everything is frozen"):
        MAML(inner_steps=1).adapt(model, TABLE)


# -- dropout ---------------------------------------------------------------------------------------


def ids(model):
    return next(iter(model.dataset(TABLE, batch_size=4)))[0]


@pytest.mark.parametrize(
    ("state", "drops"),
    [
        ("everything free", True), ("an upper block alone", True), ("the encoder", False),
        ("its main layer", False), ("everything by hand", False),
    ],
)  # fmt: skip
def test_what_is_frozen_has_no_dropout(long_lived, state, drops):
    model = long_lived
    every = [model.encoder.transformer.bert.embeddings, block(model, 0), block(model, 1)]
    only(model, *every) if state == "everything by hand" else BY_HAND[state](model)
    found = []
    for step in range(2):
        model.encoder.dropout_state.assign([0, step])
        found.append(model.encoder(ids(model), training=True).numpy())
    assert np.array_equal(*found) != drops
    if not drops:
        np.testing.assert_allclose(found[0], model.encoder(ids(model)), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("freed_inside", [False, True])
def test_dropout_goes_by_the_layers_around_it(long_lived, freed_inside):
    frozen = block(long_lived, 0) if freed_inside else block(long_lived, 0).attention
    only(long_lived, frozen)
    # Keras does not train what is inside a frozen layer
    block(long_lived, 0).attention.trainable = freed_inside
    long_lived.encoder.dropout_state.assign([0, 1])
    inside = {id(layer) for layer in frozen._flatten_layers()}
    ones = tf.ones((4, 8))
    for layer in long_lived.encoder._flatten_layers():
        if isinstance(layer, keras.layers.Dropout):
            assert np.array_equal(layer(ones, training=True), ones) == (id(layer) in inside)


def test_a_frozen_head_has_no_dropout():
    model = make(dropout=0.5)
    vectors = tf.ones((3, model.encoder.width))
    model.heads["mood"].trainable = False
    dropped, kept = model.apply_heads(vectors, training=True), model.apply_heads(vectors)
    assert np.array_equal(dropped["mood"], kept["mood"]) and not np.array_equal(
        dropped["stars"], kept["stars"]
    )


# -- copies, files, strategies ---------------------------------------------------------------------


def by_file(model, folder):
    model.save(folder / "model")
    return load_model(folder / "model")


COPIES = {
    "copy": lambda m, _: m.copy(),
    "pickle": lambda m, _: pickle.loads(pickle.dumps(m)),
    "file": by_file,
}


@pytest.fixture(scope="module")
def earlier():
    """A copy from before, in another state, to be overwritten."""
    return make(freeze="embeddings")


@pytest.mark.parametrize("way", [*COPIES, "copy over an earlier one"])
@pytest.mark.parametrize("state", [*BY_HAND, "the model"])
def test_what_is_frozen_goes_along(long_lived, earlier, tmp_path, state, way):
    long_lived.trainable = False
    if state != "the model":
        BY_HAND[state](long_lived)
    twin = (
        long_lived.copy(out=earlier)
        if way == "copy over an earlier one"
        else COPIES[way](long_lived, tmp_path)
    )
    assert trainable_by_keras(twin) == trainable_by_keras(long_lived)
    assert twin.frozen == long_lived.frozen


def test_a_loaded_model_is_trained_where_it_is_free(long_lived, tmp_path):
    BY_HAND["a layer deep in a block"](long_lived)
    loaded = by_file(long_lived, tmp_path)
    loaded.compile(optimizer=keras.optimizers.SGD(0.05), run_eagerly=True)
    assert changed_by_fit(loaded) == trainable_by_keras(long_lived)


@pytest.mark.slow
@pytest.mark.parametrize(
    "strategy",
    [
        FineTune(adapt_steps=1, head_start=True),
        MAML(inner_steps=1, inner_lr=0.1, inner_freeze="embeddings"),
    ],
    ids=lambda strategy: strategy.name,
)
def test_adapt_leaves_alone_what_is_frozen(strategy):
    model = make()
    only(model, block(model, 1), model.heads["stars"])
    allowed, before = trainable_by_keras(model), tiny.snapshot(model)
    adapted = strategy.adapt(model, TABLE)
    changed = {
        i
        for i, (old, v) in enumerate(zip(before, adapted.state))
        if old.tobytes() != v.numpy().tobytes()
    }
    assert changed - noise(model) <= allowed and changed & allowed
    assert tiny.same(before, tiny.snapshot(model))


def test_a_probe_leaves_a_frozen_head_alone():
    model = make()
    model.heads["stars"].trainable = False
    adapted = LinearProbe(uses_source=False).adapt(model, TABLE)
    assert np.array_equal(adapted.heads["stars"].kernel, model.heads["stars"].kernel)
    assert not np.array_equal(adapted.heads["mood"].kernel, model.heads["mood"].kernel)


@pytest.mark.parametrize(
    "strategy", [ANIL(inner_steps=1), ProtoNet(), ProtoMAML(inner_steps=1)], ids=lambda s: s.name
)
def test_a_strategy_that_adapts_by_heads_says_that_they_are_frozen(strategy):
    model = tiny.make_model(MOOD)
    model.heads["mood"].trainable = False
    with pytest.raises(
        DataError, match=r"Received frozen heads of the tasks 'mood'.\nFree them, for instance"
    ):
        strategy.adapt(model, TABLE)


def test_a_backup_is_of_a_model_with_the_same_layers_frozen():
    model = make()
    first = model_settings(model)
    model.heads["mood"].trainable = False
    second = model_settings(model)
    only(model, block(model, 1))
    assert first != second != model_settings(model) != first
