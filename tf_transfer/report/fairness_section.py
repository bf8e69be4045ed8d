"""The part of a report that says whether the two sides of each verdict had the same chances."""

from __future__ import annotations

import pandas as pd

from tf_transfer.experiments.results import Results
from tf_transfer.report import readings
from tf_transfer.report.blocks import Cell, Fold, Grid, Group, Notes, Panel, Section, Table, Text
from tf_transfer.report.intervals import difference_row, forest, grouped, scale_of
from tf_transfer.report.wording import count, duration, labels, metric_name, number, quantity

TITLE = "Fair chances"


def fairness(comparison: Results) -> Section:
    """What the two sides did, what the source did to the encoder, and answers that cannot be
    right.
    """
    blocks = [part for make in (_sides, _encoder, _foreign, _ends) for part in make(comparison)]
    return Section("fairness", TITLE, tuple(blocks))


def _sides(comparison: Results) -> list:
    try:
        sides = readings.sides(comparison)
    except readings.Missing as reason:
        return [Text(str(reason), quiet=True)]
    rows = []
    for (strategy, against), part in sides.groupby(["strategy", "against"], sort=False):
        rows.append(Group(f"{strategy}, compared with {against}"))
        for v in part.itertuples():
            values = _shown(v.what, v.with_source), _shown(v.what, v.without)
            rows.append((Cell(v.what), *values, "differs" if v.differs else "the same"))
    introduction = (
        "What each strategy did, beside what it is compared with. A verdict speaks of the source "
        "alone where nothing but the source differs. Times are means."
    )
    table = Table(
        "The two sides of each verdict",
        ("", "strategy", "compared with", ""),
        tuple(rows),
        wide=True,
    )
    return [Text(introduction, quiet=True), Fold("What the two sides did", (table,))]


def _shown(what: str, value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float) and what.startswith("seconds"):
        return duration(value)
    if isinstance(value, float):
        return f"{value:.2g}"
    if isinstance(value, int):
        return quantity(value) if what.startswith("weights") else count(value)
    return str(value) or "–"


def _encoder(comparison: Results) -> list:
    try:
        effects = readings.encoder_effect(comparison)
    except readings.Missing:
        return [Text("No verdict is about a source that changed the encoder.", quiet=True)]
    introduction = (
        "What training on the sources did to the encoder: heads solved on its frozen features, on "
        "the same labels, after source training less before. A strategy that was hurt although its "
        "encoder was not harmed owes it to something else than the encoder."
    )
    scales = {task: scale_of(part) for task, part in effects.groupby("task")}
    panels = []
    for (target, task), part in effects.groupby(["target", "task"], sort=False):
        rows = grouped(part, "budget", lambda b: labels([b]), _encoder_row)
        table = forest(f"Encoder of {task} on {target}", "strategy", rows, scales[task])
        detail = f"{metric_name(comparison.metrics[task])} on frozen features"
        panels.append(Panel(f"{target}: {task}", detail, (table,)))
    return [Text(introduction, quiet=True), Grid(tuple(panels))]


def _encoder_row(effect) -> tuple:
    return difference_row(
        effect.strategy, effect, quiet=f"{number(effect.before)} → {number(effect.after)}"
    )


def _foreign(comparison: Results) -> list:
    try:
        foreign = readings.foreign_answers(comparison)
    except readings.Missing:
        return []
    shares = foreign.pivot_table("share", ["target", "task", "strategy"], "budget", sort=False)
    rows = [
        (Cell(strategy), target, task, *(_percent(value) for value in values))
        for (target, task, strategy), values in zip(shares.index, shares.to_numpy())
    ]
    head = ("strategy", "target", "task", *(labels([b]) for b in shares.columns))
    sentence = _worst(foreign)
    return [
        Text(sentence),
        Fold("Answers with classes of the sources alone", (Table("Shares", head, tuple(rows)),)),
    ]


def _worst(foreign: pd.DataFrame) -> str:
    start = "The task has classes that occur only in the sources."
    worst = foreign.loc[foreign["share"].idxmax()]
    if not worst["share"]:
        return f"{start} No strategy answered with one."
    return (
        f"{start} Most often {worst['strategy']} answered with one: {_percent(worst['share'])} of "
        f"the test rows of {worst['target']} at {labels([worst['budget']])} (mostly "
        f"“{worst['likeliest']}”)."
    )


def _percent(share: float) -> str:
    return "–" if pd.isna(share) else f"{share:.1%}"


def _ends(comparison: Results) -> list:
    """How many cells of a strategy chose a penalty at an end of what was tried."""
    sentences = []
    for strategy in comparison.strategies:
        notes = comparison.notes(strategy)
        messages = [message for note in notes for message in note.get("penalty_ends", ())]
        if messages:
            cells = sum(bool(note.get("penalty_ends")) for note in notes)
            sentences.append(
                f"{strategy}: a penalty at an end of what was tried in {cells} of {len(notes)} "
                "cells."
            )
    return (
        [Fold("Penalties at an end of what was tried", (Notes(tuple(sentences)),))]
        if sentences
        else []
    )
