"""What the source brought in a comparison, as a benchmark prints it."""

from __future__ import annotations

from tests.benchmarks.reporting import Report
from tf_transfer.comparison.comparison import Comparison


def show_verdicts(report: Report, comparison: Comparison, unit: str) -> None:
    """The verdict on each strategy that learns from the source, at each budget of so many units."""
    for row in comparison.verdicts().query("transfer").itertuples():
        report.note(
            f"{row.budget} {unit}, {row.strategy}: {row.value:+.3f} [{row.low:+.3f}, "
            f"{row.high:+.3f}] {row.verdict}"
        )


def check_helped(report: Report, name: str, comparison: Comparison, unit: str) -> None:
    """Some strategy must be helped by the source where the fewest labels are."""
    few = comparison.budgets[0]
    helped = comparison.verdicts().query("transfer and budget == @few and verdict == 'helped'")
    what = f"{name}, {few} {unit}: strategies that the source helped"
    report.figure(what, len(helped), at_least=1, digits=0)
