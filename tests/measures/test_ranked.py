"""Metrics of row weights that need order against SciPy and scikit-learn on repeated rows, with many
ties.
"""

import numpy as np
import pytest
from scipy import stats
from sklearn import metrics as sk

from tf_transfer.measures import ranked

ROWS = 400


def data(ties):
    """Labels and predictions: of few values, one of which half of the rows have, or distinct."""
    rng = np.random.default_rng(0)
    y = rng.normal(size=ROWS)
    prediction = y + rng.normal(size=ROWS)
    if ties == "few values":
        return y.round(), prediction.round()
    if ties == "half at zero":
        return np.maximum(y, 0), np.where(prediction < 0.3, 0.0, prediction)
    return y, prediction


def weights(resamples=40):
    """Groups are drawn, so that totals differ; the first resample is every row once."""
    rng = np.random.default_rng(1)
    counts = rng.multinomial(20, np.full(20, 1 / 20), size=resamples)[:, np.arange(ROWS) % 37 % 20]
    counts[0] = 1
    return counts


@pytest.mark.parametrize("ties", ["none", "few values", "half at zero"])
@pytest.mark.parametrize("resamples", [3, 40])
def test_correlations_of_ranks_are_scipys_on_repeated_rows(ties, resamples):
    y, prediction = data(ties)
    counts = weights(resamples)
    for formula, oracle in ((ranked.spearman, stats.spearmanr), (ranked.kendall, stats.kendalltau)):
        got = formula(y, prediction)(ranked.Weights(counts))
        want = [oracle(np.repeat(y, c), np.repeat(prediction, c)).statistic for c in counts]
        np.testing.assert_allclose(got, want, rtol=0, atol=1e-12)


@pytest.mark.parametrize("ties", ["none", "few values", "half at zero"])
def test_areas_are_scikit_learns_on_repeated_rows(ties):
    y, score = data(ties)
    target, counts = y > 0.5, weights()
    got = ranked.areas(target, score)(ranked.Weights(counts))
    for found, oracle in zip(got, (sk.roc_auc_score, sk.average_precision_score)):
        want = [oracle(np.repeat(target, c), np.repeat(score, c)) for c in counts]
        np.testing.assert_allclose(found, want, rtol=0, atol=1e-12)


@pytest.mark.parametrize("ties", ["none", "few values"])
def test_median_is_numpys_on_repeated_rows(ties):
    values, counts = data(ties)[0], weights()
    np.testing.assert_array_equal(
        ranked.median(values)(ranked.Weights(counts)),
        [np.median(np.repeat(values, c)) for c in counts],
    )


@pytest.mark.parametrize("rows", [1, 2, 3, 10, 101])
def test_cumulative_sums(rows):
    values = np.random.default_rng(0).integers(0, 5, (rows, 7)).astype(np.float32)
    np.testing.assert_array_equal(
        ranked.cumulative(values), np.cumsum(np.vstack([values[:1] * 0, values]), axis=0)
    )


def test_one_row_and_no_target_are_undefined():
    alone = ranked.Weights(np.eye(3, dtype=int))
    with np.errstate(invalid="ignore", divide="ignore"):
        for formula in (ranked.spearman, ranked.kendall):
            assert np.isnan(formula(np.arange(3.0), np.arange(3.0))(alone)).all()
        assert np.isnan(ranked.areas(np.array([True, False, False]), np.arange(3.0))(alone)).all()
