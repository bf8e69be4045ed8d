"""Episodes as tensors: rows gathered from a table that is tokenised once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

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
from tf_transfer.kinds.answers import Answers
from tf_transfer.kinds.base import PADDED
from tf_transfer.kinds.labels import encode_labels
from tf_transfer.kinds.tasks import Task


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
        self.by_class = sampler.task is not None and kind_of(sampler.task).draws_classes
        if self.by_class:
            self.name, self._kind = only_few_shot(model).name, kind_of(sampler.task)
            labels, _ = sampler.task.encode(sampler.table)
            self._of_table = Targets(self.tokens, {self.name: (sampler.task, labels)})
            self._places = {c: i for i, c in enumerate(sampler.task.classes)}
            if teach:
                # each output stands for a class of an episode, whichever it is
                model.heads[self.name].teach_all()
        else:
            y, self.w = encode_labels(model.tasks, sampler.table, "the episodes' table")
            for name, head in model.heads.items() if teach else ():
                head.note_labels(y[name][self.w[name] > 0])
            self._of_table = Targets.of_model(model, y, self.tokens)

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
        targets, kept = self._of_table.of(rows, length), np.maximum(rows, 0)
        if self.by_class:
            of_table = targets[self.name].numpy()
            slots = np.stack([self._slots(e, labels) for e, labels in zip(episodes, of_table)])
            weights = real.astype(np.float32)
            return x, {self.name: tf.constant(slots)}, {self.name: tf.constant(weights)}
        weights = {name: np.where(real, w[kept], 0) for name, w in self.w.items()}
        return x, targets, {n: tf.constant(w.astype(np.float32)) for n, w in weights.items()}

    def _slots(self, episode: Episode, labels: np.ndarray) -> np.ndarray:
        """Targets (rows, …) int32 in the episode's numbers of the table's classes; 0 for the class
        of rows that fill up.
        """
        slot_of = np.zeros(len(self._places), np.int32)
        slot_of[[self._places[c] for c in episode.classes]] = np.arange(episode.way)
        if self._kind.episodes == "types":
            return self._kind.renumbered_targets(labels, slot_of)
        return slot_of[labels]


class Targets:
    """What heads are trained on, of chosen rows of a table.

    Args:
        tokens: of all rows, with their spans where a task is about tokens.
        labels: the `Task` and the encoded labels of each name.
    """

    def __init__(self, tokens: Tokens, labels: Mapping[str, tuple[Task, Answers]]):
        self._tokens = tokens
        self._by_token = [name for name, (t, _) in labels.items() if kind_of(t).reads == "tokens"]
        self._values = {name: kind_of(t).targets(t, y, tokens) for name, (t, y) in labels.items()}

    @classmethod
    def of_model(cls, model: Model, y: Mapping[str, Answers], tokens: Tokens) -> Targets:
        """Of the tasks of a model."""
        return cls(tokens, {task.name: (task, y[task.name]) for task in model.tasks})

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
    targets = Targets.of_model(model, y, tokens).of(rows, length)
    return x, targets, {k: tf.constant(v) for k, v in w.items()}


def only_few_shot(model: Model):
    """The model's one task, which must be of a kind that has episodes of classes.

    Raises:
        DataError: it has several tasks, or one of another kind.
    """
    kinds = kinds_where(draws_classes=True)
    if len(model.tasks) != 1 or model.tasks[0].kind not in (AUTO, *kinds):
        received = [f"{t.name}: {t.kind}" for t in model.tasks]
        raise DataError(
            f"Episodes of classes need a model with one task, a {' or a '.join(kinds)}.\nReceived "
            f"{listed(received)}.\n"
            "Give the model that one Task, or draw episodes of rows with EpisodeSampler(task=None)."
        )
    return model.tasks[0]
