"""What the two sides of each verdict did, and where they differ in more than the source."""

from __future__ import annotations

import numpy as np
import pandas as pd

from tf_transfer.experiments.results import Results

COLUMNS = ["strategy", "against", "what", "with_source", "without", "differs"]
_MEASURED = {
    "parameters": ("weights changed on the target", max, 1.01),
    "target_seconds": ("seconds on the target", np.mean, 2.0),
    "source_seconds": ("seconds on the source", np.mean, 2.0),
}
"""What was measured: its name, what many cells come to, and how many times as much is another
amount.
"""


def sides(comparison: Results) -> pd.DataFrame:
    """Steps, rates, what starts how, weights trained and seconds of each strategy and of what it is
    compared with.

    Args:
        comparison: a `Comparison`.

    Returns:
        A row for each strategy and thing that either side did. ``with_source`` and ``without`` hold
        a value where it is the same in every cell, else the least and the greatest as ``"100 to
        112"``; times are means, weights the most of any cell. ``differs`` is whether the two are
        not the same; of times, whether one is more than twice the other; of weights, whether it is
        more than 1 % more: single ones end as they began.
    """
    known = {strategy: _what(comparison, strategy) for strategy in comparison.strategies}
    rows = []
    for strategy, other in comparison.controls.items():
        ours, theirs = known[strategy], known[other]
        for what in dict.fromkeys([*ours, *theirs]):
            pair = ours.get(what, ""), theirs.get(what, "")
            rows.append([strategy, other, what, *pair, _differ(what, *pair)])
    return pd.DataFrame(rows, columns=COLUMNS)


def _what(comparison: Results, strategy: str) -> dict[str, object]:
    notes = comparison.notes(strategy)
    settings: dict[str, list] = {}
    for note in notes:
        for name, value in note.get("settings", {}).items():
            settings.setdefault(name, []).append(value)
    did = {name: _range(values) for name, values in settings.items()}
    for key, (name, summary, _) in _MEASURED.items():
        values = [note[key] for note in notes if note.get(key) is not None]
        if values:
            did[name] = summary(values)
    return did


def _range(values: list) -> object:
    different = sorted(set(values))
    return different[0] if len(different) == 1 else f"{different[0]:,.6g} to {different[-1]:,.6g}"


def _differ(what: str, ours: object, theirs: object) -> bool:
    times = next((times for name, _, times in _MEASURED.values() if name == what), None)
    if times is None or "" in (ours, theirs):
        return ours != theirs
    return max(ours, theirs) > times * min(ours, theirs)
