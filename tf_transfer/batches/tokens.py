"""Texts to token ids, all of a table at once."""

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
