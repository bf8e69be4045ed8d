"""Experiment files: changed values, changed text, and the traps of YAML; what is accepted is
prepared, too.
"""

from __future__ import annotations

from pathlib import Path

import yaml

from tests.experiments import make_table
from tests.hostile.palette import changed_bytes, changed_json, choose
from tf_transfer.experiments.experiment import load_experiment
from tf_transfer.experiments.prepared import Prepared

EXPERIMENT = {
    "name": "small",
    "encoder": {"name": "no such encoder", "max_length": 16, "freeze": "none", "dropout": 0.1},
    "text": "text",
    "tasks": [{"name": "stars", "kind": "regression", "metric": "mae"}, "mood"],
    "sources": {
        "films": "films.csv",
        "shop": {"path": "shop.csv", "rows": 6, "where": {"mood": "glad"}},
    },
    "targets": {
        "tweets": {"data": "tweets.csv", "test_size": 0.5, "group": "mood", "split_seed": 1},
        "letters": {"train": "films.csv", "test": "shop.csv"},
    },
    "strategies": [
        "majority",
        "tfidf",
        {"fine_tune": {"epochs": 1, "learning_rate": "auto", "batch_size": 8}},
        {"mine": {"strategy": "maml", "inner_steps": 2}},
    ],
    "baseline": "majority",
    "budgets": [2, 4],
    "seeds": [0, 1],
    "leave_one_out": ["tfidf"],
    "slices": ["mood"],
    "drop_leaks": False,
    "tune": {
        "strategies": {"tfidf": {"penalty": {"min": 0.1, "max": 10, "sampling": "log"}}},
        "folds": 2,
        "trials": 3,
    },
}
TRAPS = [
    "[" * 3000,
    "{a: " * 3000,
    "&a [*a]",
    "!!bool z",
    "!!map x",
    "!!binary ÿ",
    "2024-99-99",
    "0x_",
    "9" * 5000,
    "<<: 3",
    "!!python/object/apply:os.system [ls]",
    "? [a]\n: b",
    "%YAML 3\n---",
    "---\n---",
    "!!set {a, b}",
    "!!omap [a: 1]",
    "1:60",
    "- - - - a",
    "*b",
    "&b",
    "|+\n  a",
    ">\n a",
    "@a",
    "`a",
    "\t a",
    "\0",
    "\u2028",
    ".inf",
    "!!timestamp z",
    "!<x> y",
]


def prepare(base: Path) -> None:
    for name, rows in (("films", 14), ("shop", 12), ("tweets", 16)):
        make_table(rows, seed=rows).to_csv(base / f"{name}.csv", index=False)


def make(draws, base, folder):
    how = draws.random()
    content = EXPERIMENT
    for _ in range(int(draws.integers(1, 3))):
        content = changed_json(draws, content)
    text = _as_yaml(content)
    if how < 0.2:
        text = changed_bytes(draws, text.encode("utf-8", "surrogatepass")).decode(
            "utf-8", "surrogateescape"
        )
    elif how < 0.4:
        lines = text.split("\n")
        place = int(draws.integers(len(lines)))
        lines[place] = lines[place].rpartition(":")[0] + ": " + choose(draws, TRAPS)
        text = "\n".join(lines)
    path = folder / "small.yaml"
    path.write_bytes(text.encode("utf-8", "surrogateescape" if how < 0.2 else "surrogatepass"))
    for table in base.glob("*.csv"):
        (folder / table.name).symlink_to(table)

    def take():
        experiment = load_experiment(path)
        if draws.random() < 0.5:
            Prepared.load(experiment)

    return take


def _as_yaml(content) -> str:
    try:
        return yaml.safe_dump(content, sort_keys=False, allow_unicode=True)
    except Exception:  # PyYAML cannot write all of the palette
        return yaml.safe_dump({k: v for k, v in content.items() if _dumps(v)}, sort_keys=False)


def _dumps(value) -> bool:
    try:
        return bool(yaml.safe_dump(value))
    except Exception:
        return False
