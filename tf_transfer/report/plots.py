"""Plots of a comparison as Matplotlib figures, made without pyplot and its global state."""

from __future__ import annotations

import io
import itertools
import warnings

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from sklearn.isotonic import isotonic_regression

from tf_transfer.metrics import HIGHER_IS_BETTER
from tf_transfer.report.wording import metric_name

INK, MUTED = "#1b1e23", "#767c86"
"""Of text and lines; of the frame."""
COLOURS = ("#0f62c4", "#c2410c", "#0b7d5b", "#9b2fae", "#8a6d00", "#c01f50", "#4f5b6b", "#0e7c9b")
"""Of the strategies, in their order; each has a contrast of at least 4.5 with white."""
_MARKERS = "osD^vP*X<>"
_LINES = ("-", "--", "-.", ":", (0, (5, 1, 1, 1, 1, 1)))

_PANEL = (4.4, 3.2)
_FONT = 10.0
_LONGEST = 17
_COLUMNS = 3


class NotebookFigure(Figure):
    """A figure that a notebook shows although pyplot never saw it."""

    def _repr_png_(self) -> bytes:
        buffer = io.BytesIO()
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message="Glyph .* missing")
            self.savefig(buffer, format="png", dpi=110)
        return buffer.getvalue()


def learning_curves(comparison) -> Figure:
    """The primary metric against the label budget: a panel for each task and target.

    Lines are means over seeds, bands reach from the worst to the best seed.

    Args:
        comparison: `Comparison`.
    """
    columns = min(len(comparison.targets), _COLUMNS)
    lines = -(-len(comparison.targets) // columns)
    shape = (lines * len(comparison.tasks), columns)
    figure = NotebookFigure(figsize=(_PANEL[0] * shape[1], _PANEL[1] * shape[0]), layout="constrained")
    panels = figure.subplots(*shape, squeeze=False)
    for row, task in enumerate(comparison.tasks):
        axes = panels[row * lines : (row + 1) * lines].flat
        for ax, target in itertools.zip_longest(axes, comparison.targets):
            if target is None:
                ax.set_axis_off()
                continue
            _draw(ax, comparison, target, task.name)
            ax.set_title(f"{shown(target)}: {shown(task.name)}", loc="left", color=INK, parse_math=False)
    return figure


def learning_curve(comparison, target: str, task: str) -> Figure:
    """One panel of `learning_curves`, without a title."""
    figure = NotebookFigure(figsize=_PANEL)
    # The same place in every panel, so that panels line up.
    _draw(figure.add_axes((0.145, 0.15, 0.53, 0.82)), comparison, target, task)
    return figure


def shown(name: object) -> str:
    """A name fit for a plot: printable, at most 17 characters."""
    text = "".join(c if c.isprintable() else "�" for c in str(name))
    return text if len(text) <= _LONGEST else text[: _LONGEST - 1] + "…"


def _draw(ax: Axes, comparison, target: str, task: str) -> None:
    metric = comparison.metrics[task]
    curves = _curves(comparison, target, task)
    ends = {}
    for i, strategy in enumerate(comparison.strategies):
        curve = curves.get(strategy)
        style = {"color": COLOURS[i % len(COLOURS)], "marker": _MARKERS[i % len(_MARKERS)], "markersize": 5}
        if curve is None or not curve["mean"].notna().any():
            ends[strategy] = (np.nan, style)
            continue
        line = {
            "linestyle": _LINES[i % len(_LINES)],
            "linewidth": 2.2 if strategy == comparison.baseline else 1.5,
        }
        ax.fill_between(curve.index, curve["min"], curve["max"], color=style["color"], alpha=0.10, linewidth=0)
        ax.plot(curve.index, curve["mean"], clip_on=False, **style, **line)
        ends[strategy] = (curve["mean"].dropna().iloc[-1], style)
    _frame(ax, comparison, task, metric)
    _label_lines(ax, ends)


def _curves(comparison, target: str, task: str) -> dict[str, pd.DataFrame]:
    """For each strategy ``mean``, ``min`` and ``max`` over seeds, budgets in the index; NaN where a
    seed is undefined."""
    results = comparison.results
    chosen = results["metric"] == comparison.metrics[task]
    chosen &= (results["target"] == target) & (results["task"] == task)
    return {
        strategy: cells.groupby("budget")["value"].agg(mean=lambda v: v.mean(skipna=False), min="min", max="max")
        for strategy, cells in results[chosen].groupby("strategy")
    }


def _frame(ax: Axes, comparison, task: str, metric: str) -> None:
    """Axes, ticks and limits; all targets of a task share the limits, so panels can be compared."""
    results = comparison.results
    values = results.loc[(results["task"] == task) & (results["metric"] == metric), "value"].dropna()
    if len(values):
        pad = 0.06 * (np.ptp(values) or abs(values.iloc[0]) or 1.0)
        ax.set_ylim(values.min() - pad, values.max() + pad)
    budgets = sorted(comparison.budgets)
    ax.set_xscale("log")
    # The lines end at the right edge, where their names start.
    ax.set_xlim(budgets[0] / 1.15, budgets[-1])
    ax.set_xticks(budgets, labels=[f"{b:,}" for b in budgets], minor=False)
    ax.set_xticks([], minor=True)
    ax.set_xlabel("target labels", color=INK)
    direction = "higher" if HIGHER_IS_BETTER[metric] else "lower"
    ax.set_ylabel(f"{metric_name(metric)} ({direction} is better)", color=INK)
    ax.tick_params(colors=MUTED, labelcolor=INK)
    ax.grid(axis="y", color=MUTED, alpha=0.25, linewidth=0.7)
    ax.set_axisbelow(True)
    ax.spines[["top", "right"]].set_visible(False)
    ax.spines[["left", "bottom"]].set_color(MUTED)


def _label_lines(ax: Axes, ends: dict[str, tuple[float, dict]]) -> None:
    """Names at the right of the lines, moved apart as little as need be; those without a value at the foot."""
    low, high = ax.get_ylim()
    names = sorted(ends, key=lambda n: (not np.isnan(ends[n][0]), ends[n][0]))
    wanted = np.array([(ends[n][0] - low) / (high - low) for n in names])
    steps = min(1.35 * _FONT / (72 * _PANEL[1] * 0.8), 1 / max(len(names) - 1, 1)) * np.arange(len(names))
    heights = steps + isotonic_regression(np.nan_to_num(wanted) - steps, y_min=0, y_max=1 - steps[-1])
    for name, height, end in zip(names, heights, wanted):
        style = ends[name][1]
        text = shown(name)
        if np.isnan(end):
            text += ": –"
        else:
            options = {"transform": ax.transAxes, "clip_on": False, "color": style["color"]}
            ax.plot([1.0, 1.05], [end, height], linewidth=0.8, **options)
            ax.plot([1.05], [height], marker=style["marker"], markersize=5, **options)
        ax.text(
            1.08, height, text, transform=ax.transAxes, color=INK, fontsize=_FONT - 0.5, va="center", parse_math=False
        )  # fmt: skip
