"""The words of a report: numbers, names and lists as text. Pure functions."""

from __future__ import annotations

import re
from collections.abc import Iterable

import numpy as np
import pandas as pd

from tf_transfer.kinds import METRICS
from tf_transfer.statistics.power import MOST_SEEDS, MOST_UNITS

SYMBOLS = {"helped": "▲", "hurt": "▼", "equivalent": "≈", "undecided": "○"}
"""Shapes that tell the verdicts apart without colour."""
_WORDS = {"equivalent": "no difference that matters"}
_WITHOUT_TRANSFER = {"helped": "better", "hurt": "worse"}


def metric_name(metric: str) -> str:
    """``"f1_macro"`` as ``"macro F1"``."""
    return METRICS[metric].written if metric in METRICS else metric.replace("_", " ")


def number(value: float, decimals: int = 2, sign: bool = False) -> str:
    """``.26``, ``−.04``, ``12.50``; ``undefined`` for NaN. No zero before the point."""
    if pd.isna(value):
        return "undefined"
    text = f"{value:+,.{decimals}f}"
    if not float(text.replace(",", "")) or not (sign or value < 0):
        text = text[1:]
    return re.sub(r"^([+-]?)0\.", r"\1.", text).replace("-", "−")


def tick(value: float) -> str:
    """The name of a place on an axis of differences: ``0``, ``+.5``, ``−.025``."""
    decimals = next((d for d in (1, 2, 3) if abs(round(value, d) - value) < 1e-9), 4)
    return number(value, decimals if value % 1 else 0, sign=True) if value else "0"


def difference(value: float, low: float, high: float) -> tuple[str, str]:
    """A difference and its interval, to as many decimals as the interval is worth.

    Returns:
        ``("+.26", "[.21, .31]")``; two decimals, up to four for narrow intervals and where
        a bound that is not 0 would read as 0.
    """
    if pd.isna(value) or pd.isna(low) or pd.isna(high):
        return number(value, 2, sign=True), ""
    decimals = _decimals((high - low) / 2)
    while decimals < 4 and any(bound and not round(bound, decimals) for bound in (low, high)):
        decimals += 1
    return number(
        value, decimals, sign=True
    ), f"[{number(low, decimals)}, {number(high, decimals)}]"


def smallest(effect: float) -> str:
    """A minimum effect: ``.05``, ``.012``."""
    return number(effect, _decimals(effect))


def least(effect: float) -> str:
    """A minimum effect in a table: ``±.05``; ``none`` where no possible difference would have
    shown.
    """
    return "–" if pd.isna(effect) else "none" if np.isinf(effect) else f"±{smallest(effect)}"


def to_settle(estimate) -> str:
    """What an undecided difference could have been, and what would settle it: ``±.05 would have
    shown; …``.

    Args:
        estimate: with ``verdict``, and where they are known ``minimum_effect``, ``rows``,
            ``rows_needed``, ``seeds`` and ``seeds_needed``.

    Returns:
        Empty for other verdicts, and where no minimum effect is known.
    """
    effect = getattr(estimate, "minimum_effect", np.nan)
    if estimate.verdict != "undecided" or pd.isna(effect):
        return ""
    given = (
        (estimate.rows_needed, estimate.rows, "test rows"),
        (estimate.seeds_needed, estimate.seeds, "seeds"),
    )
    needed = [f"{count(n)} {unit}" for n, now, unit in given if np.isfinite(n) and not n <= now]
    never = [unit for n, _, unit in given if np.isinf(n)]
    if np.isinf(effect):
        return "no possible difference would have shown: use more test rows or seeds"
    words = f"a difference of ±{smallest(effect)} would have shown"
    if needed:
        return f"{words}; {' or '.join(needed)} would settle it"
    if len(never) == 2:
        return f"{words}; neither {MOST_UNITS:,} test rows nor {MOST_SEEDS} seeds would settle it"
    most = {"test rows": MOST_UNITS, "seeds": MOST_SEEDS}
    return f"{words}; even {most[never[0]]:,} {never[0]} would not settle it" if never else words


def p_value(p: float) -> str:
    """``p .032`` or ``p < .001``; empty for NaN."""
    return "" if pd.isna(p) else "p < .001" if p < 0.001 else f"p {number(p, 3)}"


def duration(seconds: float) -> str:
    """``–`` for NaN, ``< 0.1 s``, ``0.4 s``, ``12 s``, ``3 min 05 s``, ``2 h 07 min``."""
    if pd.isna(seconds):
        return "–"
    if seconds < 0.05:
        return "< 0.1 s"
    if seconds < 9.95:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest:02d} s" if minutes else f"{rest} s"
    return f"{minutes // 60} h {minutes % 60:02d} min"


def labels(budgets: Iterable[int]) -> str:
    """``16, 64 and 256 labels``."""
    budgets = sorted(budgets)
    return f"{listing(f'{b:,}' for b in budgets)} label{'' if budgets == [1] else 's'}"


def listing(words: Iterable[str]) -> str:
    """``a, b and c``."""
    *first, last = words
    return f"{', '.join(first)} and {last}" if first else last


def verdict_word(verdict: str, transfer: bool = True) -> str:
    """A verdict as it is read; strategies without source data or encoder are better or worse."""
    return (
        _WORDS.get(verdict, verdict)
        if transfer
        else _WITHOUT_TRANSFER.get(verdict, _WORDS.get(verdict, verdict))
    )


def interval(value: float, low: float, high: float) -> str:
    """A metric with its interval: ``.78 [.74, .81]``; ``undefined``."""
    if pd.isna(value) or pd.isna(low) or pd.isna(high):
        return number(value)
    decimals = _decimals((high - low) / 2)
    return f"{number(value, decimals)} [{number(low, decimals)}, {number(high, decimals)}]"


def count(number: float) -> str:
    """``1,260``; ``–`` for NaN, ``∞`` for infinity."""
    return "–" if pd.isna(number) else "∞" if np.isinf(number) else f"{round(number):,}"


def quantity(number: float) -> str:
    """A large count at a glance: ``4.39 M``, ``12.3 k``, ``258``; ``–`` for NaN."""
    for unit, size in (("G", 1e9), ("M", 1e6), ("k", 1e4)):
        if number >= size:
            return f"{number / {'k': 1e3}.get(unit, size):.3g} {unit}"
    return count(number)


def _decimals(half_width: float) -> int:
    """Two, or up to four for intervals so narrow that the half-width would be lost."""
    return 2 if half_width >= 0.015 else 3 if half_width >= 0.0015 else 4
