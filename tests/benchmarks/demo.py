"""`tf-transfer demo` in a fresh folder: its time, memory, and what it finds.

    python -m tests.benchmarks.demo [FOLDER]

A ridge on frozen BERT-tiny features with 1,500 rows of each source gives .58 on tweets and .37 on
nyt at 16 labels; training on all source rows should do better.
"""

from __future__ import annotations

import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from tests.benchmarks.reporting import Report
from tests.report_page import lacking
from tf_transfer.comparison.comparison import Comparison
from tf_transfer.report.sections import SECTIONS

BOUNDS = {"tweets": 0.60, "nyt": 0.38}
TRANSFERS = ("fine_tune", "multi_task")


def main() -> int:
    report = Report(
        "tf-transfer demo: BERT-tiny, movie and amazon to tweets and nyt, Pearson r of the rating"
    )
    folder = sys.argv[1] if len(sys.argv) > 1 else tempfile.mkdtemp(prefix="tf_transfer-demo-")
    command = [sys.executable, "-m", "tf_transfer.command_line.cli"]
    for asset in ("vader", "bert-tiny"):
        subprocess.run([*command, "fetch", asset], check=True, stdout=subprocess.DEVNULL)
    before, start = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    subprocess.run([*command, "demo", "--output", folder], check=True, stdout=subprocess.DEVNULL)
    seconds, after = time.perf_counter() - start, resource.getrusage(resource.RUSAGE_CHILDREN)
    used = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    report.figure(
        "wall time", seconds / 60, "min", at_most=6, detail=f"{used / 60:.1f} processor minutes"
    )
    page = (Path(folder) / "report.html").read_text(encoding="utf-8")
    names = [name for name, *_ in SECTIONS if name != "advice"]  # which is not asked for
    absent = lacking(page, names)
    report.figure("sections of the report", len(names) - len(absent), at_least=len(names), digits=0,
                  detail=f"without {', '.join(absent)}" if absent else "")  # fmt: skip
    comparison = Comparison(folder)
    # A run lets the process's own peak start anew for every cell.
    peak = max(after.ru_maxrss * 1024 / 1e9, comparison.costs["peak_gb"].max())
    report.figure("peak memory", peak, "GB", at_most=3)
    rows = comparison.results.query("task == 'rating' and metric == 'pearson' and budget == 16")
    means = rows.groupby(["target", "strategy"])["value"].mean()
    for target, bound in BOUNDS.items():
        for strategy in comparison.strategies:
            least = bound if strategy in TRANSFERS else None
            report.figure(
                f"{target}, 16 labels, {strategy}",
                means[target, strategy],
                at_least=least,
                digits=3,
            )
    verdicts = comparison.verdicts().query(
        "target == 'tweets' and task == 'rating' and budget == 16"
    )
    for row in verdicts[verdicts["strategy"].isin(TRANSFERS)].itertuples():
        helped = float(row.verdict == "helped")
        interval = f"{row.value:+.3f} [{row.low:+.3f}, {row.high:+.3f}] {row.verdict}"
        report.figure(
            f"tweets, 16 labels, {row.strategy} helped (1 = yes)",
            helped,
            at_least=1,
            detail=interval,
        )
    return report.finish()


if __name__ == "__main__":
    sys.exit(main())
