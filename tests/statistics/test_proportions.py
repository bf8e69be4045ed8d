"""Wilson's interval against SciPy's."""

import numpy as np
import pytest
from scipy.stats import binomtest, norm

from tf_transfer.statistics.proportions import wilson


@pytest.mark.parametrize("confidence", [0.8, 0.95])
def test_wilsons_interval_is_scipys(confidence):
    right, rows = np.array([0, 5, 3, 70]), np.array([5, 5, 10, 200])
    low, high = wilson(right / rows, rows, norm.isf((1 - confidence) / 2))
    expected = [
        binomtest(k, n).proportion_ci(confidence, method="wilson") for k, n in zip(right, rows)
    ]
    assert low == pytest.approx([e.low for e in expected], abs=1e-12)
    assert high == pytest.approx([e.high for e in expected], abs=1e-12)
