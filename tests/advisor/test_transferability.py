"""Distances and evidence, against scikit-learn and against a direct maximisation."""

import numpy as np
import pytest
from scipy.linalg import null_space
from scipy.optimize import minimize
from scipy.stats import multivariate_normal
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import balanced_accuracy_score
from sklearn.model_selection import StratifiedKFold

from tf_transfer.advisor.transferability import domain_distance, logme
from tf_transfer.errors import DataError


def clouds(shift: float, rows=(60, 40), width=6, seed=0):
    draws = np.random.default_rng(seed)
    return draws.normal(size=(rows[0], width)), draws.normal(shift, 1, (rows[1], width))


def by_hand(source, target) -> float:
    x, y = np.vstack([source, target]), np.r_[np.zeros(len(source)), np.ones(len(target))]
    found = np.empty(len(x))
    for learn, check in StratifiedKFold(5, shuffle=True, random_state=0).split(x, y):
        mean, deviation = x[learn].mean(0), x[learn].std(0)
        model = LogisticRegression(C=0.01, class_weight="balanced", max_iter=1000)
        model.fit((x[learn] - mean) / deviation, y[learn])
        found[check] = model.predict((x[check] - mean) / deviation)
    error = 1 - balanced_accuracy_score(y, found)
    return max(0.0, 2 * (1 - 2 * error))


@pytest.mark.parametrize("shift", [0.0, 0.5, 1.0])
def test_domain_distance_is_the_proxy_a_distance(shift):
    source, target = clouds(shift)
    assert domain_distance(source, target) == pytest.approx(by_hand(source, target))


def test_domain_distance_goes_from_0_to_2():
    assert domain_distance(*clouds(20.0)) == 2
    near = [domain_distance(*clouds(0.0, seed=seed)) for seed in range(5)]
    assert min(near) >= 0 and max(near) < 0.7
    assert domain_distance(*clouds(0.3)) < domain_distance(*clouds(1.0))


def test_domain_distance_does_not_mind_sizes_or_constant_features():
    source, target = clouds(0.0, rows=(400, 20))
    # all rows called source would be an error of 5 % of the rows
    assert domain_distance(source, target) < 0.8
    constant = np.ones((400, 1))
    with_constant = domain_distance(
        np.hstack([source, constant]), np.hstack([target, constant[:20]])
    )
    assert with_constant == pytest.approx(domain_distance(source, target))


def test_domain_distance_needs_rows():
    source, target = clouds(0.0)
    with pytest.raises(DataError, match="Received 60 and 4"):
        domain_distance(source, target[:4])


@pytest.mark.parametrize(("rows", "width"), [(16, 30), (40, 3), (50, 50), (20, 1)])
def test_logme_is_the_greatest_evidence(rows, width):
    draws = np.random.default_rng(rows)
    x = draws.normal(size=(rows, width))
    y = 3 + 2 * x[:, 0] + draws.normal(size=rows)
    contrasts = null_space(np.ones((1, rows))).T  # what is left of y without its mean
    spread = contrasts @ x @ x.T @ contrasts.T

    def negative(logs):
        covariance = np.exp(-logs[1]) * np.eye(rows - 1) + np.exp(-logs[0]) * spread
        return -multivariate_normal(np.zeros(rows - 1), covariance, allow_singular=True).logpdf(
            contrasts @ y
        )

    starts = [(a, b) for a in (-2, 1, 4) for b in (-1, 2)]
    best = min(minimize(negative, start, method="Nelder-Mead").fun for start in starts)
    assert logme(x, y) == pytest.approx(-best / rows, abs=1e-5)


def test_logme_prefers_features_that_tell():
    draws = np.random.default_rng(0)
    y = draws.normal(size=100)
    telling, noise = y[:, None] + draws.normal(size=(100, 1)), draws.normal(size=(100, 20))
    nothing = logme(np.zeros((100, 1)), y)
    assert logme(telling, y) > nothing + 0.1
    assert abs(logme(noise, y) - nothing) < 0.02
    assert logme(telling, y) > logme(np.hstack([telling, 5 * noise]), y)


def test_logme_averages_columns_and_leaves_constant_ones_out():
    draws = np.random.default_rng(1)
    x, y = draws.normal(size=(30, 4)), draws.normal(size=(30, 2))
    both = logme(x, y)
    assert both == pytest.approx((logme(x, y[:, 0]) + logme(x, y[:, 1])) / 2)
    assert logme(x, np.hstack([y, np.ones((30, 1))])) == both
    assert np.isnan(logme(x, np.ones(30)))
