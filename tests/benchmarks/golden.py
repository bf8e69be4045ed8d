"""Whether every stored prediction, metric, interval and verdict is still the same to the last bit.

    python -m tests.benchmarks.golden [FOLDER] [--write]

Two small experiments, trained models, estimators, episodes and a search are run anew with a tiny
random encoder, and digests of what they give are compared with those in golden.json. What may
differ between two runs of the same code is left out: seconds, memory, dates and versions. A change
that means to change results writes golden.json again with ``--write``, which compares nothing.
Nothing is downloaded, and one thread is used, whatever the number of cores.
"""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import hashlib
import json
import logging
import os
import re
import shutil
import tempfile
import warnings
from collections.abc import Iterator, Mapping
from importlib import metadata
from pathlib import Path

import tests.one_thread  # noqa: F401  (before NumPy and TensorFlow, which read it once)

# isort: split
import numpy as np
import pandas as pd

from tests.benchmarks.reporting import Report

GOLDEN = Path(__file__).with_suffix(".json")
PACKAGES = (
    *("numpy", "tensorflow", "tf-keras", "transformers", "tokenizers"),
    *("scikit-learn", "scipy", "pandas", "matplotlib"),
)
"""Whose versions are kept beside the digests: another one may compute other bits, or draw other
lines.
"""

VARYING = {"seconds", "source_seconds", "target_seconds", "peak_gb"}
"""Columns and notes that are no results: no two runs have the same."""

STEADY = {"source_seconds": 1.0, "target_seconds": 2.0, "peak_gb": 0.5}
"""What stands in their place in the notes of cells, so that reports are the same."""

DATED = {"started", "python", "packages"}
"""What the provenance of a run says of the day and the machine."""

XLA_FLAGS = "--xla_backend_optimization_level=0 --xla_llvm_disable_expensive_passes=true"
"""Kernels run a few times here: they shall be compiled quickly, and always in the same way."""

DIGITS = 12
MOST_NAMED = 6
"""Names of parts that differ, in one line of the report."""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument(
        "folder", nargs="?", type=Path, help="keeps the runs; must not be there yet"
    )
    parser.add_argument(
        "--write", action="store_true", help="write golden.json instead of comparing with it"
    )
    arguments = parser.parse_args()
    if arguments.folder and arguments.folder.exists():
        parser.error(
            f"{arguments.folder} must not be there yet: finished cells would not be computed again"
        )
    report = Report("Digests of everything that is stored, tiny encoder, one thread")
    with _folder(arguments.folder) as folder, warnings.catch_warnings():
        # of classes without rows and the like: the tables are tiny on purpose
        warnings.simplefilter("ignore")
        computed = {item: _digests(parts) for item, parts in results(folder)}
    if arguments.write:
        return write(computed, report)
    return compare_with_golden(computed, report)


@contextlib.contextmanager
def _folder(asked: Path | None) -> Iterator[Path]:
    if asked is not None:
        asked.mkdir(parents=True)
        yield asked
        return
    with tempfile.TemporaryDirectory(prefix="tf_transfer-golden-") as folder:
        yield Path(folder)


# -- golden.json -----------------------------------------------------------------------------------


def write(computed: dict[str, dict[str, str]], report: Report) -> int:
    """Keeps the digests; an item a line, so that a difference of two versions of the file can be
    read.
    """
    head = json.dumps(conditions(), indent=1).removesuffix("\n}")
    lines = [
        f"  {json.dumps(item)}: {json.dumps(computed[item], sort_keys=True)}"
        for item in sorted(computed)
    ]
    GOLDEN.write_text(head + ',\n "items": {\n' + ",\n".join(lines) + "\n }\n}\n", encoding="utf-8")
    parts = sum(map(len, computed.values()))
    report.note(
        f"Nothing is compared: {len(computed)} items of {parts} digests were written to {GOLDEN}."
    )
    return report.finish()


def compare_with_golden(computed: dict[str, dict[str, str]], report: Report) -> int:
    """A line an item: how many of its digests are not those of golden.json."""
    if not GOLDEN.exists():
        report.missing("golden.json", "Write it with --write, at a commit whose results are right.")
        return report.finish()
    golden = json.loads(GOLDEN.read_text(encoding="utf-8"))
    expected, differing = golden["items"], []
    for item in sorted({*computed, *expected}):
        parts = _differing(computed.get(item, {}), expected.get(item, {}))
        known = len({*computed.get(item, {}), *expected.get(item, {})})
        report.figure(item, len(parts), f"of {known}", at_most=0, digits=0, detail=_named(parts))
        differing += [item] if parts else []
    detail = f"of {len({*computed, *expected})}"
    report.figure("items that differ", len(differing), at_most=0, digits=0, detail=detail)
    for item in differing:
        report.note(f"differs: {item}")
    for line in _other_conditions(golden):
        report.note(line)
    return report.finish()


def _differing(computed: dict[str, str], expected: dict[str, str]) -> list[str]:
    """The names of parts whose digest is another, with those that one side alone has."""
    names = []
    for part in sorted({*computed, *expected}):
        if part not in expected:
            names.append(f"{part} (new)")
        elif part not in computed:
            names.append(f"{part} (gone)")
        elif computed[part] != expected[part]:
            names.append(part)
    return names


def _named(parts: list[str]) -> str:
    more = len(parts) - MOST_NAMED
    return ", ".join(parts[:MOST_NAMED]) + (f" and {more} more" if more > 0 else "")


def conditions() -> dict:
    """What bits depend on beside the code: versions of packages, and what the processor can do."""
    versions = {package: metadata.version(package) for package in PACKAGES}
    return {"versions": versions, "processor": processor()}


def processor() -> str:
    """The processor's name and the instructions that NumPy, TensorFlow and BLAS choose their
    kernels by.
    """
    info = Path("/proc/cpuinfo")
    text = info.read_text() if info.exists() else ""
    lines = dict(re.findall(r"^([\w ]+?)\s*: (.*)$", text, re.MULTILINE))
    flags = lines.get("flags", lines.get("Features", "")).split()
    vector = sorted(flag for flag in flags if re.match(r"avx|amx|fma|sse|neon|asimd|sve", flag))
    return " ".join([lines.get("model name", "unknown"), *vector])


def _other_conditions(golden: dict) -> Iterator[str]:
    now = conditions()
    others = [
        f"{package} {version} instead of {golden['versions'].get(package, 'none')}"
        for package, version in now["versions"].items()
        if version != golden["versions"].get(package)
    ]
    if now["processor"] != golden["processor"]:
        others.append(f"the processor {now['processor']!r} instead of {golden['processor']!r}")
    if others:
        yield "BITS MAY DIFFER FOR ANOTHER REASON THAN THE CODE. This run has:"
        yield from others
        yield (
            "Write golden.json anew at the commit before the change, on this machine, and "
            "compare again."
        )


# -- digests ---------------------------------------------------------------------------------------


def _digests(parts: Mapping[str, object]) -> dict[str, str]:
    return {part: digest(value) for part, value in parts.items()}


def digest(value: object) -> str:
    """The start of the SHA-256 of everything that a value holds, each number with all its bits."""
    text = json.dumps(_exact(value), sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:DIGITS]


def _exact(value: object) -> object:
    """The value as JSON that is equal just where all bits are; a NaN is a NaN, whatever its
    bits.
    """
    if isinstance(value, np.ndarray) and value.dtype != object:
        return _exact_array(value)
    if isinstance(value, pd.DataFrame):
        return {"columns": [str(c) for c in value], "cells": [_exact(value[c]) for c in value]}
    if isinstance(value, pd.Series):
        return [_exact(cell) for cell in value.tolist()]
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return _exact(
            {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}
        )
    if isinstance(value, Mapping):
        return {str(key): _exact(each) for key, each in value.items() if key not in VARYING}
    if isinstance(value, list | tuple | np.ndarray):
        return [_exact(each) for each in value]
    if isinstance(value, np.generic):
        return _exact(value.item())
    if isinstance(value, float):
        return value.hex()
    if value is None or isinstance(value, str | int):
        return value
    raise TypeError(f"no digest of {type(value).__name__}: {value!r:.80}")


def _exact_array(array: np.ndarray) -> list:
    if array.dtype.kind == "f":
        array = np.where(np.isnan(array), array.dtype.type(np.nan), array)
    content = (
        str(array.tolist())
        if array.dtype.kind in "US"
        else np.ascontiguousarray(array).tobytes().hex()
    )
    return [array.dtype.str, list(array.shape), content]


def _or_refusal(call, *arguments) -> object:
    """What a call gives; where it refuses, a sentence that says so."""
    from tf_transfer.errors import TransferError

    try:
        return call(*arguments)
    except TransferError as error:
        return f"refused with {type(error).__name__}"


def _columns(table: pd.DataFrame | str, index: bool = False) -> dict[str, object]:
    """A part for each column but those that vary, and one for their order; one for a refusal."""
    if isinstance(table, str):
        return {"(refusal)": table}
    table = table.reset_index() if index else table
    kept = [column for column in table if column not in VARYING]
    return {"(columns)": [str(c) for c in kept]} | {str(c): table[c] for c in kept}


# -- tables ----------------------------------------------------------------------------------------

MOODS = {
    "calm": ("still", "lake", "dawn"),
    "glad": ("bright", "drum", "dance"),
    "sad": ("cold", "rain", "again"),
}
THINGS = (
    *(
        "kettle",
        "lamp",
        "scarf",
        "window",
        "parcel",
        "garden",
        "engine",
        "ticket",
        "mirror",
        "blanket",
    ),
    *(
        "compass",
        "ladder",
        "pillow",
        "anchor",
        "bucket",
        "carpet",
        "candle",
        "helmet",
        "basket",
        "hammer",
    ),
)
MISSING = 0.15
"""Share of the labels of each task that are missing, in every table."""


def make_reviews(rows: int, seed: int) -> pd.DataFrame:
    """Texts with labels of all three kinds, which follow from the words but for some; 40 authors in
    two domains.
    """
    draws = np.random.default_rng(seed)
    moods = [list(MOODS)[i] for i in draws.choice(3, rows, p=[0.25, 0.45, 0.3])]
    texts = [_text(draws, mood, int(draws.integers(2, 9))) for mood in moods]
    told = [mood if draws.random() > 0.2 else str(draws.choice(list(MOODS))) for mood in moods]
    table = pd.DataFrame({
        "text": texts,
        "mood": pd.Series(told, dtype=object),
        "tone": pd.Series([("low", "high")[mood == "glad"] for mood in told], dtype=object),
        "themes": pd.Series([_themes(text) for text in texts], dtype=object),
        "stars": [10.0 * list(MOODS).index(mood) + float(draws.normal()) for mood in told],
        "domain": draws.choice(["post", "shop"], rows),
        "author": [f"a{n}" for n in draws.integers(0, 40, rows)],
    })  # fmt: skip
    for task in ("mood", "tone", "themes", "stars"):
        table.loc[draws.random(rows) < MISSING, task] = None
    return table


def _text(draws: np.random.Generator, mood: str, length: int) -> str:
    words = [*draws.choice(MOODS[mood], 2), *draws.choice(THINGS, length, replace=False)]
    return " ".join(draws.permutation(words))


def _themes(text: str) -> list[str]:
    of_words = {
        "water": ("lake", "rain", "bucket"),
        "noise": ("drum", "engine", "hammer"),
        "home": ("lamp", "pillow"),
    }
    return [theme for theme, words in of_words.items() if set(words) & set(text.split())]


def make_pairs(rows: int, seed: int, classes: tuple[str, ...]) -> pd.DataFrame:
    """Two texts, and whether they are of the same mood; ``unsure`` where the first says so."""
    draws = np.random.default_rng(seed)
    answers = [str(answer) for answer in draws.choice(classes, rows)]
    records = []
    for answer in answers:
        first = str(draws.choice(list(MOODS)))
        second = (
            first
            if answer == "same"
            else str(draws.choice([mood for mood in MOODS if mood != first]))
        )
        doubt = "perhaps " if answer == "unsure" else ""
        records.append((doubt + _text(draws, first, 3), _text(draws, second, 3), answer))
    return pd.DataFrame(records, columns=["text", "reply", "relation"]).astype({"relation": object})


# -- experiments -----------------------------------------------------------------------------------

ADAPT = {"adapt_steps": 3, "adapt_batch_size": 8}
TRAIN = ADAPT | {"epochs": 1, "batch_size": 16}
META = {"steps": 2, "meta_batch": 2, "shot": 2, "num_query": 2}
INNER = META | {"inner_steps": 2}
INNER_ALONE = INNER | {"fine_tune": False}
"""Without the hundred steps after the inner ones, which the experiment on pairs has."""


def kinds_experiment(folder: Path) -> dict:
    """All kinds of tasks, weighted classes, missing labels, groups, slices, leaks, and one source
    less.
    """
    sources = {"films": make_reviews(60, seed=1), "shop": make_reviews(40, seed=2)}
    train, test = make_reviews(60, seed=6), make_reviews(90, seed=4)
    # rows that the leakage audit knows
    train.loc[[2, 5], "text"] = test.loc[[7, 8], "text"].tolist()
    return {
        "name": "kinds",
        "folder": folder,
        "encoder": {"name": "encoder", "max_length": 16},
        "tasks": [
            {"name": "mood", "kind": "classification", "class_weight": "balanced"},
            {
                "name": "tone",
                "kind": "classification",
                "class_weight": {"high": 2.0},
                "metric": "accuracy",
            },
            {"name": "themes", "kind": "multilabel"},
            {"name": "stars", "kind": "regression", "loss_weight": 0.5},
        ],
        "sources": sources,
        "targets": {
            "tweets": {"train": train, "test": test},
            "letters": {"data": make_reviews(140, seed=5), "test_size": 0.5, "group": "author"},
        },
        "strategies": [
            {"target_only": ADAPT},
            {"fine_tune": TRAIN},
            {"multi_task": TRAIN},
            "linear_probe",
            {"probe alone": {"strategy": "linear_probe", "uses_source": False}},
            "tfidf",
            {"tfidf alone": {"strategy": "tfidf", "uses_source": False}},
            "majority",
            {"scratch": ADAPT},
            {"maml": INNER_ALONE},
            {"anil": INNER_ALONE},
            {"meta_sgd": INNER_ALONE},
            {"reptile": INNER_ALONE},
        ],
        "budgets": [8, 32],
        "seeds": 2,
        "leave_one_out": ["multi_task"],
        "slices": ["domain"],
    }


def pairs_experiment(folder: Path) -> dict:
    """Text pairs, with a class that only the sources have, and the strategies of class means."""
    whole, fewer = ("other", "same", "unsure"), ("other", "same")
    return {
        "name": "pairs",
        "folder": folder,
        "encoder": {"name": "encoder", "max_length": 24},
        "text_pair": "reply",
        "tasks": [{"name": "relation", "kind": "classification"}],
        "sources": {"chats": make_pairs(48, 11, whole), "mails": make_pairs(36, 12, whole)},
        "targets": {
            "forum": {"train": make_pairs(40, 13, fewer), "test": make_pairs(70, 14, fewer)}
        },
        "strategies": [
            {"target_only": ADAPT},
            {"fine_tune": TRAIN},
            "linear_probe",
            "tfidf",
            {"proto_net": META},
            {"proto_maml": INNER},
        ],
        "budgets": [8, 24],
        "seeds": 2,
    }


def save_encoder(folder: Path) -> None:
    """A tiny random encoder that `load_encoder` reads from a folder."""
    from tests import tiny

    words = [word for mood in MOODS.values() for word in mood]
    encoder = tiny.make_encoder(texts=[*words, *THINGS, "perhaps"])
    encoder.transformer.save_pretrained(folder / "encoder", safe_serialization=True)
    encoder.tokenizer.save_pretrained(folder / "encoder")


# -- what is digested ------------------------------------------------------------------------------


def results(folder: Path) -> Iterator[tuple[str, Mapping[str, object]]]:
    """Every item with its parts."""
    os.environ["XLA_FLAGS"] = XLA_FLAGS
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    from tests import tiny

    tiny.keep_graphs()
    # tables of other shapes are traced anew, as they must be
    logging.getLogger("tensorflow").setLevel("ERROR")
    save_encoder(folder)
    for experiment in (kinds_experiment(folder), pairs_experiment(folder)):
        name = experiment["name"]
        for item, parts in of_experiment(experiment, folder / name):
            yield f"{name}: {item}", parts
    yield from of_model(folder / "model")
    yield from of_estimators()
    yield from of_episodes()
    yield from of_search(folder)


def of_experiment(experiment: dict, folder: Path) -> Iterator[tuple[str, Mapping[str, object]]]:
    """What a run keeps, and all that is made of it."""
    from tf_transfer.comparison.compare import compare
    from tf_transfer.comparison.comparison import Comparison

    sentences: list[str] = []
    comparison = compare(experiment, folder / "run", verbose=0, note=sentences.append)
    yield "sentences before training", {"sentences": sentences}
    yield from of_run(comparison)
    steady = Comparison(steady_run(comparison, folder / "steady"))
    yield from of_comparison(steady)
    yield from of_places(steady)
    yield from of_files(steady)


def of_run(comparison) -> Iterator[tuple[str, Mapping[str, object]]]:
    """The arrays of the run folder, and what decides whether an older folder can be gone on
    with.
    """
    content = comparison.run.read()
    yield (
        "what cells have in common",
        {k: v for k, v in content["common"].items() if k != "tf_transfer"},
    )
    yield "strategies", content["strategies"]
    yield "plan", comparison.provenance["plan"]
    yield "data", {key: comparison.provenance[key] for key in ("rows", "sha256")}
    for target in comparison.targets:
        truth, groups, leakage = comparison.run.read_target(target)
        table, rare = comparison.run.read_rows(target)
        classes = _or_refusal(comparison.run.read_classes, target, comparison.tasks)
        parts = {
            "truth": truth,
            "groups": groups,
            "leakage": leakage,
            "rare words": rare,
            "classes": classes,
        }
        yield f"rows of {target}", parts | {"table": table}
    for (target, strategy), cells in _cells(comparison).items():
        yield f"{strategy} on {target}", _of_cells(comparison.run, cells)


def _cells(comparison) -> dict[tuple[str, str], list]:
    """The cells of each target and strategy, those without a source included."""
    from tf_transfer.experiments.runs import all_cells

    labels = [
        label
        for label in (*comparison.strategies, *comparison.variants)
        if label not in comparison.twins
    ]
    together: dict[tuple[str, str], list] = {}
    for cell in all_cells(comparison.targets, labels, comparison.budgets, comparison.seeds):
        together.setdefault((cell.target, cell.strategy), []).append(cell)
    return together


def _of_cells(run, cells: list) -> dict[str, object]:
    parts = {}
    for cell in cells:
        place = f"{cell.budget}/{cell.seed}"
        scores, meta = run.read_cell(cell)
        parts[f"{place} scores"] = scores
        parts[f"{place} frozen"] = run.read_frozen(cell)
        parts[f"{place} notes"] = _notes(meta)
    return parts


def _notes(meta: dict) -> dict:
    """What was noted beside the scores, but for what names the cell."""
    named = {"target", "strategy", "budget", "seed", "experiment"}
    return {key: value for key, value in meta.items() if key not in named}


def steady_run(comparison, folder: Path):
    """A copy of a run in which nothing varies: the same seconds and memory in every cell, no day
    and no versions.
    """
    from tf_transfer.experiments.runs import Run

    content, copy = comparison.run.read(), Run(folder)
    provenance = {key: value for key, value in comparison.provenance.items() if key not in DATED}
    copy.start(content["common"], content["strategies"], provenance)
    shutil.copytree(comparison.run.folder / "targets", folder / "targets")
    for cells in _cells(comparison).values():
        for cell in cells:
            scores, meta = comparison.run.read_cell(cell)
            copy.write_cell(cell, scores, _notes(meta) | STEADY, comparison.run.read_frozen(cell))
    return copy


TABLES = (
    *(
        "results",
        "costs",
        "summary",
        "verdicts",
        "intervals",
        "curves",
        "curve_gains",
        "label_worth",
        "slices",
    ),
    *("source_gains", "best", "sides", "encoder_effect", "foreign_answers", "reliability"),
)
"""Properties and methods of a `Comparison` that give a table of the whole run."""


def of_comparison(comparison) -> Iterator[tuple[str, Mapping[str, object]]]:
    """The tables of the whole run; a part a column."""
    for name in TABLES:
        table = getattr(comparison, name)
        table = _or_refusal(table) if callable(table) else table
        yield name, _columns(table)
    for target, columns in comparison.slice_columns.items():
        yield (
            f"slices of {target} by columns",
            _columns(comparison.slices(by=[], targets=[target], columns=columns)),
        )
    yield "verdicts with a margin", _columns(comparison.verdicts(margin=0.1))
    yield "verdicts without correction", _columns(comparison.verdicts(correction=None))
    yield "unusable", {"sentences": comparison.unusable, "lost cells": comparison.lost_cells}


def of_places(comparison) -> Iterator[tuple[str, Mapping[str, object]]]:
    """What is asked of one target, task, strategy and budget at a time; a part a strategy and
    place.
    """
    of = {name: {} for name in ("differences", "row tests", "changed rows", "confusions")}
    kinds = {task.name: task.kind for task in comparison.tasks}
    places = [
        (t, k, b)
        for t in comparison.targets
        for k in comparison.tasks_of(t)
        for b in comparison.budgets
    ]
    for target, task, budget in places:
        for strategy, other in comparison.controls.items():
            part = f"{strategy} / {target} / {task} / {budget}"
            of["differences"][part] = comparison.difference(strategy, other, target, task, budget)
            of["row tests"][part] = comparison.row_tests(strategy, other, target, task, budget)
            of["changed rows"][part] = comparison.changed_rows(target, task, strategy, budget)
            if kinds[task] == "classification":
                of["confusions"][part] = comparison.confusion(target, task, strategy, budget)
    yield from of.items()


def of_files(comparison) -> Iterator[tuple[str, Mapping[str, object]]]:
    """What `save` writes: tables a part, reports a part for each section."""
    folder = comparison.save()
    for name in ("results.csv", "verdicts.json"):
        yield name, {"text": (folder / name).read_text(encoding="utf-8")}
    for name, start in (
        ("report.md", r"^## (.*)$"),
        ("report.html", r'<section [^>]*id="([^"]*)"'),
    ):
        yield name, _sections((folder / name).read_text(encoding="utf-8"), start)


def _sections(text: str, start: str) -> dict[str, str]:
    """A part for each section, by what its start names, and one for what stands before the
    first.
    """
    before, *rest = re.split(start, text, flags=re.MULTILINE)
    return {"(start)": before} | dict(zip(rest[::2], rest[1::2]))


def of_model(folder: Path) -> Iterator[tuple[str, Mapping[str, object]]]:
    """A model of all kinds of tasks: its training, metrics and predictions, also saved and
    exported.
    """
    from tests import tiny
    from tf_transfer import load_model

    model = tiny.make_model()
    table, test = tiny.make_table(40), tiny.make_table(30, seed=1)
    table.loc[3, "mood"] = test.loc[[4, 5], "stars"] = None
    history = model.fit(table, epochs=2, batch_size=8, validation_data=test, verbose=0)
    yield "model: history", history.history
    yield "model: weights", {"weights": tiny.snapshot(model)}
    yield "model: evaluation", model.evaluate({"train": table, "test": test}, verbose=0).to_dict()
    yield "model: predictions", _columns(model.predict(test, verbose=0).to_frame())
    model.save(folder / "saved")
    yield (
        "model: predictions after loading",
        _columns(load_model(folder / "saved").predict(test, verbose=0).to_frame()),
    )
    model.export(folder / "exported")
    yield "model: predictions after export", _served(folder / "exported", test["text"].tolist())


def _served(folder: Path, texts: list[str]) -> dict[str, object]:
    from tf_transfer.devices.backend import tf, transformers

    served = tf.saved_model.load(str(folder)).signatures["serving_default"]
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder / "tokenizer")
    inputs = tokenizer(texts, padding=True, truncation=True, return_tensors="tf")
    return {task: scores.numpy() for task, scores in served(**inputs).items()}


def of_estimators() -> Iterator[tuple[str, Mapping[str, object]]]:
    """The estimators of scikit-learn: trained, with solved heads and with sources, and without an
    encoder.
    """
    from tests import tiny
    from tf_transfer import TransferClassifier, TransferRegressor

    encoder, table, other = tiny.make_encoder(), tiny.make_table(30), tiny.make_table(20, seed=1)
    texts, moods, stars = (table[column].tolist() for column in ("text", "mood", "stars"))
    more = (other["text"].tolist(), other["mood"].tolist())
    options = {"max_length": 24, "class_weight": "balanced"}
    classifiers = {
        "trained": TransferClassifier(encoder, epochs=1, batch_size=8, **options),
        "linear_probe": TransferClassifier(
            encoder, strategy="linear_probe", sources=more, **options
        ),
        "tfidf": TransferClassifier(strategy="tfidf", sources=more),
    }
    for name, classifier in classifiers.items():
        classifier.fit(texts, moods)
        parts = {
            "predict": classifier.predict(more[0]),
            "predict_proba": classifier.predict_proba(more[0]),
        }
        yield f"classifier: {name}", parts
    for strategy in ("linear_probe", "tfidf"):
        regressor = TransferRegressor(encoder, strategy=strategy, max_length=24).fit(texts, stars)
        yield f"regressor: {strategy}", {"predict": regressor.predict(more[0])}


def of_episodes() -> Iterator[tuple[str, Mapping[str, object]]]:
    """Episodes of new classes, after a little meta-training on others."""
    from tests import tiny
    from tf_transfer import (
        EpisodeSampler,
        LinearProbe,
        ProtoNet,
        Task,
        TransferModel,
        evaluate_episodes,
    )

    words = ("ant", "bee", "cat", "dog", "eel", "fox", "gnu", "hen")
    rows = [{"text": f"{word} {'so ' * n}", "animal": word} for word in words for n in range(6)]
    known, new = (
        [row for row in rows if (row["animal"] < "e") == early] for early in (True, False)
    )
    samplers = [
        EpisodeSampler(pd.DataFrame(part), "animal", way=3, shot=2, num_query=3, seed=1)
        for part in (known, new)
    ]
    encoder = tiny.make_encoder(texts=(*words, "so"))
    model = TransferModel(
        encoder, Task("animal", kind="classification", classes=(0, 1, 2)), max_length=12
    )
    strategy = ProtoNet(steps=2, meta_batch=2)
    fitted = strategy.fit(model, samplers[0])
    candidates = {
        "proto_net": (strategy, fitted),
        "probe": (LinearProbe(uses_source=False), fitted),
    }
    episodes = samplers[1].sample(6)
    evaluated = evaluate_episodes(candidates, samplers[1], episodes)
    yield "episodes: drawn", {"episodes": [[e.support, e.query] for e in episodes]}
    yield "episodes: values", _columns(evaluated.values)
    yield "episodes: table", _columns(evaluated.table(), index=True)
    yield "episodes: differences", _columns(evaluated.differences("probe"), index=True)


def of_search(folder: Path) -> Iterator[tuple[str, Mapping[str, object]]]:
    """Three trials of `tune`."""
    from tf_transfer.tuning.tune import tune

    space = {"linear_probe": None, "tfidf": None}
    how = {"strategies": space, "trials": 3, "oracle": "random", "folds": 3, "objective": "mood"}
    found = tune(kinds_experiment(folder) | {"tune": how}, folder / "search", verbose=0)
    yield "tune: trials", _columns(found.trials)
    yield "tune: best", {"yaml": found.to_yaml(), "beside": found.beside}


if __name__ == "__main__":
    raise SystemExit(main())
