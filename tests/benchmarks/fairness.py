"""What a source costs that has nothing to teach: whether any strategy loses by more than the
source's own harm.

    python -m tests.benchmarks.fairness [FOLDER] [--seeds 5] [--kinds shuffled huge ...]

Five kinds of sources, two targets, three label budgets, all strategies that learn from sources. By
shuffled labels none may lose more than `MARGIN` against itself without the source, unless the
encoder was harmed as the report shows it: heads solved on its frozen features are then worse than
before source training. An hour and a half on two cores; a run that was stopped goes on from FOLDER.
It needs vader, mpqa and trec in the cache.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import pandas as pd

from tests.benchmarks.reporting import Report
from tf_transfer.comparison.compare import compare
from tf_transfer.comparison.comparison import Comparison
from tf_transfer.data.readers import read_dataset

MARGIN = 0.05
"""Macro F1 that a source of noise may cost."""

ROWS, TINY, HUGE = 750, 10, 3500
"""Rows of each of two source tables."""

POOL, TEST = 1000, 1000
"""Rows of a target that labels are drawn from, and rows of its test."""

BRIEF = {"steps": 20, "shot": 4, "num_query": 4}
"""Of the meta-learners, for time: what is compared is how they use the target's labels after it."""

STRATEGIES = ["target_only", "fine_tune", "multi_task", "linear_probe"]
META = [
    {name: BRIEF} for name in ("maml", "anil", "meta_sgd", "reptile", "proto_net", "proto_maml")
]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("folder", nargs="?", type=Path, default=Path("runs/fairness"))
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--kinds", nargs="+", choices=SOURCES, default=list(SOURCES))
    arguments = parser.parse_args()
    report = Report(
        f"Sources with little to teach, BERT-tiny, macro F1 of polarity, {arguments.seeds} seeds"
    )
    for kind in arguments.kinds:
        comparison = compare(
            experiment(kind, arguments.seeds), arguments.folder / kind.replace(" ", "-")
        )
        comparison.save()
        report.note(f"{kind}: {arguments.folder / kind.replace(' ', '-')}")
        for line in table(comparison).to_string(index=False).splitlines():
            report.note(line)
        check(kind, comparison, report)
        of_row, of_seed = deviations(comparison)
        report.note(
            f"median deviation of a difference: of one row {of_row:.2f}, of one seed {of_seed:.3f}"
        )
    return report.finish()


def check(kind: str, comparison: Comparison, report: Report) -> None:
    """The worst loss of each strategy, leaving out the places where its encoder was shown to be
    harmed.
    """
    found = effects(comparison)
    for strategy, rows in found.groupby("strategy", sort=False):
        fair = rows[rows["encoder"] != "harmed"]
        worst = fair["difference"].min() if len(fair) else 0.0
        bound = {"at_least": -MARGIN} if kind == "shuffled" else {}
        detail = f"{len(rows) - len(fair)} of {len(rows)} places left out: the encoder was harmed"
        report.figure(
            f"{kind}, {strategy}: worst difference", worst, digits=3, detail=detail, **bound
        )
    hurt = found[(found["verdict"] == "hurt") & (found["encoder"] != "harmed")]
    report.figure(
        f"{kind}: places hurt, the encoder not harmed",
        len(hurt),
        digits=0,
        detail=f"of {len(found)}",
    )


def effects(comparison: Comparison) -> pd.DataFrame:
    """Of each target, budget and strategy: the difference, its verdict, and what became of the
    encoder.
    """
    place = ["target", "task", "budget", "strategy"]
    verdicts = comparison.verdicts().query(
        "strategy in @comparison.source_strategies and task == 'polarity'"
    )
    encoder = comparison.encoder_effect().set_index(place)[["difference", "verdict"]]
    encoder.columns = ["frozen", "encoder"]
    kept = verdicts[[*place, "value", "low", "high", "verdict"]].rename(
        columns={"value": "difference"}
    )
    return kept.join(encoder, on=place)


def deviations(comparison: Comparison) -> tuple[float, float]:
    """Medians over the verdicts: `statistics.power.TYPICAL` has them."""
    found = []
    for row in comparison.verdicts().itertuples():
        difference = comparison.difference(
            row.strategy, comparison.against(row.strategy), row.target, row.task, row.budget
        )
        effect = difference.effect
        if effect is not None:
            of_seed = max(effect.seed_variance - effect.shared_variance, 0.0) * effect.seeds
            found.append([effect.row_variance * effect.units, of_seed])
    of_row, of_seed = np.sqrt(np.median(found, axis=0))
    return float(of_row), float(of_seed)


def table(comparison: Comparison) -> pd.DataFrame:
    found = effects(comparison)
    means = {
        (p[0], p[2], s): v
        for p, _, values in comparison.means()
        for s, v in values.items()
        if p[1] == "polarity"
    }
    controls = [comparison.against(strategy) for strategy in found["strategy"]]
    scores = [
        [means[target, budget, label] for label in (strategy, control)]
        for target, budget, strategy, control in zip(
            found["target"], found["budget"], found["strategy"], controls
        )
    ]
    found.insert(4, "with", [a for a, _ in scores])
    found.insert(5, "without", [b for _, b in scores])
    return found.drop(columns="task").round(3)


def experiment(kind: str, seeds: int) -> dict:
    tables = SOURCES[kind]()
    tasks = [
        {"name": name}
        for name in dict.fromkeys(c for t in tables.values() for c in t if c != "text")
    ]
    polarity = {"name": "polarity", "metric": "f1_macro"}
    return {
        "name": f"a source: {kind}",
        "encoder": {"name": "bert-tiny", "max_length": 48, "freeze": "embeddings"},
        "tasks": [polarity, *(task for task in tasks if task["name"] != "polarity")],
        "sources": tables,
        "targets": {"tweets": halves("vader", domain="tweets"), "phrases": halves("mpqa")},
        "strategies": STRATEGIES + META * (kind == "shuffled"),
        "budgets": [16, 64, 256],
        "seeds": seeds,
    }


def halves(dataset: str, **where) -> dict:
    return {"data": {"dataset": dataset, "where": where, "rows": POOL + TEST}, "test_size": 0.5}


def reviews(rows: int) -> dict[str, pd.DataFrame]:
    """Films and shops with the polarity of their sentences: the question of the targets."""
    tables = {
        domain: read_dataset("vader", domain=domain)[["text", "polarity"]]
        for domain in ("movie", "amazon")
    }
    return {domain: drawn(table.dropna(), rows) for domain, table in tables.items()}


def shuffled() -> dict[str, pd.DataFrame]:
    draws = np.random.default_rng(0)
    return {
        domain: table.assign(polarity=draws.permutation(table["polarity"]))
        for domain, table in reviews(ROWS).items()
    }  # fmt: skip


def questions(task: str) -> dict[str, pd.DataFrame]:
    """Questions by what they ask for, in two tables; ``task`` is the column of it."""
    asked = (
        read_dataset("trec", split="train")[["text", "answer"]]
        .dropna()
        .rename(columns={"answer": task})
    )
    both = drawn(asked, 2 * ROWS)
    return {
        "first": both[:ROWS].reset_index(drop=True),
        "second": both[ROWS:].reset_index(drop=True),
    }


def drawn(table: pd.DataFrame, rows: int) -> pd.DataFrame:
    return table.sample(min(rows, len(table)), random_state=0).reset_index(drop=True)


SOURCES = {
    "shuffled": shuffled,
    "another question": lambda: questions("answer"),
    "other classes": lambda: questions("polarity"),
    "tiny": lambda: reviews(TINY),
    "huge": lambda: reviews(HUGE),
}
"""``{kind: function}`` of the source tables."""


if __name__ == "__main__":
    raise SystemExit(main())
