"""The parts of a report about where transfer helped and hurt: slices, single rows, single
sources.
"""

from __future__ import annotations

from tf_transfer.experiments.results import Results
from tf_transfer.kinds import kind_of
from tf_transfer.report import readings
from tf_transfer.report.blocks import Cell, Grid, Panel, Section, Table, Text
from tf_transfer.report.intervals import difference_row, forest, grouped, scale_of
from tf_transfer.report.readings import Place
from tf_transfer.report.score_sections import gather
from tf_transfer.report.wording import count, labels, metric_name, number

LONGEST_TEXT = 200
"""Characters of a text that are shown."""
MOST_ROWS = 5
"""Mended rows, and broken ones, that are shown of each place."""
_NOWHERE = (
    "No strategy with source data has a difference that is defined, so there is no case to look "
    "into."
)


def slices(comparison: Results) -> Section:
    """Differences to the baseline on parts of the test rows."""
    places = readings.places(comparison)
    introduction = (
        "The difference that the source makes on parts of the test rows, for the clearest "
        "difference of each target and task, in a metric that is a mean over rows. Intervals are "
        "as wide as looking at many slices demands."
    )
    blocks = (
        Text(introduction, quiet=True),
        *gather(places, lambda place: _slices(comparison, place)),
    )
    return Section("slices", "Where it helped and hurt", blocks if places else (Text(_NOWHERE),))


def _slices(comparison: Results, place: Place) -> Panel:
    differences = readings.slices(comparison, place)
    rows = grouped(
        differences,
        "by",
        str,
        lambda v: difference_row(str(v.slice), v, quiet=f"{count(v.rows)} rows"),
    )
    table = forest(
        f"Slices of {place.task} on {place.target}", "slice", rows, scale_of(differences)
    )
    return Panel(*_heading(place, differences["metric"].iloc[0]), (table,))


def changed_rows(comparison: Results) -> Section:
    """Rows that transfer mended and broke, the largest changes first."""
    places = readings.places(comparison)
    introduction = (
        "The test rows on which a strategy differs most from itself without the source, for better "
        "and for worse, for the clearest difference of each target and task. Predictions are of "
        "the scores averaged over seeds."
    )
    blocks = (
        Text(introduction, quiet=True),
        *gather(places, lambda place: _changed(comparison, place)),
    )
    return Section("rows", "Rows mended and broken", blocks if places else (Text(_NOWHERE),))


def _changed(comparison: Results, place: Place) -> Panel:
    changed = readings.changed_rows(comparison, place)
    mended, broken = int(changed["mended"].sum()), int((~changed["mended"]).sum())
    better, worse = kind_of(next(t for t in comparison.tasks if t.name == place.task)).change_words
    totals = f"{count(mended)} rows mended ({better}), {count(broken)} broken ({worse})."
    rows = []
    for v in changed.groupby("mended").head(MOST_ROWS).itertuples():
        word, symbol = ("mended", "helped") if v.mended else ("broken", "hurt")
        after = Cell(_value(v.prediction), symbol, quiet=word)
        rows.append((Cell(shortened(v.text)), _value(v.label), _value(v.baseline), after))
    head = ("text", "label", comparison.against(place.strategy), place.strategy)
    what = f"Rows of {place.task} on {place.target} that changed"
    heading = _heading(place, comparison.metrics[place.task])
    return Panel(*heading, (Text(totals), Table(what, head, tuple(rows), wide=True)))


def _value(value: object) -> str:
    return number(value) if isinstance(value, float) else shortened(value)


def sources(comparison: Results) -> Section:
    """What each source adds: the difference between all sources and all but this one."""
    gains = readings.source_gains(comparison)
    introduction = (
        "How much worse a strategy is without one of its sources. To the right of 0: the source "
        "helps. Each verdict goes by its own 95 % interval: where nothing differs, one of twenty "
        "is wrong on average."
    )
    panels = []
    scales = {task: scale_of(part) for task, part in gains.groupby("task")}
    for (target, task, strategy), part in gains.groupby(["target", "task", "strategy"], sort=False):
        rows = grouped(
            part, "budget", lambda b: labels([b]), lambda v: difference_row(str(v.source), v)
        )
        table = forest(f"Sources of {strategy} in {task} on {target}", "source", rows, scales[task])
        panels.append(
            Panel(
                f"{target}: {task}",
                f"{strategy}, {metric_name(comparison.metrics[task])}",
                (table,),
            )
        )
    return Section(
        "sources", "What each source adds", (Text(introduction, quiet=True), Grid(tuple(panels)))
    )


def _heading(place: Place, metric: str) -> tuple[str, str]:
    return (
        f"{place.target}: {place.task}",
        f"{place.strategy} at {labels([place.budget])}, {metric_name(metric)}",
    )


def shortened(text: object) -> str:
    """At most `LONGEST_TEXT` characters of a text from data."""
    text = str(text)
    return text if len(text) <= LONGEST_TEXT else text[: LONGEST_TEXT - 1] + "…"
