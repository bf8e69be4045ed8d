"""Hostile inputs: refused in the toolkit's own words, or taken, at once and in little memory.

    python -m tests.benchmarks.hostile [KIND ...] [--share 1.0] [--number N]

Each kind of input is tried in a process of its own, which is ended and replaced when an input takes
longer than a minute. A fault is told once, with the number of the input that showed it first:
``--number`` makes that one again.
"""

from __future__ import annotations

import argparse
import multiprocessing
import sys
import tempfile
from collections import Counter
from pathlib import Path

from tests.benchmarks.reporting import Report
from tests.hostile import KINDS, Kind, Outcome

MINUTE, MOST_BYTES = 60, 24 * 2**30


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument(
        "kinds", nargs="*", metavar="KIND", help=f"of {', '.join(KINDS)}; all by default"
    )
    parser.add_argument("--share", type=float, default=1.0, help="of the inputs of each kind")
    parser.add_argument(
        "--number", type=int, help="only this input, with the whole traceback of what it raises"
    )
    arguments = parser.parse_args()
    if arguments.number is not None:
        return _show(arguments.kinds[0], arguments.number)
    report = Report("Hostile inputs, made from seeds.")
    outcomes: list[Outcome] = []
    for name in arguments.kinds or KINDS:
        tried = _try_all(name, max(1, round(arguments.share * KINDS[name])))
        outcomes += tried
        counts = Counter(outcome.answer for outcome in tried)
        shares = ", ".join(f"{counts[answer]} {answer}" for answer in ("refused", "taken", "fault"))
        report.figure(f"{name}: inputs", len(tried), digits=0, detail=shares)
    faults = Counter((o.kind, o.fault) for o in outcomes if o.fault)
    whole = not arguments.kinds and arguments.share >= 1
    report.figure("inputs", len(outcomes), at_least=5000 if whole else None, digits=0)
    report.figure(
        "foreign errors, half-written files, other exit codes",
        sum(faults.values()),
        at_most=0,
        digits=0,
    )
    slowest, largest = (
        max(outcomes, key=lambda o: getattr(o, field)) for field in ("seconds", "gb")
    )
    report.figure(
        "the slowest", slowest.seconds, "s", at_most=10, detail=f"{slowest.kind} {slowest.number}"
    )
    report.figure(
        "the most memory beyond what was held",
        largest.gb,
        "GB",
        at_most=2,
        detail=f"{largest.kind} {largest.number}",
    )
    for (kind, fault), count in faults.most_common(60):
        first = next(o.number for o in outcomes if (o.kind, o.fault) == (kind, fault))
        report.note(f"{kind} {first} ({count} such): {fault}")
    return report.finish()


def _try_all(name: str, count: int) -> list[Outcome]:
    """The outcomes of inputs 0 to ``count`` - 1; one that does not end is a fault."""
    context, outcomes = multiprocessing.get_context("spawn"), []
    while len(outcomes) < count:
        with tempfile.TemporaryDirectory() as root:
            ours, theirs = context.Pipe(duplex=False)
            process = context.Process(
                target=_work, args=(name, Path(root) / "kind", len(outcomes), count, theirs)
            )
            process.start()
            theirs.close()
            _gather(ours, outcomes, count)
            if len(outcomes) < count:
                process.kill()
                process.join()
                fault = "it did not end, or ended the process"
                outcomes.append(Outcome(name, len(outcomes), "fault", fault, float(MINUTE), 0.0))
            process.join()
    return outcomes


def _gather(pipe, outcomes: list[Outcome], count: int) -> None:
    waits = 5 * MINUTE  # for the imports
    while len(outcomes) < count and pipe.poll(waits):
        waits = MINUTE
        try:
            outcomes.append(pipe.recv())
        except EOFError:
            return


def _work(name: str, root: Path, first: int, count: int, pipe) -> None:
    import resource

    resource.setrlimit(resource.RLIMIT_AS, (MOST_BYTES, MOST_BYTES))
    kind = Kind(name, root)
    for number in range(first, count):
        pipe.send(kind.try_one(number))
    pipe.close()


def _show(name: str, number: int) -> int:
    import traceback

    import tests.hostile as hostile

    place = hostile._place
    hostile._place = lambda error: "".join(traceback.format_exception(error)) + place(error)
    with tempfile.TemporaryDirectory() as root:
        print(*Kind(name, Path(root) / "kind").try_one(number), sep="\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
