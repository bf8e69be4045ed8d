"""The trunk: the lower blocks of an encoder that training leaves alone, run once where they would
run at every step.

They run as in prediction, without dropout, so what they make of a text is the same at every step. A
batch may carry it along, in a field of ``x``. In a graph the encoder still traces its lower blocks
then, and the program that runs is without them: nothing that it needs depends on them any more.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence

from tf_transfer.devices.backend import tf
from tf_transfer.devices.private import layers_of
from tf_transfer.encoders.freezing import blocks_of, frozen_blocks

FIELD = "trunk_"


def trunk_field(encoder) -> str | None:
    """The field of ``x`` for what the highest frozen block gives, (batch, length, width) float;
    None without one.
    """
    number = frozen_blocks(encoder)
    return f"{FIELD}{number}" if number else None


def without_trunk(x: dict) -> dict:
    """``x`` without what frozen blocks have made of it, at whatever depth."""
    return {field: values for field, values in x.items() if not field.startswith(FIELD)}


def with_trunk(encoder, x: dict) -> dict:
    """``x`` with what the frozen blocks make of it; as it is where they are no trunk.

    They are none where training changes something below or beside them, where a block runs several
    times, and where the variables are those of several devices and none of these computes.

    Args:
        encoder: an `Encoder`, frozen to a number of blocks or as a whole.
        x: ids (batch, length) int32 by field.
    """
    field = trunk_field(encoder)
    if (
        field is None
        or field in x
        or (tf.distribute.has_strategy() and tf.distribute.in_cross_replica_context())
    ):
        return x
    block_outputs, changed = [], _what_changes(encoder)
    with tf.GradientTape(watch_accessed_variables=False) as tape:
        tape.watch(changed)
        with _changed_calls(
            _highest(encoder), lambda hidden: block_outputs.append(hidden) or hidden
        ):
            encoder.hidden(x, training=False)
    if len(block_outputs) != 1:
        return x
    below = tape.gradient(block_outputs[0], changed)
    return (
        x if any(g is not None for g in below) else x | {field: tf.stop_gradient(block_outputs[0])}
    )


@contextlib.contextmanager
def from_trunk(encoder, x: dict) -> Iterator[None]:
    """Within it, the encoder goes on from its trunk if ``x`` carries that; from its ids if not."""
    field = trunk_field(encoder)
    if field is None or field not in x:
        yield
        return
    with _changed_calls(_highest(encoder), lambda hidden: tf.cast(x[field], hidden.dtype)):
        yield


def _highest(encoder):
    """The highest frozen block."""
    return blocks_of(encoder.transformer)[frozen_blocks(encoder) - 1]


def _what_changes(encoder) -> list:
    """What training changes in an encoder: its variables, or the tensors in their places (see
    `functional`).
    """
    held = [v for layer in layers_of(encoder) for v in vars(layer).values() if tf.is_tensor(v)]
    tensors = [v for v in held if not isinstance(v, tf.Variable) and v.dtype.is_floating]
    return [*encoder.trainable_variables, *tensors]


@contextlib.contextmanager
def _changed_calls(block, change: Callable) -> Iterator[None]:
    """Within it, a block gives the hidden states that ``change`` makes of its own; what else it
    gives stays.
    """
    own, before = block.call, vars(block).pop("call", None)

    def call(*args, **kwargs):
        given = own(*args, **kwargs)
        if isinstance(given, Sequence):  # the hidden states come first in all families
            return change(given[0]), *given[1:]
        return change(given)

    vars(block)["call"] = call
    try:
        yield
    finally:
        vars(block).pop("call")
        if before is not None:
            vars(block)["call"] = before
