"""What strategies took, beside means and maxima by hand."""

import types

import numpy as np
import pytest

from tf_transfer.analysis.costs import costs

NOTES = {
    "fine_tune": [
        {"source_seconds": 8.0, "target_seconds": 1.0, "parameters": 10, "peak_gb": 2.0},
        {"source_seconds": 4.0, "target_seconds": 2.0, "parameters": 30, "peak_gb": 1.5},
    ],
    "tfidf": [{"source_seconds": 0.5, "target_seconds": 0.25}],
    "twin": [],
}


def test_costs_are_means_over_cells_and_the_most_memory():
    known = types.SimpleNamespace(strategies=list(NOTES), notes=NOTES.__getitem__)
    table = costs(known)
    assert table[["strategy", "stage"]].to_numpy().tolist() == [
        ["fine_tune", "source"], ["fine_tune", "target"], ["tfidf", "source"], ["tfidf", "target"],
    ]  # fmt: skip
    assert table["seconds"].tolist() == [6.0, 1.5, 0.5, 0.25]
    assert table["parameters"].tolist() == pytest.approx([np.nan, 20, np.nan, np.nan], nan_ok=True)
    assert table["peak_gb"].tolist() == pytest.approx([np.nan, 2.0, np.nan, np.nan], nan_ok=True)
