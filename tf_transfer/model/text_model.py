"""A network that reads texts: tables, lists and the like become tokens, batches and vectors."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property

import numpy as np
import pandas as pd

from tf_transfer.batches import rows as batches
from tf_transfer.batches.input_labels import check_weights
from tf_transfer.batches.inputs import Rows, opened, rows_of
from tf_transfer.batches.token_inputs import batches_of
from tf_transfer.batches.tokens import Tokens
from tf_transfer.data.tables import is_tables
from tf_transfer.devices import distribution, workers
from tf_transfer.devices.backend import tf
from tf_transfer.encoders.inputs import EncodedRows
from tf_transfer.encoders.vectors import TOKENS_A_ROW, Trunk, Vectoriser
from tf_transfer.errors import DataError
from tf_transfer.kinds import kind_of
from tf_transfer.kinds.labels import encode_labels
from tf_transfer.model.network import Network
from tf_transfer.model.traced import Traced


class TextModel(Network):
    """What `TransferModel` makes of texts. For the arguments see there."""

    def __init__(
        self,
        encoder,
        tasks,
        columns: Mapping[str, str | None],
        max_length: int,
        dropout: float,
        seed: int,
    ):
        super().__init__(encoder, tasks, dropout, seed)
        self.options = {**columns, "max_length": max_length, "dropout": dropout, "seed": seed}
        self._vectoriser, self._trunk = Vectoriser(encoder), Trunk(encoder)
        self.traced = Traced(self)
        self.episode_classes: dict[str, tuple] = {}

    def note_episodes(self, classes: Mapping[str, tuple]) -> None:
        """Notes the classes of the episodes that a meta-training learns from, which a meta-test
        must not have; see `Fitted`. Neither copies nor files have the note.
        """
        self.episode_classes = dict(classes)

    def resolve(self, table: pd.DataFrame) -> None:
        """Reads the kinds and classes that are still open from a table, and makes the heads."""
        if not self.heads:
            self.set_tasks([t.resolve(table) for t in self.tasks])

    def tokenise(self, table, spans: bool = False) -> EncodedRows:
        """The rows of a table as the encoder reads them: the token ids of its texts, or of a list
        of texts. For ``spans`` see `batches.tokens.tokenise`.
        """
        if not isinstance(table, pd.DataFrame):
            table = self._texts(table)
        workers.check_training(
            self, lambda: {"table": workers.hash_of_table(table), **self.options}
        )
        o = self.options
        columns = {name: o[name] for name in ("text", "text_pair", "max_length")}
        return self.encoder.reads.read(table, **columns, spans=spans)

    def outputs_of(self, tokens: Tokens, batch_size: int = 32) -> dict[str, np.ndarray]:
        """What the heads give for whole rows: (rows, …), or (tokens, …) of a head that reads
        tokens.
        """
        outputs = {name: [] for name in self.heads}
        plan = batches.plan_by_length(tokens, batch_size * TOKENS_A_ROW)
        for rows, length in plan:
            for name, output in self._run(tokens.gather(rows, length)).items():
                outputs[name].append(output.numpy())
        order = np.argsort(np.concatenate([rows for rows, _ in plan]), kind="stable")
        return {
            task.name: _by_token(outputs[task.name], plan, tokens)
            if kind_of(task).reads == "tokens"
            else np.concatenate(outputs[task.name])[order]
            for task in self.tasks
        }

    def encode_tokens(self, tokens: EncodedRows, batch_size: int = 32) -> np.ndarray:
        """(tokens, width) float32: the vectors of the tokens of whole rows."""
        plan = batches.plan_by_length(tokens, batch_size * TOKENS_A_ROW)
        parts = [self._hidden(tokens.gather(rows, length)).numpy() for rows, length in plan]
        return _by_token(parts, plan, tokens).astype(np.float32)

    @cached_property
    def _hidden(self):
        """The encoder's vectors of tokens, traced once for all shapes."""
        signature = [self.encoder.signature]
        return tf.function(
            lambda x: self.encoder.hidden(x, training=False), input_signature=signature
        )

    @cached_property
    def _run(self):
        """The call of the network, traced once for all shapes."""
        signature = [self.encoder.signature]
        return tf.function(lambda x: self(x, training=False), input_signature=signature)

    def encode(self, table, batch_size: int = 32, verbose="auto") -> np.ndarray:
        """(rows, width) float32: the vectors of a table's or a list's texts, kept until the encoder
        changes.
        """
        return self._vectoriser(self.tokenise(table), batch_size, verbose)

    def share_vectors(self, other: TextModel) -> None:
        """Uses ``other``'s kept vectors too; they are found by the encoder's weights."""
        self._vectoriser.cache = other._vectoriser.cache

    def encoder_fingerprint(self) -> bytes:
        """A hash of the encoder's weights."""
        return self._vectoriser.fingerprint()

    def encode_labels(
        self, table: pd.DataFrame, where: str = "the table", note_labels: bool = False
    ) -> tuple:
        """``y`` and ``w`` of every task; see `kinds.labels.encode_labels`, and `dataset` for
        ``note_labels``.
        """
        y, w = encode_labels(self.tasks, table, where)
        if note_labels:
            for name, head in self.heads.items():
                head.note_labels(y[name][w[name] > 0])
        return y, w

    def dataset(
        self,
        table: pd.DataFrame,
        *,
        where: str = "the training table",
        note_labels: bool = False,
        weights=None,
        keep_trunk: bool = False,
        **options,
    ) -> tf.data.Dataset:
        """The table as `tf.data` of ``(x, y, w)``; ``options`` are those of `batches.to_dataset`.

        Args:
            note_labels: the labels train the heads, which take note of them; see
                `Head.note_labels`.
            weights: (rows,) factors of the rows' losses, or ``{task: factors}``, or None.
            keep_trunk: run the encoder's frozen blocks now, once for all epochs; see `trunk`.
        """
        self.resolve(table)
        y, w = self.encode_labels(table, where, note_labels)
        by_token = self.token_tasks
        tokens = self.tokenise(table, spans=bool(by_token))
        targets = {t.name: kind_of(t).targets(t, y[t.name], tokens) for t in self.tasks}
        factors = check_weights(weights, len(table), self.tasks)
        if factors is not None:
            w = {name: values * factors[name] for name, values in w.items()}
        if options.get("shuffle"):
            options = self._shapes(options.get("batch_size", 32)) | options
        tokens = self._trunk.keep(tokens) if keep_trunk else tokens
        options = {"seed": self.options["seed"]} | options
        if by_token:
            options["token_y"] = {name: targets.pop(name) for name in by_token}
        return batches.to_dataset(tokens, targets, w, **options)

    # -- what the verbs are given ---------------------------------------------------------------

    def _rows(self, x, y=None, weights=None) -> Rows | None:
        columns = {name: self.options[name] for name in ("text", "text_pair")}
        return rows_of(x, y, weights, tasks=self.tasks, **columns)

    def _texts(self, x) -> pd.DataFrame:
        rows = self._rows(opened(x))
        if rows is None:
            raise DataError(
                "Texts are wanted here.\nReceived token ids.\nGive the texts that they were "
                "made of."
            )
        return rows.table

    def _labelled(self, x, y=None, weights=None, *, batch_size: int, where: str) -> tf.data.Dataset:
        """Labelled rows as `tf.data` in their order, which Keras iterates."""
        x = opened(x)
        rows = self._rows(x, y, weights)
        if rows is None:
            return batches_of(self, x, y, weights, batch_size=batch_size)
        options = {"batch_size": batch_size, **self._shapes(batch_size)}
        return self.dataset(rows.table, where=where, weights=rows.weights, **options)

    def _validation(self, data, batch_size: int) -> tf.data.Dataset:
        """Validation data: rows with labels, or ``(x, y)`` or ``(x, y, weights)``."""
        several = (
            isinstance(data, list)
            and not is_tables(data)
            and not any(isinstance(part, str) for part in data)
        )
        data = tuple(data) if several and len(data) in (2, 3) else data
        data = data if isinstance(data, tuple) and not is_tables(data) else (data,)
        return self._labelled(*data, batch_size=batch_size, where="the validation table")

    def _shapes(self, batch_size: int) -> dict:
        """What `batches.to_dataset` must know of the devices: equal shares, and one shape on a
        TPU.
        """
        replicas = self.distribute_strategy.num_replicas_in_sync
        if not distribution.is_tpu(self.distribute_strategy):
            return {"multiple": replicas}
        return {
            "multiple": batch_size + -batch_size % replicas,
            "length": self.options["max_length"],
        }


def _by_token(parts: Sequence[np.ndarray], plan: Sequence, tokens: Tokens) -> np.ndarray:
    """(tokens, …) in the order of the rows, from (batch, length, …) of each batch of a plan."""
    by_token = np.empty((len(tokens.ids), *parts[0].shape[2:]), parts[0].dtype)
    for (rows, length), part in zip(plan, parts, strict=True):
        places = np.arange(length)
        real = places < tokens.lengths[rows][:, None]
        by_token[(tokens.starts[rows][:, None] + places)[real]] = part[real]
    return by_token
