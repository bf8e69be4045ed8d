"""Low-rank adapters: what they add, what of a model they leave alone, and what is left of them."""

import copy
import json
import pickle

import numpy as np
import pytest

from tests import tiny
from tf_transfer.devices.backend import keras, tf
from tf_transfer.encoders.adapters import Adapters, attach, merge, state
from tf_transfer.encoders.freezing import freeze
from tf_transfer.encoders.tiny import TINY_FAMILIES, tiny_encoder
from tf_transfer.encoders.trunk import with_trunk
from tf_transfer.errors import CheckpointError, DataError
from tf_transfer.meta_gradients.functional import fast_weights
from tf_transfer.model.model import TransferModel, load_model

IDS = tf.constant([[5, 9, 12, 7, 30, 8], [6, 40, 41, 11, 2, 3]])
X = {
    "input_ids": IDS,
    "attention_mask": tf.ones_like(IDS),
    "token_type_ids": tf.zeros_like(IDS),
}
TABLE = tiny.make_table(12)


def disturb(encoder, seed=0):
    """Gives the adapters' zero weights values, as training would."""
    draws = np.random.default_rng(seed)
    for name, variable in state(encoder).items():
        if name.endswith("up"):
            variable.assign(draws.normal(0, 0.5, variable.shape))
    return encoder


def plain_model(encoder, **options):
    return TransferModel(encoder, tiny.TASKS, max_length=24, **options)


@pytest.fixture(scope="module")
def trained():
    """A model with adapters after an epoch, and its weights by name before; read-only."""
    model = plain_model(attach(tiny.make_encoder(), rank=2))
    before = {id(v): v.numpy() for v in model.weights}
    model.fit(TABLE, epochs=1, batch_size=4, verbose=0)
    return model, before


# -- what they add ---------------------------------------------------------------------------------


@pytest.mark.parametrize("family", TINY_FAMILIES)
def test_outputs_stay_and_merged_kernels_give_the_same(family):
    encoder = tiny_encoder(family, width=16, layers=2, dropout=0.0)
    first = encoder(X).numpy()
    own = {id(v): v.numpy() for v in encoder.weights}
    attach(encoder, rank=3, alpha=6)
    assert np.array_equal(encoder(X), first)
    assert not {id(v) for v in encoder.trainable_variables} & set(own)
    with tf.GradientTape() as tape:
        loss = tf.reduce_sum(disturb(encoder)(X, training=True) ** 2)
    gradients = tape.gradient(loss, encoder.trainable_variables)
    assert all(np.abs(g).max() > 0 for g in gradients)
    changed = encoder(X).numpy()
    assert np.abs(changed - first).max() > 1e-3
    merge(encoder)
    np.testing.assert_allclose(encoder(X), changed, rtol=2e-5, atol=2e-5)
    assert {id(v) for v in encoder.weights} == set(own) and encoder.adapters is None
    assert len(encoder.trainable_variables) > len(gradients)


def test_the_output_is_the_papers_formula():
    """h = W₀ x + b + (alpha / rank) B A x, and the merged kernel in double precision."""
    encoder = disturb(attach(tiny.make_encoder(), rank=2, alpha=10, layers=["value"]))
    layer = encoder.transformer.bert.encoder.layer[0].attention.self_attention.value
    (down, up) = (v.numpy().astype(float) for v in state(encoder).values())
    kernel, bias = layer.kernel.numpy().astype(float), layer.bias.numpy().astype(float)
    x = np.random.default_rng(1).normal(size=(3, 4, 16))
    expected = np.einsum("oi,bli->blo", kernel.T, x) + bias
    expected += 10 / 2 * np.einsum("or,ri,bli->blo", up.T, down.T, x)
    np.testing.assert_allclose(layer(tf.constant(x, tf.float32)), expected, rtol=1e-5, atol=1e-5)
    merge(encoder)
    np.testing.assert_allclose(layer.kernel, kernel + 10 / 2 * down @ up, rtol=1e-6, atol=1e-7)


def test_the_number_of_trained_weights():
    """rank * (inputs + outputs) for each kernel; the default is query and value."""
    encoder = attach(tiny.make_encoder(layers=3), rank=5)
    count = sum(int(np.prod(v.shape)) for v in encoder.trainable_variables)
    assert count == 3 * 2 * 5 * (16 + 16)
    assert {name.split(".")[-2] for name in state(encoder)} == {"query", "value"}
    wide = attach(tiny.make_encoder(layers=3), rank=5, layers=r"layer\.2\.intermediate")
    assert [tuple(v.shape) for v in wide.trainable_variables] == [(16, 5), (5, 32)]
    names = [v.name for v in encoder.weights]
    assert len(set(names)) == len(names)


def test_a_is_random_with_variance_one_over_inputs_and_repeats():
    first, again, other = (
        np.concatenate([v.numpy() for v in state(encoder).values() if v.shape[1] == 60])
        for encoder in (
            attach(tiny.make_encoder(width=64, layers=2), rank=60, seed=seed) for seed in (0, 0, 1)
        )
    )
    assert np.array_equal(first, again) and not np.array_equal(first, other)
    assert first.std() * np.sqrt(64) == pytest.approx(1, abs=0.05)
    parts = first.reshape(4, 64, 60)
    assert not np.array_equal(parts[0], parts[1])


# -- training --------------------------------------------------------------------------------------


def test_training_changes_adapters_and_heads_alone(trained):
    model, before = trained
    may = {id(v) for v in model.trained_variables}
    assert may == {id(v) for v in model.trainable_variables}
    heads = {id(v) for head in model.heads.values() for v in head.weights}
    adapters = {id(v) for v in state(model.encoder).values()}
    assert adapters <= may <= adapters | heads
    differ = {id(v) for v in model.weights if not np.array_equal(v.numpy(), before[id(v)])}
    assert adapters <= differ
    assert differ <= adapters | heads | {id(model.encoder.dropout_state)}


def test_a_frozen_block_keeps_its_adapters_and_gives_a_trunk():
    encoder = disturb(attach(tiny.make_encoder(layers=2, dropout=0.3), rank=2))
    freeze(encoder, 1)
    assert encoder.frozen == 1 and len(encoder.trainable_variables) == 4
    assert all("layer_._1" in v.name for v in encoder.trainable_variables)
    carried = with_trunk(encoder, X)
    assert set(carried) == {*X, "trunk_1"}
    assert np.array_equal(encoder(carried, training=True), encoder(X, training=True))
    frozen = encoder.copy()
    assert frozen.frozen == 1 and np.array_equal(frozen(X), encoder(X))
    freeze(encoder, "all")
    assert not encoder.trainable_variables
    freeze(encoder, "none")
    assert len(encoder.trainable_variables) == 8


@pytest.mark.parametrize("family", ["mpnet", "deberta-v2", "t5"])
def test_freezing_and_freeing_never_frees_what_is_beside_the_adapters(family):
    """These families hold weights beside their blocks."""
    encoder = attach(tiny_encoder(family, width=16, layers=2), rank=2)
    adapters = {id(v) for v in state(encoder).values()}
    for depth in ("all", 1, "embeddings", "none"):
        freeze(encoder, depth)
        assert {id(v) for v in encoder.trainable_variables} <= adapters
        assert encoder.frozen == depth
    assert {id(v) for v in encoder.trainable_variables} == adapters
    every = {id(v) for v in [*encoder.transformer.weights, encoder.dropout_state]}
    assert every == {id(v) for v in encoder.weights}
    assert every == adapters | {id(v) for v in encoder.non_trainable_weights}


def test_masks_of_dropout_are_those_without_adapters():
    plain = tiny.make_encoder(dropout=0.3)
    expected = plain(X, training=True).numpy()
    assert not np.array_equal(expected, plain(X))
    assert np.array_equal(attach(plain)(X, training=True), expected)


def test_tensors_stand_in_for_adapters():
    encoder = attach(tiny.make_encoder(dropout=0.0), rank=2)
    variables = encoder.trainable_variables
    values = [tf.constant(v.numpy() + 0.1) for v in variables]
    with tf.GradientTape() as tape:
        tape.watch(values)
        with fast_weights(encoder, variables, values):
            replaced = encoder(X, training=True)
        loss = tf.reduce_sum(replaced**2)
    assert all(np.abs(g).max() > 0 for g in tape.gradient(loss, values))
    for variable, value in zip(variables, values):
        variable.assign(value)
    np.testing.assert_allclose(encoder(X), replaced, rtol=1e-6, atol=1e-6)


def test_a_compiled_graph_and_16_bits():
    encoder = disturb(attach(tiny.make_encoder(), rank=2))
    run = tf.function(lambda: encoder(X), jit_compile=True)
    np.testing.assert_allclose(run(), encoder(X), rtol=1e-5, atol=1e-5)
    keras.mixed_precision.set_global_policy("mixed_bfloat16")
    try:
        narrow = tiny.make_encoder()
        keras.mixed_precision.set_global_policy("float32")
        attach(narrow, rank=2)
    finally:
        keras.mixed_precision.set_global_policy("float32")
    disturb(narrow)
    layer = narrow.transformer.bert.encoder.layer[0].attention.self_attention.query
    assert layer(tf.ones((1, 2, 16))).dtype == tf.bfloat16
    assert {v.dtype for v in state(narrow).values()} == {tf.float32}
    np.testing.assert_allclose(narrow.copy()(X), narrow(X))
    np.testing.assert_allclose(narrow(X), encoder(X), atol=0.1)


# -- copies and files ------------------------------------------------------------------------------


@pytest.mark.parametrize("how", ["copy", "pickle", "deepcopy"])
def test_copies_are_independent(how):
    encoder = disturb(attach(tiny.make_encoder(), rank=2, alpha=3, layers=["key"]))
    first = encoder(X).numpy()
    copies = {
        "copy": lambda: encoder.copy(),
        "pickle": lambda: pickle.loads(pickle.dumps(encoder)),
        "deepcopy": lambda: copy.deepcopy(encoder),
    }
    twin = copies[how]()
    assert twin.adapters == encoder.adapters and np.array_equal(twin(X), first)
    disturb(twin, seed=1)
    assert np.array_equal(encoder(X), first) and not np.array_equal(twin(X), first)
    merge(twin)
    assert encoder.adapters is not None and len(encoder.trainable_variables) == 2


def test_a_model_is_copied_saved_and_loaded(trained, tmp_path):
    model, _ = trained
    expected = model.predict(TABLE, verbose=0)
    assert tiny.same(model.copy().predict(TABLE, verbose=0), expected)
    model.save(tmp_path / "model")
    again = load_model(tmp_path / "model")
    assert again.encoder.adapters == model.encoder.adapters
    assert tiny.same(again.predict(TABLE, verbose=0), expected)
    assert len(again.trained_variables) == len(model.trained_variables)
    model.save_weights(str(tmp_path / "weights.h5"))
    blank = plain_model(attach(tiny.make_encoder(seed=4), rank=2))
    blank.load_weights(str(tmp_path / "weights.h5"))
    assert np.array_equal(blank.encoder(X), model.encoder(X))


def test_a_copy_is_not_written_over_one_of_another_form(trained):
    model, _ = trained
    plain = tiny.make_model()
    first = tiny.snapshot(plain)
    assert model.copy(out=plain) is not plain and tiny.same(first, tiny.snapshot(plain))
    twin = model.copy()
    assert model.copy(out=twin) is twin and plain.copy(out=twin) is not twin


@pytest.mark.parametrize(
    "changes",
    [
        {"rank": 10**9},
        {"rank": "2"},
        {"alpha": float("nan")},
        {"layers": ["query|value"]},
        {"layers": "query|value"},
        {"layers": 3},
    ],
)
def test_a_damaged_note_of_adapters_is_refused(trained, tmp_path, changes):
    trained[0].save(tmp_path / "model")
    path = tmp_path / "model" / "encoder" / "pooling.json"
    note = json.loads(path.read_text())
    path.write_text(json.dumps(note | {"adapters": note["adapters"] | changes}))
    with pytest.raises(CheckpointError, match="is damaged"):
        load_model(tmp_path / "model")


def test_the_files_of_an_encoder_without_adapters_do_not_name_them(tmp_path):
    tiny.make_model().save(tmp_path / "model")
    note = json.loads((tmp_path / "model" / "encoder" / "pooling.json").read_text())
    assert set(note) == {"pooling", "precision"}


def test_kept_vectors_follow_the_adapters_and_their_factor():
    prints = set()
    for alpha in (1, 2):
        other = plain_model(attach(tiny.make_encoder(), alpha=alpha))
        prints.add(other.encoder_fingerprint())
        disturb(other.encoder)
        prints.add(other.encoder_fingerprint())
    prints.add(tiny.make_model().encoder_fingerprint())
    assert len(prints) == 5


def test_hugging_face_gets_a_merged_encoder(trained, tmp_path):
    model, _ = trained
    with pytest.raises(DataError, match="Merge them first"):
        model.save_pretrained(tmp_path / "folder")
    merged = merge(model.encoder.copy())
    merged.save_pretrained(tmp_path / "folder")
    np.testing.assert_allclose(merged(X), model.encoder(X), rtol=2e-5, atol=2e-5)
    assert merged.frozen == "none" and model.encoder.adapters == Adapters(
        2, 16.0, model.encoder.adapters.layers
    )


def test_a_model_gets_adapters_and_is_merged():
    """`with_encoder` keeps the heads, and what of them is frozen."""
    plain = tiny.make_model()
    plain.heads["stars"].trainable = False
    expected = plain.predict(TABLE, verbose=0)
    model = plain.with_encoder(attach(plain.encoder.copy(), rank=2))
    assert tiny.same(model.predict(TABLE, verbose=0), expected)
    assert model.frozen == {"encoder": "none", "heads": ["stars"]} == plain.frozen
    changed = model.copy()
    disturb(changed.encoder)
    for head in changed.heads.values():
        head.kernel.assign(2 * head.kernel)
    merged = changed.with_encoder(merge(changed.encoder.copy()))
    assert merged.encoder.adapters is None
    for name, found in merged.predict(TABLE, verbose=0).items():
        wanted = changed.predict(TABLE, verbose=0)[name].scores
        np.testing.assert_allclose(found.scores, wanted, rtol=1e-4, atol=1e-4)
        assert not np.allclose(wanted, expected[name].scores, rtol=1e-2)
    with pytest.raises(DataError, match="width 32 for heads of width 16"):
        plain.with_encoder(tiny.make_encoder(width=32))


# -- what is refused -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"rank": 0}, "rank must be a whole number"),
        ({"rank": 17}, "Give at most 16"),
        ({"alpha": 0}, "alpha must be a number above 0"),
        ({"layers": "nothing"}, "fits none of this bert encoder's"),
        ({"layers": ["query", "qery"]}, "'qery'"),
        ({"layers": "LayerNorm"}, "It has .*query"),
        ({"layers": "("}, "regular expression"),
        ({"layers": []}, "names of layers"),
        ({"layers": ["pooler.dense"]}, "fits none"),
    ],
)
def test_bad_arguments_change_nothing(options, words):
    encoder = tiny.make_encoder()
    names = [v.name for v in encoder.weights]
    with pytest.raises(DataError, match=words):
        attach(encoder, **options)
    assert encoder.adapters is None and [v.name for v in encoder.weights] == names


def test_a_layer_with_an_activation_is_refused():
    encoder = tiny.make_encoder()
    layer = encoder.transformer.bert.encoder.layer[0].attention.self_attention.query
    layer.activation = keras.activations.tanh
    with pytest.raises(DataError, match="applies its own activation"):
        attach(encoder)


def test_adapters_are_attached_once_and_merged_once():
    encoder = attach(tiny.make_encoder())
    with pytest.raises(DataError, match="adapters once"):
        attach(encoder)
    with pytest.raises(DataError, match="without any"):
        merge(merge(encoder))
    disturb(attach(encoder, rank=1, layers=["key"]), seed=2)
    assert len(state(encoder)) == 2 and not state(merge(encoder))


@pytest.mark.parametrize("change", [attach, merge])
def test_a_models_encoder_is_refused(trained, change):
    model, _ = trained
    with pytest.raises(DataError, match="part of a model"):
        change(model.encoder)
    with pytest.raises(DataError, match=r"encoder\.copy"):
        change(model)
