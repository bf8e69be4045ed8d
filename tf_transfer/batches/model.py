"""What the rooms below `model/` ask of a model of texts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from tf_transfer.kinds.tasks import Task


class Model(Protocol):
    """A `TransferModel`, as batches, episodes and callbacks see it.

    Attributes:
        tasks: resolved, or still open before the first training.
        heads: by task; empty while a task is open.
        encoder: its `Encoder`.
        options: the columns that it reads, ``max_length``, ``dropout`` and ``seed``.
        state: all variables that predictions depend on.
        optimizer: the one of `compile`.
        token_tasks: the names of the tasks whose heads read tokens.
    """

    tasks: Sequence[Task]
    heads: Mapping[str, Any]
    encoder: Any
    options: Mapping[str, Any]
    state: Sequence[Any]
    optimizer: Any
    token_tasks: Sequence[str]

    def tokenise(self, table, spans: bool = False) -> Any:
        """The rows of a table as the encoder reads them."""

    def predict(self, x, **options) -> Any:
        """What the heads say of rows, by task."""

    def evaluate(self, x, **options) -> Any:
        """The metrics of rows with labels."""
