"""Questions whose answer stands in the text, from one collection to another: F1 with verdicts.

    python -m tests.benchmarks.qa [FOLDER] [--pairs qamr xquad] [--encoders minilm ...]
    [--seeds 3] [--quick]

`qamr`: from sentences of Wikipedia to those of Wikinews; no sentence is in two tables. `xquad`:
from all of `qamr` to English paragraphs, by article. A run that was stopped goes on from FOLDER.
``--quick`` is BERT-tiny with two seeds, 32 labelled questions and few rows: it shows that all
works, and has no bound. It needs qamr and xquad in the cache.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np

from tests.benchmarks.reporting import Report
from tests.benchmarks.transfer_verdicts import check_helped, show_verdicts
from tf_transfer.comparison.compare import compare
from tf_transfer.comparison.comparison import Comparison
from tf_transfer.data.readers import read_dataset

BUDGETS, SEEDS = [32, 128, 512], 3
SOURCE, TEST = 4000, 1000
"""Rows of the source, and of a target's test."""
QUICK = 300
"""Rows of each table with ``--quick``."""
STRATEGIES = ["target_only", "fine_tune", "multi_task", {"word_overlap": {"uses_source": False}}]
FREEZE = {"bert-tiny": "none", "minilm": "embeddings"}
LENGTH = {"qamr": 96, "xquad": 384}
"""The most tokens of a question and its text."""


def rows_of(dataset: str, rows: int, **where) -> dict:
    return {"dataset": dataset, "rows": rows, "where": where}


def genres(source: int, test: int) -> dict:
    news = {"domain": "wikinews"}
    return {
        "sources": {"wikipedia": rows_of("qamr", source, split="validation", domain="wikipedia")},
        "targets": {
            "wikinews": {
                "train": rows_of("qamr", source, split="validation", **news),
                "test": rows_of("qamr", test, split="test", **news),
            }
        },
    }


def paragraphs(source: int, test: int) -> dict:
    articles = list(read_dataset("xquad").query("domain == 'en'")["article"].unique())
    halves = {"train": articles[::2], "test": articles[1::2]}
    rows = {"train": source, "test": test}
    return {
        "sources": {"qamr": rows_of("qamr", source, split="validation")},
        "targets": {
            "xquad": {
                half: rows_of("xquad", rows[half], domain="en", article=chosen)
                for half, chosen in halves.items()
            }
        },
    }


PAIRS = {"qamr": genres, "xquad": paragraphs}
"""By the target's collection: its tables, for so many rows of a source and of a test."""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("folder", nargs="?", type=Path, default=Path("runs/qa"))
    parser.add_argument("--pairs", nargs="+", choices=PAIRS, default=list(PAIRS))
    parser.add_argument("--encoders", nargs="+", choices=FREEZE, default=["minilm"])
    parser.add_argument("--seeds", type=int, default=SEEDS)
    parser.add_argument(
        "--quick", action="store_true", help="a small run that shows that all works"
    )
    arguments = parser.parse_args()
    report = Report("Questions from one collection to another: F1 of words, mean over seeds")
    encoders = ["bert-tiny"] if arguments.quick else arguments.encoders
    for pair in arguments.pairs:
        for encoder in encoders:
            part = f"{'quick-' if arguments.quick else ''}{pair}-{encoder}"
            content = experiment(pair, encoder, arguments.seeds, arguments.quick)
            comparison = compare(content, arguments.folder / part)
            comparison.save()
            show(report, f"{pair}, {encoder}", comparison)
            if not arguments.quick:
                check_helped(report, f"{pair}, {encoder}", comparison, "questions")
    return report.finish()


def experiment(pair: str, encoder: str, seeds: int, quick: bool) -> dict:
    source, test = (QUICK, QUICK) if quick else (SOURCE, TEST)
    return PAIRS[pair](source, test) | {
        "name": f"answers of {pair}",
        "text_pair": "question",
        "tasks": [{"name": "answers", "kind": "span"}],
        "encoder": {"name": encoder, "max_length": LENGTH[pair], "freeze": FREEZE[encoder]},
        "strategies": STRATEGIES,
        "budgets": BUDGETS[:1] if quick else BUDGETS,
        "seeds": min(seeds, 2) if quick else seeds,
    }


def show(report: Report, name: str, comparison: Comparison) -> None:
    """The means of each strategy, and the verdict on each that learns from the source."""
    for metric in ("exact_match", "f1_words"):
        rows = comparison.results.query("metric == @metric")
        means = rows.groupby(["budget", "strategy"])["value"].mean()
        for budget, strategy in np.ndindex(len(comparison.budgets), len(comparison.strategies)):
            place = comparison.budgets[budget], comparison.strategies[strategy]
            value = means[place]
            report.figure(f"{name}, {place[0]} questions, {place[1]}: {metric}", value, digits=3)
    show_verdicts(report, comparison, "questions")


if __name__ == "__main__":
    raise SystemExit(main())
