"""Tables that draw intervals on a common scale: the forest plot, row by row."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import pandas as pd
from matplotlib.ticker import MaxNLocator

from tf_transfer.report.blocks import Cell, Group, Remark, Scale, Span, Table
from tf_transfer.report.wording import SYMBOLS, difference, to_settle, verdict_word

_REACH = 3.0
"""Intervals are cut off this many of their median half-widths beyond the outermost value."""


def scale_of(differences: pd.DataFrame) -> Scale:
    """A scale for the differences ``value``, ``low`` and ``high`` that holds 0; the widest
    intervals are cut off.
    """
    finite = differences[["value", "low", "high"]].dropna()
    values, low, high = (
        np.append(finite[c].to_numpy(float), 0.0) for c in ("value", "low", "high")
    )
    reach = _REACH * float(np.median((finite["high"] - finite["low"]) / 2)) if len(finite) else 0.0
    start, end = max(low.min(), values.min() - reach), min(high.max(), values.max() + reach)
    pad = 0.04 * (end - start) or 1.0
    return Scale(start - pad, end + pad, _ticks(start - pad, end + pad))


def _ticks(start: float, end: float) -> tuple[float, ...]:
    """Round values, 0 among them, that lie far enough apart for their names on a phone."""
    inside = [
        float(t)
        for t in MaxNLocator(nbins=4, steps=[1, 2, 5, 10]).tick_values(start, end)
        if start <= t <= end
    ]
    while len(inside) > 1 and inside[1] - inside[0] < 0.28 * (end - start):
        inside = [t for t in inside if round(t / (inside[1] - inside[0])) % 2 == 0]
    return tuple(inside)


def forest(label: str, name: str, rows: Iterable, scale: Scale) -> Table:
    """Differences with their intervals, drawn and in figures, and what they mean.

    Args:
        label: see `Table`.
        name: head of the first column.
        rows: `Group`, `difference_row`, or `Remark`.
    """
    return Table(label, (name, "", "difference", "verdict"), tuple(rows), scale)


def difference_row(name: str, estimate, transfer: bool = True, quiet: str = "") -> tuple:
    """A row of a `forest`; ``estimate`` has ``value``, ``low``, ``high`` and ``verdict``."""
    value, ends = difference(estimate.value, estimate.low, estimate.high)
    # a slice can be too small for a verdict
    known = estimate.verdict if estimate.verdict in SYMBOLS else ""
    span = Span(estimate.low, estimate.value, estimate.high, known)
    verdict = Cell(verdict_word(estimate.verdict, transfer), known)
    return Cell(name, quiet=quiet), span, Cell(value, quiet=ends), verdict


def grouped(differences: pd.DataFrame, by: str, title, row) -> list:
    """``row`` of every row, below ``title`` of every value of ``by``; what would settle it below an
    undecided one.
    """
    rows = []
    for key, members in differences.groupby(by, sort=False):
        rows.append(Group(title(key)))
        for member in members.itertuples():
            needed = to_settle(member)
            rows += [row(member), *([Remark(needed)] if needed else [])]
    return rows
