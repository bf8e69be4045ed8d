"""The trunk: the lower blocks of an encoder that training leaves alone, run once for a batch that is used many times.

What a batch is at the trunk's upper end is the same at every step of a loop on it, so a batch may carry it along, in a
field of ``x``. The encoder then still traces its lower blocks, and the program that runs is without them: nothing
that it needs depends on them any more.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence

from tf_transfer.backend import tf
from tf_transfer.freezing import blocks_of

FIELD = "trunk"
"""Of ``x``: (batch, length, width) float, what the highest frozen block gives."""


def with_trunk(encoder, x: dict) -> dict:
    """``x`` with what the frozen blocks make of it; as it is where no block is frozen, or one runs several times.

    To be called in a graph, which drops what the encoder computes above the trunk.

    Args:
        encoder: an `Encoder`, frozen to a number of blocks or as a whole.
        x: ids (batch, length) int32 by field.
    """
    block = _highest_frozen(encoder)
    if block is None:
        return x
    found = []
    with tf.GradientTape() as tape, _changed_calls(block, lambda hidden: found.append(hidden) or hidden):
        encoder.hidden(x, training=False)
    if len(found) != 1:
        return x
    below = tape.gradient(found[0], encoder.trainable_variables)
    return x if any(g is not None for g in below) else x | {FIELD: tf.stop_gradient(found[0])}


@contextlib.contextmanager
def from_trunk(encoder, x: dict) -> Iterator[None]:
    """Within it, the encoder goes on from the trunk that ``x`` carries; from its ids where it carries none."""
    if FIELD not in x:
        yield
        return
    with _changed_calls(_highest_frozen(encoder), lambda hidden: tf.cast(x[FIELD], hidden.dtype)):
        yield


def _highest_frozen(encoder):
    """The uppermost block of those that are frozen; None where there is none."""
    blocks = blocks_of(encoder.transformer)
    if encoder.frozen == "all":
        return blocks[-1] if blocks else None
    if isinstance(encoder.frozen, str) or not encoder.frozen:
        return None
    return blocks[encoder.frozen - 1]


@contextlib.contextmanager
def _changed_calls(block, change: Callable) -> Iterator[None]:
    """Within it, a block gives the hidden states that ``change`` makes of its own; what else it gives stays."""
    own = block.call

    def call(*args, **kwargs):
        given = own(*args, **kwargs)
        if isinstance(given, Sequence):  # the hidden states come first in all families
            return type(given)([change(given[0]), *given[1:]])
        return change(given)

    had = block.__dict__.get("call")
    block.__dict__["call"] = call
    try:
        yield
    finally:
        if had is None:
            del block.__dict__["call"]
        else:
            block.__dict__["call"] = had
