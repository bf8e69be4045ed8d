"""Does a search beat the defaults, does it repeat, and does it survive a kill?

    python -m tests.benchmarks.tune [FOLDER] [--small]

VADER, BERT-tiny, film and shop reviews to tweets with 64 labels: 20 trials of Bayesian search over
`FineTune` and `MultiTask`, scored by repeated 4-fold of the 64 labels. The best is then compared
with both strategies' defaults on the test rows, which the search has not read. The search is made
three times, each in a process of its own: once, once more with the same seed, and once killed in
trial 7 and started again. About twenty minutes on two cores; ``--small`` shows in a few minutes
that it runs, and says nothing about the figures.
"""

from __future__ import annotations

import argparse
import dataclasses
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from tests.benchmarks.reporting import Report
from tf_transfer.comparison.compare import compare
from tf_transfer.tuning.records import Outcome, Records, best_of
from tf_transfer.tuning.tune import tune

TARGET, TASK, BUDGET = "tweets", "rating", 64
DEFAULTS = ("fine_tune", "multi_task")
SPACE = {"batch_size": 32, "adapt_steps": [30, 60]}
"""Narrower than the declared one where trials take long; the defaults lie within."""
KILLED_IN = 7
SEEDS = 10
"""Of the comparison on the test rows."""


def experiment(small: bool) -> dict:
    rows = 64 if small else 400
    return {
        "name": "tuned against default",
        "encoder": {"name": "bert-tiny", "max_length": 48, "freeze": "embeddings"},
        "tasks": [
            {"name": "rating", "kind": "regression", "metric": "pearson"},
            {"name": "polarity"},
        ],
        "sources": {
            d: {"dataset": "vader", "where": {"domain": d}, "rows": rows}
            for d in ("movie", "amazon")
        },
        "targets": {TARGET: {"dataset": "vader", "where": {"domain": TARGET}}},
        "strategies": list(DEFAULTS),
        "baseline": DEFAULTS[0],
        "budgets": [BUDGET],
        "seeds": 2 if small else SEEDS,
        "tune": {
            "strategies": {label: dict(SPACE) for label in DEFAULTS},
            "oracle": "bayesian",
            "trials": 4 if small else 20,
            "folds": 2 if small else 4,
            "repeats": 1 if small else 2,
        },
    }


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", nargs="?", type=Path)
    parser.add_argument("--small", action="store_true")
    parser.add_argument(
        "--search", action="store_true", help="only search in FOLDER, as each process does"
    )
    asked = parser.parse_args()
    if asked.search:
        tune(experiment(asked.small), asked.folder)
        return 0
    folder = asked.folder or Path(tempfile.mkdtemp(prefix="tf_transfer-tune-"))
    report = Report(
        "Search over FineTune and MultiTask: BERT-tiny, movie and amazon to tweets, 64 labels"
    )
    killed_in = 1 if asked.small else KILLED_IN
    outcomes = {}
    for name, kill in (("once", None), ("again", None), ("killed", killed_in)):
        start = time.perf_counter()
        outcomes[name] = search(folder / name, asked.small, kill)
        report.figure(f"search, {name}", (time.perf_counter() - start) / 60, "min")
    describe(report, outcomes["once"])
    for name, what in (
        ("again", "the same seed again"),
        ("killed", f"killed in trial {killed_in} and started again"),
    ):
        same = [plain(o) for o in outcomes[name]] == [plain(o) for o in outcomes["once"]]
        best = plain(best_of(outcomes[name], 1)) == plain(best_of(outcomes["once"], 1))
        report.figure(f"{what}: the same best trial (1 = yes)", float(best), at_least=1, digits=0)
        report.figure(f"{what}: all trials the same (1 = yes)", float(same), at_least=1, digits=0)
    verdict(report, folder, asked.small)
    return report.finish()


def search(folder: Path, small: bool, kill: int | None) -> list[Outcome]:
    """One search in a process of its own, killed while it runs trial ``kill``."""
    command = [
        sys.executable,
        "-m",
        "tests.benchmarks.tune",
        str(folder),
        "--search",
        *(["--small"] if small else []),
    ]
    if kill is not None and not (folder / "trials.csv").exists():
        process = subprocess.Popen(command)
        name = f"trial_{kill if small else f'{kill:02d}'}"
        while process.poll() is None and not (folder / name / "trial.json").exists():
            time.sleep(0.05)
        time.sleep(1)
        process.kill()
        process.wait()
        if (folder / name / "outcome.json").exists() or not (folder / name / "trial.json").exists():
            raise SystemExit(
                f"The search was not killed within trial {kill}: start again in another folder."
            )
    subprocess.run(command, check=True)
    return Records(folder).outcomes()


def plain(outcome: Outcome) -> dict:
    """All of a trial but its time."""
    return dataclasses.asdict(dataclasses.replace(outcome, seconds=0.0))


def describe(report: Report, outcomes: list[Outcome]) -> None:
    states = [o.status for o in outcomes]
    for status in ("completed", "stopped", "failed"):
        report.figure(f"trials {status}", states.count(status), digits=0)
    report.figure(
        "seconds of training a trial", sum(o.seconds for o in outcomes) / len(outcomes), digits=1
    )
    best = best_of(outcomes, 1)
    changed = {k: v for k, v in best.arguments.items() if v != "auto"}
    report.figure("validation Pearson r of the best trial", best.score, digits=3)
    report.note(
        f"trial {best.trial}, {best.label}, 95 % [{best.low:.3f}, {best.high:.3f}]: {changed}"
    )


def verdict(report: Report, folder: Path, small: bool) -> None:
    """The best against both defaults, on the test rows, as a comparison's verdict has it."""
    found = tune(experiment(small), folder / "once")  # nothing is left to train
    comparison = compare(found.best_experiment, folder / "compared")
    means = (
        comparison.results.query("task == @TASK and metric == 'pearson'")
        .groupby("strategy")["value"]
        .mean()
    )
    for strategy in comparison.strategies:
        report.figure(f"test Pearson r, {strategy}", means[strategy], digits=3)
    differences = {d: comparison.difference("tuned", d, TARGET, TASK, BUDGET) for d in DEFAULTS}
    for default, difference in differences.items():
        report.figure(
            f"tuned less default {default}, low end of the interval", difference.low, digits=3
        )
        report.note(str(difference))
    beaten = [d for d, difference in differences.items() if difference.low > 0]
    words = "beats both defaults" if len(beaten) == len(DEFAULTS) else "does not beat both defaults"
    report.note(
        f"On {len(comparison.seeds)} seeds and the held-out test the tuned strategy {words}."
    )


if __name__ == "__main__":
    sys.exit(main())
