"""Names of tasks, sources, targets and strategies: refused, or good for files, columns and
reports.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from tests.experiments import make_experiment, make_table
from tests.hostile.palette import TEXTS, choose
from tf_transfer.experiments.experiment import load_experiment
from tf_transfer.experiments.runs import Cell, Run

RANGES = [
    (32, 127),
    (0, 32),
    (127, 160),
    (0xA0, 0x250),
    (0x300, 0x370),
    (0x2000, 0x2070),
    (0x3040, 0x30FF),
    (0xD800, 0xE000),
    (0xFB00, 0xFB50),
    (0x1F600, 0x1F650),
    (0xE000, 0xE100),
    (0xFE00, 0xFE10),
]


def prepare(base: Path) -> None:
    pass


def make(draws, base, folder):
    first, second = (_name(draws) for _ in range(2))
    if draws.random() < 0.2:
        second = choose(
            draws, [str.upper, str.lower, str.casefold, lambda s: s + " ", lambda s: s]
        )(first)
    table = make_table(6, seed=0)
    part = choose(draws, ["tasks", "sources", "targets", "strategies"])
    changes = {
        "tasks": [{"name": first, "label": "stars"}, {"name": second, "label": "mood"}],
        "sources": {first: table, second: table}, "targets": {first: table, second: table},
        "strategies": {"majority": {}, first: {"strategy": "tfidf"}, second: {"strategy": "tfidf"}},
    }  # fmt: skip

    def take():
        experiment = load_experiment(make_experiment(**{part: changes[part]}))
        _write(experiment, folder / "out" / "run")

    return take


def _write(experiment, folder: Path) -> None:
    """Every name in a file, a note and an archive, and back."""
    run, y = Run(folder), np.array([0.0, 1.0])
    run.start({"text": "text"}, {label: [label] for label in experiment.strategies}, {"plan": {}})
    tasks = [task.name for task in experiment.tasks]
    for target in experiment.targets:
        run.write_target(
            target, dict.fromkeys(tasks, (y, y >= 0)), None, {}, table=make_table(2, seed=0)
        )
        assert list(run.read_target(target)[0]) == tasks
        for strategy in experiment.strategies:
            cell = Cell(target, strategy, 4, 2**31 - 1)
            run.write_cell(
                cell, dict.fromkeys(tasks, y), {"source_seconds": 0.0, "target_seconds": 0.0}
            )
            assert list(Run(folder).read_cell(cell)[0]) == tasks
    files = len(list(folder.rglob("*.npz")))
    assert files == len(experiment.targets) * (1 + len(experiment.strategies))


def _name(draws) -> str:
    if draws.random() < 0.4:
        return choose(draws, TEXTS) + choose(draws, ["", "a", " b", "."])
    return "".join(
        chr(int(draws.integers(*choose(draws, RANGES)))) for _ in range(draws.integers(1, 12))
    )
