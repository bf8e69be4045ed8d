"""What the command line shows: notes and warnings, and a comparison while it runs and when it is
done.
"""

from __future__ import annotations

import contextlib
import sys
import warnings
from typing import TYPE_CHECKING

from tf_transfer.errors import LabelWarning, PenaltyWarning

if TYPE_CHECKING:
    from tf_transfer.experiments.results import Results


def note(message: str) -> None:
    """A remark beside the results."""
    from tqdm import tqdm

    tqdm.write(message, file=sys.stderr)  # above a bar, if there is one


@contextlib.contextmanager
def plain_warnings():
    """Warnings about labels and penalties as the user reads messages: each once, without a line of
    the program.
    """
    with warnings.catch_warnings():
        others, shown = warnings.showwarning, set()

        def show(message, category, *place, **options):
            if issubclass(category, LabelWarning | PenaltyWarning):
                if str(message) not in shown:
                    note(f"Note: {message}")
                shown.add(str(message))
            else:
                others(message, category, *place, **options)

        warnings.showwarning = show
        yield


def print_provisional(comparison: Results, seeds: int) -> None:
    """The verdict of a run that goes on, in one sentence; nothing where no strategy learns from
    source data.
    """
    from tf_transfer.report.verdict import headline

    if comparison.source_strategies:
        note(f"Provisional, after {seeds} seeds: {headline(comparison)}")


def print_comparison(comparison: Results) -> None:
    """Means over seeds, verdicts with what would settle the undecided, and what could not be
    used.
    """
    from rich.console import Console
    from rich.table import Table

    from tf_transfer.report.wording import SYMBOLS, to_settle, verdict_word

    console = Console(markup=False, highlight=False, soft_wrap=True)
    for (target, task), rows in comparison.summary().groupby(["target", "task"], sort=False):
        title = f"{target}: {task}, {rows['metric'].iloc[0]} (mean over seeds)"
        shown = Table("labels", title=title, title_justify="left")
        for budget in rows["budget"]:
            shown.add_column(str(budget), justify="right")
        for strategy in (s for s in comparison.strategies if s in rows):
            shown.add_row(strategy, *("–" if v != v else f"{v:.3f}" for v in rows[strategy]))
        console.print(shown)
    console.print(
        "\nDifference that the source makes, with 95 % interval (of others, to what they are "
        "compared with):"
    )
    for row in comparison.verdicts().itertuples():
        difference = (
            f"{row.value:+.3f} [{row.low:+.3f}, {row.high:+.3f}]"
            if row.value == row.value
            else "undefined"
        )
        place = f"{row.target}, {row.task}, {row.budget} labels"
        word = f"{SYMBOLS[row.verdict]} {verdict_word(row.verdict, row.transfer)}"
        name = (
            row.strategy
            if row.against == comparison.baseline
            else f"{row.strategy} (to {row.against})"
        )
        console.print(f"  {place:32} {name:14} {difference:28} {word}")
        if needed := to_settle(row):
            console.print(f"      {needed}", style="dim")
    console.print("\nBest in each place, and what cannot be told from it:")
    for row in comparison.best().itertuples():
        alike = f"; alike: {', '.join(row.alike)}" if row.alike else ""
        console.print(
            f"  {f'{row.target}, {row.task}, {row.budget} labels':32} {row.strategy} "
            f"{row.value:.3f}{alike}"
        )
    for problem in comparison.unusable:
        console.print(f"Not used: {problem}", style="yellow")
