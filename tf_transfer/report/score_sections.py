"""The parts of a report about every strategy's own scores: curves, metrics, confusions,
calibration.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from tf_transfer.experiments.results import Results
from tf_transfer.kinds import METRICS, kind_of, kinds_where
from tf_transfer.report import plots, readings
from tf_transfer.report.bands import bands_of, target_tasks
from tf_transfer.report.blocks import Cell, Chart, Fold, Grid, Group, Panel, Section, Table, Text
from tf_transfer.report.detail_plots import reliability_curves
from tf_transfer.report.readings import Missing, Place
from tf_transfer.report.wording import count, interval, labels, listing, metric_name, number

MOST_CLASSES = 8
"""A confusion matrix of more classes is shown as its most frequent confusions."""
MOST_CONFUSIONS = 15


def curves(comparison: Results) -> Section:
    """Learning curves: the primary metrics against the label budget; of one budget, their table
    alone.
    """
    bands, meaning = bands_of(comparison)
    panels, drawn = [], len(comparison.budgets) > 1
    for target, task in target_tasks(comparison, bands):
        metric = metric_name(comparison.metrics[task])
        block = _curve_table(
            comparison, bands[(bands["target"] == target) & (bands["task"] == task)], target, task
        )
        if drawn:
            figure = plots.learning_curve(comparison, target, task, bands)
            words = (
                f"Learning curves: {metric} of {task} on {target} against the label budget, a "
                "line a strategy."
            )
            block = Chart(figure, words, block)
        panels.append(Panel(f"{target}: {task}", metric, (block,)))
    introduction = (
        f"Lines are means over seeds, bands are {meaning}. The axis of labels is logarithmic."
    )
    if not drawn:
        introduction = (
            f"One label budget makes no curve: these are means over seeds with {meaning}."
        )
    introduction += " A dash: no value."
    blocks = (
        (Text(introduction, quiet=True), Grid(tuple(panels)))
        if panels
        else (Text("There are no results."),)
    )
    return Section("curves", "Learning curves", blocks)


def _curve_table(comparison: Results, points: pd.DataFrame, target: str, task: str) -> Table:
    cells = {
        (v.strategy, v.budget): Cell(interval(v.value, v.low, v.high)) for v in points.itertuples()
    }
    rows = [
        (Cell(s), *(cells.get((s, b), Cell("–")) for b in comparison.budgets))
        for s in comparison.strategies
    ]
    return Table(f"{task} on {target}", ("labels", *map(count, comparison.budgets)), tuple(rows))


def scores(comparison: Results) -> Section:
    """The primary metrics, and the whole suite folded away."""
    panels = [
        _primary(comparison, *place) for place in target_tasks(comparison, comparison.results)
    ]
    if not panels:
        return Section("results", "Scores", (Text("There are no results."),))
    introduction = (
        "Bold: best mean of the column. Symbols: the verdict on the source. “Undefined”: the "
        "metric has no value there, for instance a correlation with constant predictions. –: no "
        "result."
    )
    return Section(
        "results",
        "Scores",
        (Text(introduction, quiet=True), Grid(tuple(panels)), *_suites(comparison)),
    )


def _primary(comparison: Results, target: str, task: str) -> Panel:
    """Means over seeds with their range; the best of each budget is bold."""
    metric, results = comparison.metrics[task], comparison.results
    primary = results[
        (results["target"] == target) & (results["task"] == task) & (results["metric"] == metric)
    ]
    values = {key: cell["value"] for key, cell in primary.groupby(["strategy", "budget"])}
    means = pd.Series({key: v.mean(skipna=False) for key, v in values.items()}, dtype=float)
    sign = METRICS[metric].sign
    best = (sign * means).groupby(level=1).max() if len(means) else {}
    verdicts = readings.verdicts(comparison)
    verdicts = verdicts[(verdicts["target"] == target) & (verdicts["task"] == task)]
    words = verdicts.set_index(["strategy", "budget"])["verdict"].to_dict()
    seeds = len(comparison.seeds)
    cells = {
        key: Cell(
            number(means[key]),
            words.get(key, ""),
            bool(sign * means[key] == best[key[1]]),
            _spread(v, seeds),
        )
        for key, v in values.items()
    }
    rows = [
        (
            Cell(s, quiet=_role(comparison, s)),
            *(cells.get((s, b), Cell("–")) for b in comparison.budgets),
        )
        for s in comparison.strategies
    ]
    head = ("labels", *map(count, comparison.budgets))
    detail = f"{metric_name(metric)}, mean over {seeds} seed{'s' if seeds > 1 else ''}, range below"
    return Panel(
        f"{target}: {task}", detail, (Table(f"Scores in {task} on {target}", head, tuple(rows)),)
    )


def _role(comparison: Results, strategy: str) -> str:
    return (
        "source"
        if strategy in comparison.source_strategies
        else "baseline" * (strategy == comparison.baseline)
    )


def _spread(cell: pd.Series, seeds: int) -> str:
    """``.56 to .60``, with the number of seeds where some are missing or undefined."""
    defined = cell.dropna()
    span = f"{number(defined.min())} to {number(defined.max())}" if len(defined) > 1 else ""
    if len(defined) == seeds or not len(defined):
        return span
    return f"{span or number(defined.iloc[0])} in {len(defined)} of {seeds} seeds"


def _suites(comparison: Results) -> tuple:
    """The whole suite with intervals, or with the range over seeds where there are none."""
    try:
        intervals, notes = readings.intervals(comparison), ()
    except Missing as reason:
        intervals = comparison.results.groupby(
            ["target", "task", "strategy", "budget", "metric"], sort=False
        )["value"].agg(value=lambda v: v.mean(skipna=False), low="min", high="max")
        intervals = intervals.reset_index()
        notes = (Text(f"{reason} In brackets: the worst and the best seed.", quiet=True),)
    folds = [
        Fold(
            f"{target}: {task}, every metric", (*notes, _suite(comparison, target, task, intervals))
        )
        for target, task in target_tasks(comparison, intervals)
    ]
    return tuple(folds)


def _suite(comparison: Results, target: str, task: str, intervals: pd.DataFrame) -> Table:
    intervals = intervals[(intervals["target"] == target) & (intervals["task"] == task)]
    cells = {
        (v.budget, v.metric, v.strategy): Cell(interval(v.value, v.low, v.high))
        for v in intervals.itertuples()
    }
    kind = kind_of(next(t for t in comparison.tasks if t.name == task))
    known = set(intervals["metric"])
    rows = []
    for budget in comparison.budgets:
        rows.append(Group(labels([budget])))
        for metric in (m for m in kind.metric_names if m in known):
            direction = "" if METRICS[metric].higher else "lower is better"
            name = Cell(
                metric_name(metric), strong=metric == comparison.metrics[task], quiet=direction
            )
            rows.append(
                (name, *(cells.get((budget, metric, s), Cell("–")) for s in comparison.strategies))
            )
    return Table(
        f"Every metric of {task} on {target}",
        ("metric", *comparison.strategies),
        tuple(rows),
        wide=True,
    )


def confusions(comparison: Results) -> Section:
    """Confusion matrices of the strategy with the clearest difference and of what it is compared
    with, side by side.
    """
    places = readings.places(comparison, kinds_where(one_class=True))
    blocks = gather(_pairs(comparison, places), lambda place: _confusion(comparison, place))
    introduction = (
        "Rows of the test split by true class (down) and predicted class (across), summed over "
        "seeds; shaded by the share of the true class. Shown for the clearest difference of each "
        "target, beside what it is compared with."
    )
    if not places:
        return Section(
            "confusions",
            "Confusion matrices",
            (Text("No classification has a verdict to look into."),),
        )
    return Section("confusions", "Confusion matrices", (Text(introduction, quiet=True), *blocks))


def _pairs(comparison: Results, places: list[Place]) -> list[Place]:
    """Each place after the same place of what it is compared with."""
    return [
        Place(p.target, p.task, strategy, p.budget)
        for p in places
        for strategy in (comparison.against(p.strategy), p.strategy)
    ]


def _confusion(comparison: Results, place: Place) -> Panel:
    counts = readings.confusion(comparison, place)
    title = f"{place.target}: {place.task}"
    what = f"Confusions of {place.strategy} in {place.task} on {place.target}"
    table = _matrix(what, counts) if len(counts) <= MOST_CLASSES else _most_confused(what, counts)
    return Panel(title, f"{place.strategy}, {labels([place.budget])}", (table,))


def _matrix(label: str, counts: pd.DataFrame) -> Table:
    shares = counts.div(counts.sum(axis=1).where(lambda total: total > 0), axis=0).to_numpy()
    rows = []
    for i, name in enumerate(counts.index):
        cells = [
            Cell(count(n), share=float(shares[i, j]), strong=i == j, quiet=_percent(shares[i, j]))
            for j, n in enumerate(counts.iloc[i])
        ]
        rows.append((Cell(str(name)), *cells))
    return Table(label, ("true ↓ predicted →", *map(str, counts.columns)), tuple(rows))


def _most_confused(label: str, counts: pd.DataFrame) -> Table:
    off = counts.to_numpy().copy()
    np.fill_diagonal(off, 0)
    totals = counts.to_numpy().sum(axis=1)
    order = np.argsort(-off, axis=None, kind="stable")[:MOST_CONFUSIONS]
    pairs = [divmod(int(k), len(counts)) for k in order if off.flat[k]]
    rows = [
        (
            Cell(str(counts.index[i])),
            str(counts.columns[j]),
            count(off[i, j]),
            _percent(off[i, j] / totals[i]),
        )
        for i, j in pairs
    ]
    return Table(label, ("true", "predicted", "rows", "of the class"), tuple(rows))


def _percent(share: float) -> str:
    return "" if np.isnan(share) else f"{share:.0%}"


def calibration(comparison: Results) -> Section:
    """Calibration curves of the baseline and of the strategy with the clearest difference."""
    told = [t.name for t in comparison.tasks if kind_of(t).reliability_words is not None]
    places = [place for place in readings.places(comparison) if place.task in told]
    if not places:
        return Section("calibration", "Calibration", (Text("There is no verdict to look into."),))
    introduction = (
        "Do predictions mean what they say? Of all rows that were given a probability of .8, eight "
        "in ten should be right: the dotted line. Below it a strategy is surer than it should be. "
        "Of a regression: the mean label of each tenth of the predictions. Bars are 95 % "
        f"intervals; {listing(_marks(comparison, places))}."
    )
    panels = gather(places, lambda place: _reliability(comparison, place))
    return Section("calibration", "Calibration", (Text(introduction, quiet=True), *panels))


def _marks(comparison: Results, places: list[Place]) -> list[str]:
    strategies = dict.fromkeys(p.strategy for p in _pairs(comparison, places))
    shapes = {
        "o": "●",
        "s": "■",
        "D": "◆",
        "^": "▲",
        "v": "▼",
        "P": "✚",
        "X": "✖",
        "*": "★",
        "<": "◀",
        ">": "▶",
    }
    return [f"{shapes[plots.style(comparison, s)['marker']]} {s}" for s in strategies]


def _reliability(comparison: Results, place: Place) -> Panel:
    by_strategy = {
        p.strategy: readings.reliability(comparison, p) for p in _pairs(comparison, [place])
    }
    kind = kind_of(next(t for t in comparison.tasks if t.name == place.task))
    figure = reliability_curves(comparison, by_strategy, kind)
    rows = []
    for strategy, bins in by_strategy.items():
        rows.append(Group(strategy))
        rows += [
            (Cell(number(v.predicted)), interval(v.observed, v.low, v.high), count(v.rows))
            for v in bins.itertuples()
            if v.rows
        ]
    what, (given, observed) = (
        f"Calibration in {place.task} on {place.target}",
        kind.reliability_words,
    )
    table = Table(what, (given, observed, "rows"), tuple(rows))
    description = f"{what} at {labels([place.budget])}: {observed} against the {given}."
    return Panel(
        f"{place.target}: {place.task}",
        labels([place.budget]),
        (Chart(figure, description, table),),
    )


def gather(places: list, panel) -> tuple:
    """A `Grid` of the panels that can be made, and a sentence for each reason why others cannot."""
    panels, reasons = [], {}
    for place in places:
        try:
            panels.append(panel(place))
        except Missing as reason:
            reasons[str(reason)] = None
    grid = (Grid(tuple(panels)),) if panels else ()
    return (*grid, *(Text(reason, quiet=True) for reason in reasons))
