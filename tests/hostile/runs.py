"""Run folders: changed files, forged ones with the right digests, and other things in place of
files.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np

from tests.analysis.folders import make_table, noisy, write_run
from tests.hostile.palette import changed_bytes, changed_json, choose, dumped, replaced
from tf_transfer.comparison.comparison import Comparison
from tf_transfer.experiments import array_files, runs
from tf_transfer.report import render

ROWS = 24


def prepare(base: Path) -> None:
    draws = np.random.default_rng(0)
    y = draws.integers(0, 2, ROWS)
    cells = {
        s: {16: noisy(draws, y, [0.7, 0.8]), 32: noisy(draws, y, [0.7, 0.8])}
        for s in ("target_only", "fine_tune")
    }
    rare = {16: draws.random(ROWS), 32: draws.random(ROWS)}
    write_run(
        base / "run", y, cells, table=make_table(ROWS), rare_words=rare, groups=np.arange(ROWS) // 2
    )


def make(draws, base, folder):
    run = folder / "run"
    shutil.copytree(base / "run", run)
    files = sorted(p for p in run.rglob("*") if p.is_file())
    path, how = choose(draws, files), draws.random()
    if how < 0.4:
        _forge_run(draws, run / "run.json")
    elif how < 0.65:
        _forge_arrays(draws, choose(draws, [p for p in files if p.suffix == ".npz"]))
    elif how < 0.8:
        path.write_bytes(changed_bytes(draws, path.read_bytes()))
    else:
        replaced(draws, path)

    def take():
        comparison = Comparison(run)
        str(comparison)
        comparison.verdicts()
        if draws.random() < 0.4:
            render(comparison, folder / "out")

    return take


def _forge_run(draws, path: Path) -> None:
    content = json.loads(path.read_text())
    content.pop("digest")
    plan = draws.random() < 0.7
    part = content["provenance"]["plan"] if plan else content
    changed = changed_json(draws, part)
    if plan:
        content["provenance"]["plan"] = changed
    else:
        content = changed
    path.write_text(dumped(content | {"digest": runs._hash(content)}), encoding="utf-8")


def _forge_arrays(draws, path: Path) -> None:
    arrays, note = array_files.read_arrays(path)
    if draws.random() < 0.3:
        note = changed_json(draws, note)
        note = note if isinstance(note, dict) else {}
    else:
        name = choose(draws, list(arrays))
        arrays[name] = _changed_array(draws, arrays[name])
        if draws.random() < 0.2:
            arrays[
                choose(draws, ["y/other", "present/mood", "scores/mood", "rare words/x", "groups"])
            ] = arrays.pop(name)
    array_files.write_arrays(path, arrays, note)


def _changed_array(draws, array: np.ndarray) -> np.ndarray:
    array = np.array(array)
    how = draws.integers(8)
    if how == 0:
        return array[: len(array) // 2]
    if how == 1:
        return array.astype(
            choose(draws, ["f2", "f8", "i1", "u8", "U5", "S3", "bool", "c8", "M8[s]"]), copy=True
        )
    if how == 2:
        return array.reshape(-1, 1)
    if how == 3:
        return np.array(choose(draws, [np.nan, 5, -1, np.inf, "a", b"\xff"]))
    if how == 4 and array.size and array.dtype.kind == "f":
        array.flat[int(draws.integers(array.size))] = choose(draws, [np.nan, np.inf, -5, 1e30])
    elif how == 5 and array.size and array.dtype.kind in "iu":
        array.flat[int(draws.integers(array.size))] = choose(draws, [-1, 99])
    elif how == 6:
        return array[:0]
    else:
        return array * 3 if array.dtype.kind in "if" else ~array if array.dtype == bool else array
    return array
