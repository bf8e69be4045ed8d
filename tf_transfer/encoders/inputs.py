"""What an encoder reads: how the rows of a table become the fields that it is called with."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Protocol, runtime_checkable

import numpy as np
import pandas as pd

from tf_transfer.batches.tokens import tokenise
from tf_transfer.devices.backend import tf


class EncodedRows(Protocol):
    """The rows of a table as an encoder reads them; `batches.tokens.Tokens` are those of texts.

    Attributes:
        lengths: (rows,) int32, the length of each row. Rows of similar length share a batch.
        limit: the greatest length of a batch.
        size: how many values all rows have together.
    """

    lengths: np.ndarray
    limit: int
    size: int

    def __len__(self) -> int:
        """The number of rows."""

    def gather(self, rows: tf.Tensor, length: tf.Tensor) -> dict[str, tf.Tensor]:
        """The fields (batch, …) of ``rows`` (batch,) int64 at a common length; -1 is padding."""

    def digest(self) -> bytes:
        """A hash of all rows."""


@runtime_checkable
class Inputs(Protocol):
    """Makes `EncodedRows` of tables. Batches hold ``attention_mask`` (batch, length) beside the
    fields.

    Attributes:
        fields: what the transformer is called with, and a specification of each batch.
    """

    fields: Mapping[str, tf.TensorSpec]

    def read(
        self, table: pd.DataFrame, *, text: str, text_pair: str | None, max_length: int, spans: bool
    ) -> EncodedRows:
        """The rows of a table.

        Args:
            text: the column to read.
            text_pair: a second column, or None.
            max_length: the greatest length of a row.
            spans: note which characters each token stands for.

        Raises:
            DataError: the columns cannot be read.
        """

    def least_length(self, paired: bool) -> int:
        """The least ``max_length`` with which a row says anything."""

    def identity(self) -> str:
        """Text that is equal for those that read alike."""


class Texts:
    """Texts or pairs of texts, by the tokenizer of an encoder; see `Inputs`.

    Args:
        encoder: an `Encoder` with a tokenizer.
    """

    def __init__(self, encoder):
        self._encoder = encoder

    @property
    def fields(self) -> dict[str, tf.TensorSpec]:
        known = ("input_ids", "attention_mask", "token_type_ids")
        taken = set(self._encoder.tokenizer.model_input_names)
        if not getattr(self._encoder.config, "type_vocab_size", 0):
            taken -= {"token_type_ids"}
        return {f: tf.TensorSpec((None, None), tf.int32) for f in known if f in taken}

    def read(self, table, *, text, text_pair, max_length, spans):
        options = {"text": text, "text_pair": text_pair, "max_length": max_length, "spans": spans}
        return tokenise(self._encoder, table, **options)

    def least_length(self, paired):
        return self._encoder.tokenizer.num_special_tokens_to_add(pair=paired) + 1

    def identity(self):
        """What the tokenizer is, without what its last call asked of it."""
        content = json.loads(self._encoder.tokenizer.backend_tokenizer.to_str())
        lasting = {k: v for k, v in content.items() if k not in ("truncation", "padding")}
        return json.dumps(lasting, sort_keys=True)
