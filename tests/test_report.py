"""What a reader of the report sees, checked by parsing the page."""

import dataclasses
import html.parser
import itertools
import os
import re

import numpy as np
import pandas as pd
import pytest

from tf_transfer import report
from tf_transfer.errors import CheckpointError
from tf_transfer.report import plots, sections, wording
from tf_transfer.tasks import Task

STRATEGIES = ["target_only", "fine_tune", "multi_task", "linear_probe", "scratch", "tfidf", "majority"]
SOURCE_SECONDS = {"fine_tune": 48.2, "multi_task": 61.7, "linear_probe": 9.1}
LEVELS = {
    "target_only": (0.30, 0.75),
    "fine_tune": (0.58, 0.76),
    "multi_task": (0.63, 0.77),
    "linear_probe": (0.57, 0.70),
    "scratch": (0.05, 0.35),
    "tfidf": (0.25, 0.55),
}


@dataclasses.dataclass
class StandIn:
    """The part of `Comparison` that a report reads."""

    results: pd.DataFrame
    verdict_table: pd.DataFrame
    tasks: list
    strategies: list = dataclasses.field(default_factory=lambda: list(STRATEGIES))
    targets: list = dataclasses.field(default_factory=lambda: ["tweets", "nyt"])
    budgets: list = dataclasses.field(default_factory=lambda: [16, 64, 256])
    seeds: list = dataclasses.field(default_factory=lambda: [0, 1, 2])
    metrics: dict = dataclasses.field(default_factory=lambda: {"rating": "pearson", "polarity": "f1_macro"})
    leakage: dict = dataclasses.field(default_factory=dict)
    provenance: dict = dataclasses.field(default_factory=dict)
    unusable: list = dataclasses.field(default_factory=list)
    name: str = "sentiment"
    baseline: str = "target_only"
    source_strategies: list = dataclasses.field(default_factory=lambda: list(SOURCE_SECONDS))

    def verdicts(self):
        return self.verdict_table

    @property
    def costs(self):
        rows = [(s, stage, SOURCE_SECONDS.get(s, 0.0) if stage == "source" else 4.2)
                for s in self.strategies for stage in ("source", "target")]  # fmt: skip
        return pd.DataFrame(rows, columns=["strategy", "stage", "seconds"])


def stand_in(**changes):
    """A comparison of seven strategies, two targets, two tasks, three budgets and three seeds."""
    rng = np.random.default_rng(0)
    tasks = [Task("rating", kind="regression"), Task("polarity", kind="classification", classes=("neg", "pos"))]
    rows = []
    for target, task, strategy, step, seed in itertools.product(
        ["tweets", "nyt"], tasks, STRATEGIES, range(3), range(3)
    ):
        metric = "pearson" if task.kind == "regression" else "f1_macro"
        low, high = LEVELS.get(strategy, (0.33, 0.33))
        value = low + (high - low) * step / 2 - (0.2 if target == "nyt" else 0) + rng.normal(0, 0.02)
        if strategy == "majority":
            value = np.nan if metric == "pearson" else 0.33
        rows.append((target, task.name, strategy, [16, 64, 256][step], seed, metric, value))
        rows.append((target, task.name, strategy, [16, 64, 256][step], seed, "other", 7.0))
    columns = ["target", "task", "strategy", "budget", "seed", "metric", "value"]
    results = pd.DataFrame(rows, columns=columns)
    changes = {"leakage": {"tweets": LEAKAGE, "nyt": LEAKAGE}, "provenance": PROVENANCE} | changes
    return StandIn(results, verdict_table(results, "target_only"), tasks, **changes)


def verdict_table(results, baseline, half=0.05):
    means = results[results["metric"] != "other"].groupby(
        ["target", "task", "budget", "strategy", "metric"], sort=False
    )["value"].mean()  # fmt: skip
    rows = []
    for (target, task, budget, strategy, metric), value in means.items():
        if strategy != baseline:
            rows.append(verdict(target, task, budget, strategy, metric,
                                value - means[target, task, budget, baseline, metric], half))  # fmt: skip
    return pd.DataFrame(rows)


def verdict(target, task, budget, strategy, metric, value, half=0.05, note=""):
    low, high = value - half, value + half
    word = "helped" if low > 0 else "hurt" if high < 0 else "undecided"
    return {
        "target": target, "task": task, "budget": budget, "strategy": strategy, "metric": metric, "value": value,
        "low": low, "high": high, "p": 0.0004 if word != "undecided" else 0.31, "verdict": word,
        "minimum_effect": half * (1 + 0 * value), "rows": 1260, "seeds": 3,
        "note": "pearson is undefined for seed number 0, 1, 2" if np.isnan(value) else note,
    }  # fmt: skip


COUNTS = {
    "test_rows": 1260, "identical": 3, "exact": 5, "near": 2, "known": 7, "share": 7 / 1260, "conflicts": 1,
    "rows": 2940, "rows_to_drop": 9, "known_test_rows": [1, 2], "leaked_rows": [3],
}  # fmt: skip
LEAKAGE = {
    "near": 0.8,
    "tables": {"train": COUNTS, "movie": {**COUNTS, "known": 0, "share": 0.0}},
    "examples": [{"test_row": 4, "row": 8, "kind": "near", "similarity": 0.87, "matches": 1, "conflict": True,
                  "test_text": "What a fine day, my friend", "text": "what a fine day my friends!", "table": "train"}],
}  # fmt: skip
PROVENANCE = {
    "versions": {"tf_transfer": "0.1.0", "tensorflow": "2.21.0", "python": "3.11.2"},
    "encoder": {"name": "bert-tiny", "sha256": "96e1dd8dbbc82439cf50677a15bcb9141172b289d20b41c9c28b621a0451a02a"},
    "data": {"targets": [{"tweets": {"rows": 4200}}], "note": None},
    "experiment": {"name": "sentiment", "budgets": [16, 64, 256], "encoder": "bert-tiny", "strategies": STRATEGIES},
}  # fmt: skip
