"""The parts of a report that say whether transfer helped: at a glance, the forest plot, the worth
in labels.
"""

from __future__ import annotations

import math

import pandas as pd

from tf_transfer.experiments.results import Results
from tf_transfer.report import readings, verdict, wording
from tf_transfer.report.blocks import Cell, Fold, Grid, Group, Notes, Panel, Section, Table, Text
from tf_transfer.report.intervals import difference_row, forest, grouped, scale_of
from tf_transfer.report.wording import (
    SYMBOLS,
    count,
    difference,
    labels,
    listing,
    metric_name,
    number,
    verdict_word,
)
from tf_transfer.statistics.power import MOST_SEEDS, MOST_UNITS

LEGEND = " · ".join(f"{symbol} {verdict_word(word)}" for word, symbol in SYMBOLS.items())


def opening(comparison: Results) -> tuple:
    """The verdicts of the source strategies as symbols, a panel for each task."""
    verdicts = readings.verdicts(comparison)
    verdicts = verdicts[verdicts["strategy"].isin(comparison.source_strategies)]
    if verdicts.empty:
        return ()
    tally = {word: n for word, n in verdict.tally(comparison).items() if n or word != "equivalent"}
    counts = [f"{SYMBOLS[word]} {n} {verdict_word(word)}" for word, n in tally.items()]
    facts = (
        f"{len(verdicts)} comparisons of {listing(comparison.source_strategies)} with themselves "
        "without the source."
    )
    if verdicts["q"].notna().any():
        facts += " Verdicts are corrected for their number (false discovery rate 5 %)."
    for twin, first in _twins(comparison):
        facts += (
            f" {twin} is the same training as {first} here: it was trained once and counts once."
        )
    panels = [
        _glance(comparison, task, part) for task, part in verdicts.groupby("task", sort=False)
    ]
    return (
        Text(" · ".join(counts)),
        Grid(tuple(panels)),
        Text(facts, quiet=True),
        *_best(comparison),
    )


def _twins(comparison: Results) -> list[tuple[str, str]]:
    """Strategies that are the same training as another, without those that leave a source out."""
    twins = getattr(comparison, "twins", {})
    return [
        (twin, first)
        for twin, first in twins.items()
        if twin not in getattr(comparison, "variants", {})
    ]


def _best(comparison: Results) -> tuple:
    """The best strategy of each place, and those that cannot be told from it."""
    try:
        best = readings.best(comparison)
    except readings.Missing:
        return ()
    head = ("target", "task", "labels", "best", "", "cannot be told from it")
    rows = []
    for v in best.itertuples():
        place = Cell(v.target), v.task, count(v.budget)
        rows.append(
            (*place, Cell(v.strategy, strong=True), number(v.value), ", ".join(v.alike) or "–")
        )
    return (
        Fold(
            "The best strategy of each place",
            (Table("Best strategies", head, tuple(rows), wide=True),),
        ),
    )


def _glance(comparison: Results, task: str, verdicts: pd.DataFrame) -> Panel:
    rows = []
    cells = {(v.target, v.strategy, v.budget): v.verdict for v in verdicts.itertuples()}
    targets = set(verdicts["target"])
    for target in (t for t in comparison.targets if t in targets):
        rows.append(Group(target))
        for strategy in comparison.source_strategies:
            words = [cells.get((target, strategy, budget), "") for budget in comparison.budgets]
            rows.append((Cell(strategy), *(Cell("" if w else "–", w) for w in words)))
    head = ("labels", *(count(b) for b in comparison.budgets))
    metric = metric_name(comparison.metrics[task])
    return Panel(task, metric, (Table(f"Verdicts on {task}", head, tuple(rows)),))


def differences(comparison: Results) -> Section:
    """The forest plot: every strategy, target, task and budget against what it is compared with."""
    verdicts = readings.verdicts(comparison)
    title = "Difference that the source makes"
    if verdicts.empty:
        return Section("differences", title, (Text("There is nothing to compare."),))
    scales = {task: scale_of(part) for task, part in verdicts.groupby("task")}
    panels = []
    for (target, task), part in verdicts.groupby(["target", "task"], sort=False):
        rows = grouped(part, "budget", lambda b: labels([b]), lambda v: _against(comparison, v))
        table = forest(f"Differences in {task} on {target}", "strategy", rows, scales[task])
        panels.append(
            Panel(f"{target}: {task}", _facts(comparison, task, part), (table, *_notes(part)))
        )
    blocks = (Text(_INTRODUCTION, quiet=True), Grid(tuple(panels)), _numbers(comparison, verdicts))
    return Section("differences", title, blocks)


def _against(comparison: Results, verdict_row) -> tuple:
    """A row of the forest; what it is compared with stands below where that is not the baseline."""
    usual = verdict_row.against in ("", comparison.baseline)
    return difference_row(
        verdict_row.strategy,
        verdict_row,
        verdict_row.transfer,
        quiet="" if usual else f"to {verdict_row.against}",
    )


_INTRODUCTION = (
    "Each strategy with source data is compared with itself without it: same labels, steps, rates "
    "and start. To the right of 0 is better, for errors and losses too. Lines are 95 % intervals "
    f"over test rows and seeds; an arrowhead: the interval goes on. {LEGEND}. Where the two sides "
    "differ in more than the source, a strategy is better or worse. Below what is undecided stands "
    "the difference that would have shown in four of five such experiments, and the test rows or "
    "seeds that would settle it."
)


def _facts(comparison: Results, task: str, verdicts: pd.DataFrame) -> str:
    rows, seeds = _range(verdicts["rows"]), _range(verdicts["seeds"])
    return (
        f"{metric_name(comparison.metrics[task])}, {rows} test rows, {seeds} "
        f"seed{'' if seeds == '1' else 's'}"
    )


def _notes(verdicts: pd.DataFrame) -> tuple:
    """A sentence for each note and strategy, with the budgets it is about."""
    noted = verdicts[verdicts["note"].fillna("") != ""]
    by_note = noted.groupby(["strategy", "note"], sort=False)["budget"]
    sentences = [
        f"{strategy} at {labels(budgets)}: {note}." for (strategy, note), budgets in by_note
    ]
    return (Notes(tuple(sentences)),) if sentences else ()


def _numbers(comparison: Results, verdicts: pd.DataFrame) -> Fold:
    """All figures behind the forest plot, and what would settle the undecided."""
    head = (
        "strategy",
        "against",
        "target",
        "task",
        "labels",
        "difference",
        "95 % interval",
        "p",
        "q",
        "verdict",
        "could be told",
        "rows to settle",
        "seeds to settle",
    )
    rows = []
    for v in verdicts.itertuples():
        value, ends = difference(v.value, v.low, v.high)
        p, q = (wording.p_value(x).removeprefix("p ").removeprefix("= ") or "–" for x in (v.p, v.q))
        open_ = v.verdict == "undecided"
        needed = [count(x) if open_ else "" for x in (v.rows_needed, v.seeds_needed)]
        least = wording.least(v.minimum_effect)
        verdict_cell = Cell(verdict_word(v.verdict, v.transfer), v.verdict)
        place = v.strategy, v.against or comparison.baseline, v.target, v.task, count(v.budget)
        rows.append((*place, value, ends, p, q, verdict_cell, least, *needed))
    explained = Text(
        "“Could be told” is the smallest difference that other rows and seeds, as many as these, "
        "would show in four of five cases; none: no possible one would. “To settle” is how many "
        "test rows, or seeds, would show a difference as large as the one seen as often; ∞: more "
        f"than {MOST_UNITS:,} rows or {MOST_SEEDS} seeds; –: not known. q is p corrected for the "
        "number of comparisons (false discovery rate).",
        quiet=True,
    )
    return Fold("All figures", (explained, Table("All differences", head, tuple(rows), wide=True)))


def worth(comparison: Results) -> Section:
    """How many labels without source data a strategy's labels are worth."""
    worths = readings.label_worth(comparison)
    try:
        gains, notes = readings.curve_gains(comparison), ()
    except readings.Missing as reason:
        gains, notes = worths[:0], (Text(str(reason), quiet=True),)
    sentences, panels = [], []
    for (target, task), part in worths.groupby(["target", "task"], sort=False):
        best = max(part[part["budget"] == part["budget"].min()].itertuples(), key=_rank)
        sentences += (
            [_worth_sentence(comparison, best)] if best.censored or pd.notna(best.labels) else []
        )
        tables = [_worth_table(part)]
        here = gains[(gains["target"] == target) & (gains["task"] == task)]
        # Of one budget the mean gain is the difference itself.
        tables += [_gains_table(here)] if len(here) and part["budget"].nunique() > 1 else []
        panels.append(Panel(f"{target}: {task}", "labels needed without the source", tuple(tables)))
    introduction = (
        "How many labels the same strategy needs without the source to be as good, read off its "
        "learning curve, with a 95 % interval. Beyond the measured budgets only “more than” or "
        "“fewer than” is known."
    )
    if worths["budget"].nunique() > 1:
        introduction += (
            " The mean gain is the area between the two curves, over the logarithm of the labels. "
            "Its verdict goes by its own interval: where nothing differs, one of twenty is wrong "
            "on average."
        )
    blocks = (Notes(tuple(sentences)), Text(introduction, quiet=True), Grid(tuple(panels)), *notes)
    return Section("worth", "What transfer is worth in labels", blocks)


def _rank(worth_row) -> float:
    """Of a worth in labels, for finding the largest: unknown ones come last."""
    open_ = {"more": math.inf, "fewe": 0.0}.get(worth_row.censored[:4], worth_row.labels)
    return -1.0 if pd.isna(open_) else open_


def _gains_table(gains: pd.DataFrame) -> Table:
    rows = []
    for v in gains.itertuples():
        value, ends = difference(v.value, v.low, v.high)
        gain = Cell(value, v.verdict, quiet=ends)
        rows.append((Cell(v.strategy), gain, _at(v.hurt_from), _at(v.crossing)))
    return Table(
        "Gain over all budgets", ("", "mean gain", "hurts at", "lead gone at"), tuple(rows)
    )


def _at(budget: float) -> str:
    return "–" if pd.isna(budget) else labels([round(budget)])


def _worth_sentence(comparison: Results, worth_row) -> str:
    amount = _worth(worth_row)
    verb = "does" if worth_row.budget == 1 else "do"
    start = (
        f"{worth_row.target}, {worth_row.task}: {labels([worth_row.budget])} with "
        f"{worth_row.strategy} {verb} as well as"
    )
    return (
        f"{start} {f'{amount.text} {amount.quiet}'.strip()} with "
        f"{comparison.against(worth_row.strategy)}."
    )


def _worth_table(worths: pd.DataFrame) -> Table:
    budgets = sorted(worths["budget"].unique())
    cells = {(v.strategy, v.budget): _worth(v) for v in worths.itertuples()}
    strategies = dict.fromkeys(worths["strategy"])
    rows = [(Cell(s), *(cells.get((s, b), Cell("–")) for b in budgets)) for s in strategies]
    return Table("Worth in labels", ("with labels", *map(count, budgets)), tuple(rows))


def _worth(worth_row) -> Cell:
    """``140`` or ``more than 256``, with the interval as far as it was measured."""
    if not worth_row.censored and pd.isna(worth_row.labels):
        return Cell("–")
    low = 0.0 if pd.isna(worth_row.low) else worth_row.low
    high = math.inf if pd.isna(worth_row.high) else worth_row.high
    if math.isinf(high):
        ends = f"(at least {count(low)})" if low > 0 else "(interval without ends)"
    else:
        ends = f"[{count(low)}, {count(high)}]" if low > 0 else f"(at most {count(high)})"
    return Cell(worth_row.censored or count(worth_row.labels), quiet=ends)


def _range(values: pd.Series) -> str:
    low, high = values.min(), values.max()
    return count(low) if low == high or pd.isna(low) else f"{count(low)} to {count(high)}"
