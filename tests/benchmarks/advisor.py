"""Advice before training, against what training then showed, on cases that the rules were not
written from.

    python -m tests.benchmarks.advisor [FOLDER] [--development]

For each experiment of `advisor_cases.HELD_OUT` the advice is asked for first, its steps being timed
right then, and the experiment is run after it. A case is a target with a label budget. Beside the
advice stands what each strategy would have scored had it been advised always. 44 minutes on two
cores under a load of ten; it needs the data sets of `advisor_cases` in the cache; what is done
stays in FOLDER.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import pandas as pd

from tests.benchmarks.advisor_cases import DEVELOPMENT, HELD_OUT
from tests.benchmarks.reporting import Report
from tf_transfer.advisor.advise import advise
from tf_transfer.comparison.compare import compare
from tf_transfer.comparison.comparison import Comparison
from tf_transfer.files.storage import write_text

SHARE = 0.75
"""Of the cases in which the advice and the predicted time must be good: 9 of 12."""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("folder", nargs="?", type=Path, default=Path("runs/advisor"))
    parser.add_argument(
        "--development", action="store_true", help="the cases that the rules were written from"
    )
    arguments = parser.parse_args()
    experiments = DEVELOPMENT if arguments.development else HELD_OUT
    kind = "development" if arguments.development else "held out"
    report = Report(
        f"Advice before training, BERT-tiny, {kind} experiments, 3 seeds, 16, 64 and 256 labels"
    )
    tables = [run_case(experiment, arguments.folder, report) for experiment in experiments]
    fared, always = (pd.concat(parts, ignore_index=True) for parts in zip(*tables))
    summarise(fared, always, report)
    return report.finish()


def run_case(experiment: dict, folder: Path, report: Report) -> tuple[pd.DataFrame, pd.DataFrame]:
    """How the advice fared, a row a case, and how each strategy would have."""
    place = folder / experiment["name"].replace(" ", "-")
    kept = place / "advice.csv"
    if not kept.exists():  # the times hold for this machine at this moment only
        advice, start = advise(experiment), time.perf_counter()
        comparison = compare(experiment, place / "run")
        report.note(
            f"{experiment['name']}: training predicted to take {advice.run_seconds:.0f} s; with "
            f"reading, tracing and prediction the run took {time.perf_counter() - start:.0f} s"
        )
        write_text(place / "advice.txt", str(advice))
        advice.to_frame().to_csv(place / "ranks.csv", index=False)
        fared = advice.fared(comparison)
        fared.to_csv(kept, index=False)
    fared, comparison = pd.read_csv(kept), Comparison(place / "run")
    for row in fared.itertuples():
        report.note(
            f"{row.target:20} {row.budget:4} labels  advised {row.advised:18} {row.value:.3f}  "
            f"best {row.best:18} {row.best_value:.3f}  {'as good' if row.as_good else 'WORSE  '} "
            f"[{row.low:+.3f}, {row.high:+.3f}]  predicted {row.predicted_seconds:5.1f} s, took "
            f"{row.actual_seconds:5.1f} s"
        )
    return fared, always_advised(comparison, fared)


def always_advised(comparison: Comparison, fared: pd.DataFrame) -> pd.DataFrame:
    """What following each strategy blindly would have cost: strategy, behind, as_good, a row a
    case.
    """
    records = []
    for row in fared.itertuples():
        for strategy in comparison.strategies:
            found = comparison.difference(row.best, strategy, row.target, row.task, row.budget)
            good = strategy == row.best or found.low <= 0
            records.append((strategy, found.value, good, strategy == row.best))
    return pd.DataFrame(records, columns=["strategy", "behind", "as_good", "is_best"])


def summarise(fared: pd.DataFrame, always: pd.DataFrame, report: Report) -> None:
    cases, at_least = len(fared), SHARE * len(fared)
    report.figure("cases", cases, at_least=12, digits=0)
    report.figure(
        "advised is the best or within its interval of it",
        fared["as_good"].sum(),
        at_least=at_least,
        digits=0,
    )
    within = fared["ratio"].between(0.5, 2)
    detail = (
        f"ratios {fared['ratio'].min():.2f} to {fared['ratio'].max():.2f}, median "
        f"{fared['ratio'].median():.2f}"
    )
    report.figure(
        "predicted time within a factor of 2",
        within.sum(),
        at_least=at_least,
        digits=0,
        detail=detail,
    )
    report.figure("advised is the best", (fared["advised"] == fared["best"]).sum(), digits=0)
    report.figure("behind the best, mean (metric units)", fared["behind"].mean(), digits=3)
    for strategy, rows in always.groupby("strategy", sort=False):
        report.figure(
            f"always {strategy}: behind the best, mean",
            rows["behind"].mean(),
            digits=3,
            detail=f"best in {rows['is_best'].sum()}, as good in {rows['as_good'].sum()} of "
            f"{cases}",
        )


if __name__ == "__main__":
    raise SystemExit(main())
