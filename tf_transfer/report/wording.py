"""The words of a report: numbers as text, and the verdict in one sentence. Pure functions."""

from __future__ import annotations

import re
from collections.abc import Iterable

import numpy as np
import pandas as pd

SYMBOLS = {"helped": "▲", "hurt": "▼", "undecided": "◯"}
"""Shapes that tell the verdicts apart without colour."""

_METRICS = {
    "pearson": "Pearson r",
    "spearman": "Spearman ρ",
    "kendall": "Kendall τ",
    "matthews": "Matthews φ",
    "cohen_kappa": "Cohen's κ",
    "f1_macro": "macro F1",
    "f1_micro": "micro F1",
    "f1_weighted": "weighted F1",
    "f1_samples": "F1 over samples",
    "auroc": "AUROC",
    "r2": "R²",
    "mae": "MAE",
    "rmse": "RMSE",
    "log_loss": "log-loss",
    "brier": "Brier score",
}
_MOST_PLACES = 4
"""Targets that one sentence names before it counts the rest."""


def metric_name(metric: str) -> str:
    """``"f1_macro"`` as ``"macro F1"``."""
    return _METRICS.get(metric, metric.replace("_", " "))


def number(value: float, decimals: int = 2, sign: bool = False) -> str:
    """``.26``, ``−.04``, ``12.50``; ``undefined`` for NaN. No zero before the point."""
    if pd.isna(value):
        return "undefined"
    text = f"{value:+,.{decimals}f}"
    if not float(text.replace(",", "")) or not (sign or value < 0):
        text = text[1:]
    return re.sub(r"^([+-]?)0\.", r"\1.", text).replace("-", "−")


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
    return number(value, decimals, sign=True), f"[{number(low, decimals)}, {number(high, decimals)}]"


def smallest(effect: float) -> str:
    """A minimum effect: ``.05``, ``.012``."""
    return number(effect, _decimals(effect))


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


def headline(comparison) -> str:
    """The verdict in a few words: where source data helped, where it hurt, where nobody can tell.

    Only ``comparison.source_strategies`` are spoken of. For each direction the difference that
    stands out most from its interval is given.

    Args:
        comparison: `Comparison`.
    """
    verdicts = comparison.verdicts()
    verdicts = verdicts[verdicts["strategy"].isin(comparison.source_strategies)]
    if verdicts.empty:
        return f"No strategy with source data was compared with {comparison.baseline}."
    helped, hurt = (verdicts[verdicts["verdict"] == v] for v in ("helped", "hurt"))
    if helped.empty and hurt.empty:
        return _nothing_decided(verdicts, comparison)
    sentences = []
    if len(helped):
        sentences.append(f"Source data helped {_evidence(helped, comparison)}.")
    if len(hurt):
        subject = "It" if len(helped) else "Source data"
        sentences.append(f"{subject} hurt {_evidence(hurt, comparison)}.")
    if helped.empty:
        sentences.append("It was not seen to help anywhere.")
    decided = set(zip(*(pd.concat([helped, hurt])[c] for c in ("target", "budget"))))
    open_ = [place not in decided for place in zip(verdicts["target"], verdicts["budget"])]
    if any(open_):
        sentences.append(f"Undecided: {_places(verdicts[open_], comparison)}.")
    return " ".join(sentences)


def _decimals(half_width: float) -> int:
    """Two, or up to four for intervals so narrow that the half-width would be lost."""
    return 2 if half_width >= 0.015 else 3 if half_width >= 0.0015 else 4


def _evidence(verdicts: pd.DataFrame, comparison) -> str:
    """Where, and the clearest difference: the most half-widths of its interval from 0."""
    with np.errstate(divide="ignore"):
        clearness = np.abs(verdicts["value"].to_numpy()) / verdicts["minimum_effect"].to_numpy()
    best = verdicts.iloc[int(np.argmax(clearness))]
    places = _places(verdicts, comparison)
    one_place = len(verdicts[["target", "budget"]].drop_duplicates()) == 1
    where = "" if one_place else f"{best['target']} at {labels([best['budget']])}, "
    value, interval = difference(best["value"], best["low"], best["high"])
    task = f" on {best['task']}" if len(comparison.tasks) > 1 else ""
    joint = ": " if one_place else "; most clearly "
    return f"{places}{joint}{where}{best['strategy']} {value} {metric_name(best['metric'])}{task} {interval}"


def _places(verdicts: pd.DataFrame, comparison) -> str:
    """``tweets at every label budget; movie and nyt at 16 and 64 labels``."""
    budgets = verdicts.groupby("target")["budget"].agg(frozenset)
    names = [target for target in comparison.targets if target in budgets]
    together: dict[frozenset, list[str]] = {}
    for name in names[:_MOST_PLACES]:
        together.setdefault(budgets[name], []).append(name)
    places = [f"{listing(alike)} at {_budgets(found, comparison)}" for found, alike in together.items()]
    left = len(names) - _MOST_PLACES
    if left > 0:
        places.append(f"{left} more target{'s' if left > 1 else ''}")
    return "; ".join(places)


def _budgets(found: frozenset[int], comparison) -> str:
    every = len(found) > 1 and found == set(comparison.budgets)
    return "every label budget" if every else labels(found)


def _nothing_decided(verdicts: pd.DataFrame, comparison) -> str:
    text = f"Undecided: with source data no strategy differed from {comparison.baseline} by more than chance"
    effects = verdicts.dropna(subset="minimum_effect").groupby("metric", sort=False)["minimum_effect"]
    if not len(effects):
        return "Undecided: no difference is defined."
    spans = []
    for metric, values in effects:
        low, high = smallest(values.min()), smallest(values.max())
        spans.append(f"{low if low == high else f'{low} to {high}'} {metric_name(metric)}")
    return f"{text}. Differences below {listing(spans)} could not have been told from 0."
