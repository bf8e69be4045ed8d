"""Minimum effects against simulation and closed forms, and what would settle an open verdict."""

import numpy as np
import pytest
from scipy import stats

from tf_transfer.statistics import power
from tf_transfer.statistics.bootstrap import Sample


def sample(row_sd=0.0, offsets=(0.0, 0.0, 0.0), value=0.1, units=400, resamples=4000, noise=0.0):
    """Normal rows, shared by the seeds, an offset for each seed, and noise of both; the draws are
    exact.
    """
    rng = np.random.default_rng(0)
    offsets = np.asarray(offsets, float) - np.mean(offsets) + value
    shared = stats.norm.ppf((np.arange(resamples) + 0.5) / resamples) * row_sd / np.sqrt(units)
    own = rng.normal(0, noise / np.sqrt(units), (resamples, len(offsets)))
    return Sample(offsets, shared[:, None] + offsets + own, units)


@pytest.mark.parametrize("freedom", [1, 2, 4, 9, 100])
def test_a_repetition_shows_the_minimum_effect_in_four_of_five_cases(freedom):
    """k standard errors, as found in one experiment, told from 0 in another."""
    rng, n = np.random.default_rng(1), 400_000
    scatter, other = (np.sqrt(rng.chisquare(freedom, n) / freedom) for _ in range(2))
    shown = (
        power.factor(freedom, 0.05) * scatter + rng.normal(size=n)
        > stats.t.ppf(0.975, freedom) * other
    )
    assert shown.mean() == pytest.approx(0.8, abs=0.005)


def test_many_degrees_of_freedom_give_blooms_factor():
    assert power.factor(1e6, 0.05) == pytest.approx(
        stats.norm.ppf(0.975) + stats.norm.ppf(0.8), abs=0.003
    )
    assert power.factor(1e6, 0.10) < power.factor(1e6, 0.05) < power.factor(30.0, 0.05)


def test_parts_of_rows_and_seeds_come_with_their_own_factors():
    found = sample(row_sd=1.0, offsets=(0, 0.06, 0.12))
    assert found.row_variance == pytest.approx(1 / 399, rel=0.01)
    assert found.seed_variance == pytest.approx(0.06**2 / 3)
    want = power.factor(399, 0.05) ** 2 / 399 + power.factor(2, 0.05) ** 2 * 0.06**2 / 3
    assert power.minimum_effect(found, 0.05) == pytest.approx(np.sqrt(want), rel=0.01)


def test_rows_needed_by_one_seed_are_those_of_the_closed_form():
    found = sample(row_sd=1.0, offsets=(0.0,), value=0.05)
    rows = power.units_needed(found, 0.05)
    assert rows == pytest.approx((power.factor(1e6, 0.05) / 0.05) ** 2, rel=0.02)
    assert power.minimum_effect(found, 0.05, units=int(rows)) <= 0.05
    assert power.minimum_effect(found, 0.05, units=int(rows) - 1) > 0.05
    assert np.isnan(power.seeds_needed(found, 0.05))


def test_rows_cannot_settle_what_seeds_leave_open_nor_seeds_what_rows_do():
    of_seeds, of_rows = sample(0.05, (0, 0.1, 0.2)), sample(2.0, (0, 0.002, 0.004))
    assert (
        power.units_needed(of_seeds, 0.05) == np.inf and 3 < power.seeds_needed(of_seeds, 0.05) < 30
    )
    assert power.seeds_needed(of_rows, 0.05) == np.inf and power.units_needed(of_rows, 0.05) > 400
    assert power.units_needed(sample(1.0, value=0.0), 0.05) == np.inf


def test_more_rows_lower_the_noise_that_rows_and_seeds_share():
    """Seeds that differ by no more than noise of the rows: enough rows settle it, without a further
    seed.
    """
    found = sample(0.0, (-0.02, 0.0, 0.02), value=0.04, noise=0.5)
    assert found.shared_variance == pytest.approx(found.seed_variance, rel=0.01)
    assert 400 < power.units_needed(found, 0.05) < np.inf


def test_what_an_experiment_will_show_is_about_the_minimum_effect_of_one_like_it():
    assert power.expected_effect("f1_macro", 100, 3) == pytest.approx(0.2, abs=0.05)
    few, rows, seeds = (
        power.expected_effect("pearson", *size) for size in ((100, 3), (1000, 3), (100, 10))
    )
    assert few > rows > 0 and few > seeds > 0
    assert power.expected_effect("pearson", 100, 1) > 0
    assert (
        power.expected_effect("mae", 100, 3) is None
        and power.expected_effect("pearson", 1, 3) is None
    )
