"""Jobs that are killed at every file operation and at random moments, started again, and held
against whole ones.
"""

from __future__ import annotations

import dataclasses
import hashlib
import io
import json
import os
import warnings
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import yaml

from tests import tiny
from tests.experiments import BAD, GOOD, WORDS, make_table
from tf_transfer.assets import fetching as assets
from tf_transfer.assets import registry
from tf_transfer.comparison.compare import compare
from tf_transfer.devices.backend import keras, tf
from tf_transfer.files import storage
from tf_transfer.files.temporary import hidden
from tf_transfer.training.callbacks.resume import Resume
from tf_transfer.tuning.tune import tune

MODEL = "model"
FILES = {"config.json": b'{"hidden_size": 8}', "vocab.txt": b"a\nb\n" * 99, "LICENSE": b"free"}


@dataclasses.dataclass(frozen=True)
class Job:
    """Something that writes files.

    Args:
        prepare: makes what the job starts from, in a folder of inputs and in the folder that it
            writes to.
        run: the job, with these two folders.
        result: what of the folder that it wrote to must be the same at its end, however often it
            was killed.
        sound: whether nothing is lost in the folder that a killed job left.
    """

    prepare: Callable[[Path, Path], None]
    run: Callable[[Path, Path], None]
    result: Callable[[Path], object]
    sound: Callable[[Path, Path], bool] = lambda inputs, folder: True


def contents(folder: Path) -> dict[str, str]:
    """A hash of every file, by its path; folders too."""
    return {
        str(path.relative_to(folder)): ""
        if path.is_dir()
        else hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
    }


# -- save over a model -----------------------------------------------------------------------------


def prepare_save(inputs: Path, folder: Path) -> None:
    tiny.make_model(seed=1).save(folder / MODEL)
    tiny.make_model(seed=1).save(inputs / "old")
    tiny.make_model(tiny.TASKS[:1], seed=2).save(inputs / "new")


def run_save(inputs: Path, folder: Path) -> None:
    tiny.make_model(tiny.TASKS[:1], seed=2).save(folder / MODEL)


def run_save_in_two_steps(inputs: Path, folder: Path) -> None:
    storage.exchange = lambda first, second: False
    run_save(inputs, folder)


def old_or_new(inputs: Path, folder: Path) -> bool:
    storage.restore(folder / MODEL)  # as whoever reads it does
    return contents(folder / MODEL) in (contents(inputs / "old"), contents(inputs / "new"))


def always_there(inputs: Path, folder: Path) -> bool:
    """Where folders change places in one step, there is nothing to restore."""
    return (folder / MODEL).is_dir() and old_or_new(inputs, folder)


# -- fetch -----------------------------------------------------------------------------------------


def prepare_fetch(inputs: Path, folder: Path) -> None:
    with zipfile.ZipFile(inputs / "asset.zip", "w") as archive:
        for name, content in FILES.items():
            archive.writestr(f"package/{name}", content)


def _register(pip: bool) -> None:
    files = {
        n: registry.File(f"package/{n}", hashlib.sha256(c).hexdigest(), len(c))
        for n, c in FILES.items()
    }
    archive = registry.PipArchive("asset", "1.0", "0" * 64, 100_000) if pip else None
    entry = registry.Entry("asset", "encoder", "A test", "none", "nowhere", files, pip=archive)
    registry.ENTRIES["asset"] = entry


def run_fetch(inputs: Path, folder: Path) -> None:
    os.environ[assets.CACHE_VARIABLE] = str(folder)
    _register(pip=False)
    assets.fetch("asset", inputs / "asset.zip")


def run_fetch_with_pip(inputs: Path, folder: Path) -> None:
    """pip itself is replaced by a copy of the archive."""

    def download(module, arguments, work):
        target = Path(arguments[arguments.index("--dest") + 1])
        target.mkdir()
        (target / "asset-1.0-py3-none-any.whl").write_bytes((inputs / "asset.zip").read_bytes())
        return type("Done", (), {"returncode": 0, "stderr": ""})

    os.environ[assets.CACHE_VARIABLE] = str(folder)
    assets.run_module = download
    _register(pip=True)
    assets.fetch("asset")


def none_or_whole(inputs: Path, folder: Path) -> bool:
    asset = folder / "asset"
    return not asset.exists() or set(contents(asset)) == {*FILES, assets.MANIFEST}


# -- fit with Resume -------------------------------------------------------------------------------


def nothing(inputs: Path, folder: Path) -> None:
    pass


def _eagerly() -> None:
    """Nothing is traced, which would take most of the time."""
    tf.config.run_functions_eagerly(True)
    warnings.filterwarnings(
        "ignore", message="Even though the `tf.config.experimental_run_functions_eagerly`"
    )


def run_fit(inputs: Path, folder: Path) -> None:
    _eagerly()
    model = tiny.make_model(tiny.TASKS[:1])
    model.compile("adam")
    callbacks = [
        Resume(folder / "backup", save_freq=1),
        keras.callbacks.CSVLogger(str(folder / "log.csv")),
    ]
    model.fit(tiny.make_table(8), batch_size=4, epochs=2, verbose=0, callbacks=callbacks)
    model.save(folder / MODEL)


# -- compare and tune ------------------------------------------------------------------------------


def prepare_experiment(inputs: Path, folder: Path) -> None:
    encoder = tiny.make_encoder(texts=[*WORDS, *GOOD, *BAD])
    encoder.save_pretrained(inputs / "encoder")
    for name, rows in (("films", 8), ("shops", 24)):
        make_table(rows, seed=rows).to_csv(inputs / f"{name}.csv", index=False)
    experiment = {
        "encoder": {"name": "encoder", "max_length": 12},
        "tasks": [{"name": "stars", "kind": "regression"}],
        "sources": {"films": "films.csv"},
        "targets": {"shops": {"data": "shops.csv", "test_size": 12}},
        "strategies": {
            "majority": {},
            "fine_tune": {"epochs": 1, "adapt_steps": 1, "batch_size": 8},
        },
        "baseline": "majority",
        "budgets": [12],
        "seeds": 1,
        "tune": {
            "strategies": {"tfidf": {"penalty": [0.1, 1.0, 10.0]}},
            "folds": 2,
            "repeats": 1,
            "oracle": "random",
            "objective": "stars/mae",
            "trials": 2,
        },
    }
    (inputs / "small.yaml").write_text(
        yaml.safe_dump(experiment, sort_keys=False), encoding="utf-8"
    )
    experiment["strategies"] = {"majority": {}, "tfidf": {}}
    (inputs / "search.yaml").write_text(
        yaml.safe_dump(experiment, sort_keys=False), encoding="utf-8"
    )


def run_compare(inputs: Path, folder: Path) -> None:
    _eagerly()
    compare(inputs / "small.yaml", folder / "run").save()


def run_tune(inputs: Path, folder: Path) -> None:
    tune(inputs / "search.yaml", folder / "search")


def run_result(folder: Path) -> object:
    """The names of all files; of cells the scores, of tables and verdicts all, of run.json what is
    no time.
    """
    found = dict.fromkeys(contents(folder), "")
    for path in (folder / "run").rglob("*.npz"):
        with np.load(path) as arrays:
            found[str(path.relative_to(folder))] = {
                k: v.tobytes() for k, v in arrays.items() if "/" in k
            }
    for name in ("results.csv", "verdicts.json", "targets/shops.jsonl"):
        found[f"run/{name}"] = (folder / "run" / name).read_bytes()
    content = json.loads((folder / "run" / "run.json").read_text())
    content["provenance"].pop("started")
    return found | {"run/run.json": {k: v for k, v in content.items() if k != "digest"}}


def search_result(folder: Path) -> object:
    """The names of all files, the best, and every trial but for its seconds."""
    found = dict.fromkeys(contents(folder), "")
    trials = pd.read_csv(io.StringIO((folder / "search" / "trials.csv").read_text())).drop(
        columns="seconds"
    )
    return found | {
        "best": (folder / "search" / "best.yaml").read_text(),
        "trials": trials.to_csv(),
    }


JOBS = {
    "save": Job(prepare_save, run_save, contents, always_there),
    "save in two steps": Job(prepare_save, run_save_in_two_steps, contents, old_or_new),
    "fetch": Job(prepare_fetch, run_fetch, contents, none_or_whole),
    "fetch with pip": Job(prepare_fetch, run_fetch_with_pip, contents, none_or_whole),
    "fit with Resume": Job(nothing, run_fit, contents),
    "compare": Job(prepare_experiment, run_compare, run_result),
    "tune": Job(prepare_experiment, run_tune, search_result),
}


def left_over(folder: Path) -> list[str]:
    """What a killed process may have left, by its name."""
    marks = (hidden(Path("x"), "").name.rpartition(".")[2], "part", "tmp", "old")
    return [
        name
        for name in contents(folder)
        if name.endswith(tuple(f".{mark}" for mark in marks)) or "-old" in name
    ]
