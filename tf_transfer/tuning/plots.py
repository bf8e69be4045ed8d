"""The trials of a search as Matplotlib figures."""

from __future__ import annotations

import itertools

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from tf_transfer.errors import DataError, check_choice
from tf_transfer.report.plots import (
    COLOURS,
    INK,
    MARKERS,
    MUTED,
    NotebookFigure,
    plain_frame,
    plain_legend,
    shown,
)
from tf_transfer.report.wording import metric_name

_WIDE, _PANEL = (8.2, 3.8), (3.1, 2.7)
_COLUMNS = 3


def plot_trials(result) -> Figure:
    """Every trial's score in the order of the trials, and the best completed one so far as a line.

    A completed trial has its 95 % interval; a stopped one is hollow, at the score that is expected
    of it; a failed one stands at the foot as a cross.

    Args:
        result: `TuneResult`.

    Raises:
        DataError: no trial has a score.
    """
    table = _scored(result)
    figure = NotebookFigure(figsize=_WIDE, layout="constrained")
    ax = figure.subplots()
    completed = table[table["status"] == "completed"]
    for label, rows in table.groupby("strategy", sort=False):
        look = _look(result, label)
        done, ended = rows[rows["status"] == "completed"], rows[rows["status"] == "stopped"]
        spread = done[["score", "low", "high"]].dropna()
        ax.vlines(
            spread.index,
            spread["low"],
            spread["high"],
            color=look["color"],
            alpha=0.35,
            linewidth=1.4,
        )
        ax.plot(done.index, done["score"], linestyle="", label=shown(label), **look)
        ax.plot(ended.index, ended["expected"], linestyle="", fillstyle="none", **look)
    best = completed["score"].cummax() if result.sign > 0 else completed["score"].cummin()
    if len(best):
        best.loc[int(table.index.max())] = best.iloc[-1]
        ax.step(best.index, best, where="post", color=INK, linewidth=1.1, label="best so far")
    _limits(ax, result, table)
    failed = result.trials.query("status == 'failed'")["trial"]
    if len(failed):
        foot = np.full(len(failed), 0.02)
        ax.plot(failed, foot, "x", color=MUTED, transform=ax.get_xaxis_transform(), label="failed")
    ax.plot([], [], "o", fillstyle="none", color=MUTED, label="stopped early")
    ax.xaxis.set_major_locator(MaxNLocator(integer=True))
    ax.set_xlabel("trial", color=INK)
    _value_axis(ax, result)
    plain_legend(ax, loc="upper left", bbox_to_anchor=(1.0, 1.0), labelcolor=INK)
    return figure


def plot_arguments(result, strategy: str) -> Figure:
    """The scores of a strategy's trials against each argument that varied, or all where none did: a
    panel each.

    Args:
        result: `TuneResult`.
        strategy: its label in the search.

    Raises:
        DataError: an unknown label, or one without a trial with a score.
    """
    check_choice("strategy", strategy, list(dict.fromkeys(result.trials["strategy"])))
    table = _scored(result)
    table = table[table["strategy"] == strategy]
    known = result.arguments(strategy) if len(table) else []
    arguments = [a for a in known if table[a].astype(str).nunique() > 1] or known
    if not arguments:
        raise DataError(
            f"A plot needs a trial of {strategy!r} with a score and an argument.\nReceived none."
        )
    columns = min(len(arguments), _COLUMNS)
    lines = -(-len(arguments) // columns)
    figure = NotebookFigure(figsize=(_PANEL[0] * columns, _PANEL[1] * lines), layout="constrained")
    panels = figure.subplots(lines, columns, squeeze=False, sharey=True)
    for ax, argument in itertools.zip_longest(panels.flat, arguments):
        if argument is None:
            ax.set_axis_off()
        else:
            _draw_argument(ax, result, table, argument, _look(result, strategy))
    _limits(panels[0, 0], result, table)
    for row in panels:
        _value_axis(row[0], result)
    return figure


def _draw_argument(ax, result, table: pd.DataFrame, argument: str, look: dict) -> None:
    places, values = table[argument], table[argument]
    if not all(isinstance(v, int | float) and not isinstance(v, bool) for v in values):
        names = sorted({str(v) for v in values})
        places = values.map(lambda v: names.index(str(v)))
        ax.set_xticks(range(len(names)), labels=names, parse_math=False)
        ax.set_xlim(-0.5, len(names) - 0.5)
    elif values.min() > 0 and values.max() / values.min() > 8:
        ax.set_xscale("log")
    else:
        ax.xaxis.set_major_locator(MaxNLocator(3))
        ax.xaxis.set_major_formatter("{x:.3g}")
    done = table["status"] == "completed"
    ax.plot(places[done], table["score"][done], linestyle="", **look)
    ax.plot(places[~done], table["expected"][~done], linestyle="", fillstyle="none", **look)
    best = table.index == result.best_trial.trial
    ax.plot(places[best], table["score"][best], "o", markersize=12, fillstyle="none", color=INK)
    ax.set_xlabel(argument, color=INK, parse_math=False)
    plain_frame(ax)


def _scored(result) -> pd.DataFrame:
    table = result.trials.set_index("trial", drop=False)
    table = table[table["expected"].notna()]
    if not len(table):
        raise DataError("A plot needs a trial with a score.\nReceived none.")
    return table


def _look(result, label: str) -> dict:
    i = list(dict.fromkeys(result.trials["strategy"])).index(label)
    return {
        "color": COLOURS[i % len(COLOURS)],
        "marker": MARKERS[i % len(MARKERS)],
        "markersize": 6,
    }


def _limits(ax, result, table: pd.DataFrame) -> None:
    """By the scores: a trial gone astray or a wide interval must not flatten the others."""
    values = result.sign * table["expected"]
    middle = values.quantile([0.25, 0.75])
    worst = max(values.min(), middle.iloc[0] - 4 * max(np.ptp(middle), 0.01))
    spread = (values.max() - worst) or 0.1
    ax.set_ylim(
        *sorted(result.sign * end for end in (worst - 0.35 * spread, values.max() + 0.35 * spread))
    )


def _value_axis(ax, result) -> None:
    task, _, metric = result.objective.rpartition("/")
    direction = "higher" if result.sign > 0 else "lower"
    ax.set_ylabel(
        f"{metric_name(metric)} of {shown(task)}\n({direction} is better)",
        color=INK,
        parse_math=False,
    )
    plain_frame(ax)
