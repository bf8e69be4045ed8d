"""Episodes as tensors: rows gathered from a table that is tokenised once."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from tf_transfer.batches.model import Model
from tf_transfer.batches.rows import bucket_lengths
from tf_transfer.batches.tokens import Tokens
from tf_transfer.devices.backend import tf
from tf_transfer.episodes.episode import Episode
from tf_transfer.episodes.sampler import EpisodeSampler
from tf_transfer.errors import DataError, listed
from tf_transfer.kinds import AUTO, kind_of, kinds_where
from tf_transfer.kinds.base import PADDED
from tf_transfer.kinds.labels import encode_labels


class EpisodeTensors:
    """Turns a sampler's episodes into batches ``(x, y, w)`` with a leading axis of episodes.

    Rows that an episode has fewer of than the largest are filled up with weight 0, so all episodes
    of a sampler have one shape but for the length of their texts.

    Args:
        model: a `TransferModel` whose heads fit: one classification of at least ``way`` classes for
            class episodes, any heads for episodes of rows.
        sampler: an `EpisodeSampler`.

    Attributes:
        teach: note in the heads which outputs the episodes train.
        rows: the most rows of an episode's ``"support"`` and ``"query"``.
    """

    def __init__(self, model: Model, sampler: EpisodeSampler, teach: bool = True):
        self.tokens = model.tokenise(sampler.table, spans=bool(model.token_tasks))
        per_class = {"support": sampler.shots[1], "query": sampler.num_query}
        self.rows = {part: rows * sampler.ways[1] for part, rows in per_class.items()}
        self._ladder = bucket_lengths(self.tokens.lengths, self.tokens.limit)
        self.by_class = sampler.task is not None and kind_of(sampler.task).episodes == "classes"
        if self.by_class:
            self.name = only_classification(model).name
            self.labels, _ = sampler.task.encode(sampler.table)
            self._places = {c: i for i, c in enumerate(sampler.task.classes)}
            if teach:
                # each output stands for a class of an episode, whichever it is
                model.heads[self.name].teach_all()
        else:
            y, self.w = encode_labels(model.tasks, sampler.table, "the episodes' table")
            for name, head in model.heads.items() if teach else ():
                head.note_labels(y[name][self.w[name] > 0])
            self.targets = Targets(model, y, self.tokens)

    def __call__(self, episodes: Sequence[Episode]) -> tuple[tuple, tuple]:
        """Support and query of several episodes.

        Returns:
            Two batches ``(x, y, w)``: fields (episodes, rows, length) int32, labels (episodes,
            rows, …) and weights (episodes, rows) float32 by task.
        """
        return self._stack(episodes, "support"), self._stack(episodes, "query")

    def _stack(self, episodes, part: str) -> tuple[dict, dict, dict]:
        most = self.rows[part]
        rows = np.full((len(episodes), most), -1, np.int64)
        for row, episode in zip(rows, episodes):
            row[: len(getattr(episode, part))] = getattr(episode, part)
        real = rows >= 0
        longest = self.tokens.lengths[rows[real]].max()
        length = int(self._ladder[np.searchsorted(self._ladder, longest)])
        flat = self.tokens.gather(tf.constant(rows.ravel()), length)
        x = {field: tf.reshape(v, (*rows.shape, length)) for field, v in flat.items()}
        kept = np.maximum(rows, 0)
        if self.by_class:
            slots = np.stack(
                [self._slots(episode, self.labels[row]) for episode, row in zip(episodes, kept)]
            )
            return (
                x,
                {self.name: tf.constant(slots)},
                {self.name: tf.constant(real.astype(np.float32))},
            )
        return (
            x,
            self.targets.of(rows, length),
            {
                name: tf.constant(np.where(real, v[kept], 0).astype(np.float32))
                for name, v in self.w.items()
            },
        )

    def _slots(self, episode: Episode, labels: np.ndarray) -> np.ndarray:
        """(rows,) int32: the episode's numbers of the table's classes; 0 for rows that fill up."""
        slot_of = np.zeros(len(self._places), np.int32)
        slot_of[[self._places[c] for c in episode.classes]] = np.arange(episode.way)
        return slot_of[labels]


class Targets:
    """What heads are trained on, of chosen rows of a table.

    Args:
        model: for its tasks.
        y: encoded labels by task.
        tokens: of the same rows, with their spans where a head reads tokens.
    """

    def __init__(self, model: Model, y: dict, tokens: Tokens):
        self._tokens, self._by_token = tokens, model.token_tasks
        self._values = {t.name: kind_of(t).targets(t, y[t.name], tokens) for t in model.tasks}

    def of(self, rows: np.ndarray, length: int) -> dict[str, tf.Tensor]:
        """(…, *rows) by task, or (…, *rows, length) where each token has one.

        Args:
            rows: of any shape, int64; -1 for a row that fills up.
        """
        return {
            name: self._spread(values, rows, length)
            if name in self._by_token
            else tf.constant(values[np.maximum(rows, 0)])
            for name, values in self._values.items()
        }

    def _spread(self, values, rows: np.ndarray, length: int) -> tf.Tensor:
        flat = self._tokens.spread(values, tf.constant(rows.ravel()), length, PADDED)
        return tf.reshape(flat, (*rows.shape, length))


def table_batch(
    model: Model, table: pd.DataFrame, tokens: Tokens | None = None
) -> tuple[dict, dict, dict]:
    """A whole table as one batch ``(x, y, w)``, padded to its longest row."""
    y, w = encode_labels(model.tasks, table, "the support table")
    tokens = model.tokenise(table, spans=bool(model.token_tasks)) if tokens is None else tokens
    length = int(bucket_lengths(tokens.lengths, tokens.limit)[-1])
    rows = np.arange(len(table), dtype=np.int64)
    x = tokens.gather(tf.constant(rows), length)
    targets = Targets(model, y, tokens).of(rows, length)
    return x, targets, {k: tf.constant(v) for k, v in w.items()}


def only_classification(model: Model):
    """The model's one task, which must be a classification.

    Raises:
        DataError: it has several tasks, or one of another kind.
    """
    if len(model.tasks) != 1 or model.tasks[0].kind not in (AUTO, *kinds_where(episodes="classes")):
        received = [f"{t.name}: {t.kind}" for t in model.tasks]
        raise DataError(
            "Episodes of classes need a model with one task, a classification.\nReceived "
            f"{listed(received)}.\n"
            "Give the model that one Task, or draw episodes of rows with EpisodeSampler(task=None)."
        )
    return model.tasks[0]
