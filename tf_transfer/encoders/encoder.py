"""Where representations come from: a pretrained transformer, what it reads, and pooling."""

from __future__ import annotations

from pathlib import Path

from tf_transfer.devices.backend import keras, tf, transformers
from tf_transfer.devices.private import layers_of
from tf_transfer.encoders import kernels, pretrained
from tf_transfer.encoders.adapters import Adapters, LowRank, attach_like
from tf_transfer.encoders.families import (
    TRACED_AS_WRITTEN,
    build,
    computing_in,
    is_decoder_only,
)
from tf_transfer.encoders.freezing import freeze, frozen_part, set_pooler_aside, weights_of
from tf_transfer.encoders.inputs import Inputs, Texts
from tf_transfer.encoders.trunk import from_trunk, with_trunk
from tf_transfer.errors import DataError, check_choice

POOLINGS = ("auto", "mean", "cls", "last")


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
        decoder_only = is_decoder_only(transformer.config)
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
        if self.transformer.config.model_type in TRACED_AS_WRITTEN:
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
