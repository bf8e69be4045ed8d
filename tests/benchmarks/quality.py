"""The demo's question with MiniLM: what each strategy does on tweets with 16 and 256 labels.

    python -m tests.benchmarks.quality [FOLDER]

Beside the strategies, a ridge regression on frozen features, with the source rows and without them,
shows what a fixed representation can do. About a quarter of an hour on two cores; a run that was
stopped goes on from FOLDER.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pandas as pd
from scipy.stats import pearsonr
from sklearn.linear_model import RidgeCV

from tests.benchmarks.reporting import Report
from tf_transfer.comparison.compare import compare
from tf_transfer.comparison.comparison import Comparison
from tf_transfer.experiments.experiment import load_experiment
from tf_transfer.experiments.prepared import Prepared, draw_support

RIDGE_ROWS = 1500
"""Rows of each source that the frozen ridge is trained on."""

SOURCE_ROWS = 2000
"""Rows of each source, so that the benchmark ends within a quarter of an hour (movie has 10,605,
amazon 3,708).
"""

EXPERIMENT = {
    "name": "sentiment across domains, MiniLM",
    "encoder": {"name": "minilm", "max_length": 64, "freeze": "embeddings"},
    "tasks": [
        {"name": "rating", "kind": "regression", "metric": "pearson"},
        {"name": "polarity", "kind": "classification", "metric": "f1_macro"},
    ],
    "sources": {
        d: {"dataset": "vader", "where": {"domain": d}, "rows": SOURCE_ROWS}
        for d in ("movie", "amazon")
    },
    "targets": {"tweets": {"dataset": "vader", "where": {"domain": "tweets"}}},
    "strategies": [
        "target_only",
        {"fine_tune": {"epochs": 1}},
        {"multi_task": {"epochs": 1}},
        "linear_probe",
        {"probe_target_only": {"strategy": "linear_probe", "uses_source": False}},
    ],
    "budgets": [16, 256],
    "seeds": 3,
}


def main() -> int:
    report = Report("MiniLM, movie and amazon to tweets: Pearson r of the rating, mean over seeds")
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else Path("runs/quality")
    comparison = compare(
        EXPERIMENT,
        folder,
        say=lambda what, done, of: print(f"      {done}/{of} {what}", flush=True),
    )
    comparison.save()
    rows = comparison.results.query("task == 'rating' and metric == 'pearson'")
    means = rows.groupby(["budget", "strategy"])["value"].mean()
    ridge = frozen_ridge(comparison)
    for budget in comparison.budgets:
        for name, value in ridge[budget].items():
            report.figure(f"{budget} labels, frozen ridge, {name}", value, digits=3)
        for strategy in comparison.strategies:
            transfers = budget == 16 and strategy in ("fine_tune", "multi_task")
            bound = 0.72 if transfers else None
            report.figure(
                f"{budget} labels, {strategy}", means[budget, strategy], at_least=bound, digits=3
            )
    for row in comparison.verdicts().query("task == 'rating'").itertuples():
        report.note(
            f"{row.budget} labels, {row.strategy}: {row.value:+.3f} [{row.low:+.3f}, "
            f"{row.high:+.3f}] {row.verdict}"
        )
    for budget in comparison.budgets:
        found = comparison.difference(
            "linear_probe", "probe_target_only", "tweets", "rating", budget
        )
        report.note(f"{budget} labels, the probe with source against the probe without: {found}")
    report.note(
        "With frozen features one linear map must serve all domains, and the source's rows outvote "
        "the target's: the ridge in which the source weighs only as much as the target says how "
        "much of a loss comes from that."
    )
    return report.finish()


def frozen_ridge(comparison: Comparison) -> dict[int, dict[str, float]]:
    """Pearson r by budget of a ridge on frozen features: source alone, target alone, both in one
    table.
    """
    from tf_transfer import TransferModel, load_encoder

    experiment = load_experiment(EXPERIMENT)
    data = Prepared.load(experiment)
    model = TransferModel(
        load_encoder("minilm"), data.tasks, max_length=experiment.encoder.max_length
    )
    target = data.targets["tweets"]
    source = pd.concat(
        [t.sample(min(RIDGE_ROWS, len(t)), random_state=0) for t in data.sources.values()]
    )
    source = source.reset_index(drop=True)
    x_source, x_test = model.encode(source), model.encode(target.test)
    found: dict[int, dict[str, list]] = {}
    for budget in comparison.budgets:
        names = (
            "source alone",
            "target alone",
            "source and target",
            "source weighing as much as target",
        )
        found[budget] = {name: [] for name in names}
        for seed in comparison.seeds:
            support = draw_support(target.train, "tweets", budget, seed)
            x, y = model.encode(support), support["rating"].to_numpy()
            tables = {
                "source alone": (x_source, source["rating"]),
                "target alone": (x, y),
                "source and target": (
                    np.vstack([x_source, x]),
                    np.concatenate([source["rating"], y]),
                ),
            }
            tables["source weighing as much as target"] = tables["source and target"]
            for name, (features, labels) in tables.items():
                weights = np.ones(len(labels))
                if "weighing" in name:
                    weights[: len(source)] = budget / len(source)
                ridge = RidgeCV(alphas=np.logspace(-2, 3, 11)).fit(
                    features, labels, sample_weight=weights
                )
                found[budget][name].append(
                    pearsonr(ridge.predict(x_test), target.test["rating"])[0]
                )
    return {b: {name: float(np.mean(v)) for name, v in by.items()} for b, by in found.items()}


if __name__ == "__main__":
    sys.exit(main())
