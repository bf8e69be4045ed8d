"""Tokens to batches of rows of similar length, in a few static shapes.

A batch is ``(x, y, w)``: ``x`` a dict of int32 (batch, length) fields, ``y`` a dict with each
task's labels (batch,) or (batch, classes), or (batch, length) where each token has one, ``w`` a
dict of float32 (batch,) weights that are 0 where a row has no label for the task.
"""

from __future__ import annotations

import numpy as np

from tf_transfer.batches.tokens import Tokens
from tf_transfer.devices.backend import tf
from tf_transfer.kinds.base import PADDED

WINDOW = 50
"""The most batches whose rows are sorted by length together, and never over half of an epoch's:
more waste less padding, fewer mix rows better from epoch to epoch.
"""


def to_dataset(
    tokens: Tokens,
    y: dict | None = None,
    w: dict | None = None,
    *,
    batch_size: int = 32,
    shuffle: bool = False,
    seed: int = 0,
    epochs: int = 1,
    first_epoch: int = 0,
    skip: int = 0,
    multiple: int = 1,
    length: int | None = None,
    token_y: dict | None = None,
) -> tf.data.Dataset:
    """Batches of rows of similar length, padded to the smallest of a few lengths.

    The order is a function of ``seed`` and the epoch's number alone, so that a run that goes on
    from an epoch sees the same batches. With ``shuffle`` the last batch of an epoch is filled up
    with rows of weight 0 to keep its shape static; without, rows come in order and none is added.

    Args:
        tokens: of `tokenise`.
        y, w: labels and weights by task (rows, …), of `encode_labels`; None for inputs alone.
        epochs: how many passes the data set holds, one after the other.
        first_epoch: number of the first of them.
        skip: batches of the first epoch that are left out.
        multiple: every batch is filled up to a multiple of so many rows, with rows of weight 0.
        length: pads every row to this length instead of its batch's; with ``multiple=batch_size``
            all batches have one static shape, as a TPU wants them.
        token_y: labels by task (tokens,), which become part of ``y``; `PADDED` beside the tokens.

    Returns:
        ``x``, or ``(x, y, w)``, of ``epochs * ceil(rows / batch_size) - skip`` batches.
    """
    rows, one_size = len(tokens), multiple >= batch_size > 1
    batch_size = min(batch_size, rows)
    steps = steps_of(rows, batch_size)
    lengths = tf.constant(bucket_lengths(tokens.lengths, tokens.limit))

    @tf.autograph.experimental.do_not_convert
    def load(batch):
        if multiple > 1:
            batch = tf.pad(batch, [[0, -tf.size(batch) % multiple]], constant_values=-1)
            if one_size:
                batch = tf.ensure_shape(batch, [multiple])
        width = length
        if length is None:
            longest = tf.reduce_max(
                tf.where(batch >= 0, tf.gather(tokens.lengths, tf.maximum(batch, 0)), 1)
            )
            width = lengths[tf.searchsorted(lengths, longest[None])[0]]
        x = tokens.gather(batch, width)
        if y is None:
            return x
        real = tf.maximum(batch, 0)
        weights = {t: tf.where(batch >= 0, tf.gather(v, real), 0.0) for t, v in w.items()}
        labels = {t: tf.gather(v, real) for t, v in y.items()}
        for task, values in (token_y or {}).items():
            labels[task] = tokens.spread(values, batch, width, PADDED)
        return x, labels, weights

    @tf.autograph.experimental.do_not_convert
    def shuffled(epoch):
        entropy = tf.stack([tf.cast(seed, tf.int64), epoch])
        return tf.data.Dataset.from_tensor_slices(_shuffled(tokens.lengths, batch_size, entropy))

    if shuffle:
        plan = tf.data.Dataset.range(first_epoch, first_epoch + epochs).flat_map(shuffled)
    else:
        plan = tf.data.Dataset.range(rows).batch(batch_size).repeat(epochs)
    plan = plan.apply(tf.data.experimental.assert_cardinality(epochs * steps))
    if skip:
        plan = plan.skip(skip)
    return untuned(plan.map(load, num_parallel_calls=2).prefetch(2))


def untuned(dataset: tf.data.Dataset) -> tf.data.Dataset:
    """The data set in order and without TensorFlow's tuning of its parallelism, for one that leaves
    nothing to choose.

    The tuning thread sleeps twice as long each time, up to a minute, and whoever drops an iterator
    waits until it wakes: up to as long again as the training took (``python -m
    tests.benchmarks.pipeline``).
    """
    options = tf.data.Options()
    options.deterministic = True
    options.autotune.enabled = False
    return dataset.with_options(options)


def steps_of(rows: int, batch_size: int) -> int:
    """Batches that a pass over the rows takes."""
    return -(-rows // min(batch_size, rows))


def plan_by_length(
    tokens: Tokens, budget: int, one_shape: bool = False
) -> list[tuple[np.ndarray, int]]:
    """All rows, from short to long, in batches of nearly as many tokens each.

    Args:
        budget: the most tokens a batch, padding included; a longer row is a batch by itself.
        one_shape: all batches of the longest row's length, the last one filled up with rows of -1.

    Returns:
        ``(rows (batch,) int64, length)`` of each batch; the lengths are those of `bucket_lengths`.
    """
    order = np.argsort(tokens.lengths, kind="stable")
    ladder = bucket_lengths(tokens.lengths, tokens.limit)
    if one_shape:
        size = max(1, budget // int(ladder[-1]))
        filled = np.concatenate([order, np.full(-len(order) % size, -1)])
        return [(rows, int(ladder[-1])) for rows in filled.reshape(-1, size)]
    plan, start = [], 0
    while start < len(order):
        for length in ladder:
            rows = order[start : start + max(1, budget // int(length))]
            if tokens.lengths[rows[-1]] <= length:
                break
        plan.append((rows, int(length)))
        start += len(rows)
    return plan


def bucket_lengths(lengths: np.ndarray, limit: int = 2**31 - 1) -> np.ndarray:
    """The static lengths (buckets,) int32 for rows of ``lengths``.

    Multiples of 4 up to 32, then of 8, wider apart further up; at most ``limit``.
    """
    longest, ladder = max(int(lengths.max(initial=1)), 1), [*range(8, 36, 4)]
    while ladder[-1] < longest:
        ladder.append(ladder[-1] + max(8, ladder[-1] // 4 // 8 * 8))
    used = np.unique(np.searchsorted(ladder, np.unique(lengths)))
    chosen = np.array(ladder, np.int32)[used]
    chosen[-1] = min(chosen[-1], -(-longest // 8) * 8, max(limit, longest))
    return chosen


def _shuffled(lengths: np.ndarray, batch_size: int, seed: tf.Tensor) -> tf.Tensor:
    """(steps, batch) int64 rows of one epoch; -1 fills up the last batch."""
    rows = len(lengths)
    steps = -(-rows // batch_size)
    order = tf.argsort(
        tf.random.stateless_uniform([rows], seed, maxval=None, minval=None, dtype=tf.int32),
        stable=True,
    )
    # The short batch is drawn from all rows: the end of a sorted order would always be the longest
    # texts.
    full = rows // batch_size * batch_size
    order, rest = order[:full], tf.cast(order[full:], tf.int64)
    window = tf.range(full) // (max(1, min(WINDOW, steps // 2)) * batch_size)
    # Sort by window, then by length; the shuffled order breaks ties.
    key = tf.cast(window, tf.int64) * (1 << 32) + tf.cast(tf.gather(lengths, order), tf.int64)
    order = tf.cast(tf.gather(order, tf.argsort(key, stable=True)), tf.int64)
    filled = tf.concat(
        [order, rest, tf.fill([steps * batch_size - rows], tf.constant(-1, tf.int64))], 0
    )
    batches = tf.reshape(filled, [steps, batch_size])
    mixed = tf.argsort(
        tf.random.stateless_uniform([steps], seed + 1, minval=None, maxval=None, dtype=tf.int32)
    )
    return tf.gather(batches, mixed)
