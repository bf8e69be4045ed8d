"""Folders of saved models: changed and forged; what is loaded predicts."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np

from tests import tiny
from tests.hostile.encoders import spoil
from tests.hostile.palette import changed_bytes, changed_json, choose, dumped, replaced
from tf_transfer.files.tensor_files import read_tensors, write_tensors
from tf_transfer.model.model import load_model


def prepare(base: Path) -> None:
    tiny.make_model().save(base / "model")


def make(draws, base, folder):
    model = folder / "model"
    shutil.copytree(base / "model", model)
    path, how = model / "config.json", draws.random()
    if how < 0.35:
        path.write_text(dumped(changed_json(draws, json.loads(path.read_text()))))
    elif how < 0.6:
        spoil(draws, model / "encoder")
    elif how < 0.75:
        _forge(draws, model / "model.safetensors")
    else:
        path = choose(draws, [path, model / "model.safetensors"])
        path.write_bytes(changed_bytes(draws, path.read_bytes()))
        if how > 0.9:
            replaced(draws, path)

    def take():
        loaded = load_model(model)
        assert len(loaded.predict(["still lake"], verbose=0)) == len(loaded.tasks)

    return take


def _forge(draws, path: Path) -> None:
    tensors, note, _ = read_tensors(path, "")
    name, how = choose(draws, sorted(tensors)), draws.integers(6)
    value = np.array(tensors[name])
    if how == 0:
        tensors.pop(name)
    elif how == 1:
        tensors[name] = np.full(value.shape, np.nan, np.float32)
    elif how == 2:
        tensors[name] = value.astype(choose(draws, ["f2", "f8", "i4", "u1", "bool"]))
    elif how == 3:
        tensors[name] = value[..., :1]
    elif how == 4:
        tensors["learned_0000"] = value
    else:
        tensors[name] = np.full(value.shape, 1e38, np.float32)
    write_tensors(path, tensors, note)
