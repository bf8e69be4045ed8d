"""A comparison made of invented numbers, with every part that a report can show."""

from __future__ import annotations

import dataclasses
import itertools

import numpy as np
import pandas as pd

from tf_transfer.errors import DataError
from tf_transfer.kinds.tasks import Task

STRATEGIES = [
    "target_only",
    "fine_tune",
    "multi_task",
    "linear_probe",
    "scratch",
    "tfidf",
    "majority",
]
SOURCE_SECONDS = {"fine_tune": 48.2, "multi_task": 61.7, "linear_probe": 9.1}
LEVELS = {
    "target_only": (0.30, 0.75),
    "fine_tune": (0.58, 0.76),
    "multi_task": (0.63, 0.77),
    "linear_probe": (0.57, 0.70),
    "scratch": (0.05, 0.35),
    "tfidf": (0.25, 0.55),
}
COUNTS = {
    "test_rows": 1260,
    "identical": 3,
    "exact": 5,
    "near": 2,
    "known": 7,
    "share": 7 / 1260,
    "conflicts": 1,
    "rows": 2940,
    "rows_to_drop": 9,
    "known_test_rows": [1, 2],
    "leaked_rows": [3],
}
LEAKAGE = {
    "near": 0.8,
    "tables": {"train": COUNTS, "movie": {**COUNTS, "known": 0, "share": 0.0}},
    "examples": [
        {
            "test_row": 4,
            "row": 8,
            "kind": "near",
            "similarity": 0.87,
            "matches": 1,
            "conflict": True,
            "test_text": "What a fine day, my friend",
            "text": "what a fine day my friends!",
            "table": "train",
        }
    ],
}
PROVENANCE = {
    "packages": {"tf-transfer": "0.1.0", "tensorflow": "2.21.0", "numpy": "2.4.6"},
    "python": "3.11.2",
    "encoder": {
        "name": "bert-tiny",
        "sha256": "96e1dd8dbbc82439cf50677a15bcb9141172b289d20b41c9c28b621a0451a02a",
    },
    "data": {"targets": [{"tweets": {"rows": 4200}}], "note": None},
    "rows": {"source movie": 2940, "target tweets (test)": 1260},
    "sha256": {"source movie": "28" * 32, "target tweets (test)": "5e" * 32},
    "experiment": {
        "name": "sentiment",
        "budgets": [16, 64, 256],
        "encoder": "bert-tiny",
        "strategies": STRATEGIES,
    },
}


@dataclasses.dataclass
class StandIn:
    """The part of `Comparison` that a report needs; what else it can have is in `Whole`."""

    results: pd.DataFrame
    verdict_table: pd.DataFrame
    tasks: list
    strategies: list = dataclasses.field(default_factory=lambda: list(STRATEGIES))
    targets: list = dataclasses.field(default_factory=lambda: ["tweets", "nyt"])
    budgets: list = dataclasses.field(default_factory=lambda: [16, 64, 256])
    seeds: list = dataclasses.field(default_factory=lambda: [0, 1, 2])
    metrics: dict = dataclasses.field(
        default_factory=lambda: {"rating": "pearson", "polarity": "f1_macro"}
    )
    advice: object = None
    slice_columns: dict = dataclasses.field(default_factory=dict)
    leakage: dict = dataclasses.field(default_factory=dict)
    provenance: dict = dataclasses.field(default_factory=dict)
    unusable: list = dataclasses.field(default_factory=list)
    name: str = "sentiment"
    baseline: str = "target_only"
    source_strategies: list = dataclasses.field(default_factory=lambda: list(SOURCE_SECONDS))

    twins: dict = dataclasses.field(default_factory=dict)

    def notes(self, strategy):
        return []

    def against(self, strategy):
        return self.baseline

    @property
    def lost_cells(self) -> int:
        return len(self.unusable)

    def verdicts(self):
        return self.verdict_table

    @property
    def costs(self):
        rows = [(s, stage, SOURCE_SECONDS.get(s, 0.0) if stage == "source" else 4.2)
                for s in self.strategies for stage in ("source", "target")]  # fmt: skip
        return pd.DataFrame(rows, columns=["strategy", "stage", "seconds"])


@dataclasses.dataclass
class Whole(StandIn):
    """With intervals, curves, worth, slices, rows, sources, confusions and calibration."""

    text: str = "The ferry was late, but the crew sang"
    slices_of: tuple = ("negative", "positive", "1 to 8 words")

    @property
    def costs(self):
        more = {"parameters": 4_386_178.0, "peak_gb": 1.234}
        return super().costs.assign(**more)

    def intervals(self):
        keys = ["target", "task", "strategy", "budget", "metric"]
        found = self.results.groupby(keys, sort=False)["value"].mean().reset_index()
        found = found[found["metric"] != "other"]
        return found.assign(low=found["value"] - 0.06, high=found["value"] + 0.06, note="")

    def curves(self):
        return self.intervals()

    def best(self):
        table = self.results[self.results["metric"] != "other"]
        means = table.groupby(["target", "task", "budget", "metric", "strategy"], sort=False)[
            "value"
        ].mean()
        best = (
            means.reset_index()
            .sort_values("value")
            .drop_duplicates(["target", "task", "budget"], keep="last")
        )
        return best.assign(alike=[["multi_task", "linear_probe"]] * len(best))

    def sides(self):
        did = [("steps on the "
        "source", 412, "", True), ("steps on the target", "100 to 112", "100 to 112", False),
               ("peak rate on the "
               "target", 0.0003, 0.0003, False), ("heads solved first", True, True, False),
               ("weights changed on the target", 4_386_178, 4_386_178, False),
               ("seconds on the source", 48.2, "", True)]  # fmt: skip
        rows = [(s, self.against(s), *what) for s in self.source_strategies for what in did]
        return pd.DataFrame(
            rows, columns=["strategy", "against", "what", "with_source", "without", "differs"]
        )

    def encoder_effect(self):
        found = self.verdict_table[self.verdict_table["strategy"].isin(self.source_strategies)]
        words = found["verdict"].map({"helped": "improved", "hurt": "harmed"}).fillna("undecided")
        return found.rename(columns={"value": "difference"}).assign(
            before=0.4, after=0.5, verdict=words
        )

    def foreign_answers(self):
        places = self.verdict_table[self.verdict_table["task"] == "polarity"]
        keys = places[["target", "task", "strategy", "budget"]]
        return keys.assign(
            share=np.where(keys["strategy"] == "fine_tune", 0.125, 0.0),
            rows=1260,
            likeliest="other",
        )

    def notes(self, strategy):
        return [{"penalty_ends": ["the greatest"] if strategy == "linear_probe" else []}] * 3

    def label_worth(self):
        rows = [
            (
                p.target,
                p.task,
                p.strategy,
                p.budget,
                3.0 * p.budget,
                2.5 * p.budget,
                7.0 * p.budget,
                "",
            )
            for p in self.verdict_table.itertuples()
            if p.strategy in self.source_strategies
        ]
        columns = ["target", "task", "strategy", "budget", "labels", "low", "high", "censored"]
        table = pd.DataFrame(rows, columns=columns)
        beyond = table["budget"] == 256
        table.loc[beyond, ["labels", "low", "high"]] = np.nan, 206.1, np.inf
        return table.assign(censored=np.where(beyond, "more than 256", ""))

    def curve_gains(self):
        places = self.label_worth().drop_duplicates(["target", "task", "strategy"])[
            ["target", "task", "strategy"]
        ]
        found = {
            "area": 0.21,
            "low": 0.15,
            "high": 0.27,
            "verdict": "helped",
            "hurt_from": 256.0,
            "crossing": 191.9,
        }
        return places.assign(**found)

    def slices(self, *, targets, strategies, budgets, columns):
        (target,), (strategy,), (budget,) = targets, strategies, budgets
        if target == "nyt":
            raise DataError("Slices need the texts of the test rows.\nThis run kept none.")
        of = {"q": 0.01, "rows": 300}
        tables = []
        for task in self.tasks:
            rows = [
                verdict(target, task.name, budget, strategy, "mae", v) | of
                for v in (0.2, -0.1, 0.02, np.nan)
            ]
            rows[3]["verdict"] = "too small"
            named = pd.DataFrame(rows).assign(
                by=["class", "class", "length", "length"], slice=[*self.slices_of, "long"]
            )
            tables.append(named)
        return pd.concat(tables)

    def changed_rows(self, target, task, strategy, budget, most=20):
        no, yes = self.tasks[1].classes
        rows = [(self.text, no, yes, no, 1.0), (self.text * 9, yes, yes, no, -2 / 3)]
        return pd.DataFrame(rows, columns=["text", "label", "baseline", "prediction", "change"])

    def source_gains(self):
        rows = [
            verdict(target, t.name, 16, "fine_tune", self.metrics[t.name], value)
            | {"source": source}
            for target, t in itertools.product(self.targets, self.tasks)
            for source, value in (("movie", 0.11), ("amazon", -0.01))
        ]
        return pd.DataFrame(rows).rename(columns={"value": "difference"})

    def reliability(self, *, target, task, strategy, budget):
        predicted = np.arange(0.55, 1, 0.1)
        observed = predicted - (0.1 if strategy == self.baseline else 0.02)
        frame = {
            "bin": range(5),
            "predicted": predicted,
            "observed": observed,
            "rows": [40, 90, 0, 300, 500],
        }
        return pd.DataFrame(frame).assign(low=observed - 0.04, high=observed + 0.03)

    def confusion(self, target, task, strategy, budget):
        names = list(self.tasks[1].classes)
        return pd.DataFrame([[310, 90], [55, 805]], index=names, columns=names)


def stand_in(kind=StandIn, **changes):
    """A comparison of seven strategies, two targets, two tasks, three budgets and three seeds."""
    rng = np.random.default_rng(0)
    tasks = [
        Task("rating", kind="regression"),
        Task("polarity", kind="classification", classes=("neg", "pos")),
    ]
    rows = []
    for target, task, strategy, step, seed in itertools.product(
        ["tweets", "nyt"], tasks, STRATEGIES, range(3), range(3)
    ):
        metric = "pearson" if task.kind == "regression" else "f1_macro"
        low, high = LEVELS.get(strategy, (0.33, 0.33))
        value = (
            low + (high - low) * step / 2 - (0.2 if target == "nyt" else 0) + rng.normal(0, 0.02)
        )
        if strategy == "majority":
            value = np.nan if metric == "pearson" else 0.33
        rows.append((target, task.name, strategy, [16, 64, 256][step], seed, metric, value))
        rows.append((target, task.name, strategy, [16, 64, 256][step], seed, "other", 7.0))
    columns = ["target", "task", "strategy", "budget", "seed", "metric", "value"]
    results = pd.DataFrame(rows, columns=columns)
    changes = {"leakage": {"tweets": LEAKAGE, "nyt": LEAKAGE}, "provenance": PROVENANCE} | changes
    return kind(results, verdict_table(results, "target_only"), tasks, **changes)


def verdict_table(results, baseline, half=0.05):
    means = results[results["metric"] != "other"].groupby(
        ["target", "task", "budget", "strategy", "metric"], sort=False
    )["value"].mean()  # fmt: skip
    rows = []
    for (target, task, budget, strategy, metric), value in means.items():
        if strategy != baseline:
            rows.append(
                verdict(
                    target,
                    task,
                    budget,
                    strategy,
                    metric,
                    value - means[target, task, budget, baseline, metric],
                    half,
                )
            )
    return pd.DataFrame(rows)


def verdict(target, task, budget, strategy, metric, value, half=0.05, note="", **more):
    low, high = value - half, value + half
    word = "helped" if low > 0 else "hurt" if high < 0 else "undecided"
    return {
        "target": target,
        "task": task,
        "budget": budget,
        "strategy": strategy,
        "metric": metric,
        "value": value,
        "low": low,
        "high": high,
        "verdict": word,
        "behind": False,
        "p": value if np.isnan(value) else 0.0004 if word != "undecided" else 0.31,
        "minimum_effect": half * (1 + 0 * value),
        "rows": 1260,
        "seeds": 3,
        "note": "pearson is undefined for seed number 0, 1, 2" if np.isnan(value) else note,
        **more,
    }
