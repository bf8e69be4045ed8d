"""The verdict of a whole comparison: one word, and one sentence."""

from __future__ import annotations

import numpy as np
import pandas as pd

from tf_transfer.experiments.results import Results
from tf_transfer.report import readings
from tf_transfer.report.wording import (
    SYMBOLS,
    difference,
    labels,
    listing,
    metric_name,
    smallest,
    verdict_word,
)

_MOST_PLACES = 4
"""Targets that one sentence names before it counts the rest."""

_MOSTLY = 4


def headline(comparison: Results) -> str:
    """The verdict in one sentence: where source data helped, where it hurt, where nobody can tell.

    Only ``comparison.source_strategies`` are spoken of. For each direction the difference that
    stands out most from its interval is given.

    Args:
        comparison: `Comparison`.
    """
    verdicts = _of_sources(comparison)
    if verdicts.empty:
        return "No strategy was compared with itself without source data."
    helped, hurt = (verdicts[verdicts["verdict"] == v] for v in ("helped", "hurt"))
    helped, beaten = helped[~helped["behind"].to_numpy(bool)], _beaten(helped)
    open_ = _open_places(verdicts, comparison)
    if helped.empty and hurt.empty and beaten.empty:
        return _nothing_decided(verdicts, open_, comparison)
    sentence = "Source data"
    if len(helped):
        sentence += f" helped {_evidence(helped, comparison)}"
    if len(hurt):
        sentence += f"{', and' if len(helped) else ''} hurt {_evidence(hurt, comparison)}"
    if len(beaten):
        sentence += _and_beaten(beaten, comparison, len(helped) + len(hurt) > 0)
    elif helped.empty:
        sentence += ", and was not seen to help anywhere"
    if open_["equivalent"]:
        sentence += f"; it made no difference that matters on {open_['equivalent']}"
    if open_["undecided"]:
        sentence += f"; undecided: {open_['undecided']}"
    return sentence + "."


def _beaten(helped: pd.DataFrame) -> pd.DataFrame:
    """Strategies that their source helped, at places where it helped none that the baseline does
    not beat.
    """
    behind = helped["behind"].to_numpy(bool)
    places = list(zip(helped["target"], helped["budget"]))
    ahead = {place for place, beaten in zip(places, behind) if not beaten}
    alone = np.array([place not in ahead for place in places], bool)
    return helped[behind & alone]


def _and_beaten(beaten: pd.DataFrame, comparison: Results, more: bool) -> str:
    strategies = listing(dict.fromkeys(beaten["strategy"]))
    start = "; it helped" if more else " helped"
    return (
        f"{start} {strategies} alone on {_places(beaten, comparison)}, where "
        f"{comparison.baseline} is better still"
    )


def overall(comparison: Results) -> dict[str, str]:
    """``verdict``, ``symbol`` and ``word`` of the whole comparison; verdict ``"mixed"``: it helped
    and hurt.

    *Mostly* is said where one of the two is `_MOSTLY` times as frequent as the other.
    """
    counts = tally(comparison)
    helped, hurt = counts["helped"], counts["hurt"]
    if helped and hurt:
        mostly = (
            "helped" if helped >= _MOSTLY * hurt else "hurt" if hurt >= _MOSTLY * helped else ""
        )
        symbol, word = (
            (SYMBOLS[mostly], f"Mostly {mostly}") if mostly else ("▲▼", "Helped and hurt")
        )
        return {"verdict": mostly or "mixed", "symbol": symbol, "word": word}
    open_ = "equivalent" if counts["equivalent"] and not counts["undecided"] else "undecided"
    only = "helped" if helped else "hurt" if hurt else open_
    return {"verdict": only, "symbol": SYMBOLS[only], "word": verdict_word(only).capitalize()}


def tally(comparison: Results) -> dict[str, int]:
    """How many comparisons of strategies with themselves without the source have each verdict."""
    verdicts = _of_sources(comparison)
    return {word: int((verdicts["verdict"] == word).sum()) for word in SYMBOLS}


def _of_sources(comparison: Results) -> pd.DataFrame:
    verdicts = readings.verdicts(comparison)
    return verdicts[verdicts["strategy"].isin(comparison.source_strategies)]


def _open_places(verdicts: pd.DataFrame, comparison: Results) -> dict[str, str]:
    """The places where source data neither helped nor hurt: equivalent (every strategy is), or
    undecided.
    """
    kinds = verdicts.groupby(["target", "budget"])["verdict"].transform(lambda v: _kind(set(v)))
    return {
        kind: _places(verdicts[kinds == kind], comparison) for kind in ("equivalent", "undecided")
    }


def _kind(words: set[str]) -> str:
    return (
        "decided"
        if words & {"helped", "hurt"}
        else "equivalent"
        if words == {"equivalent"}
        else "undecided"
    )


def _evidence(verdicts: pd.DataFrame, comparison: Results) -> str:
    """Where, and the clearest difference: the most half-widths of its interval from 0."""
    best = verdicts.iloc[int(np.argmax(readings.clearness(verdicts)))]
    one_place = len(verdicts[["target", "budget"]].drop_duplicates()) == 1
    where = "" if one_place else f", most clearly {best['target']} at {labels([best['budget']])}"
    value, interval = difference(best["value"], best["low"], best["high"])
    task = f" on {best['task']}" if len(comparison.tasks) > 1 else ""
    proof = f"{best['strategy']} {value} {metric_name(best['metric'])}{task} {interval}"
    return f"{_places(verdicts, comparison)}{where} ({proof})"


def _places(verdicts: pd.DataFrame, comparison: Results) -> str:
    """``tweets at every label budget, movie and nyt at 16 and 64 labels``."""
    budgets = verdicts.groupby("target")["budget"].agg(frozenset)
    names = [target for target in comparison.targets if target in budgets]
    together: dict[frozenset, list[str]] = {}
    for name in names[:_MOST_PLACES]:
        together.setdefault(budgets[name], []).append(name)
    places = [
        f"{listing(alike)} at {_budgets(shared, comparison)}" for shared, alike in together.items()
    ]
    left = len(names) - _MOST_PLACES
    if left > 0:
        places.append(f"{left} more target{'s' if left > 1 else ''}")
    return ", ".join(places)


def _budgets(budgets: frozenset[int], comparison: Results) -> str:
    every = len(budgets) > 1 and budgets == set(comparison.budgets)
    return "every label budget" if every else labels(budgets)


def _nothing_decided(verdicts: pd.DataFrame, open_: dict[str, str], comparison: Results) -> str:
    if open_["equivalent"]:
        rest = f"; undecided: {open_['undecided']}" if open_["undecided"] else ""
        return f"Source data made no difference that matters on {open_['equivalent']}{rest}."
    effects = verdicts.dropna(subset="minimum_effect").groupby("metric", sort=False)[
        "minimum_effect"
    ]
    if not len(effects):
        return "Undecided: no difference is defined."
    start = "Undecided: no strategy differed by more than chance from itself without the source."
    shown = [_would_show(metric, values) for metric, values in effects]
    return " ".join([start, *shown])


def _would_show(metric: str, effects: pd.Series) -> str:
    """Which differences this experiment could have shown, in a sentence."""
    name = metric_name(metric)
    possible = effects[np.isfinite(effects)]
    if possible.empty:
        return f"It was too small to show any difference in {name}: use more test rows or seeds."
    low, high = smallest(possible.min()), smallest(possible.max())
    size = low if low == high else f"{low} at best and {high} at worst"
    return f"It could have shown differences in {name} of {size}."
