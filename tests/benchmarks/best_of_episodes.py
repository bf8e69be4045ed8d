"""Whether the best of several strategies beats another one on the same episodes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from tests.benchmarks.reporting import Report

if TYPE_CHECKING:
    from tf_transfer.evaluation.episodes import EpisodeComparison


def show_best(
    report: Report, setting: str, scored: EpisodeComparison, names: Sequence[str], rival: str
) -> None:
    """The low end of the difference of the best of ``names`` to ``rival``, which must be above 0.

    The best of several was seen on these very episodes, so the interval is one for each of them
    (Bonferroni).
    """
    means = scored.table()["mean"]
    best = max(names, key=lambda name: means[name])
    alone, gap = (
        scored.differences(rival, confidence=level).loc[best]
        for level in (0.95, 1 - 0.05 / len(names))
    )
    report.figure(
        f"{setting}, {best} - {rival}, low end",
        gap["low"],
        at_least=np.nextafter(0, 1),
        digits=3,
        detail=f"{words_of(gap)}, an interval for the best of {len(names)}; alone "
        f"{words_of(alone)}",
    )


def words_of(gap) -> str:
    """A row of `EpisodeComparison.differences` with its interval."""
    return f"{gap['difference']:+.3f} [{gap['low']:+.3f}, {gap['high']:+.3f}]"
