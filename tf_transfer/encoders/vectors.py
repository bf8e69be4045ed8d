"""What an encoder makes of a whole table, computed once: the texts' vectors, and what its frozen
blocks give.

Vectors are kept for one state of the encoder's weights; not those of a few short texts, as of an
episode: to look them up takes a hash of all weights, which is slower.
"""

from __future__ import annotations

import dataclasses
import hashlib

import numpy as np

from tf_transfer.batches import rows as batches
from tf_transfer.batches.tokens import Tokens
from tf_transfer.devices import distribution
from tf_transfer.devices.backend import keras, tf
from tf_transfer.encoders.inputs import EncodedRows
from tf_transfer.encoders.trunk import trunk_field, with_trunk

CACHED_TABLES = 16
"""Tables whose vectors are kept; the oldest makes room."""

KEPT_FROM = 512
"""Tokens; the vectors of a table with fewer are not kept."""

TOKENS_A_ROW = 64
"""A batch holds as many tokens as ``batch_size`` rows of this length: short texts come in larger
batches.
"""

MOST_TRUNK_BYTES = 1e9
"""What the frozen blocks make of a table is kept for a training when it takes no more."""


class VectorCache:
    """The last few tables' vectors; models with the same weights can share one."""

    def __init__(self):
        self._kept: dict = {}

    def get(self, key, compute) -> np.ndarray:
        """The vectors under ``key``, computed when they are not there; read-only."""
        if key not in self._kept:
            vectors = compute()
            vectors.flags.writeable = False
            self._kept[key] = vectors
            if len(self._kept) > CACHED_TABLES:
                del self._kept[next(iter(self._kept))]
        return self._kept[key]


class Vectoriser:
    """Runs an encoder over whole tables; its graph is traced once.

    Replicas of the `tf.distribute` strategy that it is made under share the rows of each batch.

    Args:
        encoder: an `Encoder`, which stays as it is.
    """

    def __init__(self, encoder):
        self.encoder, self.cache = encoder, VectorCache()
        self._distribution = tf.distribute.get_strategy()
        # One graph for all shapes: graphs of static shapes round otherwise, and a reloaded model
        # must not.
        self._run = tf.function(self._encode, input_signature=[encoder.signature])

    def _encode(self, x):
        if not distribution.shared_out(self._distribution):
            return self.encoder(x, training=False)
        shares = distribution.run_shares(
            self._distribution, lambda x: self.encoder(x, training=False), x
        )
        return distribution.in_order(self._distribution, shares)

    def __call__(self, tokens: EncodedRows, batch_size: int = 32, verbose="auto") -> np.ndarray:
        """(rows, width) float32, in the order of the rows.

        Args:
            batch_size: rows of 64 tokens a batch; more of shorter rows, fewer of longer ones.
            verbose: 1 or ``"auto"`` shows a progress bar, as in Keras.
        """
        if tokens.size < KEPT_FROM:
            return self._compute(tokens, batch_size, verbose)
        key = (self.encoder.pooling, self.fingerprint(), tokens.digest())
        return self.cache.get(key, lambda: self._compute(tokens, batch_size, verbose))

    def _compute(self, tokens: EncodedRows, batch_size: int, verbose) -> np.ndarray:
        one_shape = distribution.is_tpu(self._distribution)
        plan = batches.plan_by_length(tokens, batch_size * TOKENS_A_ROW, one_shape=one_shape)
        replicas = self._distribution.num_replicas_in_sync
        bar = keras.utils.Progbar(len(tokens)) if verbose in (1, "auto") else None
        vectors = np.empty((len(tokens), self.encoder.width), np.float32)
        for rows, length in plan:
            filled = np.concatenate([rows, np.full(-len(rows) % replicas, -1)])
            batch_vectors = tf.cast(self._run(tokens.gather(filled, length)), tf.float32).numpy()
            vectors[rows[rows >= 0]] = batch_vectors[: len(rows)][rows >= 0]
            if bar:
                bar.add(int((rows >= 0).sum()))
        return vectors

    def fingerprint(self) -> bytes:
        """A hash of the encoder's weights."""
        digest = hashlib.sha1(usedforsecurity=False)
        for variable in self.encoder.state:
            digest.update(np.ascontiguousarray(variable.numpy()))
        return digest.digest()


class Trunk:
    """Runs the frozen blocks of an encoder over whole tables; its graph is traced once for what is
    frozen.

    Args:
        encoder: an `Encoder`, which stays as it is.
    """

    def __init__(self, encoder):
        self.encoder, self._traced = encoder, {}
        self._alone = not tf.distribute.has_strategy()

    def keep(self, tokens: EncodedRows) -> EncodedRows:
        """The tokens with what the frozen blocks make of them, to be handed out with the ids.

        As they are where they are no texts, where there is no `trunk`, where it would take more
        than `MOST_TRUNK_BYTES` (and twice that while it is made), and where devices share the
        batches.
        """
        field, size = trunk_field(self.encoder), 4 * tokens.size * self.encoder.width
        texts = isinstance(tokens, Tokens)
        if field is None or not self._alone or not texts or size > MOST_TRUNK_BYTES:
            return tokens
        if not tokens.lengths.all():
            return tokens
        kept = np.empty((len(tokens.ids), self.encoder.width), np.float32)
        for rows, length in batches.plan_by_length(tokens, 32 * TOKENS_A_ROW):
            hidden = self._run(tokens.gather(rows, length)).get(field)
            if hidden is None or hidden.shape != (len(rows), length, self.encoder.width):
                return tokens
            real = np.arange(length) < tokens.lengths[rows][:, None]
            kept[(tokens.starts[rows][:, None] + np.arange(length))[real]] = tf.cast(
                hidden, tf.float32
            ).numpy()[real]
        with tf.device("CPU:0"):  # where batches are made
            return dataclasses.replace(tokens, more={field: tf.constant(kept)})

    def _run(self, x: dict) -> dict:
        key = self.encoder.frozen, *map(id, self.encoder.trainable_variables)
        if key not in self._traced:
            shapes = {field: tf.TensorSpec((None, None), tf.int32) for field in x}
            self._traced[key] = tf.function(
                lambda x: with_trunk(self.encoder, x), input_signature=[shapes]
            )
        return self._traced[key](x)
