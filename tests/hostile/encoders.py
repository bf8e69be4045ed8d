"""Folders of encoders: changed and forged configurations, tokenizers, notes and weights."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import safetensors.numpy

from tests import tiny
from tests.hostile.palette import changed_bytes, changed_json, choose, dumped, replaced
from tf_transfer.devices.backend import tf
from tf_transfer.encoders.loading import load_encoder

FAMILIES = [
    "bert",
    "distilbert",
    "roberta",
    "albert",
    "gpt2",
    "t5",
    "deberta-v2",
    "electra",
    "vit",
    "swin",
    "bart",
    "clip",
    "x",
]


def prepare(base: Path) -> None:
    for family in ("bert", "gpt2", "t5"):
        tiny.make_encoder(family).save_pretrained(base / family)


def make(draws, base, folder):
    copy = folder / "encoder"
    shutil.copytree(base / choose(draws, ["bert", "bert", "gpt2", "t5"]), copy)
    spoil(draws, copy)
    return lambda: _use(load_encoder(copy))


def spoil(draws, folder: Path) -> None:
    """One change to one file of an encoder's folder."""
    files = sorted(p for p in folder.iterdir() if p.is_file())
    texts = [p for p in files if p.suffix == ".json"]
    path, how = choose(draws, files), draws.random()
    if how < 0.55:
        path = choose(draws, [*texts, folder / "config.json", folder / "config.json"])
        content = changed_json(draws, json.loads(path.read_text()))
        if path.name == "config.json" and draws.random() < 0.3:
            content = (
                {**content, "model_type": choose(draws, FAMILIES)}
                if isinstance(content, dict)
                else content
            )
        path.write_text(dumped(content))
    elif how < 0.7 and (folder / "model.safetensors").exists():
        spoil_weights(draws, folder / "model.safetensors")
    elif how < 0.85:
        path.write_bytes(changed_bytes(draws, path.read_bytes()))
    else:
        replaced(draws, path)


def spoil_weights(draws, path: Path) -> None:
    """Forged arrays in a whole file."""
    tensors = {k: np.array(v) for k, v in safetensors.numpy.load_file(path).items()}
    name, how = choose(draws, sorted(tensors)), draws.integers(6)
    if how == 0:
        tensors.pop(name)
    elif how == 1:
        tensors[name] = np.full_like(tensors[name], choose(draws, [np.nan, np.inf, 1e38]))
    elif how == 2:
        tensors[name] = tensors[name].astype(choose(draws, ["f2", "f8", "i4", "u1", "bool"]))
    elif how == 3:
        tensors[name] = tensors[name][..., :1]
    elif how == 4:
        tensors[name + "x"] = tensors[name]
    else:
        tensors[name] = np.zeros((0, 3), np.float32)
    safetensors.numpy.save_file(
        tensors,
        path,
        metadata=choose(draws, [{"format": "pt"}, {"format": "tf"}, {}, {"format": "x"}]),
    )


def _use(encoder) -> None:
    encoded = encoder.tokenizer(["still lake", ""], padding=False)
    length = min(max(map(len, encoded["input_ids"])), encoder.max_length)
    ids = [(row + [0] * length)[:length] for row in encoded["input_ids"]]
    x = {
        field: tf.constant(ids) if field == "input_ids" else tf.ones_like(ids)
        for field in encoder.fields
    }
    x = {
        field: tf.zeros_like(value) if field == "token_type_ids" else value
        for field, value in x.items()
    }
    assert encoder(x).shape == (2, encoder.width)
