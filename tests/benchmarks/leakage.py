"""The leakage audit against leaks that are known: ``python -m tests.benchmarks.leakage``.

Prints one line a figure with its bound; exits 1 when one falls short or a data set is absent.
The known leaks are found here anew with plain sets, so that row numbers can be compared and not
only counts.
"""

from __future__ import annotations

import re
import resource
import sys
import time
from collections.abc import Callable

import pandas as pd

from tf_transfer import assets, readers
from tf_transfer.leakage import audit_leakage

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
    """The exit code."""
    absent = [name for name in ("fdu_mtl", *LETTERS_ONLY) if assets.cached(name) is None]
    for name in absent:
        print(f"{name} is not in the cache: run `tf-transfer fetch {name} --from PATH`", file=sys.stderr)
    if absent:
        return 1
    reviews = readers.read_dataset("fdu_mtl")
    good = [_compare(f"fdu_mtl {d}", reviews[reviews["domain"] == d], str, n) for d, n in FDU_MTL.items()]
    good += [_compare(n, readers.read_dataset(n), letters, count) for n, count in LETTERS_ONLY.items()]
    return 0 if all([*good, *_measure(reviews)]) else 1


def letters(text: str) -> str:
    """The letters a to z of a text."""
    return "".join(re.findall("[a-z]", text.lower()))


def _compare(name: str, table: pd.DataFrame, form: Callable[[str], str], listed: int) -> bool:
    train, test = table[table["split"] == "train"], table[table["split"] == "test"]
    forms = {form(text) for text in train["text"]}
    known = {row for row, text in enumerate(test["text"]) if form(text) in forms}
    overlap = audit_leakage(train, test).overlaps["train"]
    found = len(known & set(overlap.tested["test_row"]))
    counts = overlap.counts()
    good = len(known) == listed and found == listed
    print(
        f"{name}: known leaks found {found} (bound: {listed} of {listed}) {_verdict(good)}; "
        f"in all {counts['exact']} exact, {counts['near']} near of {counts['test_rows']}"
    )
    return good


def _measure(reviews: pd.DataFrame) -> list[bool]:
    train, test = reviews[reviews["split"] == "train"], reviews[reviews["split"] == "test"]
    # The peak never falls: what the audits above have reached counts as before.
    before, start = _peak_megabytes(), time.perf_counter()
    audit_leakage(train, test)
    seconds, megabytes = time.perf_counter() - start, _peak_megabytes() - before
    good = [seconds <= MOST_SECONDS, megabytes <= MOST_MEGABYTES]
    print(
        f"audit of {len(train)} x {len(test)} reviews: {seconds:.1f} s "
        f"(bound: {MOST_SECONDS:.0f} s) {_verdict(good[0])}"
    )
    print(f"its memory: {megabytes:.0f} MB more (bound: {MOST_MEGABYTES:.0f} MB) {_verdict(good[1])}")
    return good


def _peak_megabytes() -> float:
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (2**20 if sys.platform == "darwin" else 2**10)


def _verdict(good: bool) -> str:
    return "ok" if good else "FALLS SHORT"


if __name__ == "__main__":
    sys.exit(main())
