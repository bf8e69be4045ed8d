"""Where representations come from: a pretrained transformer, what it reads, and pooling."""

from __future__ import annotations

import contextlib
import dataclasses
import json
from pathlib import Path

from tf_transfer.assets import registry
from tf_transfer.assets.fetching import fetch
from tf_transfer.devices.backend import keras, tf, transformers
from tf_transfer.devices.private import layers_of
from tf_transfer.encoders import checks as encoder_checks
from tf_transfer.encoders import kernels, pretrained
from tf_transfer.encoders.adapters import Adapters, LowRank, attach, attach_like
from tf_transfer.encoders.freezing import freeze, frozen_part, set_pooler_aside, weights_of
from tf_transfer.encoders.inputs import Inputs, Texts
from tf_transfer.encoders.trunk import from_trunk, with_trunk
from tf_transfer.errors import DataError, check_choice, first_line, listed, nearest
from tf_transfer.files.storage import restore

POOLINGS = ("auto", "mean", "cls", "last")
PRECISIONS = ("float32", "mixed_bfloat16", "mixed_float16")
_ENCODER_OF = {"t5": "TFT5EncoderModel", "mt5": "TFMT5EncoderModel"}
"""Encoder halves of encoder-decoder families; `TFAutoModel` would load both halves."""

_TRACED_AS_WRITTEN = frozenset(
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


class Encoder(keras.layers.Layer):
    """A pretrained transformer with its tokenizer: token ids in, one vector a text out.

    Args:
        transformer: a TensorFlow model of `transformers` whose output has ``last_hidden_state``.
        tokenizer: its fast tokenizer; or an `Inputs`, where it reads something else than texts.
        pooling: ``"mean"`` over the text's tokens, ``"cls"`` the first token, ``"last"`` the last
            token that is not padding, or ``"auto"``: last for decoder-only families, else mean.

    Attributes:
        taken: whether a `TransferModel` was made of it, which trains it; a second one needs an
            encoder of its own.
        adapters: what `adapters.attach` added, or None.
    """

    adapters: Adapters | None = None

    def __init__(self, transformer, tokenizer, pooling: str = "auto", name: str = "encoder"):
        super().__init__(name=name)
        check_choice("pooling", pooling, POOLINGS)
        self.transformer = transformer
        self.tokenizer = tokenizer
        self.reads = tokenizer if isinstance(tokenizer, Inputs) else Texts(self)
        self.precision = keras.mixed_precision.global_policy().name
        decoder_only = _is_decoder_only(transformer.config)
        self.pooling = ("last" if decoder_only else "mean") if pooling == "auto" else pooling
        if decoder_only and self.pooling == "cls":
            raise DataError(
                "pooling='cls' reads the first token, which sees no other token in a decoder-only "
                "model.\n"
                f"Received a {transformer.config.model_type} model.\nUse pooling='last' or 'mean'."
            )
        # [seed, step]: dropout masks are a function of it alone, so that a run can be repeated.
        self.dropout_state = tf.Variable(
            [0, 0],
            trainable=False,
            dtype=tf.int32,
            name="dropout_state",
            aggregation=tf.VariableAggregation.ONLY_FIRST_REPLICA,
        )
        gelu = transformers.activations_tf.get_tf_activation("gelu")
        kernels.install(transformer, self.dropout_state, gelu)
        set_pooler_aside(transformer)
        self.taken = False
        self.built = True

    @property
    def config(self):
        """The transformer's configuration."""
        return self.transformer.config

    @property
    def width(self) -> int:
        """Length of a text's vector."""
        return int(getattr(self.config, "hidden_size", None) or self.config.d_model)

    @property
    def max_length(self) -> int:
        """The most tokens that a text may have."""
        positions = getattr(self.config, "max_position_embeddings", None) or getattr(
            self.config, "n_positions", None
        )
        if positions and self.config.model_type in ("roberta", "xlm-roberta", "mpnet"):
            positions -= 2  # positions start behind the padding index
        longest = getattr(self.tokenizer, "model_max_length", 10**6)
        return int(min(positions or 10**6, longest, 10**6))

    @property
    def state(self) -> list[tf.Variable]:
        """The weights that `call` depends on: all but those of a pooler."""
        return weights_of(self.transformer)

    @property
    def trainable_weights(self) -> list[tf.Variable]:
        """What training changes: all that is not frozen; of an encoder with adapters, these
        alone.
        """
        if self.adapters is None:
            return super().trainable_weights
        free = [layer for layer in layers_of(self) if isinstance(layer, LowRank)]
        known = {id(v) for layer in free for v in layer.trainable_weights}
        return [v for v in super().trainable_weights if id(v) in known]

    @property
    def non_trainable_weights(self) -> list[tf.Variable]:
        """All other weights."""
        if self.adapters is None:
            return super().non_trainable_weights
        free = {id(v) for v in self.trainable_weights}
        weights = [*super().trainable_weights, *super().non_trainable_weights]
        return [v for v in weights if id(v) not in free]

    @property
    def frozen(self) -> str | int | tuple[int, ...]:
        """What training leaves alone, as `freeze` takes it; read off the layers' ``trainable``."""
        return frozen_part(self)

    @property
    def fields(self) -> list[str]:
        """The inputs of `call`, as the tokenizer makes them."""
        return list(self.reads.fields)

    @property
    def signature(self) -> dict[str, tf.TensorSpec]:
        """What a batch of any size and length holds, by field."""
        mask = {"attention_mask": tf.TensorSpec((None, None), tf.int32)}
        return mask | dict(self.reads.fields)

    def hidden(self, x: dict, training: bool = False) -> tf.Tensor:
        """(batch, length, width) float: a vector a token, from ids (batch, length) int32, or from a
        `trunk`.
        """
        run = self._hidden
        if self.transformer.config.model_type in _TRACED_AS_WRITTEN:
            run = tf.autograph.experimental.do_not_convert(run)
        return run(x, training)

    def _hidden(self, x: dict, training: bool) -> tf.Tensor:
        training = training and bool(self.trainable_variables)
        if training:  # what stays as it is runs as in prediction
            x = with_trunk(self, x)
        with from_trunk(self, x):
            return self.transformer(
                {f: x[f] for f in self.fields}, training=training
            ).last_hidden_state

    def call(self, x: dict, training: bool = False) -> tf.Tensor:
        """(batch, width) float: a vector a text, from ids (batch, length) int32."""
        return self.pool(self.hidden(x, training=training), x["attention_mask"])

    @tf.autograph.experimental.do_not_convert
    def pool(self, hidden: tf.Tensor, mask: tf.Tensor) -> tf.Tensor:
        """(batch, width) from the tokens' vectors (batch, length, width); see ``pooling``."""
        hidden = tf.cast(hidden, tf.float32) if hidden.dtype.size < 4 else hidden
        if self.pooling == "cls":
            return hidden[:, 0]
        if self.pooling == "last":
            positions = tf.range(1, tf.shape(mask)[1] + 1, dtype=mask.dtype) * mask
            return tf.gather(hidden, tf.argmax(positions, axis=1), batch_dims=1)
        mask = tf.cast(mask, hidden.dtype)
        total = tf.einsum("bld,bl->bd", hidden, mask)
        return total / tf.maximum(tf.reduce_sum(mask, axis=1, keepdims=True), 1)

    def dropout_seed(self, index: int) -> tf.Tensor:
        """(2,) int32: this step's seed for a dropout outside the transformer; ``index`` < 0."""
        return kernels.dropout_seed(self.dropout_state, index)

    def reseed(self, seed: int) -> None:
        """Starts the sequence of dropout masks of ``seed``."""
        self.dropout_state.assign([seed % 2**31, 0])

    def next_dropout(self) -> None:
        """Moves to the next dropout mask; a training step calls it."""
        self.dropout_state.assign_add(tf.constant([0, 1]))

    def copy(self) -> Encoder:
        """The same encoder with weights of its own, as they are now, frozen alike; free for another
        model.
        """
        twin = self.blank_copy()
        for variable, value in zip(twin.state, self.state, strict=True):
            variable.assign(value)
        return twin

    def blank_copy(self) -> Encoder:
        """The same architecture with random weights, frozen alike."""
        return _blank(*self._form)

    @property
    def _form(self) -> tuple:
        """What an encoder is but for its weights, as `_blank` takes it."""
        parts = type(self.transformer), self.config, self.tokenizer, self.pooling, self.precision
        return *parts, self.adapters, self.frozen

    def save_pretrained(self, save_directory: str | Path) -> None:
        """Writes it for Hugging Face's `TFAutoModel` and `AutoModel`; see
        `pretrained.save_pretrained`.
        """
        pretrained.save_pretrained(self, save_directory)

    def __reduce__(self):
        weights = [v.numpy() for v in [*self.state, self.dropout_state]]
        return _revive, (self._form, weights)


def _blank(
    kind, config, tokenizer, pooling: str, precision: str, adapters: Adapters | None, frozen
) -> Encoder:
    """An encoder of a form with random weights; ``frozen`` counts the adapters' layers, too."""
    with computing_in(precision):
        encoder = Encoder(build(kind, config), tokenizer, pooling)
        attach_like(encoder, adapters)
    freeze(encoder, frozen)
    return encoder


def _revive(form: tuple, weights: list) -> Encoder:
    """The encoder that was pickled."""
    encoder = _blank(*form)
    for variable, value in zip([*encoder.state, encoder.dropout_state], weights, strict=True):
        variable.assign(value)
    return encoder


def load_encoder(
    name: str | Path,
    *,
    revision: str | None = None,
    pooling: str = "auto",
    from_scratch: bool = False,
    precision: str | None = None,
) -> Encoder:
    """A pretrained encoder with its tokenizer.

    Weights are read from safetensors (PyTorch's or TensorFlow's) or HDF5, never from pickles, and
    no code that comes with a model is run.

    Args:
        name: an asset (``"bert-tiny"``, ``"minilm"``; fetched when it is not in the cache), a local
            folder, or the id of a model on the Hugging Face hub.
        revision: commit, tag or branch; needed for a hub id, so that a result can be repeated.
        pooling: see `Encoder`; ``"auto"`` is also what a folder of `save_pretrained` notes.
        from_scratch: random weights instead of the pretrained ones.
        precision: ``"mixed_bfloat16"`` computes in 16 bits where that is safe: weights, layer
            normalisation, pooling, heads, losses and the update stay in 32 bits. None: the policy
            that `keras.mixed_precision.set_global_policy` has set.

    Raises:
        DataError: no such model, an unsupported family, no safetensors, or no fast tokenizer.
        AssetError: an asset could not be fetched.
    """
    if precision is not None:
        check_choice("precision", precision, PRECISIONS)
    folder, where = _locate(str(name), revision)
    try:
        local = Path(folder).is_dir()
        if local:
            encoder_checks.check_files(folder)
        if pooling == "auto" and Path(folder, encoder_checks.POOLING).exists():
            pooling = encoder_checks.noted_pooling(folder)["pooling"]
        size = encoder_checks.weight_bytes(folder) if local and not from_scratch else None
        with _quiet(), computing_in(precision), encoder_checks.at_most(size):
            return _load(name, folder, where, pooling, from_scratch)
    except DataError:
        raise
    except Exception as error:  # tokenizers raises bare Exceptions
        raise DataError(
            f"Could not load an encoder from {str(name)!r}: {first_line(error)}\n"
            "Expected config.json, weights as model.safetensors, and a fast tokenizer "
            "(tokenizer.json)."
        ) from error


def _load(name: str | Path, folder: str, where: dict, pooling: str, from_scratch: bool) -> Encoder:
    config = transformers.AutoConfig.from_pretrained(folder, **where)
    kind = model_class(config)
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder, use_fast=True, **where)
    encoder_checks.check_tokenizer(tokenizer, getattr(config, "vocab_size", None))
    if from_scratch:
        return Encoder(build(kind, config), tokenizer, pooling)
    transformer, report = kind.from_pretrained(
        folder, config=config, output_loading_info=True, **where
    )
    _check_complete(name, report)
    encoder_checks.check_finite(name, transformer.weights)
    return Encoder(transformer, tokenizer, pooling)


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


def encoder_from_config(folder: str | Path) -> Encoder:
    """An encoder with random weights from the configuration and tokenizer that `save_config` wrote.

    Raises:
        Exception: of whatever kind, where the files are not what was written.
    """
    folder = Path(folder)
    encoder_checks.check_files(folder)
    with _quiet():
        config = transformers.AutoConfig.from_pretrained(folder, trust_remote_code=False)
        tokenizer = transformers.AutoTokenizer.from_pretrained(
            folder, trust_remote_code=False, use_fast=True
        )
        encoder_checks.check_tokenizer(tokenizer, getattr(config, "vocab_size", None))
        note = encoder_checks.noted_pooling(folder)
        check_choice("precision", note.get("precision", "float32"), (*PRECISIONS, "float64"))
        with computing_in(note.get("precision")):
            encoder = Encoder(build(model_class(config), config), tokenizer, note["pooling"])
            if "adapters" in note:  # names alone: an expression from a file may never end
                noted = note["adapters"]
                attach(encoder, noted["rank"], noted["alpha"], list(noted["layers"]))
            return encoder


def save_config(encoder: Encoder, folder: str | Path) -> None:
    """Writes the encoder's configuration and tokenizer, not its weights.

    Raises:
        DataError: it reads something else than texts.
    """
    if not isinstance(encoder.reads, Texts):
        raise DataError(
            "Only encoders of texts can be saved.\n"
            f"Received one that reads with {type(encoder.reads).__name__}.\n"
            "Save its weights with save_weights, and make it anew to load them."
        )
    encoder.config.save_pretrained(folder)
    encoder.tokenizer.save_pretrained(folder)
    note = {"pooling": encoder.pooling, "precision": encoder.precision}
    if encoder.adapters is not None:
        note["adapters"] = dataclasses.asdict(encoder.adapters)
    Path(folder, encoder_checks.POOLING).write_text(json.dumps(note))


def _locate(name: str, revision: str | None) -> tuple[str, dict]:
    """A folder or a hub id, and the options that the library is to read it with."""
    where = {"trust_remote_code": False}
    restore(name)
    if Path(name).is_dir():
        return name, where
    assets = [n for n, e in registry.ENTRIES.items() if e.kind == "encoder"]
    if name in assets:
        return str(fetch(name)), where
    if name.count("/") != 1 or name.startswith((".", "/", "~")):
        raise DataError(
            f"An encoder must be an asset ({listed(assets)}), a local folder, or a hub id "
            "'owner/model'.\n"
            f"Received {name!r}, which is none of them.{nearest(name, assets)}"
        )
    if revision is None:
        raise DataError(
            f"A hub id needs a revision, so that the same weights are loaded tomorrow.\n"
            f"Received {name!r} without one.\nGive revision='<commit>' (or 'main' to follow the "
            "newest)."
        )
    return name, where | {"revision": revision}


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
    with _quiet():
        transformer = kind(config)
    transformer.build_in_name_scope()
    ids = tf.ones((1, 2), tf.int32)
    reads_ids = transformer.main_input_name == "input_ids"
    transformer(
        {"input_ids": ids, "attention_mask": ids} if reads_ids else transformer.dummy_inputs
    )
    return transformer


def _is_decoder_only(config) -> bool:
    names = transformers.models.auto.modeling_tf_auto.TF_MODEL_FOR_CAUSAL_LM_MAPPING_NAMES
    masked = transformers.models.auto.modeling_tf_auto.TF_MODEL_FOR_MASKED_LM_MAPPING_NAMES
    return config.model_type in names and config.model_type not in masked


def _check_complete(name: str, report: dict) -> None:
    """The library fills weights that a file lacks with random numbers, and only warns."""
    missing = sorted(str(k) for k in report["missing_keys"] if "pooler" not in str(k))
    if missing:
        raise DataError(
            f"The weights of {name!r} must be complete.\n"
            f"Received a file without {len(missing)} of them: {listed(missing, most=3)}.\n"
            "Check that config.json and model.safetensors belong together."
        )


@contextlib.contextmanager
def _quiet():
    """Without the library's notes on unused heads and on its future; errors still raise."""
    before = transformers.logging.get_verbosity()
    transformers.logging.set_verbosity_error()
    try:
        yield
    finally:
        transformers.logging.set_verbosity(before)
