"""Rows of episodes in which a row may have several classes, as texts with spans do.

Ding et al. 2021, "Few-NERD: A Few-shot Named Entity Recognition Dataset", Algorithm 1 (N-way K~2K-
shot).
"""

from __future__ import annotations

import numpy as np

MOST = 2
"""How many times its shot a class occurs at most."""


def draw_rows(
    rng: np.random.Generator, rows: np.ndarray, counts: np.ndarray, shots: np.ndarray
) -> np.ndarray | None:
    """Rows, in random order, in which each class occurs at least ``shot`` and at most ``2 shot``
    times.

    A row is taken where it brings a class that is still short, and no class too often.

    Args:
        rows: (n,) int, those to draw from.
        counts: (n, classes) int, how often each class occurs in each of them.
        shots: (classes,) int.

    Returns:
        The numbers of rows, or None where no row was left before every class was there.
    """
    total, drawn = np.zeros(len(shots), np.int64), []
    for place in rng.permutation(len(rows)):
        together = total + counts[place]
        useful = (counts[place] * (total < shots)).any()
        if useful and (together <= MOST * shots).all():
            total = together
            drawn.append(rows[place])
            if (total >= shots).all():
                return np.array(drawn, np.int64)
    return None
