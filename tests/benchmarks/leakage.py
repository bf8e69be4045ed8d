"""The leakage audit against leaks that are known, and its time and memory.

The known leaks are found here anew with plain sets, so that row numbers can be compared and not
only counts.

    python -m tests.benchmarks.leakage
"""

from __future__ import annotations

import re
import resource
import sys
import time
from collections.abc import Callable

import pandas as pd

from tests.benchmarks.reporting import Report
from tf_transfer.assets import fetching as assets
from tf_transfer.data import readers
from tf_transfer.data.leakage import audit_leakage

FDU_MTL = {
    "health_personal_care": 30,
    "sports_outdoors": 28,
    "baby": 14,
    "dvd": 14,
    "electronics": 12,
    "kitchen_housewares": 9,
    "music": 9,
    "toys_games": 8,
    "books": 7,
    "apparel": 6,
}
"""Test rows whose very text is in the training rows of their own domain."""

LETTERS_ONLY = {"clinc150": 50, "trec": 12}
"""Test rows whose letters a to z, in order, are those of a training row; numbers may differ."""

MOST_SECONDS = 30.0
MOST_MEGABYTES = 500.0


def main() -> int:
    report = Report("The leakage audit: test rows that are in the training rows")
    names = ("fdu_mtl", *LETTERS_ONLY)
    absent = [name for name in names if assets.cached(name) is None]
    for name in absent:
        report.missing(f"the data set {name}", f"Run `tf-transfer fetch {name} --from PATH`.")
    if not absent:
        reviews = readers.read_dataset("fdu_mtl")
        for domain, count in FDU_MTL.items():
            compare(report, f"fdu_mtl {domain}", reviews[reviews["domain"] == domain], str, count)
        for name, count in LETTERS_ONLY.items():
            compare(report, name, readers.read_dataset(name), letters, count)
        measure(report, reviews)
    return report.finish()


def letters(text: str) -> str:
    """The letters a to z of a text."""
    return "".join(re.findall("[a-z]", text.lower()))


def compare(
    report: Report, name: str, table: pd.DataFrame, form: Callable[[str], str], listed: int
) -> None:
    """Reports how many of the ``listed`` leaks, texts of equal ``form``, the audit finds."""
    train, test = table[table["split"] == "train"], table[table["split"] == "test"]
    forms = {form(text) for text in train["text"]}
    known = {row for row, text in enumerate(test["text"]) if form(text) in forms}
    overlap = audit_leakage(train, test).overlaps["train"]
    counts = overlap.counts()
    if len(known) != listed:
        report.missing(
            f"the list of {name}", f"Expected {listed} known leaks, received {len(known)}."
        )
    report.figure(
        f"{name}: known leaks found",
        len(known & set(overlap.tested["test_row"])),
        at_least=listed,
        digits=0,
        detail=f"in all {counts['exact']} exact, {counts['near']} near of {counts['test_rows']}",
    )


def measure(report: Report, reviews: pd.DataFrame) -> None:
    """Reports the time and memory of one audit of all reviews."""
    train, test = reviews[reviews["split"] == "train"], reviews[reviews["split"] == "test"]
    # The peak never falls: what the audits above have reached counts as before.
    before, start = peak_megabytes(), time.perf_counter()
    audit_leakage(train, test)
    seconds, megabytes = time.perf_counter() - start, peak_megabytes() - before
    report.figure(
        f"audit of {len(train)} x {len(test)} reviews", seconds, "s", at_most=MOST_SECONDS, digits=1
    )
    report.figure("its memory, more than before", megabytes, "MB", at_most=MOST_MEGABYTES, digits=0)


def peak_megabytes() -> float:
    """The most memory that this process has used."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (2**20 if sys.platform == "darwin" else 2**10)


if __name__ == "__main__":
    sys.exit(main())
