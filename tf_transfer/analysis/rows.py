"""The texts of test rows."""

from __future__ import annotations

import numpy as np
import pandas as pd

from tf_transfer.experiments.results import Results


def row_texts(comparison: Results, table: pd.DataFrame) -> np.ndarray:
    """(rows,) of text, pairs joined by `` / ``.

    Args:
        comparison: a `Comparison`.
        table: of its `test_rows`.
    """
    parts = (table[c].fillna("").astype(str) for c in comparison.text_columns)
    return np.array([" / ".join(texts) for texts in zip(*parts)], object)
