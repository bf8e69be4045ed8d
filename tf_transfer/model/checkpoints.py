"""A trained model as a folder: config.json, model.safetensors and the encoder's own files."""

from __future__ import annotations

import dataclasses
import json
import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np

from tf_transfer.encoders import loading
from tf_transfer.encoders.checks import at_most
from tf_transfer.errors import CheckpointError, first_line, listed
from tf_transfer.files.file_format import FileFormat
from tf_transfer.files.storage import (
    check_folder_name,
    check_writable,
    restore,
    whole_file,
    whole_folder,
)
from tf_transfer.files.tensor_files import file_size, read_tensors, write_tensors
from tf_transfer.files.untrusted import read_json
from tf_transfer.kinds.class_types import class_from_json, class_to_json
from tf_transfer.kinds.tasks import Task
from tf_transfer.model.network import Network

FORMAT = FileFormat("tf_transfer", 2)
LEARNED = "learned_"
"""Starts the keys of arrays that a strategy has learned beside the weights."""
CONFIG, WEIGHTS, ENCODER = "config.json", "model.safetensors", "encoder"
_OPTIONS = {
    "text": str,
    "text_pair": str | None,
    "max_length": int,
    "dropout": int | float,
    "seed": int,
}
_REMEDY = "Save the model again, or copy the whole folder."
_OTHER = "Train and save the model again; a model of Hugging Face is loaded with load_encoder."


def save_model(model: Network, folder: str | Path, overwrite: bool = True) -> None:
    """Writes a model; an earlier folder of that name is replaced only when all is written.

    Raises:
        CheckpointError: the disk is full, the folder cannot be written, it holds anything but a
            saved model, or it exists and ``overwrite`` is False.
        DataError: the tasks of the model have no kind or classes yet.
    """
    model._require_heads()
    config = {
        **FORMAT.note(),
        "tasks": [_task_to_json(t) for t in model.tasks],
        "options": model.options,
        "frozen": model.frozen,
    }
    check_folder(folder)
    with whole_folder(folder, overwrite) as staging:
        (staging / CONFIG).write_text(
            json.dumps(config, indent=1, default=_plain), encoding="utf-8"
        )
        (staging / ENCODER).mkdir()
        loading.save_config(model.encoder, staging / ENCODER)
        _write_tensors(model, staging / WEIGHTS, {})


def check_folder(folder: str | Path) -> None:
    """Whether `save_model` can write there; good to know before a long training.

    Raises:
        CheckpointError: the folder cannot be written, or holds anything but a saved model: to
            replace it removes its content.
    """
    folder = Path(folder)
    check_folder_name(folder)
    check_writable(folder)
    restore(folder)
    if folder.is_dir() and any(folder.iterdir()):
        try:
            _read_config(folder)
        except CheckpointError as error:
            raise CheckpointError(
                f"{folder} exists and is not a saved model; it is kept as it is.\n"
                f"Received a folder with {listed(sorted(p.name for p in folder.iterdir()))}.\nGive "
                "another name."
            ) from error


def read_model(folder: str | Path, kind: type[Network]) -> Network:
    """The model that `save_model` wrote, not compiled; it predicts the same bits.

    Args:
        kind: class of the model, made as ``kind(encoder, tasks, **options)``.

    Raises:
        CheckpointError: no such folder, a file is missing, damaged, or not of this toolkit.
    """
    folder = Path(folder)
    config = _read_config(folder)
    try:
        tasks = [_task_from_json(t) for t in config["tasks"]]
        _check_options(config["options"])
        with at_most(file_size(folder / WEIGHTS, _REMEDY)):
            model = kind(loading.encoder_from_config(folder / ENCODER), tasks, **config["options"])
        if "frozen" in config:
            model.freeze_like(config["frozen"])
    except CheckpointError:
        raise
    except Exception as error:  # the tokenizers library raises bare Exceptions
        raise CheckpointError(
            f"{folder} is damaged: {first_line(error)}\nSave the model again."
        ) from error
    load_state(model, folder / WEIGHTS)
    return model


def save_state(
    model: Network, path: str | Path, note: dict[str, str], learned: Sequence[np.ndarray] = ()
) -> None:
    """Writes the weights alone, a note and what was learned beside them, whole or not at all.

    Raises:
        CheckpointError: the disk is full or the file cannot be written.
    """
    with whole_file(path) as staging:
        _write_tensors(model, staging, note, learned)


def load_state(model: Network, path: str | Path) -> tuple[dict[str, str], list[np.ndarray]]:
    """Sets the weights that `save_state` wrote for a model of the same architecture.

    Returns:
        The note, and the arrays that were learned beside the weights.

    Raises:
        CheckpointError: the file is missing, damaged, or of another architecture; ``model`` is
            then as it was.
    """
    tensors, note, intact = read_tensors(path, _REMEDY)
    expected = {_key(i): tuple(v.shape) for i, v in enumerate(model.state)}
    wrong = [k for k in expected if k not in tensors or tensors[k].shape != expected[k]]
    learned = [k for k in sorted(tensors) if k.startswith(LEARNED)]
    if wrong or len(tensors) - len(learned) != len(expected):
        raise CheckpointError(
            f"{path} does not fit the model.\n"
            f"Expected {len(expected)} weights; received {len(tensors)}; missing or of another "
            f"shape are {listed(wrong)}.\nThe file comes from another model: save the model again."
        )
    if not intact:
        raise CheckpointError(f"{path} is damaged: its content is not what was written.\n{_REMEDY}")
    _check_finite(path, [tensors[_key(i)] for i in range(len(expected))])
    for i, variable in enumerate(model.state):
        variable.assign(tensors[_key(i)])
    return note, [tensors[k] for k in learned]


def _write_tensors(
    model: Network, path: Path, note: dict[str, str], learned: Sequence[np.ndarray] = ()
) -> None:
    tensors = {_key(i): np.ascontiguousarray(v.numpy()) for i, v in enumerate(model.state)}
    _check_finite("The model", tensors.values())
    tensors |= {f"{LEARNED}{i:04d}": np.asarray(v, order="C") for i, v in enumerate(learned)}
    write_tensors(path, tensors, note)


def _check_options(options: dict) -> None:
    """Raises:
    ValueError: an option of a model is of another type, or cannot be.
    """
    for name, kinds in _OPTIONS.items():
        value = options.get(name)
        if not isinstance(value, kinds) or isinstance(value, bool):
            raise ValueError(f"its option {name} is {value!r}")
    if options["max_length"] < 1 or not 0 <= options["dropout"] < 1:
        raise ValueError(
            f"its max_length is {options['max_length']}, its dropout {options['dropout']}"
        )


def _check_finite(what: object, weights: Iterable[np.ndarray]) -> None:
    if not all(np.isfinite(w).all() for w in weights):
        raise CheckpointError(
            f"{what} must have weights that are finite numbers.\nReceived NaN or infinity among "
            "them.\n"
            "Train again with a lower learning rate."
        )


def _task_to_json(task: Task) -> dict:
    fields = dataclasses.asdict(task) | {"classes": [class_to_json(c) for c in task.classes]}
    if task.labels:
        fields["labels"] = {written: class_to_json(c) for written, c in task.labels.items()}
    if isinstance(task.class_weight, Mapping):  # pairs, since the keys of a JSON object are text
        fields["class_weight"] = [
            (class_to_json(c), weight) for c, weight in task.class_weight.items()
        ]
    return fields


def _task_from_json(fields: dict) -> Task:
    weight = fields["class_weight"]
    if isinstance(weight, list):
        weight = {class_from_json(c): factor for c, factor in weight}
    return Task(**{**fields, "class_weight": weight})


def _key(index: int) -> str:
    return f"weight_{index:04d}"


def _read_config(folder: Path) -> dict:
    restore(folder)
    path = folder / CONFIG
    if not os.path.exists(path):
        contents = (
            listed(sorted(p.name for p in folder.iterdir()))
            if os.path.isdir(folder)
            else "no such folder"
        )
        raise CheckpointError(
            f"{folder} must be the folder of a saved model, with {CONFIG} and "
            f"{WEIGHTS}.\nReceived: {contents}."
        )
    try:
        config = read_json(path)
    except (OSError, ValueError) as error:
        raise CheckpointError(f"{path} is damaged: {error}\nSave the model again.") from error
    FORMAT.check(path, config, _OTHER)
    return config


def _plain(value):
    return value.item() if isinstance(value, np.generic) else str(value)
