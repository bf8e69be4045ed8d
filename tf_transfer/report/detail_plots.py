"""The forest plot, calibration curves and confusion matrices as Matplotlib figures."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from tf_transfer.errors import DataError
from tf_transfer.experiments.results import Results
from tf_transfer.kinds import Kind, kind_of
from tf_transfer.report import readings
from tf_transfer.report.intervals import scale_of
from tf_transfer.report.plots import (
    INK,
    MUTED,
    NotebookFigure,
    plain_frame,
    plain_legend,
    shown,
    style,
)
from tf_transfer.report.wording import SYMBOLS, labels, metric_name, verdict_word

_SHAPES = {
    "helped": ("^", "#0b6b4b"),
    "hurt": ("v", "#b3261e"),
    "equivalent": ("D", INK),
    "undecided": ("o", MUTED),
}
"""Marker and colour of each verdict."""


def forest_plot(comparison: Results) -> Figure:
    """Every verdict's difference with its interval: a panel for each target and task, a line a
    strategy and budget.

    Raises:
        DataError: there is nothing to compare.
    """
    verdicts = readings.verdicts(comparison)
    panels = list(verdicts.groupby(["target", "task"], sort=False))
    if not panels:
        raise DataError(
            "A forest plot needs differences.\nReceived a comparison with nothing to compare."
        )
    columns = min(len(panels), 2)
    lines = max(len(part) for _, part in panels)
    size = (5.4 * columns, (0.24 * lines + 0.9) * -(-len(panels) // columns))
    figure = NotebookFigure(figsize=size, layout="constrained")
    axes = figure.subplots(-(-len(panels) // columns), columns, squeeze=False).flat
    for ax, ((target, task), part) in zip(axes, panels):
        _forest(ax, part, scale_of(verdicts[verdicts["task"] == task]))
        ax.set_title(f"{shown(target)}: {shown(task)}", loc="left", color=INK, parse_math=False)
        across = f"{metric_name(comparison.metrics[task])}, difference that the source makes"
        ax.set_xlabel(across, color=INK, parse_math=False)
    for ax in axes:
        ax.set_axis_off()
    plain_legend(figure, handles=_legend(verdicts), loc="outside lower left", ncols=4)
    return figure


def _forest(ax: Axes, verdicts: pd.DataFrame, scale) -> None:
    plain_frame(ax)
    ax.grid(False)
    ax.axvline(0, color=INK, linewidth=0.8)
    for line, v in enumerate(verdicts.itertuples()):
        marker, colour = _SHAPES[v.verdict]
        ax.plot([v.low, v.high], [line, line], color=colour, linewidth=1.4)
        for end, tip, cut in (
            (scale.low, "<", v.low < scale.low),
            (scale.high, ">", v.high > scale.high),
        ):
            if cut:
                ax.plot([end], [line], marker=tip, color=colour, markersize=5, clip_on=False)
        hollow = "white" if v.verdict == "undecided" else colour
        ax.plot(
            [v.value], [line], marker=marker, color=colour, markerfacecolor=hollow, markersize=6
        )
    names = [f"{shown(v.strategy)}, {v.budget:,}" for v in verdicts.itertuples()]
    ax.set_yticks(range(len(verdicts)), labels=names, parse_math=False)
    ax.set_ylim(len(verdicts) - 0.4, -0.6)
    ax.set_xlim(scale.low, scale.high)
    ax.set_xticks(scale.ticks)


def _legend(verdicts: pd.DataFrame) -> list:
    from matplotlib.lines import Line2D

    words = set(verdicts["verdict"])
    handles = []
    for word in (w for w in SYMBOLS if w in words):
        marker, colour = _SHAPES[word]
        face = "white" if word == "undecided" else colour
        handles.append(
            Line2D(
                [], [], marker=marker, color=colour, markerfacecolor=face, label=verdict_word(word)
            )
        )
    return handles


def reliability_plot(
    comparison: Results, target: str, task: str, strategy: str, budget: int
) -> Figure:
    """`reliability_curves` of a strategy and of what it is compared with, with their names."""
    places = [
        readings.Place(target, task, s, budget)
        for s in dict.fromkeys((comparison.against(strategy), strategy))
    ]
    try:
        by_strategy = {place.strategy: readings.reliability(comparison, place) for place in places}
    except readings.Missing as reason:
        raise DataError(str(reason)) from None
    kind = kind_of(next(t for t in comparison.tasks if t.name == task))
    figure = reliability_curves(comparison, by_strategy, kind)
    figure.axes[0].set_position((0.135, 0.145, 0.8, 0.76))
    plain_legend(figure.axes[0], loc="upper left")
    title = f"{shown(target)}: {shown(task)}, {labels([budget])}"
    figure.axes[0].set_title(title, loc="left", color=INK, parse_math=False)
    return figure


def reliability_curves(
    comparison: Results, by_strategy: Mapping[str, pd.DataFrame], kind: Kind
) -> Figure:
    """What was observed against what was predicted, a line for each strategy of ``by_strategy``."""
    figure = NotebookFigure(figsize=(4.9, 3.3))
    ax = figure.add_axes((0.135, 0.145, 0.7, 0.825))
    for strategy, bins in by_strategy.items():
        bins = bins[bins["rows"] > 0]
        ends = np.abs(bins[["low", "high"]].to_numpy().T - bins["observed"].to_numpy())
        look = style(comparison, strategy)
        ax.errorbar(
            bins["predicted"],
            bins["observed"],
            ends,
            linewidth=1.2,
            elinewidth=0.8,
            label=shown(strategy),
            **look,
        )
    if kind.has_classes:
        starts = [bins.loc[bins["rows"] > 0, "predicted"].min() for bins in by_strategy.values()]
        ax.set_xlim(max(0.0, min([0.5, *starts]) - 0.03), 1.02)
        ax.set_ylim(-0.02, 1.02)
    ax.axline((0.5, 0.5), slope=1, color=MUTED, linewidth=1, linestyle=":")
    across, up = kind.reliability_words
    ax.set_xlabel(across, color=INK)
    ax.set_ylabel(up, color=INK)
    plain_frame(ax)
    return figure


def confusion_plot(
    comparison: Results, target: str, task: str, strategy: str, budget: int
) -> Figure:
    """The confusion matrix of one strategy, rows summed over seeds; shaded by the share of the true
    class.
    """
    counts = comparison.confusion(target, task, strategy, budget)
    shares = counts.div(counts.sum(axis=1).where(lambda total: total > 0), axis=0).to_numpy()
    side = 1.6 + 0.55 * len(counts)
    figure = NotebookFigure(figsize=(max(side + 0.6, 4.6), side), layout="constrained")
    ax = figure.subplots()
    ax.imshow(shares, cmap="Greys", vmin=0, vmax=2)  # dark ink is legible on all of it
    for i, j in np.ndindex(shares.shape):
        ax.text(j, i, f"{counts.iat[i, j]:,}", ha="center", va="center", color=INK)
    names = [shown(c) for c in counts.columns]
    ax.set_xticks(range(len(names)), labels=names, rotation=30, ha="right", parse_math=False)
    ax.set_yticks(range(len(names)), labels=names, parse_math=False)
    ax.set_xlabel("predicted", color=INK)
    ax.set_ylabel("true", color=INK)
    title = f"{shown(strategy)} on {shown(target)}, {labels([budget])}"
    ax.set_title(title, loc="left", color=INK, parse_math=False)
    return figure
