"""Learning curves as Matplotlib figures, made without pyplot and its global state, and the look of
all plots.
"""

from __future__ import annotations

import io
import itertools
import warnings

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from sklearn.isotonic import isotonic_regression

from tf_transfer.errors import DataError
from tf_transfer.experiments.results import Results
from tf_transfer.kinds import METRICS
from tf_transfer.report.bands import bands_of
from tf_transfer.report.wording import metric_name

INK, MUTED = "#1b1e23", "#767c86"
"""Of text and lines; of the frame."""
COLOURS = ("#0f62c4", "#c2410c", "#0b7d5b", "#9b2fae", "#8a6d00", "#c01f50", "#4f5b6b", "#0e7c9b")
"""Of the strategies, in their order; each has a contrast of at least 4.5 with white."""
MARKERS = "osD^vP*X<>"
_LINES = ("-", "--", "-.", ":", (0, (5, 1, 1, 1, 1, 1)))

_PANEL = (4.9, 3.3)
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


def learning_curves(comparison: Results) -> Figure:
    """The primary metric against the label budget: a panel for each task and target.

    Lines are means over seeds; bands as `bands.bands_of` has them.

    Args:
        comparison: `Comparison`.
    """
    if not comparison.targets:
        raise DataError(
            "A plot needs a target.\nReceived a run without a usable one: see comparison.unusable."
        )
    bands, _ = bands_of(comparison)
    columns = min(len(comparison.targets), _COLUMNS)
    lines = -(-len(comparison.targets) // columns)
    shape = (lines * len(comparison.tasks), columns)
    figure = NotebookFigure(
        figsize=(_PANEL[0] * shape[1], _PANEL[1] * shape[0]), layout="constrained"
    )
    panels = figure.subplots(*shape, squeeze=False)
    for row, task in enumerate(comparison.tasks):
        axes = panels[row * lines : (row + 1) * lines].flat
        for ax, target in itertools.zip_longest(axes, comparison.targets):
            if target is None:
                ax.set_axis_off()
                continue
            _draw(ax, comparison, bands, target, task.name)
            ax.set_title(
                f"{shown(target)}: {shown(task.name)}", loc="left", color=INK, parse_math=False
            )
    return figure


def learning_curve(
    comparison: Results, target: str, task: str, bands: pd.DataFrame | None = None
) -> Figure:
    """One panel of `learning_curves`, without a title.

    Args:
        bands: of `bands.bands_of`, where it is at hand.
    """
    figure = NotebookFigure(figsize=_PANEL)
    # The same place in every panel, so that panels line up.
    axes = figure.add_axes((0.135, 0.145, 0.565, 0.825))
    _draw(axes, comparison, bands_of(comparison)[0] if bands is None else bands, target, task)
    return figure


def style(comparison: Results, strategy: str) -> dict:
    """Colour and marker of a strategy, the same in every plot."""
    i = comparison.strategies.index(strategy)
    return {
        "color": COLOURS[i % len(COLOURS)],
        "marker": MARKERS[i % len(MARKERS)],
        "markersize": 5,
    }


def shown(name: object) -> str:
    """A name fit for a plot: printable, at most 17 characters."""
    text = "".join(c if c.isprintable() else "�" for c in str(name))
    return text if len(text) <= _LONGEST else text[: _LONGEST - 1] + "…"


def plain_legend(owner: Axes | Figure, **options) -> None:
    """A legend whose names stand as they are: a dollar begins no formula.

    Args:
        options: of Matplotlib's ``legend``.
    """
    for text in owner.legend(frameon=False, **options).get_texts():
        text.set_parse_math(False)


def plain_frame(ax: Axes) -> None:
    """Two quiet spines, quiet ticks and horizontal rules."""
    ax.tick_params(colors=MUTED, labelcolor=INK)
    ax.grid(axis="y", color=MUTED, alpha=0.25, linewidth=0.7)
    ax.set_axisbelow(True)
    ax.spines[["top", "right"]].set_visible(False)
    ax.spines[["left", "bottom"]].set_color(MUTED)


def _draw(ax: Axes, comparison: Results, bands: pd.DataFrame, target: str, task: str) -> None:
    bands = bands[bands["task"] == task]
    here = bands[bands["target"] == target]
    ends = {}
    for i, strategy in enumerate(comparison.strategies):
        curve = here[here["strategy"] == strategy].set_index("budget").sort_index()
        look = style(comparison, strategy)
        if not curve["value"].notna().any():
            ends[strategy] = (np.nan, look)
            continue
        line = {
            "linestyle": _LINES[i % len(_LINES)],
            "linewidth": 2.2 if strategy == comparison.baseline else 1.5,
        }
        ax.fill_between(
            curve.index, curve["low"], curve["high"], color=look["color"], alpha=0.10, linewidth=0
        )
        ax.plot(curve.index, curve["value"], clip_on=False, **look, **line)
        ends[strategy] = (curve["value"].dropna().iloc[-1], look)
    _frame(ax, comparison, bands, task)
    _label_lines(ax, ends)


def _frame(ax: Axes, comparison: Results, bands: pd.DataFrame, task: str) -> None:
    """Axes, ticks and limits; all targets of a task share the limits, so panels can be compared."""
    metric, values = comparison.metrics[task], bands["value"].dropna()
    if len(values):
        spread = np.ptp(values) or abs(values.iloc[0]) or 1.0
        # Bands wider than half the spread of the values are cut off, or they would flatten the
        # lines.
        low = max(np.fmin(bands["low"].min(), values.min()), values.min() - spread / 2)
        high = min(np.fmax(bands["high"].max(), values.max()), values.max() + spread / 2)
        ax.set_ylim(low - 0.06 * spread, high + 0.06 * spread)
    budgets = sorted(comparison.budgets)
    ax.set_xscale("log")
    # The lines end at the right edge, where their names start.
    ax.set_xlim(budgets[0] / 1.15, budgets[-1])
    ax.set_xticks(budgets, labels=[f"{b:,}" for b in budgets], minor=False)
    ax.set_xticks([], minor=True)
    ax.set_xlabel("target labels", color=INK)
    direction = "higher" if METRICS[metric].higher else "lower"
    ax.set_ylabel(f"{metric_name(metric)} ({direction} is better)", color=INK)
    plain_frame(ax)


def _label_lines(ax: Axes, ends: dict[str, tuple[float, dict]]) -> None:
    """Names at the right of the lines, moved apart as little as need be; those without a value at
    the foot.
    """
    low, high = ax.get_ylim()
    names = sorted(ends, key=lambda n: (not np.isnan(ends[n][0]), ends[n][0]))
    wanted = np.array([(ends[n][0] - low) / (high - low) for n in names])
    steps = min(1.35 * _FONT / (72 * _PANEL[1] * 0.8), 1 / max(len(names) - 1, 1)) * np.arange(
        len(names)
    )
    heights = steps + isotonic_regression(
        np.nan_to_num(wanted) - steps, y_min=0, y_max=1 - steps[-1]
    )
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
            1.08,
            height,
            text,
            transform=ax.transAxes,
            color=INK,
            fontsize=_FONT - 0.5,
            va="center",
            parse_math=False,
        )
