"""What two runs must share for one to go on where the other stopped, as JSON."""

from __future__ import annotations

import dataclasses
import hashlib
import json

import numpy as np
import pandas as pd

from tf_transfer.batches.model import Model
from tf_transfer.errors import CheckpointError, differing_keys


def plain_json(content) -> dict:
    """``content`` as it comes back from a JSON file; what JSON does not know becomes text."""
    return json.loads(json.dumps(content, default=str))


def model_settings(model: Model) -> dict:
    """What a `TransferModel` is, but for its weights."""
    encoder, frozen = model.encoder, model.frozen
    config = {
        k: v
        for k, v in encoder.config.to_dict().items()
        if k not in ("_name_or_path", "transformers_version")
    }
    return {
        "tasks": [dataclasses.asdict(t) for t in model.tasks],
        "freeze": frozen["encoder"],
        "frozen heads": frozen["heads"],
        "encoder": _hash(json.dumps(config, sort_keys=True, default=str), encoder.pooling),
        "tokenizer": _hash(encoder.reads.identity()),
        "shapes of the weights": _hash(*(f"{v.shape} {v.dtype}" for v in model.state)),
        **model.options,
    }


def start_settings(model: Model, optimizer) -> dict:
    """Where a run starts from: the weights, and an optimizer that has not made a step."""
    return {"first weights": weights_hash(model.state), "optimizer": optimizer_settings(optimizer)}


def optimizer_settings(optimizer) -> dict:
    """What a Keras optimizer is."""
    return {"class": type(optimizer).__name__, **optimizer.get_config()}


def weights_hash(variables) -> str:
    """A hash of the variables' values."""
    hasher = hashlib.sha256()
    for variable in variables:
        hasher.update(np.ascontiguousarray(variable.numpy()))
    return hasher.hexdigest()


def table_hash(table: pd.DataFrame, columns) -> str:
    """A hash of a table's rows in those of ``columns`` that it has; no text is tokenised."""
    names = [c for c in dict.fromkeys(columns) if c is not None and c in table.columns]
    return _hash(*names, *("\x1f".join(map(str, table[name])) for name in names))


def data_columns(model: Model) -> list:
    """The columns that a model reads."""
    return [model.options["text"], model.options["text_pair"], *(t.label for t in model.tasks)]


def episode_settings(sampler, columns) -> dict:
    """What decides the episodes of an `EpisodeSampler`."""
    label = None if sampler.task is None else sampler.task.label
    names = ("way", "shot", "num_query", "seed", "domain", "balanced", "drop_small", "classes")
    hashed = table_hash(sampler.table, [*columns, label, sampler.domain])
    return {"rows": len(sampler.table), "hash": hashed, "label": label} | {
        n: getattr(sampler, n) for n in names
    }


def check_same(path, kept: dict, now: dict) -> None:
    """Raises:
    CheckpointError: two settings differ; the message names those that do.
    """
    names = differing_keys(kept, now)
    if names:
        raise CheckpointError(
            f"{path} is the backup of another training; nothing was changed.\n"
            f"These differ: {'; '.join(_difference(n, kept.get(n), now.get(n)) for n in names)}.\n"
            "Start as that training was started to go on with it; to train anew, give another "
            "backup_dir or delete this one."
        )


def _difference(name: str, kept, now) -> str:
    if isinstance(kept, dict) and isinstance(now, dict):
        inner = differing_keys(kept, now)
        return ", ".join(_difference(f"{name}: {k}", kept.get(k), now.get(k)) for k in inner)
    shown = [json.dumps(v) for v in (kept, now)]
    hashes = any(isinstance(v, str) and len(v) == 64 for v in (kept, now))
    if hashes or max(map(len, shown)) > 60:
        return name
    return f"{name} ({shown[0]} in the backup, {shown[1]} now)"


def _hash(*parts: str) -> str:
    return hashlib.sha256("\x1e".join(parts).encode()).hexdigest()
