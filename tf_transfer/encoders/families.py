"""The families of `transformers`: which class an encoder is built of, and what is known of each."""

from __future__ import annotations

import contextlib

from tf_transfer.devices.backend import keras, tf, transformers
from tf_transfer.errors import DataError

PRECISIONS = ("float32", "mixed_bfloat16", "mixed_float16")
_ENCODER_OF = {"t5": "TFT5EncoderModel", "mt5": "TFMT5EncoderModel"}
"""Encoder halves of encoder-decoder families; `TFAutoModel` would load both halves."""

TRACED_AS_WRITTEN = frozenset(
    {
        "albert",
        "bert",
        "camembert",
        "distilbert",
        "electra",
        "gpt2",
        "mpnet",
        "mt5",
        "roberta",
        "t5",
        "xlm-roberta",
    }
)
"""Families in whose code no tensor decides a branch. AutoGraph would rewrite it for longer than the
tracing takes.
"""


def model_class(config):
    """The TensorFlow class of a configuration.

    Raises:
        DataError: the family has none.
    """
    if config.model_type in _ENCODER_OF:
        return getattr(transformers, _ENCODER_OF[config.model_type])
    known = transformers.models.auto.modeling_tf_auto.TF_MODEL_MAPPING
    if type(config) not in known or config.is_encoder_decoder:
        raise DataError(
            f"The family {config.model_type!r} has no TensorFlow encoder here.\n"
            "Encoder families (BERT, RoBERTa, MPNet, ...), decoder families (GPT-2, ...) and T5's "
            "encoder work."
        )
    return known[type(config)]


def build(kind, config):
    """A model of class ``kind`` with random weights, and all its variables made."""
    with quiet():
        transformer = kind(config)
    transformer.build_in_name_scope()
    ids = tf.ones((1, 2), tf.int32)
    reads_ids = transformer.main_input_name == "input_ids"
    transformer(
        {"input_ids": ids, "attention_mask": ids} if reads_ids else transformer.dummy_inputs
    )
    return transformer


def is_decoder_only(config) -> bool:
    """Whether no token of the family sees those behind it."""
    names = transformers.models.auto.modeling_tf_auto.TF_MODEL_FOR_CAUSAL_LM_MAPPING_NAMES
    masked = transformers.models.auto.modeling_tf_auto.TF_MODEL_FOR_MASKED_LM_MAPPING_NAMES
    return config.model_type in names and config.model_type not in masked


@contextlib.contextmanager
def computing_in(precision: str | None):
    """Within it, layers are made under a mixed-precision policy; None, or double precision, stays
    as it is.
    """
    before = keras.mixed_precision.global_policy()
    try:
        if precision is not None and before.name != "float64":
            keras.mixed_precision.set_global_policy(precision)
        yield
    finally:
        keras.mixed_precision.set_global_policy(before)


@contextlib.contextmanager
def quiet():
    """Without the library's notes on unused heads and on its future; errors still raise."""
    before = transformers.logging.get_verbosity()
    transformers.logging.set_verbosity_error()
    try:
        yield
    finally:
        transformers.logging.set_verbosity(before)
