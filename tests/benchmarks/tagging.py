"""Entities and slots from one data set to another: entity F1 of each strategy, with verdicts.

    python -m tests.benchmarks.tagging [FOLDER] [--pairs snips ...] [--encoders minilm ...]
    [--seeds 5] [--quick]

The types of source and target differ, and one head knows those of both. ``snips_intents`` is snips
with its intents as a second task, which the target has no labels of. A run that was stopped goes
on from FOLDER. ``--quick`` is BERT-tiny with two seeds, 16 labelled texts and few rows: it shows
that all works, and has no bound. It needs snips, restaurant8k, wikiann, wnut17 and crossner in the
cache.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from tests.benchmarks.reporting import Report
from tests.benchmarks.transfer_verdicts import check_helped, show_verdicts
from tf_transfer.comparison.compare import compare
from tf_transfer.comparison.comparison import Comparison
from tf_transfer.data.span_readers import CROSSNER_DOMAINS

BUDGETS, SEEDS = [16, 64, 256], 5
SOURCE, TEST = 2000, 1000
"""Rows of each source table, and of a target's test."""
QUICK = 200
"""Rows of each table with ``--quick``."""
STRATEGIES = [
    *("target_only", "fine_tune", "multi_task", "linear_probe"),
    {"word_windows": {"uses_source": False}},
    {"lexicon": {"uses_source": False}},
]
"""The last two have no use for a source whose types are others: with it their F1 falls."""
FREEZE = {"bert-tiny": "none", "minilm": "embeddings"}
FIFTH = "ai"
"""The domain of crossner that the other four are sources of. Its train split has 100 rows, so the
labelled texts are drawn from that and the validation split.
"""


def rows_of(dataset: str, rows: int, **where) -> dict:
    return {"dataset": dataset, "rows": rows, "where": where}


def snips_to_restaurant8k(source: int, test: int) -> dict:
    return {
        "tasks": [{"name": "slots", "kind": "tagging"}],
        "sources": {"snips": rows_of("snips", source, split="train")},
        "targets": {
            "restaurant8k": {
                "train": rows_of("restaurant8k", source, split="train"),
                "test": rows_of("restaurant8k", test, split="test"),
            }
        },
    }


def snips_with_intents(source: int, test: int) -> dict:
    """The same, and the encoder learns the intents of the source's requests beside their slots."""
    tasks = [{"name": "slots", "kind": "tagging"}, {"name": "intent", "kind": "classification"}]
    return snips_to_restaurant8k(source, test) | {"tasks": tasks, "strategies": STRATEGIES[:4]}


def wikiann_to_wnut17(source: int, test: int) -> dict:
    return {
        "tasks": [{"name": "entities", "kind": "tagging"}],
        "sources": {"wikiann": rows_of("wikiann", source, split="train", domain="en")},
        "targets": {
            "wnut17": {
                "train": rows_of("wnut17", source, split="train"),
                "test": rows_of("wnut17", test, split="test"),
            }
        },
    }


def crossner_to_the_fifth(source: int, test: int) -> dict:
    others = [domain for domain in CROSSNER_DOMAINS if domain != FIFTH]
    return {
        "tasks": [{"name": "entities", "kind": "tagging"}],
        "sources": {domain: rows_of("crossner", source, domain=domain) for domain in others},
        "targets": {
            FIFTH: {
                "train": rows_of("crossner", source, domain=FIFTH, split=["train", "validation"]),
                "test": rows_of("crossner", test, domain=FIFTH, split="test"),
            }
        },
    }


PAIRS = {
    "snips": snips_to_restaurant8k,
    "snips_intents": snips_with_intents,
    "wikiann": wikiann_to_wnut17,
    "crossner": crossner_to_the_fifth,
}
"""By the source: what of an experiment the pair says, of the rows of a source and of a test."""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("folder", nargs="?", type=Path, default=Path("runs/tagging"))
    parser.add_argument("--pairs", nargs="+", choices=PAIRS, default=list(PAIRS))
    parser.add_argument("--encoders", nargs="+", choices=FREEZE, default=list(FREEZE))
    parser.add_argument("--seeds", type=int, default=SEEDS)
    parser.add_argument(
        "--quick", action="store_true", help="a small run that shows that all works"
    )
    arguments = parser.parse_args()
    report = Report("Spans from one data set to another: entity F1, mean over seeds")
    encoders = ["bert-tiny"] if arguments.quick else arguments.encoders
    for pair in arguments.pairs:
        for encoder in encoders:
            name = f"{pair}, {encoder}"
            part = f"{'quick-' if arguments.quick else ''}{pair}-{encoder}"
            content = experiment(pair, encoder, arguments.seeds, arguments.quick)
            comparison = compare(content, arguments.folder / part)
            comparison.save()
            show(report, name, comparison)
            if pair in ("snips", "snips_intents") and not arguments.quick:
                check_helped(report, name, comparison, "texts")
    return report.finish()


def experiment(pair: str, encoder: str, seeds: int, quick: bool) -> dict:
    source, test = (QUICK, QUICK) if quick else (SOURCE, TEST)
    return (
        {"strategies": STRATEGIES}
        | PAIRS[pair](source, test)
        | {
            "name": f"spans of {pair}",
            "encoder": {"name": encoder, "max_length": 96, "freeze": FREEZE[encoder]},
            "budgets": BUDGETS[:1] if quick else BUDGETS,
            "seeds": min(seeds, 2) if quick else seeds,
        }
    )


def show(report: Report, name: str, comparison: Comparison) -> None:
    """The mean F1 of each strategy, and the verdict on each that learns from the source."""
    rows = comparison.results.query("metric == 'f1_micro'")
    means = rows.groupby(["budget", "strategy"])["value"].mean()
    for budget in comparison.budgets:
        for strategy in comparison.strategies:
            value = means[budget, strategy]
            report.figure(f"{name}, {budget} texts, {strategy}", value, digits=3)
    show_verdicts(report, comparison, "texts")


if __name__ == "__main__":
    raise SystemExit(main())
