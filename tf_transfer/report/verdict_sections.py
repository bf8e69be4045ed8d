"""The parts of a report that say whether transfer helped: at a glance, the forest plot, the worth in labels."""

from __future__ import annotations

import pandas as pd

from tf_transfer.report import readings, verdict, wording
from tf_transfer.report.blocks import Cell, Fold, Grid, Group, Notes, Panel, Section, Table, Text
from tf_transfer.report.intervals import difference_row, forest, grouped, scale_of
from tf_transfer.report.wording import SYMBOLS, count, difference, labels, listing, metric_name, verdict_word

LEGEND = " · ".join(f"{symbol} {verdict_word(word)}" for word, symbol in SYMBOLS.items())


def opening(comparison) -> tuple:
    """The verdicts of the source strategies as symbols, a panel for each task."""
    found = readings.verdicts(comparison)
    found = found[found["strategy"].isin(comparison.source_strategies)]
    if found.empty:
        return ()
    tally = {word: n for word, n in verdict.tally(comparison).items() if n or word != "equivalent"}
    counts = [f"{SYMBOLS[word]} {n} {verdict_word(word)}" for word, n in tally.items()]
    facts = f"{len(found)} comparisons of {listing(comparison.source_strategies)} with {comparison.baseline}"
    panels = [_glance(comparison, task, part) for task, part in found.groupby("task", sort=False)]
    return Text(" · ".join(counts)), Grid(tuple(panels)), Text(f"{facts}, which sees no source data.", quiet=True)


def _glance(comparison, task: str, found: pd.DataFrame) -> Panel:
    rows = []
    cells = {(v.target, v.strategy, v.budget): v.verdict for v in found.itertuples()}
    for target in (t for t in comparison.targets if t in set(found["target"])):
        rows.append(Group(target))
        for strategy in comparison.source_strategies:
            words = [cells.get((target, strategy, budget), "") for budget in comparison.budgets]
            rows.append((Cell(strategy), *(Cell("" if w else "–", w) for w in words)))
    head = ("labels", *(count(b) for b in comparison.budgets))
    metric = metric_name(comparison.metrics[task])
    return Panel(task, metric, (Table(f"Verdicts on {task}", head, tuple(rows)),))


def differences(comparison) -> Section:
    """The forest plot: every strategy, target, task and budget against the baseline."""
    found = readings.verdicts(comparison)
    title = f"Difference to {comparison.baseline}"
    if found.empty:
        return Section("differences", title, (Text("There is nothing to compare."),))
    scales = {task: scale_of(part) for task, part in found.groupby("task")}
    panels = []
    for (target, task), part in found.groupby(["target", "task"], sort=False):
        rows = grouped(part, "budget", lambda b: labels([b]), lambda v: difference_row(v.strategy, v, v.transfer))
        table = forest(f"Differences in {task} on {target}", "strategy", rows, scales[task])
        panels.append(Panel(f"{target}: {task}", _facts(comparison, task, part), (table, *_notes(part))))
    return Section("differences", title, (Text(_INTRODUCTION, quiet=True), Grid(tuple(panels)), _numbers(found)))


_INTRODUCTION = (
    "To the right of 0 is better, for errors and losses too. Lines are 95 % intervals over test rows and seeds; an "
    f"arrowhead: the interval goes on. {LEGEND}. Strategies without source data or without encoder are better or worse."
)


def _facts(comparison, task: str, found: pd.DataFrame) -> str:
    rows, seeds = _range(found["rows"]), _range(found["seeds"])
    return f"{metric_name(comparison.metrics[task])}, {rows} test rows, {seeds} seed{'' if seeds == '1' else 's'}"


def _notes(found: pd.DataFrame) -> tuple:
    """A sentence for each note and strategy, with the budgets it is about."""
    noted = found[found["note"].fillna("") != ""].groupby(["strategy", "note"], sort=False)["budget"]
    sentences = [f"{strategy} at {labels(budgets)}: {note}." for (strategy, note), budgets in noted]
    return (Notes(tuple(sentences)),) if sentences else ()


def _numbers(found: pd.DataFrame) -> Fold:
    """All figures behind the forest plot, and what would settle the undecided."""
    head = ("strategy", "target", "task", "labels", "difference", "95 % interval", "p", "q", "verdict",
            "could be told", "rows to settle", "seeds to settle")  # fmt: skip
    rows = []
    for v in found.itertuples():
        value, ends = difference(v.value, v.low, v.high)
        p, q = (wording.p_value(x).removeprefix("p ").removeprefix("= ") or "–" for x in (v.p, v.q))
        open_ = v.verdict == "undecided"
        needed = [count(x) if open_ else "" for x in (v.rows_needed, v.seeds_needed)]
        least = "–" if pd.isna(v.minimum_effect) else f"±{wording.smallest(v.minimum_effect)}"
        verdict_cell = Cell(verdict_word(v.verdict, v.transfer), v.verdict)
        rows.append((v.strategy, v.target, v.task, count(v.budget), value, ends, p, q, verdict_cell, least, *needed))
    explained = Text(
        "“Could be told” is about the smallest difference that these rows and seeds can tell from 0. “To settle” is "
        "how many test rows, or seeds, would tell a difference as large as the one seen; –: not computed. q is p "
        "corrected for the number of comparisons (false discovery rate).",
        quiet=True,
    )
    return Fold("All figures", (explained, Table("All differences", head, tuple(rows), wide=True)))


def worth(comparison) -> Section:
    """How many labels without source data a strategy's labels are worth."""
    found = readings.label_worth(comparison)
    sentences, panels = [], []
    for (target, task), part in found.groupby(["target", "task"], sort=False):
        first = part.sort_values(["budget", "labels"], ascending=[True, False]).dropna(subset="labels").head(1)
        sentences += [_worth_sentence(comparison, v) for v in first.itertuples()]
        panels.append(Panel(f"{target}: {task}", f"labels that {comparison.baseline} needs", (_worth_table(part),)))
    return Section("worth", "What transfer is worth in labels", (Notes(tuple(sentences)), Grid(tuple(panels))))


def _worth_sentence(comparison, found) -> str:
    amount = _worth(found)
    return (
        f"{found.target}, {found.task}: {found.strategy} with {labels([found.budget])} matches "
        f"{comparison.baseline} with {amount.text}{f' {amount.quiet}' if amount.quiet else ''} labels."
    )


def _worth_table(found: pd.DataFrame) -> Table:
    budgets = sorted(found["budget"].unique())
    cells = {(v.strategy, v.budget): _worth(v) for v in found.itertuples()}
    strategies = dict.fromkeys(found["strategy"])
    rows = [(Cell(s), *(cells.get((s, b), Cell("–")) for b in budgets)) for s in strategies]
    return Table("Worth in labels", ("with labels", *map(count, budgets)), tuple(rows))


def _worth(found) -> Cell:
    """``140``, with its interval or the reason why it has no end."""
    if found.censored:
        ends = f"[{count(found.low)}, {count(found.high)}]" if pd.notna(found.low) and pd.notna(found.high) else ""
        return Cell(count(found.labels), quiet=f"{ends} ({found.censored})".strip())
    if pd.isna(found.labels):
        return Cell("–")
    return Cell(count(found.labels), quiet=f"[{count(found.low)}, {count(found.high)}]")


def _range(values: pd.Series) -> str:
    low, high = values.min(), values.max()
    return count(low) if low == high or pd.isna(low) else f"{count(low)} to {count(high)}"
