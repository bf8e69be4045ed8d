"""Kills of everything that writes files: same result, nothing lost, nothing left over.

    python -m tests.benchmarks.kills [JOB ...] [--every N]

Each job of `tests.kill_jobs` is killed before each of its file operations, within its writes and at
random moments, each time from the start, in a process of its own. What it left is looked at; then
the job is started again, and its result is held against that of a run that was not killed.
"""

from __future__ import annotations

import argparse
import random
import sys
import tempfile
import time
from pathlib import Path

from tests.benchmarks.reporting import Report
from tests.kills import Bench

JOBS = (
    "save",
    "save in two steps",
    "fetch",
    "fetch with pip",
    "fit with Resume",
    "compare",
    "tune",
)
SIZES = (1, 100, 1_000, 10_000)
MOMENTS = 5


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument(
        "jobs", nargs="*", metavar="JOB", help=f"of {', '.join(JOBS)}; all by default"
    )
    parser.add_argument("--every", type=int, default=1, help="only every N-th file operation")
    arguments = parser.parse_args()
    report = Report(
        "Kills: before every file operation, within writes, and at random moments; then once more."
    )
    kills, lost, wrong = 0, [], []
    for name in arguments.jobs or JOBS:
        with tempfile.TemporaryDirectory() as root:
            kills_of_job = _kill(Bench(name, Path(root) / "bench"), arguments.every)
        count, operations = (
            len(kills_of_job),
            len([how for how, _, _ in kills_of_job if "at" in how]),
        )
        report.figure(
            f"{name}: kills, {operations} of them before a file operation", count, digits=0
        )
        kills += count
        lost += [f"{name}, {how}: {line}" for how, lines, _ in kills_of_job for line in lines]
        wrong += [f"{name}, {how}: {line}" for how, _, lines in kills_of_job for line in lines]
    whole = not arguments.jobs and arguments.every == 1
    report.figure("kills", kills, at_least=200 if whole else None, digits=0)
    report.figure("kills after which something was lost", len(lost), at_most=0, digits=0)
    report.figure("other results, or files left over", len(wrong), at_most=0, digits=0)
    for line in [*lost, *wrong][:50]:
        report.note(line)
    return report.finish()


def _kill(bench: Bench, every: int) -> list[tuple[dict, list[str], list[str]]]:
    """How the job was killed, what was lost then, and what was wrong at the end, a tuple a kill."""
    start = time.perf_counter()
    bench.reset()
    bench.finish()
    duration = time.perf_counter() - start
    draws = random.Random(0)
    ways = [{"at": number} for number in range(1, bench.operations + 1, every)]
    ways += [{"size": size} for size in SIZES] + [
        {"after": draws.uniform(0, duration)} for _ in range(MOMENTS)
    ]
    outcomes = []
    for way in ways:
        bench.reset()
        if bench.kill(**way):
            outcomes.append((way, bench.lost(), bench.finish()))
    return outcomes


if __name__ == "__main__":
    sys.exit(main())
