"""The trunk: the lower blocks of an encoder that training leaves alone, run once where they would run at every step.

They run as in prediction, without dropout, so what they make of a text is the same at every step. A batch may carry it
along, in a field of ``x``. The encoder still traces its lower blocks then, and the program that runs is without them:
nothing that it needs depends on them any more.
"""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Callable, Iterator, Sequence

import numpy as np

from tf_transfer import batches, distribution
from tf_transfer.backend import tf
from tf_transfer.freezing import blocks_of

FIELD = batches.TRUNK

MOST_BYTES = 1e9
"""A table's trunk is kept for a training when it takes no more."""

TOKENS_AT_ONCE = 2048


def with_trunk(encoder, x: dict) -> dict:
    """``x`` with what the frozen blocks make of it; as it is where no block is frozen, or one runs several times.

    To be called in a graph, which drops what the encoder computes above the trunk.

    Args:
        encoder: an `Encoder`, frozen to a number of blocks or as a whole.
        x: ids (batch, length) int32 by field.
    """
    block = _highest_frozen(encoder)
    if block is None or FIELD in x:
        return x
    found, changed = [], _what_changes(encoder)
    with tf.GradientTape(watch_accessed_variables=False) as tape:
        tape.watch(changed)
        with _changed_calls(block, lambda hidden: found.append(hidden) or hidden):
            encoder.hidden(x, training=False)
    if len(found) != 1:
        return x
    below = tape.gradient(found[0], changed)
    return x if any(g is not None for g in below) else x | {FIELD: tf.stop_gradient(found[0])}


@contextlib.contextmanager
def from_trunk(encoder, x: dict) -> Iterator[None]:
    """Within it, the encoder goes on from the trunk that ``x`` carries; from its ids where it carries none."""
    if FIELD not in x:
        yield
        return
    with _changed_calls(_highest_frozen(encoder), lambda hidden: tf.cast(x[FIELD], hidden.dtype)):
        yield


class Trunk:
    """Runs the frozen blocks of an encoder over whole tables.

    Args:
        encoder: an `Encoder`, which stays as it is.
    """

    def __init__(self, encoder):
        self.encoder, self._traced = encoder, {}

    def keep(self, tokens: batches.Tokens) -> batches.Tokens:
        """The tokens with what the frozen blocks make of them, to be handed out with the ids.

        As they are where no block is frozen, where it would take more than `MOST_BYTES`, and where several devices
        share the batches.
        """
        size = len(tokens.ids) * self.encoder.width * 4
        if _highest_frozen(self.encoder) is None or size > MOST_BYTES or not tokens.lengths.all():
            return tokens
        if distribution.shared_out(tf.distribute.get_strategy()):
            return tokens
        kept = None
        for rows, length in batches.plan_by_length(tokens, TOKENS_AT_ONCE):
            x = self._run(tokens.gather(rows, length))
            if FIELD not in x:
                return tokens
            hidden, lengths = x[FIELD].numpy(), tokens.lengths[rows]
            if kept is None:
                kept = np.empty((len(tokens.ids), hidden.shape[2]), hidden.dtype)
            real = np.arange(length) < lengths[:, None]
            kept[(tokens.starts[rows][:, None] + np.arange(length))[real]] = hidden[real]
        return dataclasses.replace(tokens, trunk=tf.constant(kept))

    def _run(self, x: dict) -> dict:
        key = self.encoder.frozen
        if key not in self._traced:
            shapes = {field: tf.TensorSpec((None, None), tf.int32) for field in x}
            self._traced[key] = tf.function(
                lambda x: with_trunk(self.encoder, x), input_signature=[shapes], autograph=False
            )
        return self._traced[key](x)


def _highest_frozen(encoder):
    """The uppermost block of those that are frozen; None where there is none."""
    if encoder.frozen == "all":
        return blocks_of(encoder.transformer)[-1]
    if isinstance(encoder.frozen, str) or not encoder.frozen:
        return None
    return blocks_of(encoder.transformer)[encoder.frozen - 1]


def _what_changes(encoder) -> list:
    """What training changes in an encoder: its variables, or the tensors in their places (see `functional`)."""
    held = [v for layer in encoder._flatten_layers() for v in vars(layer).values() if tf.is_tensor(v)]
    return [*encoder.trainable_variables, *(v for v in held if not isinstance(v, tf.Variable))]


@contextlib.contextmanager
def _changed_calls(block, change: Callable) -> Iterator[None]:
    """Within it, a block gives the hidden states that ``change`` makes of its own; what else it gives stays."""
    own, before = block.call, block.__dict__.get("call")

    def call(*args, **kwargs):
        given = own(*args, **kwargs)
        if isinstance(given, Sequence):  # the hidden states come first in all families
            return type(given)([change(given[0]), *given[1:]])
        return change(given)

    block.__dict__["call"] = call
    try:
        yield
    finally:
        if before is None:
            del block.__dict__["call"]
        else:
            block.__dict__["call"] = before
