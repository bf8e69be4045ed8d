"""A number: learned as (label - mean) / deviation, reported in the label's own unit.

Labels and answers are (rows,) float64.
"""

from __future__ import annotations

import warnings
from collections import defaultdict
from collections.abc import Callable

import numpy as np
import pandas as pd

from tf_transfer.errors import DataError, setting, shown
from tf_transfer.kinds.base import Kind, check_finite
from tf_transfer.kinds.class_types import typed_class
from tf_transfer.kinds.label_columns import (
    MAX_INFERRED_CLASSES,
    measured_numbers,
    number_of,
    numbers_of,
)
from tf_transfer.measures import ranked
from tf_transfer.measures.metric import Formula, Metric
from tf_transfer.measures.ranked import Weights

_CONSTANT_LABELS = "the labels are constant"
_CONSTANT = "the labels or the predictions are constant"
_FLAT = 1e-3
"""Share of the mean square below which a variance, a difference of two sums, has too few correct
digits.
"""


def _error(y, prediction) -> np.ndarray:
    return np.abs(prediction - y)


def _moments(y, prediction) -> np.ndarray:
    """Labels a, predictions b and errors e, centred on their medians, and their products."""
    a, b, e = (v - np.median(v) for v in (y, prediction, prediction - y))
    return np.stack([a, b, e, a * a, b * b, e * e, a * b, (prediction - y) ** 2], axis=1)


def _rmse(sums, total):
    return np.sqrt((sums / total[:, None]).T[7])


def _r2(sums, total):
    a, _, _, aa, _, _, _, squared = (sums / total[:, None]).T
    return 1 - squared / (aa - a * a)


def _explained_variance(sums, total):
    a, _, e, aa, _, ee, _, _ = (sums / total[:, None]).T
    return 1 - (ee - e * e) / (aa - a * a)


def _pearson(sums, total):
    a, b, _, aa, bb, _, ab, _ = (sums / total[:, None]).T
    return (ab - a * b) / np.sqrt((aa - a * a) * (bb - b * b))


def _flat_labels(sums, total) -> np.ndarray:
    a, _, _, aa = (sums / total[:, None]).T[:4]
    return aa - a * a <= _FLAT * aa


def _flat_either(sums, total) -> np.ndarray:
    _, b, _, _, bb = (sums / total[:, None]).T[:5]
    return _flat_labels(sums, total) | (bb - b * b <= _FLAT * bb)


def _in_order(name: str, make: Callable) -> Callable:
    def ordered(y, prediction) -> Formula:
        formula = make(y, prediction)

        def named(weights: Weights) -> dict[str, np.ndarray]:
            return {name: formula(weights)}

        return named

    return ordered


def _of_varied(module: str, function: str, both: bool) -> Callable:
    """A function of scikit-learn or scipy, NaN where the labels (or, when ``both``, the
    predictions) are constant.
    """

    def direct(y, prediction) -> float:
        from scipy import stats
        from sklearn import metrics

        if np.ptp(y) == 0 or (both and np.ptp(prediction) == 0):
            return np.nan
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", stats.NearConstantInputWarning)
            value = getattr({"stats": stats, "metrics": metrics}[module], function)(y, prediction)
        return float(getattr(value, "statistic", value))

    return direct


def _median_error(y, prediction) -> float:
    return float(np.median(_error(y, prediction)))


class Regression(Kind):
    """See the module."""

    name = "regression"
    primary, row_metric = "pearson", "mae"
    numbers, has_classes, episodes, link = True, False, "rows", "identity"
    reliability_words = ("mean prediction", "mean label")
    metrics = (
        Metric.of_rows("mae", _error, label="MAE", higher=False, range=(0.0, np.inf)),
        Metric("rmse", _moments, _rmse, label="RMSE", higher=False, range=(0.0, np.inf)),
        Metric(
            "r2",
            _moments,
            _r2,
            direct=_of_varied("metrics", "r2_score", both=False),
            doubtful=_flat_labels,
            label="R²",
            range=(-np.inf, 1.0),
            undefined=_CONSTANT_LABELS,
        ),
        Metric(
            "explained_variance",
            _moments,
            _explained_variance,
            doubtful=_flat_labels,
            direct=_of_varied("metrics", "explained_variance_score", both=False),
            range=(-np.inf, 1.0),
            undefined=_CONSTANT_LABELS,
        ),
        Metric(
            "pearson",
            _moments,
            _pearson,
            direct=_of_varied("stats", "pearsonr", both=True),
            doubtful=_flat_either,
            label="Pearson r",
            range=(-1.0, 1.0),
            undefined=_CONSTANT,
        ),
        Metric(
            "spearman",
            ordered=_in_order("spearman", ranked.spearman),
            direct=_of_varied("stats", "spearmanr", both=True),
            label="Spearman ρ",
            range=(-1.0, 1.0),
            undefined=_CONSTANT,
        ),
        Metric(
            "kendall",
            ordered=_in_order("kendall", ranked.kendall),
            direct=_of_varied("stats", "kendalltau", both=True),
            label="Kendall τ",
            range=(-1.0, 1.0),
            undefined=_CONSTANT,
        ),
        Metric(
            "median_absolute_error",
            direct=_median_error,
            higher=False,
            range=(0.0, np.inf),
            ordered=_in_order(
                "median_absolute_error", lambda y, prediction: ranked.median(_error(y, prediction))
            ),
        ),
    )

    def checked(self, y, answers, of=""):
        y, answers = np.asarray(y), np.asarray(answers, np.float64)
        if answers.ndim != 1 or y.shape != answers.shape or not len(y):
            raise DataError(
                f"Labels and scores{of} must be of the same rows, at least one.\n"
                f"Received labels of shape {y.shape} and scores of shape {answers.shape}."
            )
        check_finite(answers, of)
        if not np.isfinite(y).all():
            raise DataError(f"Labels{of} must be finite.\nReceived {y[~np.isfinite(y)][0]}.")
        return y.astype(np.float64), answers

    # -- labels ------------------------------------------------------------------------------------

    def claims(self, column):
        """Numbers with a fraction, of more than 20 distinct values, or infinite ones, which
        `encode` then reports.
        """
        numbers = measured_numbers(column)
        if numbers is None:
            return False
        whole = bool(np.all(np.isfinite(numbers) & (numbers == np.round(numbers))))
        return not (whole and len(np.unique(numbers)) <= MAX_INFERRED_CLASSES)

    def check_inferred(self, task, column):
        ways = defaultdict(set)
        for text in {cell.strip() for cell in column if isinstance(cell, str)}:
            ways[number_of(text)].add(text)
        several = next((sorted(way) for _, way in sorted(ways.items()) if len(way) > 1), None)
        if several:
            raise DataError(
                f"Labels of task {task!r} must be numbers or names.\n"
                f"Received {' and '.join(map(repr, several[:3]))} in column {column.name!r}: one "
                "number, or two names.\nSay which: "
                f"{setting('kind', self.name, f'--label {column.name}:{self.name}')}, or "
                "'classification'."
            )

    def check_task(self, task):
        if task.classes or task.class_weight:
            raise DataError(
                f"Task {task.name!r} is a regression and has no classes.\n"
                f"Received classes={task.classes!r}, class_weight={task.class_weight!r}.\n"
                "Drop them, or set kind='classification'."
            )

    def is_resolved(self, task):
        return True

    def outputs(self, task):
        return 1

    def blank(self, task, rows):
        return np.zeros(rows, np.float64)

    def encode(self, task, column, present, where):
        if pd.api.types.is_datetime64_any_dtype(column) or pd.api.types.is_timedelta64_dtype(
            column
        ):
            column = column.astype(str)
        numbers = numbers_of(column.where(present))
        bad = np.flatnonzero(present & ~np.isfinite(numbers))
        if len(bad):
            raise DataError(
                f"Labels of the regression {task.name!r} must be finite numbers.\n"
                f"Received {shown(typed_class(column.iloc[bad[0]]))} in column {task.label!r}, row "
                f"{bad[0]} of {where} ({len(bad)} such rows).\nMend or empty these cells; an empty "
                f"cell is left out. Decimal commas are read with {setting('decimal', ',')}."
            )
        return np.where(present, numbers, 0.0)

    def taught(self, task, y):
        return np.array([len(y) > 0])

    def sure(self, task, y):
        return np.asarray(y, np.float64)

    def known_share(self, y, known):
        return 1.0

    def is_possible(self, task, y):
        return bool(np.isfinite(y).all())

    # -- answers -----------------------------------------------------------------------------------

    def answer_shape(self, task, rows):
        return (rows,)

    def labels_of(self, task, answers):
        return answers

    def row_error(self, y, answers):
        """The absolute error."""
        return np.abs(answers.astype(np.float64) - y)

    # -- the part of a head ------------------------------------------------------------------------

    def build(self, head):
        """``scale``: mean, deviation, and whether they were learned.

        They are those of the first labels that the head is trained on, and stay: a later training
        on other rows goes on from the same scale. They are in double precision, as labels are: in
        single precision, seconds since 1970 are told apart to two minutes.
        """
        head.scale = head.add_weight(
            name="scale", shape=(3,), dtype="float64", trainable=False, initializer="zeros"
        )

    def restart(self, head):
        head.scale.assign([0.0, 1.0, 0.0])

    def note_labels(self, head, y):
        """Takes mean and deviation from labels (rows,), unless earlier ones gave them."""
        if len(y) and not float(head.scale[2]):
            mean, deviation = (
                float(np.mean(y, dtype=np.float64)),
                float(np.std(y, dtype=np.float64)),
            )
            head.scale.assign([mean, deviation if deviation > 0 else 1.0, 1.0])

    def shape_output(self, output):
        return output[:, 0]

    def losses(self, head, y, output):
        """(batch,) squared error in squared deviations."""
        from tf_transfer.devices.backend import tf

        standard = (tf.cast(y, tf.float64) - head.scale[0]) / head.scale[1]
        return tf.square(tf.cast(standard, output.dtype) - output)

    def scores(self, head, output):
        from tf_transfer.devices.backend import tf

        return (tf.cast(output, tf.float64) * head.scale[1] + head.scale[0])[:, None]

    def served(self, head, output):
        return self.scores(head, output)[:, 0]

    def decode(self, head, output, tokens=None):
        mean, deviation, _ = head.scale.numpy()
        return output.astype(np.float64) * deviation + mean

    def standardised(self, head, y):
        self.note_labels(head, y)
        mean, deviation, _ = head.scale.numpy().astype(np.float64)
        return (y.astype(np.float64) - mean) / deviation

    # -- scikit-learn ------------------------------------------------------------------------------

    def linear_model(self, task, y, penalty):
        from sklearn.linear_model import Ridge

        return Ridge(alpha=penalty)

    def constant_model(self):
        from sklearn.dummy import DummyRegressor

        return DummyRegressor()
