"""Tables to tensors: tokenised once, batched by length into a few static shapes.

A batch is ``(x, y, w)``: ``x`` a dict of int32 (batch, length) fields, ``y`` a dict with each
task's labels (batch,) or (batch, classes), or (batch, length) where each token has one, ``w`` a
dict of float32 (batch,) weights that are 0 where a row has no label for the task.
"""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from tf_transfer.batches.token_spans import spans_of
from tf_transfer.checks.array_likes import as_list, as_texts
from tf_transfer.devices.backend import tf
from tf_transfer.errors import DataError, check_columns
from tf_transfer.kinds.base import PADDED

WINDOW = 50
"""The most batches whose rows are sorted by length together, and never over half of an epoch's:
more waste less padding, fewer mix rows better from epoch to epoch.
"""


@dataclasses.dataclass(frozen=True)
class Tokens:
    """The token ids of a table's texts, end to end.

    Args:
        ids: (tokens,) int32.
        types: (tokens,) int32, 0 for the first text of a pair and 1 for the second, or None.
        starts: (rows,) int64, where each row begins.
        lengths: (rows,) int32, tokens of each row.
        pad_id: id that fills a row up to its batch's length.
        limit: the most tokens that the encoder takes.
        cut_at: the most tokens that a row was given; a row of as many may have been cut.
        spans: (tokens, 4) int32, of each token the text of the pair, 0 or 1, its first character,
            the one behind its last, and the number of its word in the row; -1, 0, 0, -1 where it
            stands for none. Punctuation is a word of its own. None unless asked for.
        more: (tokens, width) float32 by field, handed out with the ids and 0 at padding; see
            `encoders.vectors.Trunk`.
        texts: of each row the first text, which ``spans`` count the characters of. None unless
            asked for.
    """

    ids: np.ndarray
    types: np.ndarray | None
    starts: np.ndarray
    lengths: np.ndarray
    pad_id: int
    limit: int = 2**31 - 1
    cut_at: int = 2**31 - 1
    spans: np.ndarray | None = None
    more: Mapping[str, tf.Tensor] = dataclasses.field(default_factory=dict)
    texts: Sequence[str] | None = None

    def __len__(self) -> int:
        return len(self.lengths)

    @property
    def size(self) -> int:
        """How many tokens all rows have together."""
        return len(self.ids)

    def digest(self) -> bytes:
        """A hash of the ids and of where the rows begin and end."""
        digest = hashlib.sha256(self.ids.tobytes() + self.starts.tobytes() + self.lengths.tobytes())
        digest.update(b"" if self.types is None else self.types.tobytes())
        return digest.digest()

    def gather(self, rows: tf.Tensor, length: tf.Tensor) -> dict[str, tf.Tensor]:
        """The fields (batch, length) of ``rows`` (batch,) int64; a row of -1 is all padding."""
        lengths, mask, index = self._index(rows, length)
        # A row without a token would divide by zero in a softmax: let it attend to one padding
        # token.
        first = tf.range(length)[None, :] == 0
        attended = mask | ((lengths == 0)[:, None] & first)
        x = {
            "input_ids": tf.where(mask, tf.gather(self.ids, index), self.pad_id),
            "attention_mask": tf.cast(attended, tf.int32),
        }
        if self.types is not None:
            x["token_type_ids"] = tf.where(mask, tf.gather(self.types, index), 0)
        return x | {
            f: tf.where(mask[..., None], tf.gather(v, index), 0) for f, v in self.more.items()
        }

    def spread(self, values, rows: tf.Tensor, length: tf.Tensor, fill) -> tf.Tensor:
        """(batch, length) of ``values`` (tokens,), as the ids are gathered; ``fill`` at padding."""
        _, mask, index = self._index(rows, length)
        return tf.where(mask, tf.gather(values, index), fill)

    def _index(self, rows: tf.Tensor, length: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        """The lengths (batch,) of rows, which places (batch, length) hold a token, and which."""
        real = tf.maximum(rows, 0)
        lengths = tf.where(rows >= 0, tf.gather(self.lengths, real), 0)
        places = tf.range(length)[None, :]
        mask = places < lengths[:, None]
        index = tf.where(mask, tf.gather(self.starts, real)[:, None] + tf.cast(places, tf.int64), 0)
        return lengths, mask, index


def tokenise(
    encoder,
    table: pd.DataFrame,
    *,
    text: str = "text",
    text_pair: str | None = None,
    max_length: int = 128,
    spans: bool = False,
) -> Tokens:
    """Tokenises a column, or a pair of columns, in one call of the fast tokenizer.

    Args:
        encoder: an `Encoder`, for its tokenizer and its fields.
        text_pair: column of second texts; rows where it is missing are single texts.
        max_length: the most tokens a row; a longer one is cut, a pair from its longer text.
        spans: note which characters each token stands for, and keep the texts.

    Raises:
        DataError: a text is missing or empty, or there are no rows.
    """
    texts = _texts(table, text)
    pairs = None if text_pair is None else _pairs(table, text_pair)
    options = {
        "truncation": True,
        "max_length": min(max_length, encoder.max_length),
        "padding": False,
    }
    options |= {"return_attention_mask": False, "return_token_type_ids": True}
    single = np.array([not p for p in pairs]) if pairs is not None else np.ones(len(texts), bool)
    if pairs is None or single.all():
        encoded = encoder.tokenizer(texts, **options)
        read = encoded.encodings
    else:
        encoded = encoder.tokenizer(texts, pairs, **options)
        read = list(encoded.encodings)
        for row in np.flatnonzero(single):
            alone = encoder.tokenizer([texts[row]], **options)
            read[row] = alone.encodings[0]
            for field in encoded:
                encoded[field][row] = alone[field][0]
    lengths = np.fromiter(map(len, encoded["input_ids"]), np.int32, len(texts))
    starts = np.concatenate([[0], np.cumsum(lengths[:-1], dtype=np.int64)])
    ids = _flat(encoded["input_ids"])
    _check_ids(ids, encoder)
    types = _flat(encoded["token_type_ids"]) if "token_type_ids" in encoder.fields else None
    pad_id = encoder.tokenizer.pad_token_id or 0
    ends = encoder.max_length, options["max_length"]
    kept = {"spans": spans_of(read, texts, pairs), "texts": texts} if spans else {}
    return Tokens(ids, types, starts, lengths, pad_id, *ends, **kept)


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


def _texts(table: pd.DataFrame, text: str) -> list[str]:
    check_columns(table, [text])
    if not len(table):
        raise DataError("A table must have rows.\nReceived none.\nGive one with at least one text.")
    missing = table[text].isna().to_numpy(bool)
    cells = as_list(table[text])
    blank = [isinstance(cell, str) and not cell.strip() for cell in cells]
    empty = np.flatnonzero(missing | np.array(blank, bool))
    if len(empty):
        raise DataError(
            f"Every row must have a text in column {text!r}.\n"
            f"Received {len(empty)} empty ones; the first is row {empty[0]}.\nDrop these rows or "
            "fill them."
        )
    return as_texts(cells, f"Column {text!r}")


def _pairs(table: pd.DataFrame, text_pair: str) -> list[str]:
    """The second texts; empty where a row has none."""
    check_columns(table, [text_pair])
    missing = table[text_pair].isna()
    cells = ["" if none else cell for cell, none in zip(as_list(table[text_pair]), missing)]
    return [cell.strip() for cell in as_texts(cells, f"Column {text_pair!r}")]


def _check_ids(ids: np.ndarray, encoder) -> None:
    known = int(encoder.config.vocab_size)
    if ids.max(initial=0) >= known:
        raise DataError(
            f"The encoder has a vector for each of {known} tokens.\n"
            f"Received the token {encoder.tokenizer.convert_ids_to_tokens(int(ids.max()))!r}, "
            f"number {ids.max()}.\n"
            "Use the tokenizer as it was loaded; or add tokens with transformers, resize the "
            "model's embeddings, and load_encoder the folder that it saves."
        )


def _flat(lists: list[list[int]]) -> np.ndarray:
    return np.fromiter((i for row in lists for i in row), np.int32)
