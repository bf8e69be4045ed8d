"""Answers from what a served model returns: spans of characters instead of scores of tokens."""

from __future__ import annotations

import json
import types
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pandas as pd

from tf_transfer.batches.tokens import Tokens, tokenise
from tf_transfer.errors import CheckpointError, DataError, check_choice, shown
from tf_transfer.evaluation.predictions import Prediction, Predictions
from tf_transfer.kinds import kind_of
from tf_transfer.kinds.class_types import class_from_json
from tf_transfer.kinds.tasks import Task
from tf_transfer.model.export import FORMAT, TASKS, TOKENIZER


def decode_served(folder: str | Path, rows, outputs: Mapping[str, object]) -> Predictions:
    """The answers of an exported model, from the scores that its signature returned.

    Neither the encoder nor TensorFlow is run, so the scores may come from any server.

    Args:
        folder: of `TransferModel.export`, for its tokenizer and its tasks.
        rows: a table, or texts, as they were tokenised for the signature, in its order.
        outputs: what the signature returned, ``{task: scores}``: (rows, …), or (rows, length, …) of
            a task on tokens, where rows may be padded to any length.

    Returns:
        As `TransferModel.predict`: to float32, that is what the model itself says.

    Raises:
        CheckpointError: the folder holds no export.
        DataError: the scores are of another task, or of other rows.

    Example:
        >>> import tempfile
        >>> from tf_transfer import Task, TransferModel, tiny_encoder
        >>> task = Task("names", kind="tagging", classes=("person",))
        >>> model = TransferModel(tiny_encoder(), task, max_length=16)
        >>> folder = Path(tempfile.mkdtemp()) / "names"
        >>> model.export(folder)
        >>> scores = np.full((1, 16, 3), [0.1, 0.8, 0.1])
        >>> said = decode_served(folder, ["warm light"], {"names": scores})
        >>> [span.tolist() for span in said["names"].scores[0]]
        [[0, 4, 0], [5, 10, 0]]
    """
    about = _about(Path(folder))
    tasks = {name: _task(name, fields) for name, fields in about["tasks"].items()}
    table = rows if isinstance(rows, pd.DataFrame) else pd.DataFrame({about["text"]: list(rows)})
    tokens, predictions = None, {}
    for name in outputs:
        check_choice("task of the export", name, list(tasks))
    for name, task in tasks.items():
        if name not in outputs:
            continue
        array = np.asarray(outputs[name])
        if len(array) != len(table):
            raise DataError(
                f"Scores must be of the rows that were served.\nReceived scores of {name!r} of "
                f"shape {array.shape} for {len(table)} rows.\nGive both in the same order."
            )
        if kind_of(task).reads == "tokens":
            tokens = _tokens(Path(folder), about, table) if tokens is None else tokens
            array = _of_tokens(name, array, tokens)
        head = types.SimpleNamespace(task=task)
        predictions[name] = Prediction(task, kind_of(task).from_served(head, array, tokens))
    return Predictions(predictions)


def _about(folder: Path) -> dict:
    try:
        about = json.loads((folder / TASKS).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise CheckpointError(
            f"Folder {str(folder)!r} must hold an exported model.\nReceived none that can be read: "
            f"{error}.\nWrite one with model.export(folder)."
        ) from error
    if not isinstance(about, dict) or about.get("format") != FORMAT:
        raise CheckpointError(
            f"{TASKS} in {str(folder)!r} must be of the format {FORMAT!r}.\n"
            f"Received {shown(about)}.\nExport the model again."
        )
    return about


def _task(name: str, fields: Mapping) -> Task:
    return Task(name, kind=fields["kind"], classes=tuple(map(class_from_json, fields["classes"])))


def _tokens(folder: Path, about: Mapping, table: pd.DataFrame) -> Tokens:
    """The tokens of the rows with their characters, as the served model reads them."""
    import transformers

    tokenizer = transformers.AutoTokenizer.from_pretrained(folder / TOKENIZER)
    reader = types.SimpleNamespace(
        tokenizer=tokenizer,
        fields=about["inputs"],
        max_length=about["max_length"],
        config=types.SimpleNamespace(vocab_size=len(tokenizer)),
    )
    options = {name: about[name] for name in ("text", "text_pair", "max_length")}
    return tokenise(reader, table, **options, spans=True)


def _of_tokens(name: str, scores: np.ndarray, tokens: Tokens) -> np.ndarray:
    """(tokens, …) of all rows, from (rows, length, …)."""
    if scores.ndim != 3 or scores.shape[1] < tokens.lengths.max():
        raise DataError(
            f"Scores of {name!r} must be of every token.\nReceived the shape {scores.shape} for "
            f"rows of up to {tokens.lengths.max()} tokens.\n"
            "Tokenise with the tokenizer of the export: tokenizer(texts, padding=True, "
            "truncation=True)."
        )
    return scores[np.arange(scores.shape[1]) < tokens.lengths[:, None]]
