"""The suites against scikit-learn, SciPy and hand derivations; the resampled values against
repeated rows.
"""

import functools
import warnings

import numpy as np
import pytest
from scipy import stats
from sklearn import metrics as sk

from tf_transfer.errors import DataError
from tf_transfer.evaluation import metrics
from tf_transfer.evaluation.metrics import UndefinedMetricWarning, resampled
from tf_transfer.kinds import KINDS, METRICS, kinds_where
from tf_transfer.kinds.tasks import Task

CLOSE = {"rtol": 0, "atol": 1e-12}


def classification(rows=200, classes=3, seed=0):
    rng = np.random.default_rng(seed)
    y = rng.integers(classes, size=rows)
    logits = rng.normal(size=(rows, classes)) + 1.2 * np.eye(classes)[y]
    p = np.exp(logits)
    return y, p / p.sum(1, keepdims=True)


def multilabel(rows=200, classes=4, seed=0):
    rng = np.random.default_rng(seed)
    y = (rng.random((rows, classes)) < 0.4).astype(np.float32)
    return y, 1 / (1 + np.exp(-rng.normal(size=(rows, classes)) - 1.5 * y + 0.7))


def regression(rows=200, seed=0):
    rng = np.random.default_rng(seed)
    y = rng.normal(3, 2, rows).round(1)
    return y, y * 0.7 + rng.normal(size=rows)


DATA = {"classification": classification, "multilabel": multilabel, "regression": regression}


@pytest.mark.parametrize("classes", [2, 3, 7])
@pytest.mark.parametrize("rows", [40, 500])
def test_classification_suite_equals_scikit_learn(classes, rows):
    y, p = classification(rows, classes)
    got, predicted = metrics.classification_suite(y, p), p.argmax(1)
    want = {
        "accuracy": sk.accuracy_score(y, predicted),
        "balanced_accuracy": sk.balanced_accuracy_score(y, predicted),
        "matthews": sk.matthews_corrcoef(y, predicted),
        "cohen_kappa": sk.cohen_kappa_score(y, predicted),
        "log_loss": sk.log_loss(y, p),
        "brier": ((p - np.eye(classes)[y]) ** 2).sum(1).mean() / (2 if classes == 2 else 1),
        "auroc": sk.roc_auc_score(y, p[:, 1] if classes == 2 else p, multi_class="ovr"),
        "average_precision": sk.average_precision_score(y, p[:, 1] if classes == 2 else p),
    }
    for average in ("macro", "micro", "weighted"):
        scores = sk.precision_recall_fscore_support(y, predicted, average=average)
        want |= {f"{name}_{average}": v for name, v in zip(("precision", "recall", "f1"), scores)}
    for name, value in want.items():
        np.testing.assert_allclose(got[name], value, err_msg=name, **CLOSE)
    by_class = sk.precision_recall_fscore_support(y, predicted)
    for name, values in zip(("precision", "recall", "f1", "support"), by_class):
        np.testing.assert_allclose(got[name], values, err_msg=name, **CLOSE)
    np.testing.assert_array_equal(got["confusion_matrix"], sk.confusion_matrix(y, predicted))
    assert set(KINDS["classification"].metric_names) < set(got)


@pytest.mark.parametrize("classes", [1, 2, 5])
def test_multilabel_suite_equals_scikit_learn(classes):
    y, p = multilabel(300, classes)
    got, predicted = metrics.multilabel_suite(y, p), (p >= 0.5).astype(int)
    losses = [sk.log_loss(y[:, c], p[:, c]) for c in range(classes)]
    want = {
        "subset_accuracy": (predicted == y).all(1).mean(),
        "hamming_loss": (predicted != y).mean(),
        "auroc": np.mean([sk.roc_auc_score(y[:, c], p[:, c]) for c in range(classes)]),
        "average_precision": np.mean(
            [sk.average_precision_score(y[:, c], p[:, c]) for c in range(classes)]
        ),
        "log_loss": np.mean(losses),
        "brier": np.mean([sk.brier_score_loss(y[:, c], p[:, c]) for c in range(classes)]),
    }
    if classes > 1:
        want["f1_samples"] = sk.f1_score(y, predicted, average="samples", zero_division=np.nan)
        for average in ("macro", "micro", "weighted"):
            scores = sk.precision_recall_fscore_support(y, predicted, average=average)
            want |= {
                f"{name}_{average}": v for name, v in zip(("precision", "recall", "f1"), scores)
            }
        by_class = sk.precision_recall_fscore_support(y, predicted)
        want |= dict(zip(("precision", "recall", "f1", "support"), by_class))
    for name, value in want.items():
        np.testing.assert_allclose(got[name], value, err_msg=name, **CLOSE)
    assert set(KINDS["multilabel"].metric_names) < set(got)


@pytest.mark.parametrize("rows", [2, 5, 300])
def test_regression_suite_equals_scikit_learn_and_scipy(rows):
    y, prediction = regression(rows)
    got = metrics.regression_suite(y, prediction)
    want = {
        "mae": sk.mean_absolute_error(y, prediction),
        "rmse": np.sqrt(sk.mean_squared_error(y, prediction)),
        "r2": sk.r2_score(y, prediction),
        "explained_variance": sk.explained_variance_score(y, prediction),
        "pearson": stats.pearsonr(y, prediction).statistic,
        "spearman": stats.spearmanr(y, prediction).statistic,
        "kendall": stats.kendalltau(y, prediction).statistic,
        "median_absolute_error": sk.median_absolute_error(y, prediction),
    }
    assert list(got) == list(KINDS["regression"].metric_names)
    for name, value in want.items():
        np.testing.assert_allclose(got[name], value, err_msg=name, **CLOSE)


@pytest.mark.filterwarnings("ignore::tf_transfer.evaluation.metrics.UndefinedMetricWarning")
def test_rmse_is_the_root_of_the_mean_squared_error():
    assert metrics.regression_suite([0.0, 0.0], [3.0, 4.0])["rmse"] == pytest.approx(
        np.sqrt(12.5), abs=1e-15
    )


def test_calibration_error_and_brier_by_hand():
    # Confidences .9, .9, .6, .52 fall into bins 14, 14, 9 and 8 of 15; right, wrong, right, wrong.
    p1 = np.array([0.9, 0.9, 0.4, 0.52])
    suite = metrics.classification_suite([1, 0, 0, 0], np.stack([1 - p1, p1], axis=1))
    gaps = abs(1 - 0.9 + 0 - 0.9) + abs(1 - 0.6) + abs(0 - 0.52)
    assert suite["expected_calibration_error"] == pytest.approx(gaps / 4, abs=1e-15)
    assert suite["brier"] == pytest.approx((0.01 + 0.81 + 0.16 + 0.2704) / 4, abs=1e-15)


@pytest.mark.filterwarnings("ignore::tf_transfer.evaluation.metrics.UndefinedMetricWarning")
def test_calibration_bins_are_closed_on_the_right():
    # .6 = 9/15 belongs to (8/15, 9/15] with .58, not to (9/15, 10/15] with .62.
    p1 = np.array([0.58, 0.6, 0.62])
    suite = metrics.classification_suite([1, 0, 1], np.stack([1 - p1, p1], axis=1))
    assert suite["expected_calibration_error"] == pytest.approx(
        (abs(0.42 - 0.6) + 0.38) / 3, abs=1e-15
    )


def test_brier_of_three_classes_sums_over_classes():
    suite = metrics.classification_suite(
        [0, 2, 1], [[0.5, 0.3, 0.2], [0.1, 0.1, 0.8], [0.2, 0.6, 0.2]]
    )
    assert suite["brier"] == pytest.approx((0.38 + 0.06 + 0.24) / 3, abs=1e-15)


def undefined(function, *arguments):
    """The metrics that came out as NaN, each of which must have been warned of."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        values = function(*arguments)
    assert {w.category for w in caught} <= {UndefinedMetricWarning}
    named = {str(w.message).split()[0] for w in caught}
    nan = {m for m, v in values.items() if np.ndim(v) == 0 and np.isnan(v)}
    assert nan <= named
    return nan, values


def test_one_class_present_is_undefined_not_zero():
    y, p = np.zeros(5, int), np.tile([0.8, 0.2], (5, 1))
    nan, values = undefined(metrics.classification_suite, y, p)
    assert nan == {"balanced_accuracy", "matthews", "cohen_kappa", "auroc", "average_precision"}
    assert values["accuracy"] == values["f1_macro"] == values["recall_macro"] == 1
    assert np.isnan(values["recall"][1]) and np.isnan(values["f1"][1])


def test_constant_prediction_of_a_classifier():
    y, p = np.array([0, 0, 0, 1]), np.tile([0.8, 0.2], (4, 1))
    nan, values = undefined(metrics.classification_suite, y, p)
    assert nan == {"matthews", "precision_macro", "precision_weighted"}
    assert (
        values["cohen_kappa"] == 0 and values["auroc"] == 0.5 and values["balanced_accuracy"] == 0.5
    )
    assert values["f1_macro"] == pytest.approx((2 * 3 / 7 + 0) / 2, abs=1e-15)


def test_class_absent_from_the_labels_but_predicted_counts_against_f1_and_precision():
    y, p = np.array([0, 0, 1, 1]), np.eye(4)[[0, 2, 1, 1]]
    nan, values = undefined(metrics.classification_suite, y, p)
    assert nan == set()
    np.testing.assert_array_equal(values["precision"], [1, 1, 0, np.nan])
    np.testing.assert_array_equal(values["recall"], [0.5, 1, np.nan, np.nan])
    predicted = p.argmax(1)
    assert values["f1_macro"] == pytest.approx(
        sk.f1_score(y, predicted, average="macro"), abs=1e-15
    )
    assert values["precision_macro"] == pytest.approx(2 / 3, abs=1e-15)
    assert values["recall_macro"] == values["balanced_accuracy"] == 0.75


def test_warning_names_metric_place_and_absent_class():
    with pytest.warns(UndefinedMetricWarning, match=r"recall of test/mood is undefined for 'calm'"):
        metrics.suite(
            Task("mood", kind="classification", classes=("sad", "glad", "calm")),
            np.array([0, 1]),
            np.eye(3)[[0, 1]],
            "test/mood",
        )


@pytest.mark.parametrize(
    "y, prediction, nan",
    [
        ([1, 2, 3], [2, 2, 2], {"pearson", "spearman", "kendall"}),
        ([0.1] * 3, [1, 2, 3], {"r2", "explained_variance", "pearson", "spearman", "kendall"}),
        ([1], [2], {"r2", "explained_variance", "pearson", "spearman", "kendall"}),
    ],
)
def test_constants_have_no_correlation(y, prediction, nan):
    assert undefined(metrics.regression_suite, y, prediction)[0] == nan


def test_one_row_of_a_classifier():
    nan, values = undefined(metrics.classification_suite, [1], [[0.3, 0.7]])
    assert {"auroc", "matthews", "balanced_accuracy"} <= nan and values["accuracy"] == 1


def test_multilabel_without_any_label():
    nan, values = undefined(metrics.multilabel_suite, np.zeros((3, 2)), np.full((3, 2), 0.2))
    assert {"auroc", "f1_macro", "f1_micro", "f1_weighted", "f1_samples", "precision_micro"} <= nan
    assert values["subset_accuracy"] == 1 and values["hamming_loss"] == 0


def test_two_labels_of_which_each_row_has_one_are_still_two_labels():
    y, p = np.array([[1, 0], [0, 1], [1, 0]]), np.array([[0.9, 0.6], [0.2, 0.3], [0.7, 0.1]])
    assert metrics.multilabel_suite(y, p)["auroc"] == pytest.approx((1.0 + 0.5) / 2, abs=1e-15)


def degenerate(kind, case):
    y, scores = DATA[kind](30)
    if case == "constant prediction":
        scores = (
            np.full_like(scores, 0.25)
            if kind != "classification"
            else np.tile([0.2, 0.5, 0.3], (30, 1))
        )
    elif case == "rare":
        y = (
            np.where(np.arange(30) > 0, y * 0, 1)
            if kind == "classification"
            else y * (np.arange(30) == 0).reshape((-1,) + (1,) * (y.ndim - 1))
        )
    elif case == "two values" and kind == "regression":
        scores = scores * 1e-9 + (np.arange(30) % 3 == 0)
    elif case == "outlier":
        scores = scores.copy()
        if kind == "regression":
            y, scores[0] = y + np.where(np.arange(30) == 1, 1e6, 0), 1e6
    return y, scores


@functools.cache
def resamples_of(kind, case):
    """Labels, scores, counts of 16 resamples, and the suite of the rows repeated by each."""
    y, scores = degenerate(kind, case)
    counts = np.random.default_rng(1).multinomial(30, np.full(30, 1 / 30), size=16)
    counts[0] = np.eye(30, dtype=int)[4] * 30
    counts[1] = 1
    counts[2] = np.where(np.arange(30) % 3 == 0, 3, 0)
    suite = getattr(metrics, f"{kind}_suite")
    return (
        y,
        scores,
        counts,
        [suite(np.repeat(y, c, axis=0), np.repeat(scores, c, axis=0)) for c in counts],
    )


@pytest.mark.parametrize("case", ["random", "constant prediction", "rare", "outlier", "two values"])
@pytest.mark.parametrize(
    "kind, metric",
    [(name, m) for name in kinds_where(reads="text") for m in KINDS[name].metric_names],
)
@pytest.mark.filterwarnings("ignore::tf_transfer.evaluation.metrics.UndefinedMetricWarning")
def test_resampled_is_the_suite_of_the_repeated_rows(kind, metric, case, monkeypatch):
    monkeypatch.setattr(metrics, "_BLOCK", 30 * 7)
    monkeypatch.setattr(metrics, "_ORDERED_BLOCK", 30 * 7)
    y, scores, counts, suites = resamples_of(kind, case)
    got = resampled(metric, kind, y, scores, counts)
    np.testing.assert_allclose(got, [suite[metric] for suite in suites], rtol=1e-12, atol=1e-12)


def test_resampled_makes_no_warning():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert np.isnan(
            resampled("matthews", "classification", [0, 0], np.eye(2)[[0, 0]], np.ones((2, 2)))
        ).all()


@pytest.mark.parametrize(
    "function, y, scores, message",
    [
        ("classification", [0, 1], [[0.5, np.nan], [0.5, 0.5]], "row 0"),
        ("classification", [0, 1], [[2.0, -1.0], [0.5, 0.5]], "softmax"),
        ("classification", [0, 1], [[0.5, 0.1], [0.5, 0.5]], "row 0"),
        ("classification", [0, 2], [[0.5, 0.5], [0.5, 0.5]], "0 to 1"),
        ("classification", [0], [[0.5, 0.5], [0.5, 0.5]], r"\(2, 2\)"),
        ("classification", [], np.zeros((0, 2)), "at least one"),
        ("multilabel", [[0, 2]], [[0.5, 0.5]], "0 to 1"),
        ("multilabel", [[0, 1]], [[3.0, 0.5]], "sigmoid"),
        ("regression", [1.0, np.inf], [1.0, 1.0], "inf"),
        ("regression", [1.0, 2.0], [1.0, np.inf], "row 1"),
        ("regression", [1.0, 2.0], [[1.0], [1.0]], r"\(2, 1\)"),
    ],
)
def test_bad_input_is_named(function, y, scores, message):
    with pytest.raises(DataError, match=message):
        getattr(metrics, f"{function}_suite")(y, scores)


def test_float32_probabilities_are_accepted():
    y, p = classification(100, 5)
    got = metrics.classification_suite(y, p.astype(np.float32))["log_loss"]
    assert got == pytest.approx(metrics.classification_suite(y, p)["log_loss"], abs=1e-6)


def test_direction_and_range_of_every_scalar():
    assert set(METRICS) == {m for kind in KINDS.values() for m in kind.metric_names}
    assert not METRICS["log_loss"].higher and METRICS["r2"].higher
    for kind in KINDS.values():
        assert kind.primary in kind.metric_names
        assert kind.metric(kind.row_metric).row is not None
