"""Both libraries read what `save_pretrained` writes, and compute the same from it."""

import json
import os
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
import safetensors

from tests import tiny
from tf_transfer.devices.backend import tf, transformers
from tf_transfer.encoders.encoder import Encoder
from tf_transfer.encoders.families import build
from tf_transfer.encoders.loading import load_encoder
from tf_transfer.encoders.pretrained import pytorch_weights
from tf_transfer.encoders.tiny import TINY_FAMILIES, tiny_encoder
from tf_transfer.errors import CheckpointError, DataError

pytestmark = pytest.mark.slow

PEERS = os.environ.get("PEERS_PYTHON")
WITH_TORCH = pytest.mark.skipif(
    not PEERS, reason="PEERS_PYTHON names no Python with torch: see tests/benchmarks/peers"
)
IDS = np.array([[5, 9, 12, 7, 30, 8], [8, 11, 9, 21, 6, 14]])


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    """A folder and its encoder by family; the encoder was changed after it was made."""
    made = {}

    def get(family):
        if family not in made:
            encoder = tiny_encoder(family, width=16, layers=2)
            draws = np.random.default_rng(0)
            for variable in encoder.transformer.weights:
                variable.assign_add(draws.normal(0, 0.05, variable.shape).astype(np.float32))
            folder = tmp_path_factory.mktemp("saved") / family
            encoder.save_pretrained(folder)
            made[family] = folder, encoder
        return made[family]

    return get


def inputs(encoder) -> dict:
    """Two rows without padding, and the same with the second cut and filled up."""
    mask = np.ones_like(IDS)
    short, cut = IDS.copy(), mask.copy()
    short[1, 3:], cut[1, 3:] = encoder.tokenizer.pad_token_id, 0
    return {
        "plain": {"input_ids": IDS, "attention_mask": mask},
        "padded": {"input_ids": short, "attention_mask": cut},
    }


def hidden(transformer, fields) -> np.ndarray:
    return transformer(
        {f: tf.constant(v, tf.int32) for f, v in fields.items()}
    ).last_hidden_state.numpy()


@pytest.mark.parametrize("family", TINY_FAMILIES)
def test_tensorflow_reads_it(saved, family):
    folder, encoder = saved(family)
    auto = transformers.TFAutoModelForTextEncoding if family == "t5" else transformers.TFAutoModel
    read, report = auto.from_pretrained(folder, output_loading_info=True)
    assert not any(report.values())
    for fields in inputs(encoder).values():
        shown = fields["attention_mask"][..., None]
        difference = (hidden(read, fields) - hidden(encoder.transformer, fields)) * shown
        assert np.abs(difference).max() < 1e-5
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    assert tokenizer("Cold rain!")["input_ids"] == encoder.tokenizer("Cold rain!")["input_ids"]


@WITH_TORCH
def test_pytorch_reads_it(saved, tmp_path):
    for family in TINY_FAMILIES:
        folder, encoder = saved(family)
        shutil.copytree(folder, tmp_path / family)
        batches = inputs(encoder).items()
        np.savez(
            tmp_path / family / "in.npz",
            **{f"{b}/{f}": v for b, fields in batches for f, v in fields.items()},
        )
    command = [
        PEERS,
        str(Path(__file__).with_name("peer_vectors.py")),
        *(str(tmp_path / f) for f in TINY_FAMILIES),
    ]
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"}
    ran = subprocess.run(command, capture_output=True, text=True, timeout=300, env=environment)
    assert ran.returncode == 0, ran.stderr
    for family in TINY_FAMILIES:
        found, encoder = np.load(tmp_path / family / "out.npz"), saved(family)[1]
        for name, fields in inputs(encoder).items():
            output = encoder.transformer({f: tf.constant(v, tf.int32) for f, v in fields.items()})
            difference = (found[f"{name}/hidden"] - output.last_hidden_state) * fields[
                "attention_mask"
            ][..., None]
            assert np.abs(difference).max() < 1e-5, family
            if f"{name}/pooled" in found:
                np.testing.assert_allclose(found[f"{name}/pooled"], output.pooler_output, atol=1e-5)


EXPECTED = {
    "bert": {
        "embeddings.word_embeddings.weight": (102, 16),
        "embeddings.LayerNorm.bias": (16,),
        "encoder.layer.1.intermediate.dense.weight": (32, 16),
        "encoder.layer.1.output.dense.weight": (16, 32),
        "encoder.layer.0.attention.self.query.weight": (16, 16),
        "pooler.dense.bias": (16,),
    },
    "distilbert": {
        "transformer.layer.0.ffn.lin1.weight": (32, 16),
        "transformer.layer.1.sa_layer_norm.weight": (16,),
    },
    "gpt2": {
        "h.0.attn.c_attn.weight": (16, 48),
        "h.1.mlp.c_fc.bias": (64,),
        "wpe.weight": (128, 16),
    },
    "albert": {"encoder.albert_layer_groups.0.albert_layers.0.ffn.weight": (32, 16)},
    "t5": {
        "shared.weight": None,
        "encoder.block.0.layer.0.SelfAttention.relative_attention_bias.weight": (32, 2),
    },
}
"""Names and shapes in PyTorch's classes, from their definitions: a linear layer's weight is (out,
in), but GPT-2's.
"""


@pytest.mark.parametrize("family", EXPECTED)
def test_names_and_shapes_are_those_of_pytorch(saved, family):
    folder, encoder = saved(family)
    with safetensors.safe_open(folder / "model.safetensors", framework="np") as file:
        assert file.metadata() == {"format": "pt"}
        shapes = {key: tuple(file.get_slice(key).get_shape()) for key in file.keys()}  # noqa: SIM118 (no mapping)
    assert len(shapes) == len(encoder.transformer.weights)
    for name, shape in EXPECTED[family].items():
        if family == "bert" and "word" in name:
            shape = (len(encoder.tokenizer), 16)
        assert name in shapes and (shape is None or shapes[name] == shape)


def test_it_is_an_encoder_again(saved, tmp_path):
    folder, encoder = saved("bert")
    x = {f: tf.constant(v, tf.int32) for f, v in inputs(encoder)["padded"].items()} | {
        "token_type_ids": tf.zeros((2, 6), tf.int32)
    }
    np.testing.assert_allclose(load_encoder(folder)(x), encoder(x), atol=1e-6)
    Encoder(encoder.transformer, encoder.tokenizer, "cls").save_pretrained(tmp_path / "cls")
    assert load_encoder(tmp_path / "cls").pooling == "cls"
    assert load_encoder(tmp_path / "cls", pooling="mean").pooling == "mean"
    assert json.loads((folder / "config.json").read_text())["architectures"] == ["BertModel"]


def test_of_a_model_it_writes_the_adapted_encoder(trained, tmp_path):
    trained.save_pretrained(tmp_path / "adapted")
    table = tiny.make_table(4)
    model = tiny.TransferModel(load_encoder(tmp_path / "adapted"), tiny.TASKS, max_length=24)
    np.testing.assert_allclose(
        model.encode(table, verbose=0), trained.encode(table, verbose=0), atol=1e-5
    )
    trained.save_pretrained(tmp_path / "adapted")  # again, over its own


@pytest.mark.parametrize("other", ["model.h5", "heads.json"])
def test_other_files_are_kept(trained, tmp_path, other):
    (tmp_path / other).write_text("mine")
    with pytest.raises(CheckpointError, match=f"holds something else; .*\n.*{other!r}"):
        trained.save_pretrained(tmp_path)
    assert [p.name for p in tmp_path.iterdir()] == [other]


def test_a_saved_model_is_not_overwritten(trained, tmp_path):
    trained.save(tmp_path / "model")
    with pytest.raises(CheckpointError, match="'encoder'"):
        trained.save_pretrained(tmp_path / "model")
    assert tiny.same(
        tiny.TransferModel.load(tmp_path / "model").predict(["a"], verbose=0),
        trained.predict(["a"], verbose=0),
    )


@pytest.mark.parametrize(
    ("family", "setting"),
    [("roberta", {"pad_token_id": 0}), ("deberta-v2", {"share_att_key": False})],
)
def test_what_the_libraries_compute_differently_is_refused(family, setting, tmp_path):
    encoder = tiny_encoder(family, width=16, layers=1)
    encoder.config.update(setting)
    with pytest.raises(DataError, match=f"Received a configuration with {next(iter(setting))}"):
        encoder.save_pretrained(tmp_path / "no")
    assert not (tmp_path / "no").exists()


def test_a_family_that_pytorch_lacks_is_refused():
    transformer = build(transformers.TFBertModel, tiny_encoder(width=16, layers=1).config)
    transformer.config.model_type = "bort"
    with pytest.raises(DataError, match="Received 'bort', which PyTorch lacks"):
        pytorch_weights(transformer)
