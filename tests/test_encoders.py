"""Every family with a tiny random configuration; pooling, freezing and loading."""

import json
import re
import sys

import numpy as np
import pytest
import safetensors.numpy

from tests import tiny
from tf_transfer.assets import fetching as assets
from tf_transfer.devices.backend import keras, tf, transformers
from tf_transfer.encoders import families
from tf_transfer.encoders.encoder import Encoder
from tf_transfer.encoders.families import build, model_class
from tf_transfer.encoders.freezing import freeze
from tf_transfer.encoders.loading import encoder_from_config, load_encoder, save_config
from tf_transfer.encoders.tiny import _RELATIVE_POSITIONS, TINY_FAMILIES, tiny_encoder
from tf_transfer.errors import DataError

IDS = [[5, 9, 12, 7, 30, 8]]


@pytest.fixture(scope="module")
def family_of():
    """A tiny encoder of two blocks by family, made once."""
    made = {}

    def get(family):
        if family not in made:
            made[family] = tiny_encoder(family, width=16, layers=2, dropout=0.2)
        return made[family]

    return get


def batch(ids=IDS, padding=0):
    """The fields of ids (batch, length), padded on the right."""
    ids = np.asarray(ids, np.int32)
    mask = np.pad(np.ones_like(ids), [(0, 0), (0, padding)])
    ids = np.pad(ids, [(0, 0), (0, padding)])
    fields = {"input_ids": ids, "attention_mask": mask, "token_type_ids": np.zeros_like(ids)}
    return {name: tf.constant(value) for name, value in fields.items()}


SIZES = {"hidden_size": 16, "d_model": 16, "dim": 16, "n_embd": 16, "emb_dim": 16, "embedding_size": 16, "d_kv": 8,
         "num_hidden_layers": 1, "num_layers": 1, "n_layer": 1, "n_layers": 1, "num_attention_heads": 2, "num_heads": 2,
         "n_head": 2, "n_heads": 2, "num_key_value_heads": 2, "intermediate_size": 32, "d_ff": 32, "hidden_dim": 32,
         "ffn_dim": 32, "true_hidden_size": 16, "intra_bottleneck_size": 16, "word_embed_proj_dim": 16,
         "attention_window": 4, "vocab_size": 60, "n_words": 60, "max_position_embeddings": 64,
         "pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2}  # fmt: skip
"""Of the configurations of all families: each has other names for them."""


# -- families --------------------------------------------------------------------------------------


@pytest.mark.parametrize("family", TINY_FAMILIES)
def test_padding_changes_nothing(family_of, family):
    encoder = family_of(family)
    assert encoder.pooling == ("last" if family == "gpt2" else "mean")
    plain, padded = encoder(batch()).numpy(), encoder(batch(padding=5)).numpy()
    assert plain.shape == (1, encoder.width) == (1, 16)
    np.testing.assert_allclose(padded, plain, rtol=1e-5, atol=1e-6)
    assert np.abs(encoder(batch([[5, 9, 12, 7, 30, 20]])).numpy() - plain).max() > 1e-3


@pytest.mark.parametrize("family", TINY_FAMILIES)
def test_dropout_is_a_function_of_seed_and_step(family_of, family):
    encoder = family_of(family)
    freeze(encoder, "none")
    encoder.reseed(1)
    first = encoder(batch(), training=True).numpy()
    assert np.array_equal(first, encoder(batch(), training=True))
    encoder.next_dropout()
    assert not np.array_equal(first, encoder(batch(), training=True))


@pytest.mark.slow
@pytest.mark.parametrize(
    "family", [*sorted(families.TRACED_AS_WRITTEN), "deberta", "deberta-v2", "opt"]
)
def test_a_graph_gives_what_the_library_gives(family):
    """Also of families in whose code a tensor decides a branch: AutoGraph rewrites it."""
    relative = _RELATIVE_POSITIONS if family.startswith("deberta") else {}
    config = transformers.AutoConfig.for_model(family, **SIZES, **relative)
    transformer = build(model_class(config), config)
    encoder = Encoder(transformer, tiny.make_encoder().tokenizer)
    fields = {name: tf.TensorSpec((None, None), tf.int32) for name in batch()}
    expected = encoder(batch()).numpy()
    graph = tf.function(lambda x: encoder(x, training=False), input_signature=[fields])
    np.testing.assert_allclose(graph(batch()), expected, rtol=1e-4, atol=1e-5)

    @tf.function(input_signature=[fields])
    def gradients(x):
        with tf.GradientTape() as tape:
            loss = tf.reduce_sum(encoder(x, training=True) ** 2)
        return [
            tf.convert_to_tensor(g)
            for g in tape.gradient(loss, encoder.trainable_variables)
            if g is not None
        ]

    assert all(np.isfinite(g).all() for g in gradients(batch()))


FROZEN = {
    "embeddings": "embeddings?/|wte|wpe|shared|relative_attention_bias|rel_embeddings|hidden_mapping|_project/",
    1: r"(encoder|transformer)/layer_\._0/|(h|block)_\._0/|albert_layer_groups",
    "all": "",
}
"""What the weights that a depth freezes are called; a number of blocks freezes the embeddings
too.
"""


def is_frozen(name, depth):
    depths = {"none": [], 1: ["embeddings", 1]}.get(depth, [depth])
    # T5 keeps the table of relative positions inside its first block.
    name = name.replace("relative_attention_bias", "") if "SelfAttention" in name else name
    return any(re.search(FROZEN[d], name) for d in depths)


@pytest.mark.parametrize("depth", ["none", "embeddings", 1, "all"])
@pytest.mark.parametrize("family", TINY_FAMILIES)
def test_freezing_by_depth(family_of, family, depth):
    encoder = family_of(family)
    freeze(encoder, depth)
    frozen = {v.name for v in encoder.state if is_frozen(v.name, depth)}
    free = {v.name for v in encoder.trainable_variables}
    assert free == {v.name for v in encoder.state} - frozen
    assert encoder.frozen == depth


@pytest.mark.slow
@pytest.mark.parametrize("family", TINY_FAMILIES)
def test_frozen_weights_stay_to_the_bit(family_of, family):
    encoder = family_of(family).blank_copy()
    freeze(encoder, 1)
    model = tiny.TransferModel(encoder, tiny.Task("stars", kind="regression"))
    model.compile(optimizer=keras.optimizers.SGD(10.0), run_eagerly=True)
    before = {v.name: v.numpy() for v in encoder.state}
    ids = batch([*IDS, [6, 7, 8, 9, 10, 11]])
    model.train_step((ids, {"stars": tf.constant([3.0, -3.0])}, {"stars": tf.ones(2)}))
    changed = {v.name for v in encoder.state if v.numpy().tobytes() != before[v.name].tobytes()}
    assert changed == {v.name for v in encoder.trainable_variables}
    assert bool(changed) == (family != "albert")  # its one block is all there is


@pytest.mark.parametrize("family", TINY_FAMILIES)
def test_the_order_of_the_weights_does_not_depend_on_freezing(family_of, family):
    encoder, orders = family_of(family), []
    for depth in ("none", "embeddings", 1, "all"):
        freeze(encoder, depth)
        orders.append([v.name for v in encoder.state])
    assert all(order == orders[0] for order in orders)
    assert not any("pooler" in name for name in orders[0])


@pytest.mark.parametrize("family", TINY_FAMILIES)
def test_a_blank_copy_has_the_same_form_and_other_weights(family_of, family):
    encoder = family_of(family)
    freeze(encoder, 1)
    copy = encoder.blank_copy()
    assert [v.shape for v in copy.state] == [v.shape for v in encoder.state]
    assert len(copy.trainable_variables) == len(encoder.trainable_variables) < len(encoder.state)
    assert not np.allclose(copy(batch()), encoder(batch()))


@pytest.mark.parametrize("family", TINY_FAMILIES)
def test_configuration_and_tokenizer_survive_a_folder(family_of, family, tmp_path):
    encoder = family_of(family)
    save_config(encoder, tmp_path)
    read = encoder_from_config(tmp_path)
    for variable, value in zip(read.state, encoder.state, strict=True):
        variable.assign(value)
    assert np.array_equal(read(batch()), encoder(batch()))
    assert read.pooling == encoder.pooling and read.fields == encoder.fields
    assert read.tokenizer("Cold rain!")["input_ids"] == encoder.tokenizer("Cold rain!")["input_ids"]


def test_tiny_encoders_repeat_by_seed():
    first, again, other = (tiny_encoder(width=16, layers=1, seed=s) for s in (1, 1, 2))
    assert np.array_equal(first(batch()), again(batch()))
    assert not np.allclose(first(batch()), other(batch()))


@pytest.mark.parametrize(("family", "length"), [("bert", 40), ("roberta", 38), ("mpnet", 38)])
def test_the_longest_text_follows_from_the_positions(family, length):
    encoder = tiny_encoder(family, width=16, layers=1)
    encoder.config.max_position_embeddings = 40
    assert encoder.max_length == length


# -- pooling and freezing --------------------------------------------------------------------------


@pytest.mark.parametrize("pooling", ["mean", "cls", "last"])
def test_pooling_by_hand(pooling):
    encoder = tiny_encoder(width=16, layers=1, pooling=pooling)
    x = batch([[5, 6, 7, 8], [9, 10, 11, 12]])
    x["attention_mask"] = tf.constant([[1, 1, 1, 1], [1, 1, 0, 0]])
    hidden = encoder.hidden(x).numpy()
    expected = {
        "mean": [hidden[0].mean(0), hidden[1, :2].mean(0)],
        "cls": [hidden[0, 0], hidden[1, 0]],
        "last": [hidden[0, 3], hidden[1, 1]],
    }[pooling]
    np.testing.assert_allclose(encoder(x), expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("pooling", ["last", "mean"])
def test_padded_decoders_pool_like_unpadded_ones(pooling):
    encoder = tiny_encoder("gpt2", width=16, layers=1, pooling=pooling)
    np.testing.assert_allclose(encoder(batch(padding=3)), encoder(batch()), rtol=1e-5, atol=1e-6)


def test_bad_poolings_are_refused():
    with pytest.raises(DataError, match="Did you mean 'mean'"):
        tiny_encoder(width=16, layers=1, pooling="meen")
    with pytest.raises(DataError, match="sees no other token"):
        tiny_encoder("gpt2", width=16, layers=1, pooling="cls")
    with pytest.raises(DataError, match="Did you mean 'bert'"):
        tiny_encoder("brt")


@pytest.mark.parametrize("depth", [True, -1, 1.0, "some", None])
def test_bad_depths_are_refused_and_change_nothing(family_of, depth):
    encoder = family_of("bert")
    freeze(encoder, "embeddings")
    free = len(encoder.trainable_variables)
    with pytest.raises(DataError, match="freeze must be 'none'"):
        freeze(encoder, depth)
    assert (encoder.frozen, len(encoder.trainable_variables)) == ("embeddings", free)


def test_more_blocks_than_there_are_is_refused(family_of):
    with pytest.raises(DataError, match=r"bert of 2 blocks.\nGive at most 2"):
        freeze(family_of("bert"), 3)
    with pytest.raises(DataError, match="share the weights of one block"):
        freeze(family_of("albert"), 2)


# -- loading ---------------------------------------------------------------------------------------


def pytorch_name(name):
    """The name of a TensorFlow BERT's weight in a PyTorch file."""
    name = name.split("/bert/")[1].removesuffix(":0").replace("_._", ".").replace("/", ".")
    for own, theirs in (
        ("gamma", "weight"),
        ("beta", "bias"),
        ("kernel", "weight"),
        ("embeddings.weight", "weight"),
    ):
        name = re.sub(rf"\.{own}$", f".{theirs}", name)
    return re.sub(r"_embeddings\.(embeddings|weight)$", "_embeddings.weight", name)


def write_pytorch_folder(encoder, folder, leave_out=""):
    save_config(encoder, folder)
    tensors = {}
    for v in encoder.transformer.weights:
        value = v.numpy().T if v.name.endswith("kernel:0") else v.numpy()
        tensors[pytorch_name(v.name)] = np.ascontiguousarray(value)
    tensors = {k: v for k, v in tensors.items() if not leave_out or leave_out not in k}
    safetensors.numpy.save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
    return tensors


def test_pytorch_safetensors_load_without_torch(family_of, tmp_path):
    tensors = write_pytorch_folder(family_of("bert"), tmp_path)
    assert "encoder.layer.1.attention.output.LayerNorm.bias" in tensors
    read = load_encoder(tmp_path)
    assert np.array_equal(read(batch()), family_of("bert")(batch()))
    assert "torch" not in sys.modules


def test_tensorflow_safetensors_load(family_of, tmp_path):
    encoder = family_of("distilbert")
    encoder.transformer.save_pretrained(tmp_path, safe_serialization=True)
    encoder.tokenizer.save_pretrained(tmp_path)
    assert np.array_equal(
        load_encoder(tmp_path, pooling="cls").hidden(batch()), encoder.hidden(batch())
    )


def test_from_scratch_takes_the_form_and_not_the_weights(family_of, tmp_path):
    write_pytorch_folder(family_of("bert"), tmp_path)
    read = load_encoder(tmp_path, from_scratch=True)
    assert [v.shape for v in read.state] == [v.shape for v in family_of("bert").state]
    assert not np.allclose(read(batch()), family_of("bert")(batch()))


def test_a_missing_pooler_is_no_loss(family_of, tmp_path):
    write_pytorch_folder(family_of("bert"), tmp_path, leave_out="pooler")
    assert np.array_equal(load_encoder(tmp_path)(batch()), family_of("bert")(batch()))


def test_incomplete_weights_are_refused(family_of, tmp_path):
    write_pytorch_folder(family_of("bert"), tmp_path, leave_out="layer.1.output.dense")
    with pytest.raises(DataError, match="without 2 of them") as error:
        load_encoder(tmp_path)
    assert "dense" in str(error.value)


def test_pickled_weights_are_refused(family_of, tmp_path):
    save_config(family_of("bert"), tmp_path)
    (tmp_path / "pytorch_model.bin").write_bytes(b"cos\nsystem\n(S'exit 1'\ntR.")
    with pytest.raises(DataError, match=r"model\.safetensors"):
        load_encoder(tmp_path)


def test_code_beside_a_model_is_not_run(family_of, tmp_path):
    write_pytorch_folder(family_of("bert"), tmp_path)
    config = json.loads((tmp_path / "config.json").read_text())
    config |= {
        "model_type": "made-up",
        "auto_map": {"AutoConfig": "code.Config", "TFAutoModel": "code.Model"},
    }
    (tmp_path / "config.json").write_text(json.dumps(config))
    (tmp_path / "code.py").write_text(
        f"open({str(tmp_path / 'ran')!r}, 'w')\nclass Config: pass\nclass Model: pass\n"
    )
    with pytest.raises(DataError, match="Could not load"):
        load_encoder(tmp_path)
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize("file", ["config.json", "model.safetensors", "tokenizer.json"])
@pytest.mark.parametrize("content", [None, b"", b"{]"])
def test_a_missing_or_damaged_file_is_one_clear_error(family_of, tmp_path, file, content):
    write_pytorch_folder(family_of("bert"), tmp_path)
    if content is None:
        (tmp_path / file).unlink()
    else:
        (tmp_path / file).write_bytes(content)
    with pytest.raises(DataError, match=re.escape(str(tmp_path))):
        load_encoder(tmp_path)


def test_families_without_a_tensorflow_encoder_are_refused(family_of, tmp_path):
    write_pytorch_folder(family_of("bert"), tmp_path)
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "bart"}))
    with pytest.raises(DataError, match="'bart' has no TensorFlow encoder"):
        load_encoder(tmp_path)


def test_a_hub_id_needs_a_revision():
    with pytest.raises(DataError, match=r"needs a revision(.|\n)*revision='<commit>'"):
        load_encoder("someone/some-model")


@pytest.mark.parametrize("name", ["bert-tniy", "./nowhere", "/nowhere/at", "~/model", "a/b/c"])
def test_what_is_no_model_is_named(name):
    with pytest.raises(DataError, match=re.escape(repr(name))) as error:
        load_encoder(name, revision="main")
    assert ("Did you mean 'bert-tiny'" in str(error.value)) == (name == "bert-tniy")


@pytest.fixture(scope="module")
def bert_tiny_folder():
    folder = assets.cached("bert-tiny")
    if folder is None:
        pytest.skip("bert-tiny is not in the cache: tf-transfer fetch bert-tiny")
    return folder


def test_the_pinned_asset_has_its_weights_in_place(bert_tiny_folder):
    encoder = load_encoder("bert-tiny")
    file = safetensors.numpy.load_file(bert_tiny_folder / "model.safetensors")
    tensors = {
        k.removeprefix("bert.").replace(".gamma", ".weight").replace(".beta", ".bias"): v
        for k, v in file.items()
    }
    assert (encoder.width, encoder.max_length) == (128, 512)
    for v in encoder.state:
        expected = tensors[pytorch_name(v.name)]
        assert np.array_equal(v.numpy(), expected.T if v.name.endswith("kernel:0") else expected), (
            v.name
        )
