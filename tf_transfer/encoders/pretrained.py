"""An encoder's weights in the form that Hugging Face's libraries read, TensorFlow's and PyTorch's
alike.
"""

from __future__ import annotations

import copy
import importlib
import json
from pathlib import Path

import numpy as np
import safetensors.numpy

from tf_transfer.devices.backend import transformers
from tf_transfer.encoders.checks import POOLING
from tf_transfer.errors import DataError, listed
from tf_transfer.files.storage import check_strangers, whole_folder

_PAD_1 = ("roberta", "xlm-roberta", "roberta-prelayernorm", "camembert", "longformer")
WEIGHTS = "model.safetensors"


def save_pretrained(encoder, folder: str | Path) -> None:
    """Writes config.json, model.safetensors and the tokenizer.

    `TFAutoModel.from_pretrained(folder)`, PyTorch's `AutoModel.from_pretrained(folder)` and
    `load_encoder(folder)` then give the same vectors. The weights have PyTorch's names and shapes,
    which the TensorFlow classes read as well; their own format can be read by PyTorch only where
    TensorFlow is installed too. Of T5 it is the
    encoder: load it with `T5EncoderModel` or `AutoModelForTextEncoding`, for `AutoModel` adds a
        random decoder.

    A pooler, which this toolkit neither uses nor trains, is written as it is in memory: random in a
    copy, as `adapt` returns, and in a model that was loaded.

    Args:
        encoder: an `Encoder`.
        folder: an earlier result there is replaced when all is written.

    Raises:
        DataError: PyTorch has no such family, its names do not tell the weights apart, or the
            encoder has adapters.
        CheckpointError: the folder holds other files, or cannot be written.
    """
    if encoder.adapters is not None:
        raise DataError(
            "Hugging Face's libraries read an encoder's own weights.\n"
            f"Received an encoder with adapters of rank {encoder.adapters.rank}.\n"
            "Merge them first: adapters.merge(encoder.copy()).save_pretrained(folder)."
        )
    transformer = encoder.transformer
    tensors = pytorch_weights(transformer)
    config = copy.deepcopy(transformer.config)
    config.architectures = [type(transformer).__name__.removeprefix("TF")]
    config.torch_dtype = "float32"
    with whole_folder(folder) as staging:
        config.save_pretrained(staging)
        encoder.tokenizer.save_pretrained(staging)
        (staging / POOLING).write_text(json.dumps({"pooling": encoder.pooling}), encoding="utf-8")
        (staging / WEIGHTS).write_bytes(safetensors.numpy.save(tensors, metadata={"format": "pt"}))
        check_strangers(folder, staging)


def pytorch_weights(transformer) -> dict[str, np.ndarray]:
    """The weights under PyTorch's names and in its shapes, single precision.

    Args:
        transformer: a TensorFlow model of `transformers` without a task's head.

    Raises:
        DataError: see `save_pretrained`.
    """
    family = transformer.config.model_type
    # The module holds names and needs no torch; as an attribute the library would refuse it.
    if (
        family
        not in importlib.import_module("transformers.models.auto.modeling_auto").MODEL_MAPPING_NAMES
    ):
        raise DataError(
            f"Weights for both libraries need a family that both have.\nReceived {family!r}, which "
            "PyTorch lacks.\n"
            "Use TransferModel.save, which keeps any model."
        )
    _check_same_form(transformer.config)
    names = transformers.modeling_tf_pytorch_utils
    prefix = transformer.base_model_prefix + "."
    tensors: dict[str, np.ndarray] = {}
    for variable in transformer.weights:
        shape = variable.shape.as_list()
        name, transpose = names.convert_tf_weight_name_to_pt_weight_name(
            variable.name, prefix, shape
        )
        value = names.apply_transpose(transpose, variable.numpy(), pt_to_tf=False)
        if name.endswith(".bias") and value.ndim == 2:  # GPT-2's layers keep a row
            value = value[0]
        if name in tensors:
            raise DataError(
                f"PyTorch's names must tell the weights apart.\nReceived {name!r} twice from a "
                f"{family!r} model of {len(transformer.weights)} weights "
                f"({listed([w.name for w in transformer.weights], most=2)}).\n"
                "Use TransferModel.save, which keeps any model."
            )
        tensors[name] = np.ascontiguousarray(value, np.float32)
    return tensors


def _check_same_form(config) -> None:
    """The two libraries differ in a few configurations: one file cannot serve both.

    Raises:
        DataError: this is one of them.
    """
    differs = None
    if config.model_type in _PAD_1 and config.pad_token_id != 1:
        differs = (
            "counts positions from the padding id 1 in TensorFlow",
            f"pad_token_id={config.pad_token_id}",
        )
    if config.model_type == "deberta-v2" and config.relative_attention and not config.share_att_key:
        differs = (
            "names the projections of positions differently in TensorFlow",
            "share_att_key=False",
        )
    if differs:
        raise DataError(
            f"Both libraries must compute the same from one file; {config.model_type!r} "
            f"{differs[0]}.\n"
            f"Received a configuration with {differs[1]}.\nUse TransferModel.save, which keeps any "
            "model."
        )
