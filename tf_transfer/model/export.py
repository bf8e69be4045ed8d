"""A trained model for serving: a SavedModel that needs TensorFlow alone, its tokenizer and its
classes beside it.
"""

from __future__ import annotations

import contextlib
import copy
import json
from collections.abc import Iterator
from pathlib import Path

from tf_transfer import __version__
from tf_transfer.batches.model import Model
from tf_transfer.devices.backend import tf
from tf_transfer.encoders.kernels import portable
from tf_transfer.files.storage import check_strangers, whole_folder
from tf_transfer.kinds.class_types import class_text

FORMAT = "tf_transfer/model/export/1"
TASKS, TOKENIZER = "tasks.json", "tokenizer"


def export_model(model: Model, folder: str | Path) -> None:
    """Writes a SavedModel with the tokenizer and the tasks beside it.

    ``folder`` then holds the SavedModel (saved_model.pb, variables), tokenizer, which cuts and pads
    as this model does, and tasks.json with every task's kind and classes in the order of the
    outputs. Nothing of this package is needed to use it::

        served = tf.saved_model.load(folder).signatures["serving_default"]
        tokenizer = transformers.AutoTokenizer.from_pretrained(folder + "/tokenizer")
        served(**tokenizer(texts, padding=True, truncation=True, return_tensors="tf"))

    The signature ``serving_default`` takes ``input_ids`` and ``attention_mask``, int32 (batch,
    length) of any batch and length, padding 0 in the mask; a model of text pairs also takes
    ``token_type_ids`` where its encoder has them. It returns ``{task: scores}``: classification
    (batch, classes) float32, probabilities that sum to 1; multilabel (batch, classes) float32, one
    probability a class; regression (batch,) float64, in the label's own unit; tagging (batch,
    length, 1 + 2 classes) float32, of each token the probability of being in no span, and for each
    type of being the first and another token of a span; span (batch, length, 2) float32, the score
    of each token as the first and the last of the answer. `decode_served` makes spans of characters
    of the last two. ``serving_int64`` is the same for int64, and
    ``tf.saved_model.load(folder).serve`` takes a dict of either, as after Keras' own `export`. The
    graph holds no XLA kernels, so that any TensorFlow runs it.

    TensorFlow Serving wants a number as the folder's name: ``model.export("exports/reviews/1")``,
    then ``tensorflow_model_server --rest_api_port=8501 --model_name=reviews
    --model_base_path=$PWD/exports/reviews``.

    Args:
        model: a `TransferModel` with heads.
        folder: an earlier export there is replaced when all is written.

    Raises:
        DataError: the tasks have no kind or classes yet.
        CheckpointError: the folder holds other files, or cannot be written.
    """
    model._require_heads()
    fields = served_fields(model)
    module = tf.Module()
    module.weights = [*model.encoder.transformer.weights, *model.state]  # a pooler is traced, too
    module.serve = _serving_function(model)
    with whole_folder(folder) as staging:
        with portable(), _quiet():
            signatures = {
                name: module.serve.get_concrete_function(
                    {f: tf.TensorSpec((None, None), dtype, f) for f in fields}
                )
                for name, dtype in (("serving_default", tf.int32), ("serving_int64", tf.int64))
            }
            tf.saved_model.save(module, str(staging), signatures=signatures)
        _serving_tokenizer(model, fields).save_pretrained(staging / TOKENIZER)
        (staging / TASKS).write_text(
            json.dumps(_describe(model, fields), indent=1, default=class_text), encoding="utf-8"
        )
        check_strangers(folder, staging)


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Without TensorFlow's note on the temporary folder that it writes to."""
    logger = tf.get_logger()
    level = logger.level
    logger.setLevel("WARNING")
    try:
        yield
    finally:
        logger.setLevel(level)


def served_fields(model: Model) -> list[str]:
    """The inputs of the serving signature."""
    paired = model.options["text_pair"] is not None
    return [f for f in model.encoder.fields if f != "token_type_ids" or paired]


def _serving_function(model: Model):
    def serve(x):
        x = {field: tf.cast(ids, tf.int32) for field, ids in x.items()}
        x = {field: x.get(field, tf.zeros_like(x["input_ids"])) for field in model.encoder.fields}
        scores = {}
        for name, outputs in model(x, training=False).items():
            scores[name] = model.heads[name].served(outputs)
        return scores

    return tf.function(serve)


def _serving_tokenizer(model: Model, fields: list[str]):
    """A copy that makes the signature's fields, cut and padded as in training."""
    tokenizer = copy.deepcopy(model.encoder.tokenizer)
    tokenizer.model_input_names = tokenizer.init_kwargs["model_input_names"] = fields
    tokenizer.model_max_length = _max_length(model)
    tokenizer.padding_side = tokenizer.truncation_side = "right"
    if tokenizer.pad_token is None:  # GPT-2 has none; the mask hides what fills a row
        tokenizer.pad_token = tokenizer.eos_token or tokenizer.unk_token
    return tokenizer


def _max_length(model: Model) -> int:
    return min(model.options["max_length"], model.encoder.max_length)


def _describe(model: Model, fields: list[str]) -> dict:
    tasks = {t.name: {"kind": t.kind, "classes": list(t.classes)} for t in model.tasks}
    columns = {name: model.options[name] for name in ("text", "text_pair")}
    about = {
        "format": FORMAT,
        "tf_transfer": __version__,
        "inputs": fields,
        "max_length": _max_length(model),
    }
    return about | columns | {"tasks": tasks}
