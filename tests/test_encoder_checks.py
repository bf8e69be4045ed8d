"""Folders of encoders and models that somebody else made: refused in one message, before memory is
given to them.
"""

import json
import os
import shutil
from pathlib import Path

import numpy as np
import pytest
import safetensors.numpy

from tests import tiny
from tf_transfer.devices.backend import tf
from tf_transfer.encoders.checks import at_most
from tf_transfer.encoders.loading import load_encoder
from tf_transfer.errors import CheckpointError, DataError
from tf_transfer.files.tensor_files import write_tensors
from tf_transfer.files.untrusted import read_json
from tf_transfer.model import checkpoints
from tf_transfer.model.model import load_model

DEEP = "[" * 100_000
OPTIONS = {
    "text": "text",
    "text_pair": None,
    "max_length": 24,
    "dropout": 0.1,
    "seed": 0,
    "freeze": "none",
}


@pytest.fixture(scope="module")
def sound(tmp_path_factory):
    folder = tmp_path_factory.mktemp("sound") / "encoder"
    tiny.make_encoder().save_pretrained(folder)
    return folder


@pytest.fixture
def folder(sound, tmp_path):
    """A copy of an encoder's folder, to be spoilt."""
    return Path(shutil.copytree(sound, tmp_path / "encoder"))


@pytest.fixture(scope="module")
def sound_model(tmp_path_factory):
    folder = tmp_path_factory.mktemp("sound") / "model"
    tiny.make_model().save(folder)
    return folder


@pytest.fixture
def model_folder(sound_model, tmp_path):
    return Path(shutil.copytree(sound_model, tmp_path / "model"))


def change(path: Path, **values) -> None:
    """Sets keys of a JSON file."""
    content = read_json(path) | values
    path.write_text(json.dumps({key: value for key, value in content.items() if value is not ...}))


def refusal(folder, load=load_encoder, kind=DataError) -> str:
    with pytest.raises(kind) as error:
        load(folder)
    assert type(error.value) is kind and str(folder) in str(error.value)
    return str(error.value)


def to_pipe(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        ({"hidden_size": 1_000_000}, "must fit the weights"),
        ({"hidden_size": 40_000}, "must fit the weights"),
        ({"vocab_size": 10**9}, "must fit the weights"),
        ({"max_position_embeddings": 10**9}, "must fit the weights"),
        ({"type_vocab_size": 10**8}, "must fit the weights"),
        ({"intermediate_size": 10**9}, "must fit the weights"),
        ({"num_hidden_layers": 10**6}, "num_hidden_layers=1000000, which no encoder has"),
        ({"num_attention_heads": 10**9}, "which no encoder has"),
        ({"num_labels": 10**9}, "which no encoder has"),
        ({"layer_norm_eps": 10**39}, "a number of 40 digits as layer_norm_eps"),
        ({"num_attention_heads": 0}, "modulo by zero"),
        ({"hidden_size": "a"}, "Could not load"),
        ({"hidden_act": "x"}, "Could not load"),
        ({"hidden_dropout_prob": 7}, "Could not load"),
        ({"model_type": "none"}, "Could not load"),
        ({"model_type": ...}, "Could not load"),
    ],
)
def test_a_configuration_that_cannot_be_is_refused(folder, values, reason):
    change(folder / "config.json", **values)
    message = refusal(folder) if "fit" not in reason else None
    if message is None:
        with pytest.raises(DataError) as error:
            load_encoder(folder)
        message = str(error.value)
    assert reason in message


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        (
            {"model_max_length": "abc"},
            "model_max_length must be a number of at least 4; received 'abc'",
        ),
        ({"model_max_length": -5}, "received -5"),
        ({"model_max_length": float("nan")}, "received nan"),
        ({"model_input_names": 5}, "must make input_ids and attention_mask; received 5"),
        ({"model_input_names": ["input_ids"]}, "must make input_ids and attention_mask"),
        ({"pad_token": "[NEW]"}, "has the token id"),
        ({"padding_side": "up"}, "Could not load"),
        ({"tokenizer_class": "Nonsense"}, "Could not load"),
        ({"added_tokens_decoder": 3}, "Could not load"),
    ],
)
def test_a_tokenizer_that_does_not_fit_is_refused(folder, values, reason):
    change(folder / "tokenizer_config.json", **values)
    assert reason in refusal(folder)


def test_token_ids_that_the_encoder_lacks_are_refused(folder):
    content = read_json(folder / "tokenizer.json")
    content["model"]["vocab"]["still"] = 10**8
    (folder / "tokenizer.json").write_text(json.dumps(content))
    assert "has the token id 100000000" in refusal(folder)


@pytest.mark.parametrize(
    "content", ["{", "[1]", "{}", '{"pooling": 5}', '{"pooling": "most"}', DEEP, b"\xff"]
)
def test_a_note_of_the_pooling_that_is_none_is_refused(folder, content):
    (folder / "pooling.json").write_bytes(
        content if isinstance(content, bytes) else content.encode()
    )
    with pytest.raises(DataError, match=r"pooling|nested|codec|double quotes"):
        load_encoder(folder)
    assert load_encoder(folder, pooling="cls").pooling == "cls"


@pytest.mark.parametrize(
    "name", ["config.json", "tokenizer.json", "tokenizer_config.json", "model.safetensors"]
)
@pytest.mark.parametrize(
    "spoil",
    [
        to_pipe,
        lambda path: path.write_text(DEEP),
        lambda path: path.write_text("[]"),
        lambda path: path.write_bytes(b"\xff\0"),
    ],
    ids=["pipe", "deep", "list", "bytes"],
)
def test_a_file_that_is_none_is_refused(folder, name, spoil):
    spoil(folder / name)
    reason = refusal(folder)
    assert spoil is not to_pipe or f"{name}: it is a pipe or a device" in reason


def test_a_pipe_beside_the_files_is_refused_too(folder):
    """Which of the names the library reads is its own affair."""
    os.mkfifo(folder / "chat_template.jinja")
    assert "chat_template.jinja: it is a pipe" in refusal(folder)


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_weights_that_are_no_numbers_are_refused(folder, value):
    tensors = safetensors.numpy.load_file(folder / "model.safetensors")
    name = next(key for key in sorted(tensors) if "query.weight" in key)
    tensors[name] = tensors[name].copy()
    tensors[name].flat[3] = value
    safetensors.numpy.save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
    assert "must be finite numbers.\nReceived NaN or infinity in 1 of them: " in refusal(folder)


def test_a_sound_folder_is_loaded(folder):
    (folder / "README.md").write_text("mine")
    assert load_encoder(folder).width == 16
    change(folder / "config.json", hidden_size=800)
    with pytest.raises(DataError, match="must fit the weights"):
        load_encoder(folder)
    assert load_encoder(folder, from_scratch=True).width == 800  # as large as the user says


def test_more_weights_than_a_file_has_get_no_memory():
    with (
        at_most(1000),
        pytest.raises(DataError, match="Received 1,000,000,000,010 weights or more"),
    ):
        tf.Variable(tf.zeros(10))
        tf.Variable(lambda: pytest.fail("it was made"), shape=(10**6, 10**6), dtype=tf.float32)
    with at_most(None):
        tf.Variable(tf.zeros(10))


# -- models ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "values", "reason"),
    [
        ("encoder/config.json", {"hidden_size": 1_000_000}, "must fit the weights"),
        ("encoder/config.json", {"num_hidden_layers": 10**6}, "which no encoder has"),
        ("encoder/pooling.json", {"pooling": 3}, "must hold a pooling"),
        ("encoder/pooling.json", {"precision": "double"}, "is damaged"),
        ("encoder/tokenizer_config.json", {"model_max_length": 0}, "model_max_length must be"),
        (
            "config.json",
            {
                "tasks": [
                    {
                        "name": "y",
                        "label": "y",
                        "kind": "classification",
                        "classes": list(range(10**5)),
                        "loss_weight": 1.0,
                        "class_weight": None,
                    }
                ]
            },
            "must fit the weights",
        ),
        ("config.json", {"tasks": [{"name": "a\0b"}]}, "is damaged"),
        ("config.json", {"tasks": 3}, "is damaged"),
        ("config.json", {"options": OPTIONS | {"seed": "a"}}, "its option seed is 'a'"),
        ("config.json", {"options": OPTIONS | {"max_length": "9"}}, "its option max_length is '9'"),
        ("config.json", {"options": OPTIONS | {"max_length": 0}}, "its max_length is 0"),
        ("config.json", {"options": OPTIONS | {"dropout": 1.0}}, "its dropout 1.0"),
        ("config.json", {"options": OPTIONS | {"text": None}}, "its option text is None"),
        ("config.json", {"options": OPTIONS | {"more": 1}}, "is damaged"),
        ("config.json", {"options": None}, "is damaged"),
    ],
)
def test_a_model_that_cannot_be_is_refused(model_folder, name, values, reason):
    change(model_folder / name, **values)
    assert reason in refusal(model_folder, load_model, CheckpointError)


@pytest.mark.parametrize(
    "name", ["config.json", "model.safetensors", "encoder/config.json", "encoder/tokenizer.json"]
)
def test_a_pipe_in_a_model_is_not_waited_for(model_folder, name):
    to_pipe(model_folder / name)
    assert "a pipe or a device" in refusal(model_folder, load_model, CheckpointError)


def test_a_configuration_nested_without_end_is_damaged(model_folder):
    (model_folder / "config.json").write_text(DEEP)
    assert "nested too deeply" in refusal(model_folder, load_model, CheckpointError)


@pytest.mark.parametrize("value", [np.nan, -np.inf])
def test_a_model_whose_weights_are_no_numbers_is_neither_loaded_nor_saved(model_folder, value):
    path = model_folder / "model.safetensors"
    model = load_model(model_folder)
    model.heads["mood"].bias.assign([0, value, 0])
    before = path.read_bytes()
    with pytest.raises(CheckpointError, match="must have weights that are finite numbers"):
        model.save(model_folder)
    assert path.read_bytes() == before
    tensors = {checkpoints._key(i): v.numpy() for i, v in enumerate(model.state)}
    write_tensors(path, tensors, {})
    assert "must have weights that are finite numbers" in refusal(
        model_folder, load_model, CheckpointError
    )
