"""McNemar's and the permutation test against SciPy and by hand, down to one row and all ties."""

import numpy as np
import pytest
from scipy import stats

from tf_transfer.errors import DataError
from tf_transfer.statistics.paired_tests import mcnemar, row_tests, sign_flip_p


def test_mcnemar_is_the_binomial_test_of_the_rows_that_differ():
    a, b = (
        np.array([1] * 9 + [0] * 2 + [1] * 20, bool),
        np.array([0] * 9 + [1] * 2 + [1] * 20, bool),
    )
    found = mcnemar(a, b)
    assert (found.only_a, found.only_b) == (9, 2)
    # 9, 10 or 11 of 11 tosses, both ways
    assert found.p == pytest.approx(2 * (1 + 11 + 55) / 2**11)
    assert mcnemar(b, a).p == found.p


def test_mcnemar_of_equal_predictions_and_of_one_row():
    assert mcnemar([True, False], [True, False]).p == 1
    assert mcnemar([True], [False]).p == 1


@pytest.mark.parametrize("rows", [2, 10, 12])
def test_few_rows_try_every_sign_as_scipy_does(rows):
    d = np.random.default_rng(rows).normal(0.4, 1, rows)
    want = stats.permutation_test(
        (d,), np.mean, permutation_type="samples", n_resamples=np.inf
    ).pvalue
    assert sign_flip_p(d) == pytest.approx(want, abs=1e-12)


def test_many_rows_agree_with_scipy_and_with_the_t_test():
    d = np.random.default_rng(0).normal(0.15, 1, 200)
    want = stats.permutation_test(
        (d,), np.mean, permutation_type="samples", n_resamples=9999, rng=1
    ).pvalue
    assert sign_flip_p(d, resamples=20_000) == pytest.approx(want, abs=0.008)
    assert sign_flip_p(d, resamples=20_000) == pytest.approx(
        stats.ttest_1samp(d, 0).pvalue, abs=0.008
    )


def test_one_and_ten_rows_of_one_sign():
    assert sign_flip_p([0.5]) == 1
    assert sign_flip_p(np.ones(10)) == 2 / 2**10
    assert sign_flip_p([0.1, 0.2, 0.3]) == 0.25


@pytest.mark.parametrize("rows", [10, 500])
def test_differences_of_zero_have_a_p_of_one(rows):
    assert sign_flip_p(np.zeros(rows)) == 1


def test_pairs_share_the_flips_and_groups_flip_together():
    rng = np.random.default_rng(0)
    d = rng.normal(0.2, 1, (40, 3))
    np.testing.assert_array_equal(sign_flip_p(d), [sign_flip_p(column) for column in d.T])
    groups = np.repeat(list("abcdefgh"), 5)
    sums = d[:, 0].reshape(8, 5).sum(1)
    assert sign_flip_p(d[:, 0], groups) == sign_flip_p(sums)


def test_row_tests_hold_every_mean_and_every_seed():
    rng = np.random.default_rng(0)
    y = rng.integers(3, size=80)
    a, b = (
        list(rng.dirichlet(np.ones(3), (2, 80)) * 0.4 + 0.6 * np.eye(3)[(y + s) % 3])
        for s in (0, 1)
    )
    found = row_tests("classification", y, a, b)
    assert found["test"].value_counts().to_dict() == {"permutation": 3, "mcnemar": 2}
    assert set(found["metric"]) == {"accuracy", "log_loss", "brier"} and (found["value"] > 0).all()
    assert (found["p"] < 0.001).all()
    exact = found[found["test"] == "mcnemar"].iloc[1]
    want = mcnemar(a[1].argmax(1) == y, b[1].argmax(1) == y)
    assert (exact["p"], exact["value"], exact["seed"]) == (
        want.p,
        (want.only_a - want.only_b) / 80,
        1,
    )
    same = row_tests("classification", y, a, a, groups=np.arange(80) // 4)
    assert (same["p"] == 1).all() and set(same["test"]) == {"permutation"}
    assert list(row_tests("regression", y, [y + 1.0], [y + 2.0])["value"]) == [1.0]


@pytest.mark.parametrize("call, message", [
    (lambda: mcnemar([True], [True, False]), r"\(1,\) and \(2,\)"),
    (lambda: sign_flip_p([]), "0 rows"),
    (lambda: sign_flip_p([np.nan, 1]), "1 numbers"),
    (lambda: sign_flip_p([1.0, 2.0], ["a", None]), "1 missing"),
    (lambda: row_tests("regression", [1.0], [[1.0]], []), "1 and 0 seeds"),
])  # fmt: skip
def test_bad_input_is_named(call, message):
    with pytest.raises(DataError, match=message):
        call()
